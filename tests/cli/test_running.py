"""How a command ends: exit codes by the error, signals, and what is left to say."""

import asyncio
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import NoRegionError, ProfileNotFound

from aiobatch import (
    AccessDenied,
    BatchError,
    KeyNamesUnknown,
    ServiceError,
    TableNotFound,
    Throttled,
    WireError,
)
from aiobatch.bulk import CopyFailed, CopyReport, LoadFailed, LoadReport, SourceError
from aiobatch.cli import running
from aiobatch.cli.codes import Exit
from aiobatch.cli.display import Display
from aiobatch.cli.running import Connection, Job
from aiobatch.cli.watch import Watch
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend
from tests.cli.conftest import Command, lines


def failed(cause: Exception | None, *, copies: bool = False) -> Exception:
    error: Exception = (
        CopyFailed("copy ended early", CopyReport("a", "b"))
        if copies
        else LoadFailed("load ended early", LoadReport("t", "put"))
    )
    error.__cause__ = cause
    return error


def _of(table: str, error: ServiceError) -> ServiceError:
    error.tables = (table,)
    return error


DENIED = AccessDenied("AccessDeniedException", "secret", operation="BatchWriteItem")
THROTTLED = Throttled("ThrottlingException", "secret", operation="Scan")
RESET = WireError("the connection was reset", operation="BatchWriteItem")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (failed(DENIED), Exit.FAILED, "load ended early"),
        (failed(DENIED, copies=True), Exit.FAILED, "copy ended early"),
        # What may go through when the command is given again.
        (failed(THROTTLED), Exit.LEFT_OVER, "load ended early"),
        (failed(RESET), Exit.LEFT_OVER, "load ended early"),
        (failed(None, copies=True), Exit.LEFT_OVER, "copy ended early"),
        (BatchError("3 keys are left", {}), Exit.LEFT_OVER, "3 keys are left"),
        (THROTTLED, Exit.LEFT_OVER, "Scan: ThrottlingException"),
        (DENIED, Exit.FAILED, "BatchWriteItem: AccessDeniedException"),
        (KeyNamesUnknown("t"), Exit.FAILED, "key_names"),
        (
            _of("missing", TableNotFound("ResourceNotFoundException", operation="Scan")),
            Exit.FAILED,
            "there is no table missing here (Scan: ResourceNotFoundException)",
        ),
        (
            TableNotFound("ResourceNotFoundException", operation="Scan"),
            Exit.FAILED,
            "there is no such table here (Scan: ResourceNotFoundException)",
        ),
        (SourceError("a.csv", "is cut off", line=7), Exit.FAILED, "a.csv, line 7: is cut off"),
        (ValueError("total_segments must be 1 or more"), Exit.USAGE, "total_segments must be"),
        (NoRegionError(), Exit.FAILED, "Give --region, or set AWS_REGION."),
        (ProfileNotFound(profile="nobody"), Exit.FAILED, "(nobody) could not be found"),
        (OSError(28, "No space left on device", "out.json"), Exit.FAILED, "out.json: No space"),
        (OSError(28, "No space left on device"), Exit.FAILED, "No space left on device"),
        (ConnectionError(), Exit.FAILED, "ConnectionError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_its_exit_code(error: Exception, code: Exit, told: str) -> None:
    found, message = running._explain(error)
    assert found is code
    assert told in message
    assert "secret" not in message


def test_an_error_of_ours_is_not_explained_away() -> None:
    with pytest.raises(ZeroDivisionError):
        running._explain(ZeroDivisionError("a bug"))


def test_without_uvloop_asyncios_own_loop_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=lambda: None))
    assert running._loop_factory() is sys.modules["uvloop"].new_event_loop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert running._loop_factory() is None


async def test_a_command_that_is_cancelled_without_a_signal_is_cancelled(
    server: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by Ctrl-C on Windows, whose loops take no signals."""

    def add_signal_handler(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", add_signal_handler)
    begun = asyncio.Event()

    async def work(_job: Job) -> Exit:
        begun.set()
        await asyncio.Event().wait()
        return Exit.DONE

    watch = Watch()
    connection = Connection(endpoint_url=server.endpoint_url, region="us-east-1")
    task = asyncio.create_task(
        running._run(connection, watch, Display("a title", "items", watch), work)
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert capsys.readouterr().err == ""


async def test_a_reason_before_there_is_a_client(capsys: pytest.CaptureFixture[str]) -> None:
    async def work(_job: Job) -> Exit:
        raise AssertionError

    watch = Watch()
    connection = Connection(profile="nobody")
    code = await running._run(connection, watch, Display("a title", "items", watch), work)
    assert code is Exit.FAILED
    assert "error: The config profile (nobody) could not be found" in capsys.readouterr().err


async def test_a_second_signal_stops_at_once(server: Backend, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(lines(("pk",), *((f"key {n}",) for n in range(100))))
    async with FaultProxy(server.endpoint_url) as proxy:
        proxy.always(Fault.silence(), operation="BatchWriteItem")
        command = Command(proxy.endpoint_url, tmp_path)
        process = await command.start(
            "load", "rows.csv", "--table", "twice", "--create-table", "pk:S"
        )
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while not any(  # noqa: ASYNC110
                each.operation == "BatchWriteItem" for each in proxy.requests
            ):
                await asyncio.sleep(0)
            process.send_signal(signal.SIGINT)
            while b"once more to stop at once" not in (line := await process.stderr.readline()):
                assert line
            # No answer will come, and the first signal would wait for it.
            process.send_signal(signal.SIGINT)
            err = await process.stderr.read()
            assert await process.wait() == 128 + signal.SIGINT
    assert err == b"stopped at once\n"


def job_of(items: int) -> dict[str, Any]:
    return {"items": items}


async def test_what_is_left_is_told_at_the_end(
    server: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = Watch()

    async def work(job: Job) -> Exit:
        job.left = lambda: "so far: 5 rows"
        job.how_to_go_on = "to go on: aiobatch load"
        job.summary = lambda: job_of(5)
        raise failures.pop()

    connection = Connection(endpoint_url=server.endpoint_url, region="us-east-1")
    service = ServiceError("ValidationException", "secret", operation="Scan")
    failures: list[Exception] = [ValueError("columns= is for CSV and Parquet"), service]
    display = Display("a title", "items", watch, json=True)
    assert await running._run(connection, watch, display, work) is Exit.FAILED
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "error: Scan: ValidationException (HTTP 400, request id none)",
        "so far: 5 rows",
        "to go on: aiobatch load",
    ]
    assert '"event":"summary","exit_code":1,"items":5' in out
    # The same command would be as wrong as before.
    assert await running._run(connection, watch, display, work) is Exit.USAGE
    assert "to go on" not in capsys.readouterr().err
