"""Several tables in one call, over real servers."""

import pickle
from typing import Any

import pytest

from aiobatch import (
    BatchError,
    Delete,
    DynamoDB,
    InvalidItem,
    KeyNamesUnknown,
    Put,
    Retry,
    TableNotFound,
)
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend, Quirk
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"


def of_users(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"user#{n:04}", "n": n} for n in range(count)]


def of_orders(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "line": f"{n % 3}", "total": n / 4} for n in range(count)]


def user_keys(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"user#{n:04}"} for n in range(count)]


def order_keys(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "line": f"{n % 3}"} for n in range(count)]


@pytest.fixture
async def two(table: TableFactory) -> tuple[str, str]:
    """A table with one key attribute, and one with two, the first a number."""
    return await table(), await table("id", "line", id="N")


async def test_nothing_is_no_request(db: DynamoDB, sent: SentLog) -> None:
    read = await db.batch_get({"users": [], "orders": {"keys": iter(())}})
    assert read["Tables"]["orders"] == {
        "Items": [],
        "Count": 0,
        "MissingKeys": [],
        "UnprocessedKeys": [],
    }
    assert (read["Count"], read["UnprocessedKeys"]) == (0, {})
    written = await db.batch_write({"users": []})
    assert (written["ProcessedCount"], written["UnprocessedItems"]) == (0, {})
    assert (await db.batch_get({}))["Tables"] == {}
    assert not sent


async def test_requests_are_filled_over_tables(
    db: DynamoDB, two: tuple[str, str], sent: SentLog
) -> None:
    users, orders = two
    wrote = await db.batch_write(
        {users: map(Put, of_users(60)), orders: [Put(item) for item in of_orders(45)]}
    )
    assert (wrote["ProcessedCount"], wrote["UnprocessedCount"]) == (105, 0)
    assert wrote["Tables"][users]["ProcessedCount"] == 60
    # 60 + 45 are 4 full requests and one of 5.
    assert sent.operations.count("BatchWriteItem") == 5
    sent.clear()
    read = await db.batch_get({users: user_keys(61), orders: order_keys(45)})
    assert sent.operations == ["BatchGetItem"] * 2
    for request in sent:
        asked = request.parameters["RequestItems"].values()
        assert sum(len(part["Keys"]) for part in asked) <= 100
    assert read["Tables"][users]["Items"] == of_users(60)
    assert read["Tables"][users]["MissingKeys"] == [{"pk": "user#0060"}]
    assert read["Tables"][orders]["Items"] == of_orders(45)
    assert (read["Count"], read["UnprocessedKeys"]) == (105, {})


async def test_each_table_has_its_own_options(
    db: DynamoDB, two: tuple[str, str], sent: SentLog
) -> None:
    users, orders = two
    await db.batch_write({users: map(Put, of_users(3)), orders: map(Put, of_orders(3))})
    sent.clear()
    read = await db.batch_get(
        {
            users: {
                "keys": user_keys(3),
                "projection_expression": "#n",
                "expression_attribute_names": {"#n": "n"},
            },
            orders: {"keys": order_keys(3), "consistent_read": True},
        }
    )
    assert read["Tables"][users]["Items"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert read["Tables"][orders]["Items"] == of_orders(3)
    [request] = sent
    asked = request.parameters["RequestItems"]
    assert "ConsistentRead" not in asked[users]
    assert asked[orders]["ConsistentRead"] is True


async def test_puts_and_deletes_are_mixed_and_the_last_wins(
    db: DynamoDB, two: tuple[str, str], sent: SentLog
) -> None:
    users, orders = two
    await db.batch_write({users: map(Put, of_users(3)), orders: map(Put, of_orders(2))})
    sent.clear()
    answer = await db.batch_write(
        {
            users: [
                Put({"pk": "user#0000", "n": "lost"}),
                Delete({"pk": "user#0000"}),
                Delete({"pk": "user#0001"}),
                Put({"pk": "user#0001", "n": "kept"}),
                {"PutRequest": {"Item": {"pk": "user#0002", "n": "wrapped"}}},
            ],
            orders: [Delete({"id": 0.0, "line": "0"}), Put({"id": 0, "line": "0", "total": 9})],
        }
    )
    assert answer["ProcessedCount"] == 7
    [request] = sent
    assert sum(map(len, request.parameters["RequestItems"].values())) == 4
    read = await db.batch_get({users: user_keys(3), orders: order_keys(1)})
    assert read["Tables"][users]["Items"] == [
        {"pk": "user#0001", "n": "kept"},
        {"pk": "user#0002", "n": "wrapped"},
    ]
    assert read["Tables"][orders]["Items"] == [{"id": 0, "line": "0", "total": 9}]


async def test_tables_go_by_their_arns(
    backend: Backend, db: DynamoDB, two: tuple[str, str], raw_client: Any
) -> None:
    users, orders = two
    described = await raw_client.describe_table(TableName=users)
    arn = described["Table"]["TableArn"]
    if Quirk.TABLE_ARN_REFUSED in backend.quirks:
        with pytest.raises(BatchError) as caught:
            await db.batch_get({arn: user_keys(3), orders: order_keys(3)})
        assert caught.value.response["Tables"][arn]["Count"] == 0
        return
    await db.batch_write({arn: map(Put, of_users(3)), orders: map(Put, of_orders(3))})
    read = await db.batch_get({arn: user_keys(3), orders: order_keys(3)})
    assert read["Tables"][arn]["Items"] == of_users(3)
    with pytest.raises(ValueError, match="may be one table"):
        await db.batch_get({arn: user_keys(1), users: user_keys(1)})


# --- refused before anything is sent ---


@pytest.mark.parametrize(
    ("requests", "error", "said"),
    [
        ([], TypeError, "map tables"),
        ({"": []}, ValueError, "empty"),
        ({"users": {"pk": "a"}}, ValueError, "unknown options"),
        ({"users": {"consistent_read": True}}, ValueError, "has no keys"),
        ({"users": "key"}, TypeError, "iterable of keys"),
        ({"users": [], f"{ARN}users": []}, ValueError, "may be one table"),
        ({f"{ARN}users": [], "users": []}, ValueError, "may be one table"),
        (
            {"users": {"keys": [], "projection_expression": "a,,b"}},
            ValueError,
            "table 'users': projection_expression",
        ),
    ],
)
async def test_reads_that_cannot_be_right(
    requests: Any, error: type[Exception], said: str, db: DynamoDB, sent: SentLog
) -> None:
    with pytest.raises(error, match=said):
        await db.batch_get(requests)
    assert not sent


async def test_a_bad_key_is_named_with_its_table(db: DynamoDB, sent: SentLog) -> None:
    with pytest.raises(InvalidItem) as caught:
        await db.batch_get({"users": [{"pk": "a"}], "orders": [{"id": 1}, {"id": float("nan")}]})
    error = caught.value
    assert (error.table_name, error.index, error.path) == ("orders", 1, "id")
    assert str(error).startswith("key 1 of table 'orders', attribute id: is NaN")
    assert pickle.loads(pickle.dumps(error)).table_name == "orders"
    assert not sent


BAD_WRITES: dict[str, tuple[Any, str]] = {
    "a plain item": ({"pk": "a", "secret": 1}, "wrap it"),
    "a condition": (Put({"pk": "a"}, condition_expression="a = b"), "transact_write_items"),
    "a table": (Put({"pk": "a"}, "users"), "names a table itself"),
    "an empty set": (Put({"pk": "a", "tags": set()}), "set"),
    "no key": (Put({"name": "secret"}), "missing"),
    "a long key": (Delete({"pk": "secret" * 1000}), "2048"),
}


@pytest.mark.parametrize("case", BAD_WRITES)
async def test_a_bad_operation_is_named_with_its_table(
    case: str, connect: Connect, sent: SentLog
) -> None:
    bad, said = BAD_WRITES[case]
    db = connect(key_names={"users": ("pk",), "orders": ("pk",)})
    with pytest.raises(InvalidItem, match=said) as caught:
        await db.batch_write({"orders": [Put({"pk": "a"})], "users": [Delete({"pk": "a"}), bad]})
    assert (caught.value.table_name, caught.value.index) == ("users", 1)
    assert "secret" not in str(caught.value)
    assert not sent


async def test_what_is_refused_without_key_names_asks_for_none(db: DynamoDB, sent: SentLog) -> None:
    with pytest.raises(InvalidItem, match="table 'users'"):
        await db.batch_write({"orders": [Put({"pk": 1})], "users": [Put({"pk": float("inf")})]})
    assert not sent


async def test_deletes_alone_need_no_description(
    db: DynamoDB, two: tuple[str, str], sent: SentLog
) -> None:
    users, orders = two
    await db.batch_write(
        {users: map(Delete, user_keys(2)), orders: [Put(item) for item in of_orders(2)]}
    )
    assert sent.operations == ["DescribeTable", "BatchWriteItem"]


async def test_key_names_that_cannot_be_learnt(
    backend: Backend, two: tuple[str, str], connect: Connect, sent: SentLog
) -> None:
    async with FaultProxy(backend.endpoint_url) as proxy:
        proxy.always(Fault.access_denied(), operation="DescribeTable")
        db = connect(endpoint_url=proxy.endpoint_url)
        with pytest.raises(KeyNamesUnknown):
            await db.batch_write(
                {two[0]: [Put({"pk": "a"})], two[1]: [Delete({"id": 1, "line": "a"})]}
            )
        assert "BatchWriteItem" not in sent.operations


# --- what goes wrong ---


async def test_a_missing_table_ends_the_call(db: DynamoDB, two: tuple[str, str]) -> None:
    with pytest.raises(BatchError, match=r"batch_get on .*'nobody'") as caught:
        await db.batch_get({two[0]: user_keys(3), "nobody": user_keys(3)})
    assert isinstance(caught.value.cause, TableNotFound)
    left = caught.value.response["UnprocessedKeys"]
    assert {table: len(keys) for table, keys in left.items()} == {two[0]: 3, "nobody": 3}


async def test_what_is_left_can_be_passed_back(
    backend: Backend, two: tuple[str, str], connect: Connect
) -> None:
    users, orders = two
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, retry=Retry(max_retries=0))
        proxy.always(Fault.partial(0.5), operation="BatchWriteItem")
        operations: dict[str, list[Any]] = {
            users: [Put(item) for item in of_users(40)],
            orders: [Put(item) for item in of_orders(30)],
        }
        answer = await db.batch_write(operations)
        left = answer["UnprocessedItems"]
        assert 0 < answer["UnprocessedCount"] == sum(map(len, left.values()))
        assert answer["ProcessedCount"] + answer["UnprocessedCount"] == 70
        for table, of_table in left.items():
            assert answer["Tables"][table]["UnprocessedItems"] == of_table
            assert {id(one) for one in of_table} <= {id(one) for one in operations[table]}
        proxy.clear()
        assert (await db.batch_write(left))["UnprocessedItems"] == {}
        proxy.always(Fault.partial(0.5), operation="BatchGetItem")
        request = {users: user_keys(40), orders: {"keys": order_keys(30), "consistent_read": True}}
        first = await db.batch_get(request)
        proxy.clear()
        assert 0 < first["Count"] < 70
        if orders in first["UnprocessedKeys"]:
            assert first["UnprocessedKeys"][orders]["consistent_read"] is True
        second = await db.batch_get(first["UnprocessedKeys"])
        assert first["Count"] + second["Count"] == 70


async def test_one_table_throttled_leaves_the_other_whole(
    backend: Backend, two: tuple[str, str], connect: Connect
) -> None:
    users, orders = two
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, retry=Retry(max_retries=1, base_delay=0.0))
        await db.batch_write({orders: map(Put, of_orders(150))})
        proxy.always(Fault.partial(1.0, entry=lambda entry: entry.table == users))
        read = await db.batch_get({users: user_keys(60), orders: order_keys(150)})
        assert read["Tables"][orders]["Count"] == 150
        assert list(read["UnprocessedKeys"]) == [users]
        assert len(read["UnprocessedKeys"][users]) == 60


async def test_a_write_without_an_answer_is_unknown_by_table(
    backend: Backend, two: tuple[str, str], connect: Connect
) -> None:
    users, orders = two
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, retry=Retry(max_retries=0))
        proxy.always(Fault.truncated(), operation="BatchWriteItem")
        with pytest.raises(BatchError) as caught:
            await db.batch_write({users: map(Put, of_users(3)), orders: map(Put, of_orders(4))})
        tables = caught.value.response["Tables"]
        assert len(tables[users]["UnknownItems"]) == 3
        assert len(tables[orders]["UnknownItems"]) == 4
        assert f"'{users}': of 3 items, 3 unknown" in str(caught.value)
        assert "user#" not in str(caught.value)
