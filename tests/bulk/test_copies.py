"""Copies and counts that cannot go through: what is told, and what is left to go on with."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiobatch import AccessDenied, DynamoDB, Retry, Throttled, WireError
from aiobatch.bulk import CheckpointError, CopyFailed, DeadLetterError, copy, count
from aiobatch.bulk.copy import CopyReport
from aiobatch.bulk.create import create_table, parse_keys
from aiobatch.bulk.dead_letters import DeadLetters
from aiobatch.bulk.errors import BulkError
from aiobatch.bulk.place import ScanCheckpoint
from aiobatch.testing import FakeWire, Fault, FaultProxy
from aiobatch.wire.protocol import Request
from tests.backends import Backend
from tests.bulk.test_kills import BACKEND
from tests.conftest import TableFactory

# What is tested here happens in our own process: one backend is enough.
on_one_backend = pytest.mark.parametrize("backend", [BACKEND], indirect=True)
QUICK = Retry(max_retries=1, base_delay=0.001)


@pytest.fixture
async def real(backend: Backend) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=backend.endpoint_url, numbers="decimal") as db:
        yield db


@pytest.fixture
async def filled(real: DynamoDB, table: TableFactory) -> str:
    """A table with 120 items."""
    name = await table()
    await real.batch_write_item([{"pk": f"item {n}", "n": n} for n in range(120)], name)
    return name


async def keys(db: DynamoDB, table: str) -> set[str]:
    return {item["pk"] async for item in db.scan(table, consistent_read=True)}


@on_one_backend
async def test_writes_that_are_refused_are_told_with_the_cause(
    real: DynamoDB, filled: str, table: TableFactory, backend: Backend, tmp_path: Path
) -> None:
    target, saved = await table(), tmp_path / "copy.checkpoint"
    reports: list[CopyReport] = []
    async with (
        FaultProxy(backend.endpoint_url) as proxy,
        DynamoDB(endpoint_url=proxy.endpoint_url) as to,
    ):
        proxy.script([Fault.none()], operation="BatchWriteItem")
        proxy.always(Fault.access_denied(), operation="BatchWriteItem")
        with pytest.raises(
            CopyFailed, match=r"could not be written: BatchWriteItem on .*: AccessDeniedException"
        ):
            await copy(
                *(real, filled, target),
                to=to,
                checkpoint=saved,
                on_progress=reports.append,
                page_size=10,
                total_segments=1,
                checkpoint_every=0,
            )
        assert (reports[-1].items, reports[-1].finished) == (10, False)
        proxy.clear()
        proxy.always(Fault.throttle(), operation="BatchWriteItem")
        with pytest.raises(CopyFailed, match="10 items of a page were throttled for as long"):
            await copy(real, filled, target, to=to, checkpoint=saved, page_size=10, retry=QUICK)
        proxy.clear()
        report = await copy(real, filled, target, to=to, checkpoint=saved, checkpoint_every=0)
    assert (report.resumed_at, report.items, report.finished) == (10, 120, True)
    assert "10 by earlier runs" in report.in_words()
    assert await keys(real, target) == {f"item {n}" for n in range(120)}
    assert not saved.exists()


@on_one_backend
async def test_a_copy_into_itself_by_its_arn(real: DynamoDB, filled: str, raw_client: Any) -> None:
    described = await raw_client.describe_table(TableName=filled)
    with pytest.raises(ValueError, match="source and target are the same table"):
        await copy(real, filled, described["Table"]["TableArn"])


async def test_tables_that_nobody_may_describe_are_told_by_their_names(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.access_denied(), operation="DescribeTable")
    with pytest.raises(ValueError, match="source and target are the same table"):
        await copy(db, "things", "things")


async def test_segments_that_are_none(db: DynamoDB) -> None:
    with pytest.raises(ValueError, match="total_segments must be 1 or more"):
        await copy(db, "things", "others", total_segments=0)
    with pytest.raises(ValueError, match="total_segments must be 1 or more"):
        await count(db, "things", total_segments=0)


@pytest.fixture
async def two(
    real: DynamoDB, table: TableFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[str, str]:
    """Two tables; the five items of the first fit into the second."""
    monkeypatch.chdir(tmp_path)
    source, target = await table(), await table("id")
    await real.batch_write_item([{"pk": f"{n}", "id": f"{n}"} for n in range(5)], source)
    return source, target


@on_one_backend
@pytest.mark.parametrize("one_is_without", [False, True])
async def test_key_names_that_are_not_the_tables_end_the_copy(
    two: tuple[str, str], real: DynamoDB, backend: Backend, one_is_without: bool
) -> None:
    """The items fit into the table, as DynamoDB describes it; the caller says otherwise."""
    source, target = two
    if one_is_without:
        await real.batch_write_item([{"pk": "a"}], source)
    names = {target: ("id", "sk")}
    async with DynamoDB(endpoint_url=backend.endpoint_url, key_names=names) as to:
        with pytest.raises(CopyFailed, match="does not fit into it: is a key attribute"):
            await copy(real, source, target, to=to, total_segments=1)
    assert [item async for item in real.scan(target)] == []


@on_one_backend
async def test_dead_letters_in_the_way_leave_the_checkpoint_free(
    two: tuple[str, str], real: DynamoDB, tmp_path: Path
) -> None:
    letters, saved = tmp_path / f"{two[0]}.rejected.json", tmp_path / "checkpoint"
    letters.write_text("of an earlier run")
    with pytest.raises(DeadLetterError, match="is there already"):
        await copy(real, *two, checkpoint=saved)
    letters.unlink()
    report = await copy(real, *two, checkpoint=saved)
    assert (report.items, report.finished) == (5, True)


@on_one_backend
async def test_dead_letters_that_cannot_be_written_are_not_tried_again(
    two: tuple[str, str], real: DynamoDB, tmp_path: Path
) -> None:
    await real.batch_write_item([{"pk": "a"}], two[0])
    kept: dict[str, Any] = {
        "checkpoint": tmp_path / "checkpoint",
        "dead_letters": tmp_path / "no" / "letters.json",
    }
    with pytest.raises(DeadLetterError, match="there is no such directory"):
        await copy(real, *two, checkpoint_every=0, **kept)
    (tmp_path / "no").mkdir()
    # The checkpoint from before they failed holds.
    report = await copy(real, *two, **kept)
    assert (report.rejected, report.finished) == (1, True)
    assert report.dead_letters == [kept["dead_letters"]]


@on_one_backend
async def test_cancelled_while_it_begins_it_ends_and_can_be_started_again(
    two: tuple[str, str], real: DynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, cancelled = asyncio.get_running_loop(), threading.Event()

    def begin(_self: DeadLetters) -> None:
        loop.call_soon_threadsafe(cancel)
        assert cancelled.wait(30)

    def cancel() -> None:
        running.cancel()
        cancelled.set()

    with monkeypatch.context() as patch:
        patch.setattr(DeadLetters, "begin", begin)
        running = asyncio.create_task(copy(real, *two))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [item async for item in real.scan(two[1])] == []
    assert (await copy(real, *two)).items == 5


@on_one_backend
async def test_a_count_is_told_while_it_goes_on(
    real: DynamoDB, filled: str, backend: Backend
) -> None:
    seen: list[int] = []
    report = await count(
        real, filled, total_segments=3, on_progress=lambda live: seen.append(live.scanned)
    )
    assert seen == sorted(seen)
    assert seen[-1] == report.items == report.scanned == 120
    async with (
        FaultProxy(backend.endpoint_url) as proxy,
        DynamoDB(endpoint_url=proxy.endpoint_url) as db,
    ):
        proxy.always(Fault.throttle(), operation="Scan")
        with pytest.raises(Throttled):
            await count(db, filled, retry=QUICK)


class Nothing:
    """A wire whose answers have nothing in them."""

    max_concurrency = 16

    async def send(self, request: Request) -> bytes:
        return b"{}"

    async def aclose(self) -> None:
        pass


async def test_an_answer_without_a_count_is_none() -> None:
    async with DynamoDB(wire=Nothing()) as db:
        with pytest.raises(WireError, match="malformed answer: it has no Count"):
            await count(db, "things", retry=QUICK)


# ---------------------------------------------------------------------- checkpoints of scans


def test_a_checkpoint_of_a_scan_that_is_none(tmp_path: Path) -> None:
    what = {"table": {"name": "t"}, "selection": {"index_name": None}}
    path = tmp_path / "c"
    for content in (b"", b"{}", b"[]", b'{"version": 1, "of": {}, "segments": [5]}', b"\xff"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is no checkpoint of an export or a copy"):
            ScanCheckpoint(path, what).open(None, 8)
        assert path.read_bytes() == content
    path.unlink()
    saved = ScanCheckpoint(path, what)
    state, goes_on = saved.open(None, 8)
    assert (len(state.segments), goes_on) == (8, False)
    saved.save(state)
    with pytest.raises(CheckpointError, match="another run is using it"):
        ScanCheckpoint(path, what).open(None, 8)
    saved.close(remove=False)
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(CheckpointError, match="is of version 2, and this aiobatch reads 1"):
        saved.open(None, 8)


def test_a_checkpoint_of_a_scan_where_none_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="there is no such directory"):
        ScanCheckpoint(tmp_path / "no" / "c", {}).open(None, 8)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="a file stands in its place"):
        ScanCheckpoint(tmp_path / "file" / "c", {}).open(None, 8)
    saved = ScanCheckpoint(tmp_path / "c", {})
    state, _ = saved.open(2, 8)

    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        saved.save(state)
    saved.close(remove=True)


# ---------------------------------------------------------------------- tables that are made


@pytest.mark.parametrize("text", ["pk", ":S", "pk:X", "pk:S,", "pk:S,pk:N", "a:S,b:S,c:S", ""])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="key attribute"):
        parse_keys(text)


@on_one_backend
async def test_a_table_is_made_once(
    real: DynamoDB, backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("aiobatch.bulk.create._LOOK_EVERY", 0.001)
    name = f"made-{tmp_path.name}"
    async with (
        FaultProxy(backend.endpoint_url) as proxy,
        DynamoDB(endpoint_url=proxy.endpoint_url) as db,
    ):
        # Not everywhere yet.
        proxy.script([Fault.table_not_found()] * 2, operation="DescribeTable")
        # The answer of the first attempt is lost.
        proxy.script([Fault.reset_after()], operation="CreateTable")
        assert not await create_table(db, name, {"pk": "S", "n": "N"})
        assert proxy.unused == 0
        assert not await create_table(db, name, {"pk": "S", "n": "N"})
        with pytest.raises(BulkError, match="is there already, with the keys pk:S,n:N"):
            await create_table(db, name, {"pk": "S"})
        proxy.always(Fault.access_denied(), operation="CreateTable")
        with pytest.raises(AccessDenied):
            await create_table(db, name, {"pk": "S"})
        proxy.clear()
        monkeypatch.setattr("aiobatch.bulk.create._LOOK_FOR", 0.01)
        proxy.always(Fault.table_not_found(), operation="DescribeTable")
        with pytest.raises(BulkError, match=r"has not become active for 0\.01 s"):
            await create_table(db, name, {"pk": "S", "n": "N"})
    assert await create_table(real, f"{name}-2", {"pk": "B"})
