"""Section 7 of the contract, over real servers: loaders and streams."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiobatch import BatchError, DynamoDB, TableNotFound
from tests.backends import Backend, Quirk
from tests.conformance.conftest import SentLog
from tests.conftest import TableFactory


def item(number: int) -> dict[str, Any]:
    return {"pk": f"user#{number:04}", "sk": number, "name": f"User {number}", "tags": {"a", "b"}}


def key(number: int) -> dict[str, Any]:
    return {"pk": f"user#{number:04}", "sk": number}


def by_key(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda one: str(one["pk"]))


async def test_a_loader(db: DynamoDB, table: TableFactory, sent: SentLog) -> None:
    name = await table("pk", "sk", sk="N")
    await db.batch_write_item([item(number) for number in range(100)], name)
    sent.clear()
    users = db.loader(name, projection_expression="name, tags", consistent_read=True)
    found = await asyncio.gather(*[users.load(key(number % 110)) for number in range(1000)])
    assert [one and one["name"] for one in found] == [
        f"User {number % 110}" if number % 110 < 100 else None for number in range(1000)
    ]
    assert found[0] == {"name": "User 0", "tags": {"a", "b"}}
    assert sent.operations == ["BatchGetItem"] * 2


async def test_a_loader_with_keys_of_another_shape(
    db: DynamoDB, table: TableFactory, backend: Backend
) -> None:
    """The table's own words reach the caller of the key alone."""
    name = await table("pk", "sk", sk="N")
    await db.save(item(1), name)
    users = db.loader(name)
    keys: list[Any] = [key(1), {"pk": "user#0001"}]
    if Quirk.WRONG_KEY_TYPES_READABLE not in backend.quirks:
        keys.append({"pk": "user#0001", "sk": "text"})
    good, *wrong = await asyncio.gather(*map(users.load, keys), return_exceptions=True)
    assert good == item(1)
    for error in wrong:
        assert isinstance(error, BatchError)
        [rejected] = error.response["RejectedKeys"]
        assert rejected["index"] == 0


async def test_streams_in_and_out(db: DynamoDB, table: TableFactory, sent: SentLog) -> None:
    name = await table("pk", "sk", sk="N")
    report = await db.bulk_write((item(number) for number in range(260)), name, max_wait=10.0)
    assert report.processed == report.accepted == 260
    assert sent.operations == ["DescribeTable"] + ["BatchWriteItem"] * 11
    sent.clear()

    async def keys() -> AsyncIterator[dict[str, Any]]:
        for number in range(300):
            yield key(number)

    missing: list[Any] = []
    async with db.iter_get(
        keys(), name, consistent_read=True, max_wait=10.0, on_missing=missing.append
    ) as items:
        found = [one async for one in items]
    assert by_key(found) == [item(number) for number in range(260)]
    assert by_key(missing) == [key(number) for number in range(260, 300)]
    assert sent.operations == ["BatchGetItem"] * 3
    report = await db.bulk_write((key(number) for number in range(250)), name, operation="delete")
    assert report.processed == 250
    async with db.iter_get(map(key, range(300)), name, consistent_read=True) as items:
        assert by_key([one async for one in items]) == [item(number) for number in range(250, 260)]


async def test_leaving_a_stream(db: DynamoDB, table: TableFactory, sent: SentLog) -> None:
    name = await table("pk", "sk", sk="N")
    await db.bulk_write((item(number) for number in range(100)), name)
    async with db.iter_get(map(key, range(100_000)), name) as items:
        async for _ in items:
            break
    sent.clear()
    assert items.report.processed == 1
    report = items.report
    assert report.unprocessed == report.accepted - 1 - report.missing < 10_000
    assert (await db.get(key(1), name))["Item"] == item(1)
    assert sent.operations == ["GetItem"]


async def test_a_writer_that_tasks_share(db: DynamoDB, table: TableFactory) -> None:
    """Puts and deletes of the same keys in one stream, over many requests."""
    name = await table()
    last: dict[str, Any] = {}

    async def work(worker: int) -> None:
        for number in range(60):
            one: dict[str, Any] = {"pk": f"{worker}-{number % 20}", "n": number}
            if number % 7 == 0:
                await writer.delete({"pk": one["pk"]})
                last[one["pk"]] = None
            else:
                await writer.put(one)
                last[one["pk"]] = one

    async with db.batch_writer(name) as writer, asyncio.TaskGroup() as group:
        for worker in range(10):
            group.create_task(work(worker))
    assert writer.report.processed == writer.report.accepted == 600
    keys = [{"pk": pk} for pk in last]
    answer = await db.batch_get_item(keys, name, consistent_read=True, ordered=True)
    assert answer["Items"] == list(last.values())


async def test_a_table_that_is_not_there(db: DynamoDB) -> None:
    with pytest.raises(TableNotFound):
        await db.bulk_write([item(1)], "aiobatch-no-such-table")
    with pytest.raises(BatchError) as caught:
        await db.loader("aiobatch-no-such-table").load({"pk": "a"})
    assert isinstance(caught.value.cause, TableNotFound)
    stream = db.iter_get([{"pk": "a"}], "aiobatch-no-such-table")

    async def read() -> None:
        async with stream as items:
            async for _ in items:
                pass

    with pytest.raises(BatchError) as caught:
        await read()
    assert isinstance(caught.value.cause, TableNotFound)
    assert caught.value.response["UnprocessedKeys"] == [{"pk": "a"}]
