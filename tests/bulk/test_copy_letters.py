"""Copies into tables that refuse some of the items: each is kept, with the reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiobatch import DynamoDB
from aiobatch.bulk import CopyFailed, CopyReport, DeadLetterError, copy, load
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend
from tests.bulk.test_kills import BACKEND
from tests.conftest import TableFactory

one_backend = pytest.mark.parametrize("backend", [BACKEND], indirect=True)

ITEMS = 200


def item(number: int) -> dict[str, Any]:
    """Every tenth has no ``id``, or an empty one, or one of another type."""
    made: dict[str, Any] = {"pk": f"item {number:04}", "id": f"id {number}", "tags": {1, 2}}
    if number % 10 == 3:
        broken: list[dict[str, Any]] = [{}, {"id": ""}, {"id": number}]
        del made["id"]
        made |= broken[number // 10 % 3]
    return made


def fits(number: int) -> bool:
    return number % 10 != 3


REFUSED = sorted(f"item {number:04}" for number in range(ITEMS) if not fits(number))


def letters_in(path: Path) -> list[str]:
    return sorted(json.loads(line)["Item"]["pk"]["S"] for line in path.read_bytes().splitlines())


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def reasons_in(path: Path) -> list[dict[str, Any]]:
    content = path.with_name(f"{path.name}.reasons.jsonl").read_bytes()
    return [json.loads(line) for line in content.splitlines()]


@pytest.fixture
async def proxy(backend: Backend) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(backend.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
async def db(proxy: FaultProxy) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=proxy.endpoint_url) as db:
        yield db


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_what_the_target_refuses_is_a_dead_letter(
    backend: Backend, table: TableFactory, tmp_path: Path
) -> None:
    source, target = await table(), await table("id")
    async with DynamoDB(endpoint_url=backend.endpoint_url) as db:
        await db.batch_write_item([item(number) for number in range(ITEMS)], source)
        report = await copy(db, source, target, page_size=30, total_segments=2)
        letters = Path(f"{source}.rejected.json")
        assert (report.items, report.rejected, report.finished) == (180, 20, True)
        assert report.dead_letters == [letters]
        assert "180 items, 2 of 2 segments copied, 20 rejected" in report.in_words()
        stored = sorted([each["pk"] async for each in db.scan(target)])
        assert stored == [item(number)["pk"] for number in range(ITEMS) if fits(number)]
        assert letters_in(letters) == REFUSED
        reasons = reasons_in(letters)
        assert [each["line"] for each in reasons] == list(range(1, 21))
        assert {each["path"] for each in reasons} <= {"id", ""}
        told = {each["reason"] for each in reasons}
        assert any("must not be empty" in reason for reason in told)
        assert any("a string in the table, and a number here" in reason for reason in told)
        # They can be loaded from there, into a table that takes them.
        other = await table()
        loaded = await load(db, letters, other)
        assert (loaded.written, loaded.rejected) == (20, 0)
        again = [each async for each in db.scan(other)]
        assert sorted(again, key=lambda each: str(each["pk"])) == [
            item(number) for number in range(ITEMS) if not fits(number)
        ]
        with pytest.raises(DeadLetterError, match="from an earlier run"):
            await copy(db, source, target)


@one_backend
async def test_a_copy_that_is_ended_has_each_dead_letter_once(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source, target = await table(), await table("id")
    await db.batch_write_item([item(number) for number in range(ITEMS)], source)
    letters = tmp_path / "bad.json"
    settings: dict[str, Any] = {
        "checkpoint": tmp_path / "checkpoint",
        "dead_letters": letters,
        "page_size": 10,
        "total_segments": 2,
        "checkpoint_every": 0.0,
    }
    for so_many in (3, 9, 14):

        def stop(report: CopyReport, so_many: int = so_many) -> None:
            if report.rejected >= so_many:
                raise LookupError("enough")

        with pytest.raises(LookupError):
            await copy(db, source, target, on_progress=stop, **settings)
        # As a kill leaves it, between the dead letters and the checkpoint that counts them.
        with letters.open("ab") as more:
            more.write(b'{"Item":{"pk":{"S":"ha')
    report = await copy(db, source, target, **settings)
    assert (report.items, report.rejected) == (180, 20)
    assert report.resumed_at > 0
    assert letters_in(letters) == REFUSED
    assert [each["row"] for each in reasons_in(letters)] == list(range(1, 21))
    assert not (tmp_path / "checkpoint").exists()


@one_backend
async def test_dead_letters_that_cannot_be_written_end_the_copy(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source, target = await table(), await table("id")
    await db.batch_write_item([item(number) for number in range(ITEMS)], source)
    saved = tmp_path / "checkpoint"
    with pytest.raises(DeadLetterError, match="there is no such directory"):
        await copy(db, source, target, checkpoint=saved, dead_letters=tmp_path / "no" / "x")
    # What could not be put down is not counted in.
    report = await copy(db, source, target, checkpoint=saved)
    assert report.rejected == 20
    assert letters_in(Path(f"{source}.rejected.json")) == REFUSED


@one_backend
async def test_what_dynamodb_refuses_is_a_dead_letter_too(
    db: DynamoDB, proxy: FaultProxy, table: TableFactory
) -> None:
    source, target = await table(), await table("id")
    await db.batch_write_item([item(number) for number in range(ITEMS) if fits(number)], source)
    proxy.always(
        Fault.validation(), table=target, entry=lambda entry: entry.value.get("id") == {"S": "id 7"}
    )
    report = await copy(db, source, target, page_size=20)
    assert (report.items, report.rejected) == (179, 1)
    [reason] = reasons_in(Path(f"{source}.rejected.json"))
    assert reason["reason"] == "DynamoDB refused it: ValidationException"
    assert letters_in(Path(f"{source}.rejected.json")) == ["item 0007"]


@one_backend
async def test_what_is_no_fault_of_an_item_ends_the_copy(
    db: DynamoDB, proxy: FaultProxy, table: TableFactory
) -> None:
    source, target = await table(), await table("id")
    await db.batch_write_item([item(number) for number in range(ITEMS)], source)
    proxy.always(Fault.access_denied(), table=target)
    with pytest.raises(CopyFailed, match="AccessDeniedException"):
        await copy(db, source, target)
    assert not list(Path().iterdir())  # noqa: ASYNC240


@one_backend
async def test_too_many_are_enough(db: DynamoDB, table: TableFactory) -> None:
    source, target = await table(), await table("id")
    await db.batch_write_item([item(number) for number in range(ITEMS)], source)
    with pytest.raises(CopyFailed, match="more items were rejected than max_rejected"):
        await copy(db, source, target, max_rejected=2, page_size=10)
    assert 2 < len(letters_in(Path(f"{source}.rejected.json"))) < 20
    with pytest.raises(ValueError, match="max_rejected"):
        await copy(db, source, target, max_rejected=-1)


@one_backend
async def test_many_large_ones_are_put_down_as_they_come(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    """Memory holds no more of them than it must, with a checkpoint or without."""
    source, target = await table(), await table("id")
    await db.batch_write_item([{"pk": f"{n:03}", "text": "x" * 390_000} for n in range(60)], source)
    letters = Path(f"{source}.rejected.json")
    seen: list[int] = []

    async def look() -> None:
        while True:
            size = await asyncio.to_thread(
                lambda: letters.stat().st_size if letters.exists() else 0
            )
            seen.append(size)

    looking = asyncio.create_task(look())
    report = await copy(db, source, target, page_size=5, checkpoint_every=3600)
    looking.cancel()
    assert report.rejected == 60
    whole = await asyncio.to_thread(size_of, letters)
    assert any(0 < size < whole for size in seen)
