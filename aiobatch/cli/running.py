"""Runs what a command does: the loop, the client, the display, signals, and the exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from aiobatch.bulk import BulkError, CopyFailed, LoadFailed
from aiobatch.cli.codes import Exit
from aiobatch.cli.display import Display
from aiobatch.cli.watch import Watch
from aiobatch.client import DynamoDB
from aiobatch.errors import AiobatchError, BatchError, ServiceError, TableNotFound, Throttled

__all__ = ["Connection", "Job", "carry_out", "command_line"]

# Without a ceiling DynamoDB is not asked what it consumed; one that none reaches has it told.
_NO_CEILING: Final = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach DynamoDB."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    concurrency: int = 16
    max_read_units: float | None = None
    max_write_units: float | None = None

    def client(self, watch: Watch) -> DynamoDB:
        """A client, exact in its numbers."""
        return DynamoDB(
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            profile_name=self.profile,
            max_concurrency=self.concurrency,
            max_read_units=self.max_read_units or _NO_CEILING,
            max_write_units=self.max_write_units or _NO_CEILING,
            numbers="decimal",
            hooks=[watch],
        )


@dataclass(slots=True)
class Job:
    """What a command's work has at hand.

    Attributes:
        db: the client.
        display: for progress.
        watch: the counters, for another client.
        how_to_go_on: what to say when it is ended early; None: nothing is there to go on with.
        left: in words, how far it came when it is ended early.
        summary: figures for machines.
    """

    db: DynamoDB
    display: Display
    watch: Watch
    how_to_go_on: str | None = None
    left: Callable[[], str] = field(default=lambda: "")
    summary: Callable[[], dict[str, Any]] = field(default=dict)


Work = Callable[[Job], Awaitable[Exit]]


class _Terminated(BaseException):
    """SIGTERM came."""


def command_line() -> str:
    """The command as it was given, to be given again."""
    return shlex.join(["aiobatch", *sys.argv[1:]])


def carry_out(
    title: str,
    unit: str,
    connection: Connection,
    work: Work,
    *,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Run a command's work, and return the exit code."""
    # Errors are told once, by us.
    logging.getLogger("aiobatch").addHandler(logging.NullHandler())
    watch = Watch()
    display = Display(title, unit, watch, json=json, quiet=quiet)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return int(runner.run(_run(connection, watch, display, work)))
    except BrokenPipeError:
        _forget_stdout()
        return int(Exit.READER_GONE)


async def _run(connection: Connection, watch: Watch, display: Display, work: Work) -> Exit:
    task = asyncio.current_task()
    assert task is not None
    came: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if came:
            # Asked twice: at once. Nothing is lost that a kill would not lose.
            display.say("stopped at once")
            os._exit(128 + number)
        came.append(number)
        display.say("stopping: what is under way gets its answer; once more to stop at once")
        task.cancel()

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    with suppress(NotImplementedError):
        for number in signals:
            loop.add_signal_handler(number, stop, number)
    job: Job | None = None
    try:
        with display:
            async with connection.client(watch) as db:
                job = Job(db, display, watch)
                code = await work(job)
        display.event("summary", exit_code=int(code), **job.summary(), **display.costs())
        return code
    except asyncio.CancelledError:
        if not came:
            raise
        code = Exit.INTERRUPTED if came[0] is signal.SIGINT else Exit.TERMINATED
        _tell_end(display, job, code, "interrupted", "")
        return code
    except BrokenPipeError:
        raise
    except Exception as error:
        code, message = _explain(error)
        # That is for programs.
        message = message.replace("; DynamoDB's own words are in .message", "")
        _tell_end(display, job, code, type(error).__name__, message)
        return code
    finally:
        with suppress(NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)


def _tell_end(display: Display, job: Job | None, code: Exit, kind: str, message: str) -> None:
    if message:
        display.say(f"error: {message}", "red")
    if job is not None:
        if left := job.left():
            display.say(left)
        if code is not Exit.USAGE and job.how_to_go_on is not None:
            display.say(job.how_to_go_on)
    members = {} if job is None else job.summary()
    display.event("error", type=kind, message=message, exit_code=int(code))
    display.event("summary", exit_code=int(code), **members, **display.costs())


def _explain(error: Exception) -> tuple[Exit, str]:
    """The exit code and the message for an error. Never DynamoDB's own words: they quote items."""
    if isinstance(error, ValueError | TypeError) and not isinstance(error, AiobatchError):
        return Exit.USAGE, str(error)
    if isinstance(error, LoadFailed | CopyFailed):
        cause = error.__cause__
        if isinstance(cause, ServiceError) and not isinstance(cause, Throttled):
            return Exit.FAILED, str(error)
        return Exit.LEFT_OVER, str(error)
    if isinstance(error, TableNotFound):
        named = f"table {', '.join(error.tables)}" if error.tables else "such table"
        return Exit.FAILED, (
            f"there is no {named} here ({error.operation}: {error.code})."
            " Check its name, --region and --endpoint-url; load makes it with --create-table"
        )
    if isinstance(error, BatchError | Throttled):
        return Exit.LEFT_OVER, str(error)
    if isinstance(error, AiobatchError | BulkError):
        return Exit.FAILED, str(error)
    if any(base.__module__.startswith("botocore.") for base in type(error).__mro__):
        # Settings: no region, no such profile, no credentials. These texts hold none of them.
        advice = " Give --region, or set AWS_REGION." if "region" in str(error) else ""
        return Exit.FAILED, f"{error}{advice}"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Exit.FAILED, f"{where}{error.strerror or type(error).__name__}"
    raise error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _forget_stdout() -> None:
    """Python would try to write what is left when it ends, and complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
