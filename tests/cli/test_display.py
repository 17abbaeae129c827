"""What the display shows, at the widths of terminals."""

from io import StringIO
from time import monotonic

import pytest
from rich.console import Console

from aiobatch.cli.display import Display, a_time
from aiobatch.cli.watch import Speed, Watch
from aiobatch.events import (
    CapacityConsumed,
    LeftoversRequeued,
    RequestFinished,
    RequestSent,
    RequestThrottled,
)


def shown(width: int, *, terminal: bool = True) -> tuple[Display, Watch, StringIO]:
    file = StringIO()
    console = Console(width=width, file=file, force_terminal=terminal, color_system=None)
    watch = Watch()
    return (
        Display("a very long name of a file.csv → a table", "rows", watch, console=console),
        (watch),
        file,
    )


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    display, watch, file = shown(width)
    watch.throttled, watch.retried, watch.units = 123, 45_678, 9e6
    display.update(items=1_234_567, share=0.5, rejected=12)
    display.console.print(display.render())
    lines = file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    for counter in ("1,234,567 rows", "123 throttled", "45,678 retried", "12 rejected"):
        assert any(counter in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize(
    "title", ["a.csv → b", "a name of some length/" * 9], ids=["short", "long"]
)
def test_title_bar_and_time_have_room(width: int, title: str) -> None:
    file = StringIO()
    console = Console(width=width, file=file, force_terminal=True, color_system=None)
    display = Display(title, "rows", Watch(began=monotonic() - 7265), console=console)
    display.update(items=1_234_567, share=0.5)
    console.print(display.render())
    [head, *_] = file.getvalue().splitlines()
    assert len(head) == width
    assert head.endswith("50%, 2:01:05 left")
    # Half of the bar's room is drawn.
    assert head.count("━") >= 5
    shown_title = head[: head.index("━")].rstrip()
    assert shown_title == title if len(title) < 10 else shown_title.endswith("…")


def test_where_there_is_no_terminal_it_tells_now_and_then() -> None:
    file = StringIO()
    watch = Watch(began=monotonic() - 60)
    display = Display("a → b", "rows", watch, console=Console(width=80, file=file))
    display.update(items=1_234)
    display.update(items=1_235, share=0.5)
    assert file.getvalue().startswith("1,234 rows, ")
    assert "1,235" not in file.getvalue()  # only every few seconds
    display = Display("a → b", "rows", watch, console=Console(width=80, file=file))
    display.update(items=1, share=0.5)
    assert "50%, 1 row, " in file.getvalue()


def test_lines_that_no_terminal_reads_are_whole() -> None:
    display, _, file = shown(80, terminal=False)
    display.say("x" * 300)
    assert file.getvalue() == "x" * 300 + "\n"


def test_what_is_counted() -> None:
    watch = Watch()
    about = {"call": 1, "operation": "BatchWriteItem", "tables": ("t",)}
    watch(RequestSent(request=1, entries=25, bytes=100, **about))  # type: ignore[arg-type]
    assert (watch.requests, watch.under_way) == (1, 1)
    watch(CapacityConsumed(units=12.5, **about))  # type: ignore[arg-type]
    watch(LeftoversRequeued(entries=3, delay=0.1, error_type=None, **about))  # type: ignore[arg-type]
    watch(RequestThrottled(throttled_tables=("t",), reasons=(), **about))  # type: ignore[arg-type]
    watch(
        RequestFinished(request=1, entries=25, left=3, bytes=10, seconds=0.1, **about)  # type: ignore[arg-type]
    )
    assert (watch.under_way, watch.units, watch.retried, watch.throttled) == (0, 12.5, 3, 1)


def test_a_speed_is_that_of_the_last_seconds() -> None:
    speed = Speed()
    assert speed.at(2.0, 100) == 50
    for second in range(3, 30):
        steady = speed.at(float(second), 100 + (second - 2) * 10)
    assert steady == pytest.approx(10)


def test_times_are_for_people() -> None:
    assert [a_time(each) for each in (0.31, 75, 7265)] == ["0.3 s", "1:15", "2:01:05"]


def test_a_display_is_there_while_its_block_runs() -> None:
    display, _, file = shown(80)
    with display:
        display.update(items=5, share=0.5, before=0)
        display.say("a line in between " + "x" * 100)
        during = file.getvalue()
    assert "a very long name" in during
    # Folded, where a terminal is too narrow; whole, for whoever copies it.
    assert "a line in between" in during
    assert file.getvalue().count("x") >= 100
    # It leaves no trace: the cursor goes up, and each of its lines is erased.
    assert file.getvalue().removeprefix(during).count("\x1b[2K") >= 2


def test_the_time_that_is_left_is_told_once_there_is_something_to_tell_by() -> None:
    display, watch, file = shown(80)
    watch.began -= 10
    display.update(share=0.4, before_share=0.4)
    display.console.print(display.render())
    assert "40%" in file.getvalue()
    assert "left" not in file.getvalue()
    # A half of what was left took ten seconds.
    display.update(share=0.7)
    display.console.print(display.render())
    assert "70%, 10.0 s left" in file.getvalue() or "70%, 10.1 s left" in file.getvalue()
