"""What is shown while a command runs, on standard error: a display, lines, or events in JSON."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aiobatch.bulk.words import counted
from aiobatch.cli.watch import Speed, Watch

__all__ = ["Display", "State", "a_time"]

_LINE_EVERY: Final = 5.0
_EVENT_EVERY: Final = 1.0
_LEAST_BAR: Final = 12


@dataclass(slots=True)
class State:
    """How far a command is.

    Attributes:
        items: how many are done, those of earlier runs among them.
        before: how many of them earlier runs did.
        share: how much of the whole is done, 0 to 1; None where that is not known.
        before_share: ``share`` when this run began.
        rejected: rows that were refused.
    """

    items: int = 0
    before: int = 0
    share: float | None = None
    before_share: float = 0.0
    rejected: int = 0


class Display:
    """Shows a state and the counters of a watch while a block runs.

    Args:
        title: what is done.
        unit: what is counted, such as ``"items"``.
        watch: the counters.
        json: events in JSON, a line each, on standard output, instead of words.
        quiet: nothing but the end.
        console: where words go; None: standard error.
    """

    def __init__(
        self,
        title: str,
        unit: str,
        watch: Watch,
        *,
        json: bool = False,
        quiet: bool = False,
        console: Console | None = None,
    ) -> None:
        self.state = State()
        self.console = console or Console(stderr=True, highlight=False)
        self._title = title
        self._unit = unit
        self._watch = watch
        self._json = json
        self._quiet = quiet
        self._items_speed, self._units_speed = Speed(), Speed()
        self._told_at = 0.0
        self._live: Live | None = None
        if self.console.is_terminal and not json and not quiet:
            self._live = Live(
                console=self.console,
                get_renderable=self.render,
                refresh_per_second=8,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, **changes: Any) -> None:
        """Take note of a change of the state; say so, where it is time to."""
        for name, value in changes.items():
            setattr(self.state, name, value)
        now = self._watch.seconds
        if self._live is not None or self._quiet:
            return
        if now - self._told_at >= (_EVENT_EVERY if self._json else _LINE_EVERY):
            self._told_at = now
            if self._json:
                self.event("progress", **self._figures())
            else:
                share = f"{self.state.share:.0%}, " if self.state.share is not None else ""
                self.say(f"{share}{', '.join(self._counters())}")

    def say(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        if self.console.is_terminal:
            # With a colour in any case: Ctrl-C may make a terminal drop half of the display.
            self.console.print(Text(text, style=style or "default"), overflow="fold")
        else:
            # One line is one message, however long, for whatever reads a log.
            self.console.file.write(text + "\n")
            self.console.file.flush()

    def event(self, kind: str, **members: Any) -> None:
        """Print a line for machines, if they read."""
        if self._json:
            sys.stdout.write(orjson.dumps({"event": kind, **members}, default=str).decode() + "\n")
            sys.stdout.flush()

    def render(self) -> RenderableType:
        """The display at this moment."""
        state, watch = self.state, self._watch
        bar = ProgressBar(total=1.0, completed=state.share or 0.0, pulse=state.share is None)
        told = a_time(watch.seconds)
        if state.share is not None:
            left = self._seconds_left()
            told = f"{state.share:.0%}" + (f", {a_time(left)} left" if left is not None else "")
        # The bar takes what is left; a long title must leave it some room, and the time all of it.
        most = max(8, self.console.width - _LEAST_BAR - len(told) - 2)
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(no_wrap=True, overflow="ellipsis", max_width=most)
        head.add_column(ratio=1)
        head.add_column(justify="right", no_wrap=True, min_width=len(told))
        head.add_row(Text(self._title, style="bold"), bar, told)
        return Group(head, Text(_in_lines(self._counters(), self.console.width), style="dim"))

    def _counters(self) -> list[str]:
        state, watch = self.state, self._watch
        now = watch.seconds
        items = self._items_speed.at(now, state.items - state.before)
        units = self._units_speed.at(now, watch.units)
        told = [counted(state.items, self._unit), f"{items:,.0f}/s", f"{units:,.0f} units/s"]
        told.append(f"{watch.under_way} under way")
        told.append(f"{watch.throttled:,} throttled")
        told.append(f"{watch.retried:,} retried")
        if state.rejected:
            told.append(f"{state.rejected:,} rejected")
        return told

    def _seconds_left(self) -> float | None:
        state = self.state
        gone = (state.share or 0.0) - state.before_share
        if gone <= 0.001:
            return None
        return self._watch.seconds * (1.0 - (state.share or 0.0)) / gone

    def _figures(self) -> dict[str, Any]:
        watch, state = self._watch, self.state
        return {
            "items": state.items,
            "rejected": state.rejected,
            "share": state.share,
            "seconds": round(watch.seconds, 3),
            **self.costs(),
        }

    def costs(self) -> dict[str, Any]:
        """What this run cost so far, for machines."""
        watch = self._watch
        return {
            "requests": watch.requests,
            "under_way": watch.under_way,
            "throttled": watch.throttled,
            "retried": watch.retried,
            "capacity_units": watch.units,
        }

    def costs_in_words(self) -> str:
        """What this run cost, for people."""
        watch = self._watch
        speed = (self.state.items - self.state.before) / max(watch.seconds, 1e-3)
        return (
            f"{a_time(watch.seconds)}, {speed:,.0f} {self._unit}/s,"
            f" {counted(watch.requests, 'requests')},"
            f" {counted(watch.units, 'capacity units', digits=1)},"
            f" {watch.throttled:,} throttled, {watch.retried:,} retried"
        )


def _in_lines(parts: list[str], width: int) -> str:
    """The parts in lines that are broken between them alone."""
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]} · {part}"
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return "\n".join(lines)


def a_time(seconds: float) -> str:
    """A length of time, for people.

    >>> a_time(0.31), a_time(75), a_time(7265)
    ('0.3 s', '1:15', '2:01:05')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
