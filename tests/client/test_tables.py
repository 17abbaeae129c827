"""Calls on several tables that end before their time, and what they cost. On virtual time."""

import asyncio
from random import Random
from typing import Any

import pytest

from aiobatch import (
    BatchError,
    BatchTimeout,
    ClientClosed,
    Delete,
    DynamoDB,
    InvalidItem,
    Put,
    Retry,
)
from aiobatch.testing import FakeWire, Fault

pytestmark = pytest.mark.looptime

TABLES: dict[str, tuple[str, ...]] = {"users": ("pk",), "orders": ("id", "line")}


def keys(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"{n:04}"} for n in range(count)]


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire(TABLES)


async def test_a_timeout_has_the_account_of_each_table(wire: FakeWire) -> None:
    wire.limit("users", read=10)
    wire.put("orders", [{"id": "a", "line": "1"}])
    async with DynamoDB(wire=wire, retry=Retry.patient()) as db:
        with pytest.raises(BatchTimeout, match="of 2000 distinct keys") as caught:
            await db.batch_get(
                {"users": keys(2000), "orders": [{"id": "a", "line": "1"}]}, timeout=20
            )
    response = caught.value.response
    assert response["Tables"]["orders"]["Items"] == [{"id": "a", "line": "1"}]
    users = response["Tables"]["users"]
    # The burst, then 10 a second at the most; all others are left.
    assert 10 <= len(users["MissingKeys"]) <= 210
    assert len(users["MissingKeys"]) + len(users["UnprocessedKeys"]) == 2000
    assert list(response["UnprocessedKeys"]) == ["users"]


async def test_closing_ends_a_write_on_tables(wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    db = DynamoDB(wire=wire, key_names=TABLES, max_concurrency=1)
    requests: dict[str, list[Any]] = {
        "users": [Put(key) for key in keys(30)],
        "orders": [Delete({"id": "a", "line": f"{n}"}) for n in range(30)],
    }
    call = asyncio.create_task(db.batch_write(requests))
    await asyncio.sleep(1.5)
    await db.aclose()
    with pytest.raises(ClientClosed) as caught:
        await call
    response = caught.value.response
    assert response is not None
    unknown = sum(len(table.get("UnknownItems", ())) for table in response["Tables"].values())
    assert (response["ProcessedCount"], unknown) == (25, 25)
    assert response["UnprocessedCount"] == 10


async def test_what_each_table_consumed(wire: FakeWire) -> None:
    async with DynamoDB(wire=wire, key_names=TABLES) as db:
        answer = await db.batch_write(
            {"users": map(Put, keys(3)), "orders": [Put({"id": "a", "line": "1"})]},
            return_consumed_capacity="TOTAL",
        )
    assert {told["TableName"]: told["CapacityUnits"] for told in answer["ConsumedCapacity"]} == {
        "users": 3.0,
        "orders": 1.0,
    }


async def test_a_ceiling_holds_for_each_table(wire: FakeWire) -> None:
    """20 units a second and table: 200 puts take 9 seconds, whatever goes to the other table."""
    loop = asyncio.get_running_loop()
    async with DynamoDB(wire=wire, key_names=TABLES, max_write_units=20) as db:
        began = loop.time()
        both: dict[str, list[Any]] = {
            "users": [Put(key) for key in keys(200)],
            "orders": [Put({"id": "a", "line": f"{n}"}) for n in range(200)],
        }
        assert (await db.batch_write(both))["ProcessedCount"] == 400
        assert 7.0 < loop.time() - began < 11.0


async def test_tables_of_two_calls_share_their_pace(wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    async with DynamoDB(wire=wire, key_names=TABLES, max_write_units=20) as db:
        began = loop.time()
        one = db.batch_write({"users": map(Put, keys(100)), "orders": []})
        other = db.batch_write_item([{"pk": f"other{n}"} for n in range(100)], "users")
        await asyncio.gather(one, other)
        assert 7.0 < loop.time() - began < 11.0


def faults(draw: Random) -> dict[Fault, float]:
    some = [
        Fault.partial(0.5),
        Fault.throttle(),
        Fault.hot_key_range(),
        Fault.internal_error(executed=draw.random() < 0.5),
        Fault.truncated(),
        Fault.answer_by_arn(),
        Fault.hang_up_before(),
    ]
    return dict.fromkeys(draw.sample(some, draw.randint(1, 5)), 0.15)


@pytest.mark.parametrize("seed", range(40))
async def test_every_operation_ends_once_and_what_is_told_is_true(seed: int) -> None:
    """Random tables, operations, faults and budgets, held to a model of what was stored."""
    draw = Random(seed)
    tables = {f"table{n}": ("pk",) for n in range(draw.randint(1, 5))}
    wire = FakeWire(tables, seed=seed)
    wire.always(Fault.latency(draw.choice([0.0, 0.01])))
    wire.randomly(faults(draw), seed=seed)
    requests: dict[str, list[Any]] = {}
    for table in tables:
        count = draw.choice([0, 1, 7, 60])
        pks = [f"{draw.randrange(max(1, count)):03}" for _ in range(count)]
        requests[table] = [
            Put({"pk": pk, "at": at}) if draw.random() < 0.7 else Delete({"pk": pk})
            for at, pk in enumerate(pks)
        ]
    retry = Retry(max_retries=draw.choice([0, 1, 8]), base_delay=0.02, jitter=draw.random())
    async with DynamoDB(
        wire=wire, key_names=tables, retry=retry, max_concurrency=draw.randint(1, 8)
    ) as db:
        try:
            written: Any = await db.batch_write(requests)
        except BatchError as error:
            written = error.response
        for table, operations in requests.items():
            account = written["Tables"][table]
            unsure = [*account["UnprocessedItems"], *account.get("UnknownItems", [])]
            assert "RejectedItems" not in account
            assert account["ProcessedCount"] + len(unsure) == len(operations)
            assert {id(one) for one in unsure} <= {id(one) for one in operations}
            stored = {item["pk"]: item["at"] for item in wire.items(table)}
            last = {
                one.item["pk"] if isinstance(one, Put) else one.key["pk"]: one for one in operations
            }
            unknown = set(map(id, account.get("UnknownItems", [])))
            left = set(map(id, account["UnprocessedItems"]))
            for pk, one in last.items():
                if id(one) in unknown:
                    continue
                done = id(one) not in left and isinstance(one, Put)
                assert stored.get(pk) == (one.item["at"] if done else None)
        if any(table.get("UnknownItems") for table in written["Tables"].values()):
            return
        # What is left is passed back until nothing is, and read again through the same faults.
        while written["UnprocessedItems"]:
            try:
                written = await db.batch_write(written["UnprocessedItems"])
            except BatchError as error:
                written = error.response
                if any(table.get("UnknownItems") for table in written["Tables"].values()):
                    return
        asked = {table: [{"pk": f"{n:03}"} for n in range(60)] for table in tables}
        found: dict[str, dict[str, Any]] = {table: {} for table in tables}
        left_over: Any = asked
        while left_over:
            try:
                read: Any = await db.batch_get(left_over)
            except BatchError as error:
                read = error.response
            for table, account in read["Tables"].items():
                ended = account["Count"] + len(account["MissingKeys"])
                assert ended + len(account["UnprocessedKeys"]) == len(left_over[table])
                found[table].update({item["pk"]: item for item in account["Items"]})
            left_over = read["UnprocessedKeys"]
        for table in tables:
            assert found[table] == {item["pk"]: item for item in wire.items(table)}


async def test_operations_in_boto3s_wrapping_are_taken(wire: FakeWire) -> None:
    wire.put("users", keys(1))
    async with DynamoDB(wire=wire) as db:
        answer = await db.batch_write(
            {
                "users": [
                    {"PutRequest": {"Item": {"pk": "new"}}},
                    {"DeleteRequest": {"Key": keys(1)[0]}},
                ]
            }
        )
    assert answer["ProcessedCount"] == 2
    assert wire.items("users") == [{"pk": "new"}]


@pytest.mark.parametrize(
    "operation",
    [
        7,
        "Put",
        {"pk": "a"},
        {"PutRequest": 7},
        {"PutRequest": {"Key": {"pk": "a"}}},
        {"DeleteRequest": {"Item": {"pk": "a"}}},
        {"PutRequest": {"Item": {"pk": "a"}}, "DeleteRequest": {"Key": {"pk": "a"}}},
    ],
    ids=repr,
)
async def test_what_is_no_operation_is_refused(operation: Any, wire: FakeWire) -> None:
    async with DynamoDB(wire=wire) as db:
        with pytest.raises(InvalidItem, match="wrap it, as in Put") as caught:
            await db.batch_write({"users": [Put({"pk": "first"}), operation]})
    assert (caught.value.index, caught.value.table_name) == (1, "users")
    assert wire.items("users") == []
