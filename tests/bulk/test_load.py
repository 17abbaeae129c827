"""Loads on a fake wire: each row is written once, or stands in the dead letters with its reason."""

import asyncio
import gzip
import json
import os
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aiobatch import ClientClosed, DynamoDB, Retry, TableNotFound
from aiobatch.bulk import (
    CheckpointError,
    DeadLetterError,
    FormatError,
    LoadFailed,
    LoadReport,
    MissingExtra,
    SourceError,
    load,
)
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile
from aiobatch.testing import FakeWire, Fault


def table(wire: FakeWire) -> dict[str, Any]:
    return {item["pk"]: item for item in wire.items("things")}


def csv(path: Path, rows: range, value: Callable[[int], object] = lambda n: n) -> Path:
    lines = [f"key {n},{value(n)}\n" for n in rows]
    path.write_text("pk,n:N\n" + "".join(lines))
    return path


def reasons(letters: Path) -> list[dict[str, Any]]:
    told = letters.with_name(f"{letters.name}.reasons.jsonl").read_text()
    return [json.loads(line) for line in told.splitlines()]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_every_format_is_loaded(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    (tmp_path / "a.csv").write_text("pk,n:N\na,1\n")
    (tmp_path / "b.jsonl").write_text('{"pk": "b", "n": 1.50}')
    with gzip.open(tmp_path / "c.json.gz", "wt") as file:
        file.write('{"Item": {"pk": {"S": "c"}, "n": {"NS": ["1", "2"]}}}\n')
    parquet.write_table(pa.table({"pk": ["d"], "n": [7]}), tmp_path / "d.parquet")
    files = [tmp_path / name for name in ("a.csv", "b.jsonl", "c.json.gz", "d.parquet")]
    report = await load(db, files, "things")
    assert table(wire) == {
        "a": {"pk": "a", "n": 1},
        "b": {"pk": "b", "n": Decimal("1.5")},
        "c": {"pk": "c", "n": {1, 2}},
        "d": {"pk": "d", "n": 7},
    }
    assert (report.rows, report.done, report.written, report.rejected) == (4, 4, 4, 0)
    assert report.finished
    assert report.bytes_total is None
    assert report.metrics is not None
    assert report.dead_letters == []
    # Small files need no checkpoint.
    assert names(tmp_path) == {file.name for file in files}


async def test_the_last_row_of_a_key_wins(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    rows = [f"key {n % 7},{n}\n" for n in range(3000)]
    (tmp_path / "a.csv").write_text("pk,n:N\n" + "".join(rows))
    wire.script([Fault.partial(0.5), Fault.throttle(), Fault.reset_after()] * 3)
    report = await load(
        db, tmp_path / "a.csv", "things", retry=Retry(max_retries=9, base_delay=0.001)
    )
    assert {pk: item["n"] for pk, item in table(wire).items()} == {
        f"key {n % 7}": n for n in range(2993, 3000)
    }
    assert report.written == 3000


async def test_keys_are_deleted(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    await load(db, csv(tmp_path / "a.csv", range(100)), "things")
    # Whole items will do, and so will keys.
    await load(db, csv(tmp_path / "b.csv", range(50)), "things", operation="delete")
    (tmp_path / "c.jsonl").write_text('{"pk": "key 60"}\n{"n": 5}\n')
    report = await load(db, tmp_path / "c.jsonl", "things", operation="delete")
    assert len(table(wire)) == 49
    assert report.rejected == 1
    assert reasons(tmp_path / "c.rejected.jsonl")[0]["path"] == "pk"


async def test_rows_that_cannot_be_written_are_kept_with_the_reasons(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    text = "x" * 500_000
    file.write_bytes(
        b'pk,n:N,text\na,1,"two\nlines"\nb,one,\n\n,3,\nc\nd,4,\xff\ne,5,'
        + text.encode()
        + b"\nf,6,"
    )
    report = await load(db, file, "things")
    letters = tmp_path / "a.rejected.csv"
    assert set(table(wire)) == {"a", "f"}
    assert (report.written, report.rejected, report.dead_letters) == (2, 5, [letters])
    assert letters.read_bytes() == (
        b"pk,n:N,text\nb,one,\n,3,\nc\nd,4,\xff\ne,5," + text.encode() + b"\n"
    )
    found = reasons(letters)
    assert [(each["row"], each["line"], each["path"]) for each in found] == [
        (2, 4, "n"),
        (3, 6, "pk"),
        (4, 7, ""),
        (5, 8, ""),
        (6, 9, ""),
    ]
    told = [each["reason"] for each in found]
    for reason, part in zip(
        told, ["not a number", "key attribute", "has 1 cells", "not UTF-8", "400 KB"], strict=True
    ):
        assert part in reason
    assert "one" not in told[0]


async def test_dead_letters_can_be_loaded_as_they_are(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("pk,n\na,1\nb,one\nc,2\n")
    await load(db, tmp_path / "a.csv", "things", types={"n": "N"})
    letters = tmp_path / "a.rejected.csv"
    # A second load does not take away what the first one left.
    with pytest.raises(DeadLetterError, match="is there already"):
        await load(db, tmp_path / "a.csv", "things", types={"n": "N"})
    again = await load(db, letters, "things")
    assert (again.written, again.rejected) == (0, 1)
    assert (tmp_path / "a.rejected.rejected.csv").read_bytes() == letters.read_bytes()
    letters.write_text(letters.read_text().replace("one", "1"))
    (tmp_path / "a.rejected.rejected.csv").unlink()
    (tmp_path / "a.rejected.rejected.csv.reasons.jsonl").unlink()
    assert (await load(db, letters, "things")).written == 1
    assert set(table(wire)) == {"a", "b", "c"}


async def test_what_dynamodb_refuses_is_a_dead_letter(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    wire.always(
        Fault.validation(),
        operation="BatchWriteItem",
        entry=lambda entry: entry.value.get("n") == {"N": "5"},
    )
    file = csv(tmp_path / "a.csv", range(60))
    report = await load(db, file, "things")
    assert (report.written, report.rejected) == (59, 1)
    [told] = reasons(tmp_path / "a.rejected.csv")
    assert told["reason"] == "DynamoDB refused it: ValidationException"
    assert (tmp_path / "a.rejected.csv").read_text() == "pk,n:N\nkey 5,5\n"


async def test_several_files_have_dead_letters_of_their_own(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("pk,n:N\na,x\nb,1\n")
    (tmp_path / "b.jsonl").write_text('{"pk": 5}\n{"pk": "c"}\n')
    (tmp_path / "kept").mkdir()
    report = await load(
        db,
        [tmp_path / "a.csv", tmp_path / "b.jsonl"],
        "things",
        dead_letters=tmp_path / "kept",
        checkpoint=True,
    )
    assert names(tmp_path / "kept") == {
        "a.rejected.csv",
        "a.rejected.csv.reasons.jsonl",
        "b.rejected.jsonl",
        "b.rejected.jsonl.reasons.jsonl",
    }
    assert (report.written, report.rejected) == (2, 2)
    assert set(table(wire)) == {"b", "c"}
    assert names(tmp_path) == {"a.csv", "b.jsonl", "kept"}


async def test_a_gzip_that_is_cut_off_is_loaded_up_to_there(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    whole = csv(tmp_path / "whole.csv", range(5000), lambda n: n * 7919 % 10007)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(whole.read_bytes())[:-3000])
    with pytest.raises(SourceError, match=r"a\.csv\.gz, line \d+: is cut off") as caught:
        await load(db, tmp_path / "a.csv.gz", "things", checkpoint=True)
    assert caught.value.line is not None
    loaded = len(table(wire))
    assert loaded == caught.value.line - 1 > 100
    assert "started again with checkpoint" in caught.value.__notes__[0]
    assert names(tmp_path) == {"whole.csv", "a.csv.gz", "a.csv.gz.checkpoint"}
    (tmp_path / "b.csv.gz").write_bytes(whole.read_bytes())
    with pytest.raises(SourceError, match="is no gzip file, or is damaged"):
        await load(db, tmp_path / "b.csv.gz", "things")


async def test_files_that_are_none(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        await load(db, tmp_path / "a.csv", "things")
    with pytest.raises(SourceError, match="is no file"):
        await load(db, tmp_path, "things", format="csv")
    with pytest.raises(SourceError, match="give format="):
        await load(db, tmp_path / "a.txt", "things")
    (tmp_path / "a.csv").write_text("pk,pk\n")
    with pytest.raises(FormatError, match=r"a\.csv: the line of names has 'pk' twice"):
        await load(db, tmp_path / "a.csv", "things")
    with pytest.raises(SourceError, match="no installed library knows this scheme"):
        await load(db, "nowhere://a/b.csv", "things")
    assert not any(request.operation == "BatchWriteItem" for request in wire.requests)


async def test_urls_are_read_through_fsspec(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/a.csv", b"pk,n:N\na,1\nb,x\n")
    monkeypatch.chdir(tmp_path)
    report = await load(
        db, "memory://bucket/a.csv", "things", checkpoint=tmp_path / "c", retry=Retry()
    )
    assert set(table(wire)) == {"a"}
    assert report.dead_letters == [Path("a.rejected.csv")]
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(MissingExtra, match="URLs need fsspec"):
        await load(db, "memory://bucket/a.csv", "things")


@pytest.mark.usefixtures("told_at_every_step")
async def test_a_file_that_changes_while_it_is_read(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    file = csv(tmp_path / "a.csv", range(20_000))
    grown: list[asyncio.Task[None]] = []

    def append() -> None:
        with file.open("a") as more:
            more.write("key 9999999,1\n")

    def grow(_report: LoadReport) -> None:
        if not grown:
            grown.append(asyncio.create_task(asyncio.to_thread(append)))

    with pytest.raises(SourceError, match="was changed while it was read"):
        await load(db, file, "things", checkpoint=True, on_progress=grow)
    with pytest.raises(CheckpointError, match="has been changed since"):
        await load(db, file, "things")
    await grown[0]
    (tmp_path / "a.csv.checkpoint").unlink()
    assert (await load(db, file, "things")).written == 20_001


@pytest.mark.usefixtures("told_at_every_step")
async def test_a_cancelled_load_goes_on_where_it_was(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    rows = [f"key {n % 999},{n if n % 100 else 'x'}\n" for n in range(6000)]
    file = tmp_path / "a.csv"
    file.write_text("pk,n:N\n" + "".join(rows))
    loads: list[asyncio.Task[LoadReport]] = []
    notes: list[str] = []
    report = LoadReport("things", "put")

    def look(live: LoadReport) -> None:
        if len(wire.requests) > until and not (live.finished or loads[-1].cancelling()):
            loads[-1].cancel()

    while not report.finished:
        until = len(wire.requests) + 30
        loads.append(
            asyncio.create_task(
                load(db, file, "things", checkpoint=True, on_progress=look, max_pending=100)
            )
        )
        try:
            report = await loads[-1]
        except asyncio.CancelledError as error:
            notes += error.__notes__
            assert wire.in_flight == 0
    assert len(notes) == len(loads) - 1 > 1
    assert all("started again with checkpoint" in note for note in notes)
    assert report.resumed_at > 0
    assert (report.written, report.rejected) == (5940, 60)
    assert {pk: item["n"] for pk, item in table(wire).items()} == last_row_wins(rows)
    letters = tmp_path / "a.rejected.csv"
    assert letters.read_text() == "pk,n:N\n" + "".join(row for row in rows if row.endswith("x\n"))
    assert [told["row"] for told in reasons(letters)] == list(range(1, 6000, 100))
    assert names(tmp_path) == {"a.csv", letters.name, f"{letters.name}.reasons.jsonl"}


async def test_a_load_that_is_cancelled_at_a_checkpoint_puts_nothing_down_twice(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"key {n},{n if n % 10 else 'x'}\n" for n in range(6000)]
    file = tmp_path / "a.csv"
    file.write_text("pk,n:N\n" + "".join(rows))
    loop, saved = asyncio.get_running_loop(), CheckpointFile.save
    cancelled = 0

    def save(checkpoint: CheckpointFile, state: Checkpoint) -> None:
        # In the thread, after the dead letters: the load learns of it when this is done.
        nonlocal cancelled
        if state.dead_letters and not cancelled:
            cancelled += 1
            loop.call_soon_threadsafe(task.cancel)
        saved(checkpoint, state)

    monkeypatch.setattr(CheckpointFile, "save", save)
    task = asyncio.create_task(load(db, file, "things", checkpoint=True, checkpoint_every=0))
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert cancelled
    assert "started again with checkpoint" in caught.value.__notes__[0]
    report = await load(db, file, "things", checkpoint=True)
    assert (report.written, report.rejected) == (5400, 600)
    letters = tmp_path / "a.rejected.csv"
    assert letters.read_text() == "pk,n:N\n" + "".join(row for row in rows if row.endswith("x\n"))


@pytest.mark.parametrize("last", ["checkpoint", "close"])
async def test_a_load_that_is_cancelled_at_its_very_end(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    rows = [f"key {n},{n if n % 10 else 'x'}\n" for n in range(200)]
    file = tmp_path / "a.csv"
    file.write_text("pk,n:N\n" + "".join(rows))
    loop, saved, closed = asyncio.get_running_loop(), CheckpointFile.save, CheckpointFile.close

    def save(checkpoint: CheckpointFile, state: Checkpoint) -> None:
        saved(checkpoint, state)
        if last == "checkpoint" and state.done == 200:
            loop.call_soon_threadsafe(task.cancel)

    def close(checkpoint: CheckpointFile, *, remove: bool = False) -> None:
        if last == "close" and remove:
            loop.call_soon_threadsafe(task.cancel)
        closed(checkpoint, remove=remove)

    monkeypatch.setattr(CheckpointFile, "save", save)
    monkeypatch.setattr(CheckpointFile, "close", close)
    task = asyncio.create_task(load(db, file, "things", checkpoint=True))
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    (note,) = caught.value.__notes__
    monkeypatch.undo()
    if last == "close":
        # Too late: what it was cancelled in was the last thing to do.
        assert "200 rows done: 180 written, 20 rejected" in note
        assert "it is over, and nothing is left to do" in note
    else:
        assert "started again with checkpoint" in note
        report = await load(db, file, "things", checkpoint=True)
        assert (report.resumed_at, report.written, report.rejected) == (200, 180, 20)
    assert names(tmp_path) == {"a.csv", "a.rejected.csv", "a.rejected.csv.reasons.jsonl"}
    assert len(table(wire)) == 180


@pytest.mark.usefixtures("told_at_every_step")
async def test_a_load_that_is_cancelled_by_what_it_tells_at_its_end_keeps_its_checkpoint(
    db: DynamoDB, tmp_path: Path
) -> None:
    file = csv(tmp_path / "a.csv", range(200))

    def look(live: LoadReport) -> None:
        if live.done == 200 and not (live.finished or task.cancelling()):
            task.cancel()

    task = asyncio.create_task(load(db, file, "things", checkpoint=True, on_progress=look))
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert "started again with checkpoint" in caught.value.__notes__[0]
    assert (await load(db, file, "things", checkpoint=True)).resumed_at == 200


def last_row_wins(rows: list[str]) -> dict[str, int]:
    pairs = [row.strip().split(",") for row in rows]
    return {key: int(value) for key, value in pairs if value != "x"}


async def test_rows_that_are_left_end_the_load(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    file = csv(tmp_path / "a.csv", range(2000))
    wire.script([Fault.none()] * 3, operation="BatchWriteItem")
    wire.always(Fault.unavailable(), operation="BatchWriteItem")
    retry = Retry(max_retries=1, base_delay=0.001)
    with pytest.raises(LoadFailed, match=r"ended early: .* rows done.*goes on") as caught:
        await load(db, file, "things", checkpoint=True, retry=retry)
    assert "Cause: BatchWriteItem" in str(caught.value)
    assert caught.value.report.done < 2000
    wire.clear()
    report = await load(db, file, "things")
    assert report.resumed_at == caught.value.report.done
    assert len(table(wire)) == report.written == 2000


async def test_no_permission_to_write(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", range(2000))
    wire.script([Fault.access_denied()] * 50, operation="BatchWriteItem")
    with pytest.raises(LoadFailed, match=r"Cause: BatchWriteItem on .things.: Access") as caught:
        await load(db, file, "things", checkpoint=True)
    assert caught.value.report.done == 0
    assert table(wire) == {}
    wire.clear()
    assert (await load(db, file, "things")).written == 2000


async def test_a_table_that_is_none(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    with pytest.raises(TableNotFound):
        await load(db, csv(tmp_path / "a.csv", range(5)), "nothing", checkpoint=True)
    assert names(tmp_path) == {"a.csv"}


@pytest.mark.usefixtures("told_at_every_step")
async def test_a_closed_client(wire: FakeWire, tmp_path: Path) -> None:
    db = DynamoDB(wire=wire)
    closing: list[asyncio.Task[None]] = []

    def close(_report: LoadReport) -> None:
        if not closing:
            closing.append(asyncio.create_task(db.aclose()))

    file = csv(tmp_path / "a.csv", range(20_000))
    with pytest.raises(ClientClosed) as caught:
        await load(db, file, "things", checkpoint=True, on_progress=close)
    await closing[0]
    assert "goes on" in caught.value.__notes__[0]
    with pytest.raises(ClientClosed):
        await load(db, file, "things")


async def test_a_checkpoint_in_use(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", range(3000))
    refused: list[BaseException] = []

    async def second() -> None:
        try:
            await load(db, file, "things", checkpoint=True)
        except CheckpointError as error:
            refused.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(second())
    assert len(refused) == 2
    assert len(table(wire)) == 3000


async def test_too_many_rejected(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", range(5000), lambda n: "x" if n > 5 else n)
    with pytest.raises(LoadFailed, match="more rows were rejected than max_rejected"):
        await load(db, file, "things", max_rejected=10, checkpoint_every=0)
    assert len(table(wire)) == 6


@pytest.mark.usefixtures("told_at_every_step")
@pytest.mark.parametrize("done", [0, 1])
async def test_progress_that_raises_ends_the_load(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, done: int
) -> None:
    """At its beginning, and while the rows that were read wait for room."""

    def fails(report: LoadReport) -> None:
        if report.done >= done:
            raise LookupError("no display")

    file = csv(tmp_path / "a.csv", range(9000))
    with pytest.raises(LookupError, match="no display"):
        await load(db, file, "things", on_progress=fails, max_pending=50)
    assert len(table(wire)) < 9000


async def test_arguments_are_checked_at_once(db: DynamoDB, tmp_path: Path) -> None:
    file = csv(tmp_path / "a.csv", range(5))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"operation": "update"}, "Invalid operation 'update'"),
        ({"format": "xml"}, "format must be one of"),
        ({"types": {"n": "X"}}, "must be one of"),
        ({"checkpoint_every": -1}, "checkpoint_every"),
        ({"max_rejected": -1}, "max_rejected"),
        ({"max_pending": 0}, "max_pending"),
    ]
    for keywords, told in wrong:
        with pytest.raises(ValueError, match=told):
            await load(db, file, "things", **keywords)
    with pytest.raises(ValueError, match="sources is empty"):
        await load(db, [], "things")
    with pytest.raises(ValueError, match="the only source"):
        await load(db, ["-", file], "things", format="csv")
    with pytest.raises(ValueError, match="standard input cannot be gone on with"):
        await load(db, "-", "things", format="csv", checkpoint=True)
    with pytest.raises(ValueError, match="the same name"):
        await load(db, [file, file], "things")


@pytest.mark.usefixtures("told_at_every_step")
async def test_memory_holds_no_more_rows_than_it_must(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    """One row is stuck: only so many are read behind it, and they are all that a kill costs."""
    file = csv(tmp_path / "a.csv", range(3000))
    # The others end while it is stuck, slowly enough to be looked at.
    wire.script([Fault.latency(1.0)], operation="BatchWriteItem")
    wire.always(Fault.latency(0.03), operation="BatchWriteItem")
    most = Counter[str]()

    def look(report: LoadReport) -> None:
        most["pending"] = max(most["pending"], report.pending)

    await load(db, file, "things", max_pending=50, on_progress=look)
    assert 50 < most["pending"] <= 500 + 1
    assert len(table(wire)) == 3000


async def test_large_rejected_rows_are_put_down_as_they_come(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    """40 MB of rows that are too large, behind one that is stuck for a moment."""
    large = "x" * 410_000
    lines = [json.dumps({"pk": f"key {n}", "text": large}) for n in range(100)]
    file = tmp_path / "a.jsonl"
    file.write_text('{"pk": "first"}\n' + "\n".join(lines))
    wire.script([Fault.late_answer(0.2)], operation="BatchWriteItem")
    report = await load(db, file, "things", checkpoint=True)
    assert (report.written, report.rejected) == (1, 100)
    letters = tmp_path / "a.rejected.jsonl"
    assert letters.read_text().splitlines() == lines
    assert [each["row"] for each in reasons(letters)] == list(range(2, 102))


@pytest.mark.usefixtures("told_at_every_step")
async def test_what_a_kill_left_behind_the_checkpoint_is_cut_off(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    """As if it had come between the dead letters and the checkpoint that counts them."""
    file = csv(tmp_path / "a.csv", range(6000), lambda n: n if n % 100 else "x")

    def stop(live: LoadReport) -> None:
        if live.rejected > 10 and not tasks[0].cancelling():
            tasks[0].cancel()

    tasks = [asyncio.create_task(load(db, file, "things", checkpoint=True, on_progress=stop))]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    letters = tmp_path / "a.rejected.csv"
    kept = letters.read_bytes()
    with letters.open("ab") as more:
        more.write(b"key 1,half a ro")
    with letters.with_name(f"{letters.name}.reasons.jsonl").open("ab") as more:
        more.write(b'{"row": 9999}\n')
    report = await load(db, file, "things")
    assert report.rejected == 60
    assert letters.read_bytes().startswith(kept)
    assert letters.read_bytes().count(b",x\n") == 60 == len(reasons(letters))


@pytest.mark.parametrize("how", ["cut", "gone"])
async def test_dead_letters_that_a_checkpoint_needs(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "a.csv.gz"
    rows = "".join(f"key {n},{'x' if n < 5 else n * 7919}\n" for n in range(3000))
    file.write_bytes(gzip.compress(f"pk,n:N\n{rows}".encode())[:-2000])
    with pytest.raises(SourceError):
        await load(db, file, "things", checkpoint=True)
    letters = tmp_path / "a.rejected.csv"
    if how == "cut":
        letters.write_bytes(letters.read_bytes()[:-1])
    else:
        letters.unlink()
    with pytest.raises(DeadLetterError, match="has been changed" if how == "cut" else "is gone"):
        await load(db, file, "things")
    assert (tmp_path / "a.csv.gz.checkpoint").exists()


async def test_a_directory_without_permission(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = csv(tmp_path / "a.csv", range(50), lambda n: "x")
    real = os.open

    def fails(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if str(path).endswith(".lock"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(CheckpointError, match="this user may not write there"):
        await load(db, file, "things", checkpoint=True)
    with pytest.raises(DeadLetterError, match="there is no such directory"):
        await load(db, file, "things", dead_letters=tmp_path / "no" / "where.csv")
