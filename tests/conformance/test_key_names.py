"""Section 3: how the key names of a table are known, learnt and forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiobatch import BatchError, ConditionFailed, DynamoDB, InvalidItem, Put
from tests.backends import Backend, Quirk
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory


async def test_puts_describe_the_table_once(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table()
    for n in range(3):
        await db.batch_write_item([{"pk": str(n)}], name)
    assert sent.operations == ["DescribeTable", *["BatchWriteItem"] * 3]


async def test_named_key_names_need_no_description(
    connect: Connect, table: TableFactory, sent: SentLog
) -> None:
    name = await table("id", "when", when="N")
    db = connect(key_names={name: ("id", "when")})
    await db.batch_write_item([{"id": "a", "when": 1}], name)
    await db.save({"id": "a", "when": 2}, name, fail_if_exists=True)
    assert sent.operations == ["BatchWriteItem", "PutItem"]


@pytest.mark.parametrize("teacher", ["batch_get_item", "delete batch", "get", "delete"])
async def test_a_read_or_a_delete_teaches_the_names(
    teacher: str, db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table("tenant", "user")
    key = {"user": "u", "tenant": "t"}
    if teacher == "batch_get_item":
        await db.batch_get_item([key], name)
    elif teacher == "delete batch":
        await db.batch_write_item([key], name, operation="delete")
    elif teacher == "get":
        await db.get(key, name)
    else:
        await db.delete(key, name)
    assert len(sent) == 1
    answer = await db.batch_write_item([{**key, "v": 1}, {**key, "v": 2}], name)
    assert answer["ProcessedCount"] == 2
    await db.save({**key, "user": "v"}, name, fail_if_exists=True)
    assert "DescribeTable" not in sent.operations
    with pytest.raises(ConditionFailed):
        await db.save({**key, "user": "v"}, name, fail_if_exists=True)
    assert (await db.get(key, name))["Item"]["v"] == 2


async def test_many_calls_at_once_describe_once(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table()
    calls = [db.batch_write_item([{"pk": str(n)}], name) for n in range(8)]
    await asyncio.gather(*calls)
    assert sent.operations.count("DescribeTable") == 1


async def test_names_learnt_from_a_refused_read_are_not_kept(
    db: DynamoDB, table: TableFactory
) -> None:
    name = await table("pk")
    with pytest.raises(BatchError):
        await db.batch_get_item([{"nope": "a"}], name)
    answer = await db.batch_write_item([{"pk": "a", "nope": "b"}], name)
    assert answer["ProcessedCount"] == 1
    assert (await db.batch_get_item([{"pk": "a"}], name))["Count"] == 1


async def recreate(client: Any, name: str, key: str) -> None:
    await client.delete_table(TableName=name)
    await client.get_waiter("table_not_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    await client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    await client.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


async def test_stale_names_are_dropped_when_the_service_says_so(
    db: DynamoDB, raw_client: Any, table: TableFactory
) -> None:
    """The table was made anew with another key; what was learnt of it is wrong."""
    name = await table("pk")
    await db.batch_write_item([{"pk": "a"}], name)
    await recreate(raw_client, name, "id")
    with pytest.raises(BatchError) as caught:
        await db.batch_write_item([{"pk": "a", "v": 1}], name)
    (rejected,) = caught.value.response["RejectedItems"]
    assert rejected["code"] == "ValidationException"
    answer = await db.batch_write_item(
        [{"id": "a", "v": 2}, {"id": "b"}, {"id": "a", "v": 3}], name
    )
    assert answer["ProcessedCount"] == 3
    found = await db.batch_get_item([{"id": "a"}, {"id": "b"}], name)
    assert found["Items"] == [{"id": "a", "v": 3}, {"id": "b"}]


async def iterated(db: DynamoDB, name: str) -> None:
    async with db.iter_get([{"id": "a"}], name) as items:
        async for _ in items:
            pass


async def test_stale_names_do_not_refuse_what_is_right_now(
    connect: Connect, raw_client: Any, table: TableFactory, backend: Backend
) -> None:
    """The caller knows the new key; only the client's memory is old."""
    name = await table("pk")
    calls: dict[str, Callable[[DynamoDB], Awaitable[Any]]] = {
        "put": lambda db: db.batch_write_item([{"id": "a"}], name),
        "read": lambda db: db.batch_get_item([{"id": "a"}], name),
        "get": lambda db: db.get({"id": "a"}, name),
        "delete": lambda db: db.delete({"id": "a"}, name),
        "delete batch": lambda db: db.batch_write_item([{"id": "a"}], name, operation="delete"),
        "save": lambda db: db.save({"id": "b"}, name, fail_if_exists=True),
        "update": lambda db: db.update({"id": "a"}, name, "REMOVE v"),
        "several tables read": lambda db: db.batch_get({name: [{"id": "a"}]}),
        "several tables written": lambda db: db.batch_write({name: [Put({"id": "a"})]}),
        "transaction": lambda db: db.transact_write_items([Put({"id": "a"}, name)]),
        "loader": lambda db: db.loader(name).load({"id": "a"}),
        "iter_get": lambda db: iterated(db, name),
        "batch_writer": lambda db: db.bulk_write([{"id": "a"}], name),
        "batch_writer delete": lambda db: db.bulk_write([{"id": "a"}], name, operation="delete"),
    }
    if Quirk.NO_TRANSACTIONS in backend.quirks:
        del calls["transaction"]
    # Each has a memory of its own.
    clients = {call: connect(max_concurrency=size) for size, call in enumerate(calls, 2)}
    for db in clients.values():
        await db.batch_write_item([{"pk": "a"}], name)
    await recreate(raw_client, name, "id")
    refused: dict[str, Exception] = {}
    for call, make in calls.items():
        try:
            await make(clients[call])
        except (InvalidItem, BatchError) as error:
            refused[call] = error
    assert refused == {}


async def test_an_item_without_its_key_is_refused_by_index(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table("pk", "sk", sk="N")
    items: list[dict[str, Any]] = [{"pk": "a", "sk": 1}, {"pk": "a"}]
    with pytest.raises(InvalidItem, match="missing") as caught:
        await db.batch_write_item(items, name)
    assert (caught.value.index, caught.value.path) == (1, "sk")
    # The description tells types too.
    with pytest.raises(InvalidItem, match="number") as caught:
        await db.batch_write_item([items[0], {"pk": "a", "sk": "1"}], name)
    assert (caught.value.index, caught.value.path) == (1, "sk")
    assert "BatchWriteItem" not in sent.operations
