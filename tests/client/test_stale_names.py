"""Key names that were learnt and then refuse something: when they are asked for again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from aiobatch import DynamoDB, InvalidItem, Loader, Put, Retry
from aiobatch.testing import FakeWire, Fault
from aiobatch.testing.database import Database

pytestmark = pytest.mark.looptime

Call = Callable[[DynamoDB, Any], Awaitable[Any]]


async def iterate(db: DynamoDB, key: Any) -> None:
    async with db.iter_get([key], "users") as items:
        async for _ in items:
            pass


_loaders: WeakKeyDictionary[DynamoDB, Loader] = WeakKeyDictionary()


def loader_of(db: DynamoDB) -> Loader:
    return _loaders.setdefault(db, db.loader("users"))


CALLS: dict[str, Call] = {
    "batch_get_item": lambda db, key: db.batch_get_item([key], "users"),
    "put": lambda db, key: db.batch_write_item([key], "users"),
    "delete batch": lambda db, key: db.batch_write_item([key], "users", operation="delete"),
    "batch_get": lambda db, key: db.batch_get({"users": [key]}),
    "batch_write": lambda db, key: db.batch_write({"users": [Put(key)]}),
    "get": lambda db, key: db.get(key, "users"),
    "save": lambda db, key: db.save(key, "users"),
    "delete": lambda db, key: db.delete(key, "users"),
    "update": lambda db, key: db.update(key, "users", "REMOVE v"),
    "transaction": lambda db, key: db.transact_write_items([Put(key, "users")]),
    "load": lambda db, key: loader_of(db).load(key),
    "load_many": lambda db, key: loader_of(db).load_many([key]),
    "iter_get": iterate,
    "bulk_write": lambda db, key: db.bulk_write([key], "users"),
    "bulk delete": lambda db, key: db.bulk_write([key], "users", operation="delete"),
}


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire({"users": ("pk",)})


@pytest.fixture
async def db(wire: FakeWire) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(wire=wire, retry=Retry(max_retries=1)) as db:
        await db.batch_write_item([{"pk": "a"}], "users")
        # A loader knows what its client knows from its first load on.
        await loader_of(db).load({"pk": "a"})
        wire.requests.clear()
        yield db


def described(wire: FakeWire) -> int:
    return [request.operation for request in wire.requests].count("DescribeTable")


async def refused(db: DynamoDB, call: str, key: Any) -> InvalidItem:
    try:
        await CALLS[call](db, key)
    except InvalidItem as error:
        return error
    raise AssertionError(f"{call} takes it")


@pytest.mark.parametrize("call", CALLS)
async def test_a_key_that_is_wrong_stays_refused(call: str, db: DynamoDB, wire: FakeWire) -> None:
    """And who has wrong keys all the time asks DynamoDB no more than once in ten seconds."""
    for _ in range(5):
        error = await refused(db, call, {"id": "a"})
        assert "pk" in f"{error.path} {error.reason}"
    assert described(wire) <= 1
    assert len(wire.requests) == described(wire)
    await asyncio.sleep(10.1)
    await refused(db, call, {"id": "a"})
    assert described(wire) == 2


@pytest.mark.parametrize("call", CALLS)
async def test_what_names_have_nothing_to_do_with_asks_for_none(
    call: str, db: DynamoDB, wire: FakeWire
) -> None:
    await refused(db, call, {"pk": float("nan")})
    assert wire.requests == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", [Fault.access_denied(), Fault.internal_error()])
async def test_a_refusal_stands_where_dynamodb_does_not_tell(
    call: str, fault: Fault, db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(fault, operation="DescribeTable")
    await refused(db, call, {"id": "a"})
    wire.clear()
    # Nothing was forgotten for it.
    wire.requests.clear()
    assert (await db.batch_write_item([{"pk": "b"}], "users"))["ProcessedCount"] == 1
    assert described(wire) == 0


async def test_names_that_the_caller_gave_are_not_doubted(wire: FakeWire) -> None:
    async with DynamoDB(wire=wire, key_names={"users": ("pk",)}) as db:
        for call in CALLS:
            await refused(db, call, {"id": "a"})
    assert wire.requests == []


async def test_many_that_are_refused_at_once_ask_once(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(0.1))
    # The table is made anew.
    wire._database = Database({"users": ("id",)})
    keys = [{"id": str(number)} for number in range(50)]
    assert await asyncio.gather(*map(loader_of(db).load, keys)) == [None] * 50
    assert described(wire) == 1
