"""Loads at their bounds: too much in hand, errors upon errors, inputs that are no files."""

import asyncio
import gzip
import importlib
import io
import json
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aiobatch import AccessDenied, DynamoDB, Retry
from aiobatch.bulk import (
    BulkError,
    CheckpointError,
    DeadLetterError,
    LoadFailed,
    LoadReport,
    SourceError,
    copy,
    export,
    fetch,
    load,
)
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile
from aiobatch.bulk.dead_letters import DeadLetters
from aiobatch.bulk.durable import FileLock
from aiobatch.bulk.run import LoadRun
from aiobatch.bulk.segments import Progress, Scanned, Selection, read_segments
from aiobatch.bulk.writer import RowWriter
from aiobatch.testing import FakeWire, Fault
from tests.bulk.test_load import csv, names, reasons, table

QUICK = Retry(max_retries=1, base_delay=0.001)


def gated(opened: asyncio.Event) -> FakeWire:
    """A wire whose first write is answered once `opened` is set."""

    async def sleep(_seconds: float) -> None:
        await opened.wait()

    wire = FakeWire({"things": ("pk",)}, sleep=sleep)
    wire.script([Fault.late_answer(1.0)], operation="BatchWriteItem")
    return wire


async def test_behind_a_row_that_is_stuck_a_load_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = csv(tmp_path / "a.csv", range(3000))
    waits, wait = asyncio.Event(), LoadRun._wait
    held: list[int] = []

    async def look(run: LoadRun) -> None:
        held.append(run._water.open)
        waits.set()
        await wait(run)

    monkeypatch.setattr(LoadRun, "_wait", look)
    wire = gated(waits)
    async with DynamoDB(wire=wire) as db:
        report = await load(db, file, "things", max_pending=50)
    assert held[0] == 500
    assert report.written == len(table(wire)) == 3000


async def test_rejected_rows_behind_one_that_is_stuck_are_put_down_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take memory as they stand in the file, so they are not read without end either."""
    monkeypatch.setattr("aiobatch.bulk.run._MOST_BYTES", 1_000_000)
    large = "x" * 410_000
    lines = [json.dumps({"pk": f"key {n}", "text": large}) for n in range(12)]
    file = tmp_path / "a.jsonl"
    file.write_text('{"pk": "first"}\n' + "\n".join(lines))
    waits, wait = asyncio.Event(), LoadRun._wait
    held: list[int] = []

    async def look(run: LoadRun) -> None:
        held.append(run._held)
        waits.set()
        await wait(run)

    monkeypatch.setattr(LoadRun, "_wait", look)
    wire = gated(waits)
    async with DynamoDB(wire=wire) as db:
        report = await load(db, file, "things", checkpoint=True)
    assert 1_000_000 < max(held) < 2_000_000
    assert (report.written, report.rejected) == (1, 12)
    letters = tmp_path / "a.rejected.jsonl"
    assert letters.read_text().splitlines() == lines
    assert [each["row"] for each in reasons(letters)] == list(range(2, 14))


async def test_rows_that_a_refused_one_took_the_place_of(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    wire.always(
        Fault.validation(),
        operation="BatchWriteItem",
        entry=lambda entry: entry.value.get("n") == {"N": "9"},
    )
    (tmp_path / "a.csv").write_text("pk,n:N\na,1\nb,2\na,5\na,9\n")
    report = await load(db, tmp_path / "a.csv", "things")
    assert (report.written, report.rejected) == (1, 3)
    told = [each["reason"] for each in reasons(tmp_path / "a.rejected.csv")]
    earlier = "row 4 has the same key, and took its place before DynamoDB refused that one"
    assert [each.partition(":")[0] for each in told] == [earlier, earlier, "DynamoDB refused it"]
    assert (tmp_path / "a.rejected.csv").read_text() == "pk,n:N\na,1\na,5\na,9\n"


async def test_rows_left_before_a_file_that_is_cut_off(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    """What was left over is what is told: the file's end is met again."""
    whole = csv(tmp_path / "whole.csv", range(30), lambda n: n * 7919 % 10007)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(whole.read_bytes())[:-8])
    wire.always(Fault.unavailable(), operation="BatchWriteItem")
    with pytest.raises(LoadFailed, match=r"ended early: .* Cause: BatchWriteItem"):
        await load(db, tmp_path / "a.csv.gz", "things", retry=QUICK)
    assert table(wire) == {}


async def test_a_checkpoint_that_can_no_longer_be_written(
    db: DynamoDB,
    wire: FakeWire,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = csv(tmp_path / "a.csv", range(2000))
    saved = CheckpointFile.save
    full: list[int] = []

    def save(checkpoint: CheckpointFile, state: Checkpoint) -> None:
        if full or state.done:
            full.append(state.done)
            raise CheckpointError(str(checkpoint.path), "cannot be written: No space left")
        saved(checkpoint, state)

    monkeypatch.setattr(CheckpointFile, "save", save)
    with pytest.raises(CheckpointError, match="No space left") as caught:
        await load(db, file, "things", checkpoint=True, checkpoint_every=0)
    assert "started again with checkpoint" in caught.value.__notes__[0]
    # Once it failed, it was tried again at the end, which is only logged.
    assert "the last checkpoint of this run was not written" in caplog.text
    monkeypatch.undo()
    assert (await load(db, file, "things")).resumed_at == 0
    # Nothing but the last one: that is what the load ends with.
    (tmp_path / "a.csv.checkpoint").unlink(missing_ok=True)
    del full[:]
    caplog.clear()
    monkeypatch.setattr(CheckpointFile, "save", save)
    with pytest.raises(CheckpointError, match="No space left"), caplog.at_level(logging.WARNING):
        await load(db, file, "things", checkpoint=True, checkpoint_every=3600)
    assert caplog.text == ""


async def test_a_load_that_is_cancelled_while_it_ends_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row is stuck, the checkpoint cannot be written, and then it is cancelled."""
    (tmp_path / "a.csv").write_text("pk,n:N\na,1\nb,x\n")
    leaving, left, saved = asyncio.Event(), RowWriter.__aexit__, CheckpointFile.save
    saves: list[int] = []

    async def leave(writer: RowWriter, *error: Any) -> Any:
        leaving.set()
        return await left(writer, *error)

    def save(checkpoint: CheckpointFile, state: Checkpoint) -> None:
        saves.append(state.done)
        if len(saves) == 2:
            raise CheckpointError(str(checkpoint.path), "cannot be written: No space left")
        saved(checkpoint, state)

    monkeypatch.setattr(RowWriter, "__aexit__", leave)
    monkeypatch.setattr(CheckpointFile, "save", save)
    stuck = asyncio.Event()
    async with DynamoDB(wire=gated(stuck)) as db:
        task = asyncio.create_task(
            load(db, tmp_path / "a.csv", "things", checkpoint=True, checkpoint_every=0)
        )
        await leaving.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        # What is under way gets its answer.
        stuck.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert "started again with checkpoint" in caught.value.__notes__[0]
        report = await load(db, tmp_path / "a.csv", "things", checkpoint=True)
    assert (report.written, report.rejected) == (1, 1)


def test_dead_letters_that_can_no_longer_be_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = DeadLetters([tmp_path / "a.rejected.csv"])
    (tmp_path / "a.rejected.csv").write_text("a,x\n")
    (tmp_path / "a.rejected.csv.reasons.jsonl").write_text("{}\n")

    def refuses(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.truncate", refuses)
    with pytest.raises(DeadLetterError, match="this user may not write there"):
        letters.resume({0: (2, 2)})


async def test_standard_input_is_loaded(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = io.TextIOWrapper(io.BytesIO(b"pk,n:N\na,1\nb,x\n"))
    monkeypatch.setattr(sys, "stdin", stream)
    report = await load(db, "-", "things", format="csv")
    assert table(wire) == {"a": {"pk": "a", "n": 1}}
    assert (report.checkpoint, report.bytes_total) == (None, None)
    assert names(tmp_path) == {"stdin.rejected.csv", "stdin.rejected.csv.reasons.jsonl"}


async def test_standard_input_that_is_closed(
    db: DynamoDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match="standard input is closed"):
        await load(db, "-", "things", format="csv")


async def test_a_url_has_no_place_beside_it(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.chdir(tmp_path)
    fsspec.filesystem("memory").pipe_file("/bucket/b.csv", b"pk\na\n")
    with pytest.raises(BulkError, match="has no place for a checkpoint beside it: name one"):
        await load(db, "memory://bucket/b.csv", "things", checkpoint=True)
    report = await load(db, "memory://bucket/b.csv", "things")
    assert (report.written, report.checkpoint) == (1, None)


async def test_a_large_load_keeps_a_checkpoint_unless_it_is_told_not_to(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("aiobatch.bulk.load")
    monkeypatch.setattr(module, "AUTO_CHECKPOINT_BYTES", 100)
    file = csv(tmp_path / "a.csv", range(50))
    report = await load(db, file, "things")
    assert report.checkpoint == tmp_path / "a.csv.checkpoint"
    report = await load(db, file, "things", checkpoint=False)
    assert report.checkpoint is None


async def test_an_error_that_is_not_the_files_is_not_told_as_one(
    db: DynamoDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reader:
        header = b""

        def rows(self, _start: object) -> Any:
            raise ZeroDivisionError

    monkeypatch.setattr("aiobatch.bulk.slices.open_reader", lambda *_, **__: Reader())
    with pytest.raises(ZeroDivisionError):
        await load(db, csv(tmp_path / "a.csv", range(5)), "things")


async def test_credentials_that_are_no_longer_good_are_not_a_missing_permission(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    """Without the permission to describe a table a load does without; not without credentials."""
    wire.always(
        Fault.fails("UnrecognizedClientException", "The security token is invalid"),
        operation="DescribeTable",
    )
    with pytest.raises(AccessDenied, match="UnrecognizedClientException"):
        await load(db, csv(tmp_path / "a.csv", range(5)), "things")
    wire.clear()
    wire.always(Fault.access_denied(), operation="DescribeTable")
    async with DynamoDB(wire=wire, key_names={"things": ("pk",)}) as knows:
        report = await load(knows, tmp_path / "a.csv", "things")
    assert report.written == 5


async def test_progress_is_told_however_it_ends(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    told: list[LoadReport] = []
    wire.always(Fault.access_denied(), operation="BatchWriteItem")
    with pytest.raises(LoadFailed):
        await load(db, csv(tmp_path / "a.csv", range(5)), "things", on_progress=told.append)
    assert told
    assert not told[-1].finished


async def test_a_segment_that_is_cancelled_alone_ends_them_all(
    monkeypatch: pytest.MonkeyPatch, db: DynamoDB
) -> None:
    """A task group takes it for one that is over, and half a table would look like a whole one."""

    async def pages(*_: Any, segment: int, **__: Any) -> Any:
        yield {"Items": [], "Count": 0, "ScannedCount": 0}

    async def take(page: Scanned) -> None:
        if page.segment == 1:
            raise asyncio.CancelledError

    monkeypatch.setattr(DynamoDB, "_scan", pages)
    segments = [Progress(), Progress(), Progress(done=True)]
    with pytest.raises(asyncio.CancelledError):
        await read_segments(db, "things", segments, Selection(), take)


def test_the_values_of_a_selection_are_not_shown() -> None:
    told = [
        Selection(filter_expression="n = :n", expression_attribute_values=values).told()["values"]
        for values in ({":n": "secret"}, {":n": "other"}, {":n": "secret"}, None)
    ]
    assert told[0] == told[2] != told[1]
    assert told[3] is None
    assert "secret" not in str(told)


@pytest.mark.parametrize("work", ["load", "export", "copy", "get"])
async def test_what_is_cancelled_while_it_opens_gives_its_lock_back(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = FakeWire({"things": ("pk",), "others": ("pk",)})
    file, kept = csv(tmp_path / "a.csv", range(5)), tmp_path / "c"
    loop, acquired = asyncio.get_running_loop(), FileLock.acquire

    def acquire(lock: FileLock) -> bool:
        # In the thread: the task learns of it while it waits for this.
        loop.call_soon_threadsafe(task.cancel)
        return acquired(lock)

    async with DynamoDB(wire=wire) as db:
        works: dict[str, Coroutine[Any, Any, object]] = {
            "load": load(db, file, "things", checkpoint=kept),
            "export": export(db, "things", tmp_path / "out.json", checkpoint=kept),
            "copy": copy(db, "things", "others", checkpoint=kept),
            "get": fetch(db, file, "things", tmp_path / "out.json", checkpoint=kept),
        }
        for name, each in works.items():
            if name != work:
                each.close()
        task = asyncio.create_task(works[work])
        with monkeypatch.context() as patch:
            patch.setattr(FileLock, "acquire", acquire)
            with pytest.raises(asyncio.CancelledError):
                await task
    assert {request.operation for request in wire.requests} == {"DescribeTable"}
    lock = FileLock(tmp_path / "c.lock")
    assert await asyncio.to_thread(lock.acquire)
    await asyncio.to_thread(lock.release)
