"""Items read by keys in files: ended in the midst, gone on with, in the order of the blocks."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from aiobatch import DynamoDB
from aiobatch.bulk import (
    BulkError,
    CheckpointError,
    FetchReport,
    FormatError,
    SourceError,
    fetch,
)
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile
from aiobatch.errors import BatchError
from aiobatch.testing import FakeWire, Fault

KEYS = 400


def keys(path: Path, numbers: range) -> Path:
    path.write_text("pk\n" + "".join(f"key {n}\n" for n in numbers))
    return path


def numbers_in(path: Path) -> list[int]:
    lines = path.read_bytes().splitlines()
    return [int(json.loads(line)["Item"]["n"]["N"]) for line in lines]


@pytest.fixture
async def filled(db: DynamoDB) -> None:
    await db.batch_write_item([{"pk": f"key {n}", "n": n} for n in range(0, KEYS, 2)], "things")


async def stopped(db: DynamoDB, file: Path, out: Path, after: int, **more: Any) -> None:
    def stop(report: FetchReport) -> None:
        if report.keys - report.resumed_at >= after:
            raise LookupError("enough")

    with pytest.raises(LookupError):
        await fetch(db, file, "things", out, on_progress=stop, max_pending=80, **more)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["out.json", "out.csv"])
async def test_it_goes_on_where_it_was(db: DynamoDB, tmp_path: Path, name: str) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / name
    for _ in range(3):
        await stopped(db, file, out, 60, checkpoint_every=0.0)
        assert not out.exists()
        # What a kill leaves behind the checkpoint.
        with (tmp_path / f"{name}.part").open("ab") as part:
            part.write(b'{"Item":{"pk":{"S":"ha')
    # Blocks of one request each: those of a block may be answered in any order.
    report = await fetch(db, file, "things", out, max_pending=80)
    assert report.resumed_at >= 180
    assert (report.keys, report.found, report.missing) == (KEYS, KEYS // 2, KEYS // 2)
    assert report.bytes_done == report.bytes_total
    assert "by earlier runs" in report.in_words()
    if name == "out.json":
        assert numbers_in(out) == list(range(0, KEYS, 2))
    else:
        assert len(out.read_text().splitlines()) == 1 + KEYS // 2
    assert {each.name for each in tmp_path.iterdir()} == {"keys.csv", name}  # noqa: ASYNC240


@pytest.mark.usefixtures("filled")
async def test_blocks_come_in_their_order(db: DynamoDB, wire: FakeWire, tmp_path: Path) -> None:
    """The first one is late: the others wait for it, and no more are read meanwhile."""
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    wire.script([Fault.late_answer(0.2)], operation="BatchGetItem")
    asked: list[int] = []

    def first(report: FetchReport) -> None:
        asked.append(sum(each.operation == "BatchGetItem" for each in wire.requests))

    await fetch(db, file, "things", out, max_pending=80, on_progress=first)
    written = [number // 20 for number in numbers_in(out)]
    assert written == sorted(written)
    # Blocks of 20 keys.
    assert asked[0] == 4


@pytest.mark.usefixtures("filled")
async def test_a_checkpoint_of_other_work_is_refused(db: DynamoDB, tmp_path: Path) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    await stopped(db, file, out, 60)
    for arguments, word in (
        ({"consistent_read": True}, "selection"),
        ({"output_format": "jsonl"}, "output format"),
    ):
        with pytest.raises(CheckpointError, match=f"is of work with {word}"):
            await fetch(db, file, "things", out, **arguments)
    keys(file, range(KEYS + 1))
    with pytest.raises(CheckpointError, match="has been changed"):
        await fetch(db, file, "things", out)
    (tmp_path / "out.json.checkpoint").unlink()
    assert (await fetch(db, file, "things", out)).resumed_at == 0


@pytest.mark.usefixtures("filled")
async def test_what_cannot_be_gone_on_with(db: DynamoDB, tmp_path: Path) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    for sources, output in (("-", out), (file, "-"), (file, "memory://x.json")):
        with pytest.raises(ValueError, match="only files can be gone on with"):
            await fetch(
                db, sources, "things", output, format="csv", output_format="jsonl", checkpoint=True
            )
    await stopped(db, file, out, 60, checkpoint=False)
    assert not (tmp_path / "out.json.checkpoint").exists()
    assert (await fetch(db, file, "things", out)).resumed_at == 0


@pytest.mark.usefixtures("filled")
async def test_keys_that_are_left_end_it_and_it_goes_on(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    wire.always(
        Fault.access_denied(),
        operation="BatchGetItem",
        entry=lambda entry: entry.value["pk"] == {"S": "key 300"},
    )
    with pytest.raises(BatchError):
        await fetch(db, file, "things", out, max_pending=80)
    wire.clear()
    report = await fetch(db, file, "things", out, max_pending=80)
    assert report.resumed_at == 300
    assert numbers_in(out) == list(range(0, KEYS, 2))


@pytest.mark.usefixtures("filled")
async def test_a_key_that_dynamodb_refuses_is_told_with_its_line(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    wire.always(
        Fault.validation(),
        operation="BatchGetItem",
        entry=lambda entry: entry.value["pk"] == {"S": "key 7"},
    )
    report = await fetch(db, file, "things", out)
    assert (report.found, report.rejected, report.missing) == (200, 1, 199)
    assert report.reasons == [f"{file}, line 9: DynamoDB refused it: ValidationException"]


@pytest.mark.usefixtures("filled")
async def test_a_file_that_breaks_off_is_read_up_to_there(db: DynamoDB, tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    lines = b"".join(b'{"pk": "key %d"}\n' % n for n in range(KEYS))
    file.write_bytes(lines + b"x" * 5_000_000)
    out = tmp_path / "out.json"
    with pytest.raises(FormatError, match="line 401"):
        await fetch(db, file, "things", out)
    saved = json.loads((tmp_path / "out.json.checkpoint").read_bytes())
    assert (saved["done"], saved["written"]) == (KEYS, KEYS // 2)
    with pytest.raises(SourceError, match="no such file"):
        await fetch(db, tmp_path / "none.csv", "things", out)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 60])
async def test_cancelled_at_any_turn_it_can_be_started_again(
    db: DynamoDB, tmp_path: Path, turns: int
) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    running = asyncio.create_task(fetch(db, file, "things", out, max_pending=80))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # No lock is left.
    assert (await fetch(db, file, "things", out, max_pending=80)).finished
    assert numbers_in(out) == list(range(0, KEYS, 2))


@pytest.mark.usefixtures("filled")
async def test_an_output_that_cannot_be_made_ends_it_before_it_has_begun(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "no" / "out.json"
    with pytest.raises(BulkError, match="no such directory"):
        await fetch(db, file, "things", out, checkpoint=False)
    assert not any(each.operation == "BatchGetItem" for each in wire.requests)


@pytest.mark.usefixtures("filled")
async def test_a_checkpoint_that_cannot_be_written_ends_it_and_it_goes_on(
    db: DynamoDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"

    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    def full(report: FetchReport) -> None:
        if report.keys >= 100:
            monkeypatch.setattr("os.fsync", fails)

    with pytest.raises(BulkError, match="No space left on device"):
        await fetch(db, file, "things", out, max_pending=80, on_progress=full, checkpoint_every=0)
    monkeypatch.undo()
    report = await fetch(db, file, "things", out, max_pending=80)
    # The last checkpoint that was written holds.
    assert report.resumed_at == 100
    assert numbers_in(out) == list(range(0, KEYS, 2))


@pytest.mark.usefixtures("filled")
async def test_cancelled_while_the_checkpoint_is_refused_it_can_be_started_again(
    db: DynamoDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = keys(tmp_path / "keys.csv", range(KEYS)), tmp_path / "out.json"
    loop, cancelled = asyncio.get_running_loop(), threading.Event()

    def refuse(self: CheckpointFile, begin: Checkpoint) -> None:
        loop.call_soon_threadsafe(cancel)
        assert cancelled.wait(30)
        raise CheckpointError(str(self.path), "is not what it was")

    def cancel() -> None:
        running.cancel()
        cancelled.set()

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "open", refuse)
        running = asyncio.create_task(fetch(db, file, "things", out))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (await fetch(db, file, "things", out)).finished
