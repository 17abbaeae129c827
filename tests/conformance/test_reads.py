"""Section 2 of the contract: batches of keys, over real servers."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from aiobatch import BatchError, DynamoDB, InvalidItem, TableNotFound
from tests.backends import Backend, Quirk
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory


def users(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"user#{n:04}", "n": n} for n in range(count)]


def key_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"pk": item["pk"]}


def by_key(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: str(item["pk"]))


class Binary:
    """boto3's, as far as a client can tell."""

    def __init__(self, value: bytes) -> None:
        self.value = value


Binary.__name__ = "Binary"


async def test_no_keys_are_no_request(db: DynamoDB, sent: SentLog) -> None:
    answer = await db.batch_get_item([], "no-such-table")
    assert answer["Items"] == answer["MissingKeys"] == answer["UnprocessedKeys"] == []
    assert answer["Count"] == answer["Metrics"]["requests"] == answer["Metrics"]["bytes"] == 0
    assert (await db.batch_get_item(iter(()), "no-such-table", ordered=True))["Items"] == []
    assert not sent


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (100, 1), (101, 2), (250, 3)])
async def test_any_number_of_keys(
    count: int, requests: int, db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name, items = await table(), users(count)
    written = await db.batch_write_item(items, name)
    assert written["ProcessedCount"] == count
    sent.clear()
    answer = await db.batch_get_item([key_of(item) for item in items], name)
    assert answer["Items"] == items
    assert answer["Count"] == count
    assert answer["MissingKeys"] == answer["UnprocessedKeys"] == []
    assert sent.operations == ["BatchGetItem"] * requests
    assert all(
        len(table["Keys"]) <= 100
        for request in sent
        for table in request.parameters["RequestItems"].values()
    )


async def test_keys_from_any_iterable(db: DynamoDB, table: TableFactory) -> None:
    name, items = await table(), users(3)
    await db.batch_write_item((item for item in items), name)

    def generated() -> Iterator[dict[str, Any]]:
        yield from map(key_of, items)

    for keys in (generated(), tuple(generated()), map(key_of, items), dict(enumerate(generated()))):
        given = keys.values() if isinstance(keys, dict) else keys
        assert (await db.batch_get_item(given, name))["Items"] == items


async def test_missing_keys_are_told_from_found_ones(db: DynamoDB, table: TableFactory) -> None:
    name, items = await table(), users(3)
    await db.batch_write_item(items, name)
    missing = [{"pk": "nobody"}, {"pk": "noone"}]
    keys = [missing[0], *map(key_of, items), missing[1], dict(missing[0])]
    answer = await db.batch_get_item(keys, name)
    assert answer["Items"] == items
    assert answer["Count"] == 3
    assert answer["MissingKeys"] == missing
    assert all(a is b for a, b in zip(answer["MissingKeys"], missing, strict=True))
    # Over distinct keys, all adds up.
    assert answer["Count"] + len(answer["MissingKeys"]) + len(answer["UnprocessedKeys"]) == 5


@pytest.mark.parametrize(
    ("kind", "same", "stored"),
    [
        ("N", [5, 5.0, Decimal(5), Decimal("5.00"), Decimal("0.5E+1")], 5),
        ("N", [0, 0.0, -0.0, Decimal("-0.00")], 0),
        ("N", [10**20, 1e20, Decimal("1E+20"), Decimal("1.00E20")], 10**20),
        ("N", [-2.5, Decimal("-2.50"), Decimal("-25E-1")], -2.5),
        ("B", [b"x", bytearray(b"x"), Binary(b"x"), memoryview(b"x")], b"x"),
        ("S", ['é\u0000"\\', 'é\u0000"\\'], 'é\u0000"\\'),
    ],
    ids=["five", "zero", "large", "negative", "binary", "text"],
)
async def test_one_key_in_many_forms_is_asked_for_once(
    kind: Any, same: list[Any], stored: Any, db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table("id", id=kind)
    await db.batch_write_item([{"id": same[0], "v": "here"}], name)
    sent.clear()
    keys = [{"id": form} for form in same]
    answer = await db.batch_get_item(keys, name)
    assert answer["Items"] == [{"id": stored, "v": "here"}]
    assert answer["Count"] == 1
    assert answer["MissingKeys"] == answer["UnprocessedKeys"] == []
    (request,) = sent
    (asked,) = request.parameters["RequestItems"].values()
    assert len(asked["Keys"]) == 1
    ordered = await db.batch_get_item(keys, name, ordered=True)
    assert ordered["Items"] == [{"id": stored, "v": "here"}] * len(same)
    assert ordered["Count"] == 1


async def test_duplicates_within_and_across_chunks(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name, items = await table(), users(120)
    await db.batch_write_item(items, name)
    sent.clear()
    keys = [key_of(item) for item in items] * 3
    answer = await db.batch_get_item(keys, name)
    assert answer["Items"] == items
    assert len(sent) == 2
    missing = [{"pk": "nobody"} for _ in range(300)]
    answer = await db.batch_get_item(missing, name)
    assert (answer["Items"], answer["Count"]) == ([], 0)
    assert answer["MissingKeys"] == [{"pk": "nobody"}]
    assert answer["MissingKeys"][0] is missing[0]


async def test_ordered_items_match_the_keys_one_to_one(db: DynamoDB, table: TableFactory) -> None:
    name, items = await table(), users(130)
    await db.batch_write_item(items, name)
    wanted: list[dict[str, Any] | None] = [*reversed(items), None, items[7], items[7], None]
    keys = [key_of(item) if item else {"pk": f"no {n}"} for n, item in enumerate(wanted)]
    answer = await db.batch_get_item(keys, name, ordered=True)
    assert answer["Items"] == wanted
    assert answer["Count"] == 130
    assert answer["MissingKeys"] == [keys[130], keys[133]]


async def test_items_come_in_the_order_of_their_keys_even_unordered(
    db: DynamoDB, backend: Backend, table: TableFactory
) -> None:
    # The servers differ (Quirk.READ_ORDER_SHUFFLED); what the caller sees does not.
    name, items = await table(), users(60)
    await db.batch_write_item(items, name)
    keys = [key_of(item) for item in reversed(items)]
    assert (await db.batch_get_item(keys, name))["Items"] == list(reversed(items))


async def test_composite_keys_in_any_order_of_attributes(db: DynamoDB, table: TableFactory) -> None:
    name = await table("tenant", "when", when="N")
    items = [{"tenant": "a", "when": n, "v": str(n)} for n in range(3)]
    await db.batch_write_item(items, name)
    keys = [{"when": 0, "tenant": "a"}, {"tenant": "a", "when": 1.0}, {"when": 1, "tenant": "a"}]
    answer = await db.batch_get_item(keys, name)
    assert answer["Items"] == items[:2]


PROJECTIONS: dict[str, tuple[dict[str, str] | None, dict[str, Any]]] = {
    "pk, status": (None, {"pk": "a", "status": "on"}),
    "status,name , size": (None, {"status": "on", "name": "Ann", "size": 3}),
    "other": (None, {"other": "left out"}),
    "user.date": (None, {"user": {"date": "today"}}),
    "user.tags[1]": (None, {"user": {"tags": ["y"]}}),
    "user.tags[2].deep, size": (None, {"user": {"tags": [{"deep": True}]}, "size": 3}),
    "#s": ({"#s": "status"}, {"status": "on"}),
    "#s, name": ({"#s": "status"}, {"status": "on", "name": "Ann"}),
    # Written like an alias of ours.
    "name, #n0": ({"#n0": "size"}, {"name": "Ann", "size": 3}),
    "#u.#d": ({"#u": "user", "#d": "date"}, {"user": {"date": "today"}}),
    "#d": ({"#d": "a-b"}, {"a-b": "dash"}),
    "#k": ({"#k": "pk"}, {"pk": "a"}),
    "pk": (None, {"pk": "a"}),
    "nothing": (None, {}),
}


class TestProjections:
    ITEM: ClassVar[dict[str, Any]] = {
        "pk": "a",
        "status": "on",
        "name": "Ann",
        "size": 3,
        "user": {"date": "today", "tags": ["x", "y", {"deep": True}]},
        "a-b": "dash",
        "other": "left out",
    }

    @pytest.fixture
    async def name(self, db: DynamoDB, table: TableFactory) -> str:
        name = await table()
        await db.batch_write_item([self.ITEM, {"pk": "bare"}], name)
        return name

    async def test_only_what_was_asked_for(
        self, name: str, backend: Backend, db: DynamoDB, sent: SentLog
    ) -> None:
        for expression, (names, wanted) in PROJECTIONS.items():
            if "[" in expression and Quirk.INDEXED_PLACEHOLDER_REFUSED in backend.quirks:
                # The refusal is the server's; that our expression is right, the others tell.
                with pytest.raises(BatchError, match="ValidationException"):
                    await db.batch_get_item([{"pk": "a"}], name, projection_expression=expression)
                continue
            sent.clear()
            answer = await db.batch_get_item(
                [{"pk": "a"}, {"pk": "gone"}],
                name,
                projection_expression=expression,
                expression_attribute_names=names,
            )
            assert answer["Items"] == [wanted], expression
            assert answer["Count"] == 1
            assert answer["MissingKeys"] == [{"pk": "gone"}]
            (asked,) = sent[0].parameters["RequestItems"].values()
            # The caller's placeholders are left alone, and every name has one.
            assert (names or {}).items() <= asked["ExpressionAttributeNames"].items()
            assert "pk" in asked["ExpressionAttributeNames"].values()
            words = re.findall(r"[^\s,.\[\]]+", asked["ProjectionExpression"])
            assert all(word.startswith("#") or word.isdecimal() for word in words), expression

    async def test_an_item_without_any_of_the_attributes_is_found(
        self, name: str, db: DynamoDB
    ) -> None:
        answer = await db.batch_get_item([{"pk": "bare"}], name, projection_expression="size")
        assert (answer["Items"], answer["Count"]) == ([{}], 1)
        assert answer["MissingKeys"] == []

    async def test_a_composite_key_that_is_half_asked_for(
        self, db: DynamoDB, table: TableFactory
    ) -> None:
        name = await table("id", "range")
        await db.batch_write_item([{"id": "1", "range": "2", "value": 3}], name)
        key = {"id": "1", "range": "2"}
        for expression, wanted in (
            ("range, value", {"range": "2", "value": 3}),
            ("id", {"id": "1"}),
        ):
            answer = await db.batch_get_item([key], name, projection_expression=expression)
            assert answer["Items"] == [wanted]

    async def test_a_projection_of_a_single_get(self, name: str, db: DynamoDB) -> None:
        answer = await db.get({"pk": "a"}, name, projection_expression="status, user.date")
        assert answer["Item"] == {"status": "on", "user": {"date": "today"}}


async def test_consistent_read_is_asked_for(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table()
    for number in range(5):
        await db.batch_write_item([{"pk": "a", "n": number}], name)
        sent.clear()
        answer = await db.batch_get_item([{"pk": "a"}], name, consistent_read=True)
        assert answer["Items"] == [{"pk": "a", "n": number}]
        (asked,) = sent[0].parameters["RequestItems"].values()
        assert asked["ConsistentRead"] is True
    sent.clear()
    await db.batch_get_item([{"pk": "a"}], name)
    (asked,) = sent[0].parameters["RequestItems"].values()
    assert not asked.get("ConsistentRead")


async def test_an_arn_in_place_of_the_name(
    db: DynamoDB, backend: Backend, raw_client: Any, table: TableFactory
) -> None:
    name, items = await table(), users(130)
    arn = (await raw_client.describe_table(TableName=name))["Table"]["TableArn"]
    keys = [key_of(item) for item in items]
    if Quirk.TABLE_ARN_REFUSED in backend.quirks:
        # The refusal reaches the caller as an error: nothing loops, and no key is lost.
        with pytest.raises(BatchError) as caught:
            await db.batch_get_item(keys, arn)
        response = caught.value.response
        assert len(response["UnprocessedKeys"]) + len(response["RejectedKeys"]) == 130
        # It is the request that is wrong, which three lone keys are enough to tell.
        assert len(response["RejectedKeys"]) < 30
        assert response["Items"] == []
        return
    assert (await db.batch_write_item(items, arn))["ProcessedCount"] == 130
    assert (await db.batch_get_item(keys, arn))["Items"] == items
    assert (await db.batch_get_item(keys, name))["Items"] == items
    assert (await db.get(keys[0], arn))["Item"] == items[0]
    await db.batch_write_item(keys[:50], arn, operation="delete")
    assert (await db.batch_get_item(keys, arn))["MissingKeys"] == keys[:50]
    await db.save(items[0], arn, fail_if_exists=True)
    found = db.query(arn, "pk = :pk", expression_attribute_values={":pk": items[0]["pk"]})
    assert [item async for item in found] == [items[0]]
    await db.delete(keys[0], arn)


async def test_a_missing_table_stops_the_call(connect: Connect, sent: SentLog) -> None:
    db = connect(max_concurrency=1)
    keys = [{"pk": str(n)} for n in range(450)]
    with pytest.raises(BatchError, match="no-such-table") as caught:
        await db.batch_get_item(keys, "no-such-table")
    error = caught.value
    assert isinstance(error.cause, TableNotFound)
    assert error.cause is error.__cause__
    assert error.cause.code == "ResourceNotFoundException"
    assert error.cause.operation == "BatchGetItem"
    assert error.cause.status == 400
    assert error.response["Items"] == error.response["MissingKeys"] == []
    assert error.response["UnprocessedKeys"] == keys
    assert all(a is b for a, b in zip(error.response["UnprocessedKeys"], keys, strict=True))
    assert error.response["Metrics"]["requests"] == 1
    assert "RejectedKeys" not in error.response
    assert len(sent) == 1


async def test_a_missing_table_with_ordered(db: DynamoDB) -> None:
    keys = [{"pk": "b"}, {"pk": "a"}, {"pk": "b"}]
    with pytest.raises(BatchError) as caught:
        await db.batch_get_item(keys, "no-such-table", ordered=True)
    assert caught.value.response["Items"] == [None, None, None]
    assert caught.value.response["UnprocessedKeys"] == keys[:2]


async def test_keys_of_the_wrong_type_are_refused_by_the_service(
    connect: Connect, backend: Backend, table: TableFactory
) -> None:
    """The client cannot know the type before a DescribeTable; the service can."""
    db = connect(max_concurrency=1)
    name = await table()
    await db.batch_write_item(users(4), name)
    keys = [{"pk": "user#0001"}, {"pk": 7}, {"pk": "user#0002"}]
    if Quirk.WRONG_KEY_TYPES_READABLE in backend.quirks:
        fresh = connect(max_concurrency=2)  # has learnt nothing of the table yet
        answer = await fresh.batch_get_item(keys, name)
        assert answer["MissingKeys"] == [keys[1]]
        return
    fresh = connect(max_concurrency=2)
    with pytest.raises(BatchError) as caught:
        await fresh.batch_get_item(keys, name)
    response = caught.value.response
    (rejected,) = response["RejectedKeys"]
    assert rejected["index"] == 1
    assert rejected["item"] is keys[1]
    assert rejected["code"] == "ValidationException"
    assert rejected["message"]
    assert response["Items"] == [{"pk": "user#0001", "n": 1}, {"pk": "user#0002", "n": 2}]
    assert response["Count"] == 2
    assert response["UnprocessedKeys"] == response["MissingKeys"] == []
    # Described by the put, the first client knows the type and does not even ask.
    with pytest.raises(InvalidItem, match="string") as refused:
        await db.batch_get_item(keys, name)
    assert (refused.value.index, refused.value.path) == (1, "pk")


async def test_metrics_count_what_was_done(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name, items = await table(), users(230)
    written = await db.batch_write_item(items, name)
    assert written["Metrics"]["requests"] == len(sent)
    sent.clear()
    answer = await db.batch_get_item([key_of(item) for item in items], name)
    metrics = answer["Metrics"]
    assert metrics["requests"] == len(sent) == 3
    assert metrics["retries"] == metrics["throttled"] == 0
    assert metrics["bytes"] > sum(len(request.body) for request in sent)
    assert metrics["seconds"] > 0.0
    assert set(metrics) == {"requests", "retries", "throttled", "bytes", "seconds"}


@pytest.mark.parametrize("capacity", ["TOTAL", "INDEXES"])
async def test_the_capacity_of_reads(
    capacity: Any, db: DynamoDB, backend: Backend, table: TableFactory
) -> None:
    name = await table()
    items = [{"pk": f"{n:03}", "v": "x" * 6000} for n in range(150)]
    await db.batch_write_item(items, name)
    keys = [key_of(item) for item in items]
    answer = await db.batch_get_item(keys, name, return_consumed_capacity=capacity)
    assert answer["Items"] == items
    if Quirk.READ_CAPACITY_UNTOLD in backend.quirks:
        assert answer["ConsumedCapacity"] == []
    else:
        # Summed over the requests: 6 KB are two units, half of them for an eventual read.
        (told,) = answer["ConsumedCapacity"]
        assert name in told["TableName"]
        assert told["CapacityUnits"] == pytest.approx(150.0)
    assert "ConsumedCapacity" not in await db.batch_get_item(keys, name)
    none = await db.batch_get_item(keys, name, return_consumed_capacity="NONE")
    assert "ConsumedCapacity" not in none


async def test_no_keys_with_capacity(db: DynamoDB) -> None:
    answer = await db.batch_get_item([], "nothing", return_consumed_capacity="TOTAL")
    assert answer["ConsumedCapacity"] == []
