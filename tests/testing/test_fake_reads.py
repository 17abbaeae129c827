"""FakeWire's queries, large answers and capacity, and what it leaves to a real server."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import pytest

from aiobatch import DynamoDB, Retry, ServiceError, WireError
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request
from tests.backends import Backend
from tests.conftest import TableFactory

TEXTS = ["", "a", "ab", "abc", "b", "ba", "z"]
ITEMS: dict[str, list[dict[str, Any]]] = {
    "S": [{"pk": "p", "sk": f"-{text}"} for text in TEXTS],
    "N": [{"pk": "p", "sk": number} for number in (-2, 0, Decimal("0.5"), 1, 9, 10, 100)],
    "B": [{"pk": "p", "sk": bytes(raw)} for raw in ([0], [1], [1, 2], [2], [127], [255])],
}


@dataclass(frozen=True)
class Case:
    """The type of the sort key, and a query on it."""

    kind: str
    expression: str
    values: dict[str, Any]
    more: dict[str, Any] = field(default_factory=dict)


P = {":p": "p"}
QUERIES = [
    Case("S", "pk = :p", P),
    Case("S", "pk = :p", P, {"ascending": False}),
    Case("S", "pk = :p AND sk = :v", {**P, ":v": "-ab"}),
    Case("S", "pk = :p AND sk < :v", {**P, ":v": "-b"}),
    Case("S", "pk = :p AND sk <= :v", {**P, ":v": "-b"}),
    Case("S", "pk = :p AND sk > :v", {**P, ":v": "-b"}),
    Case("S", "pk = :p AND sk >= :v", {**P, ":v": "-b"}),
    Case("S", "pk = :p AND begins_with(sk, :v)", {**P, ":v": "-a"}),
    Case("S", "pk = :p AND sk BETWEEN :v AND :w", {**P, ":v": "-ab", ":w": "-b"}),
    Case("S", "sk BETWEEN :v AND :w AND pk = :p", {**P, ":v": "-ab", ":w": "-b"}),
    Case("S", "pk = :p", {":p": "nobody"}),
    Case("S", "pk = :p", P, {"limit": 3}),
    Case("S", "pk = :p", P, {"limit": 3, "ascending": False}),
    Case("S", "pk = :p", P, {"limit": len(TEXTS)}),
    Case("S", "pk = :p", P, {"projection_expression": "sk"}),
    Case("N", "pk = :p", P),
    Case("N", "pk = :p AND sk >= :v", {**P, ":v": Decimal("0.5")}),
    Case("N", "pk = :p AND sk BETWEEN :v AND :w", {**P, ":v": 1, ":w": 10}),
    Case("N", "pk = :p AND sk < :v", {**P, ":v": 10}, {"ascending": False, "limit": 2}),
    Case("B", "pk = :p", P),
    Case("B", "pk = :p AND begins_with(sk, :v)", {**P, ":v": b"\x01"}),
    Case("B", "pk = :p AND sk > :v", {**P, ":v": b"\x02"}),
]


# moto reads no condition after a BETWEEN: it answers 500.
OTHERWISE = {("moto", "sk BETWEEN :v AND :w AND pk = :p")}


async def test_queries_answer_as_on_a_server(backend: Backend, table: TableFactory) -> None:
    names = {"S": await table("pk", "sk"), "N": "", "B": ""}
    names["N"] = await table("pk", "sk", sk="N")
    names["B"] = await table("pk", "sk", sk="B")
    wire = FakeWire({name: {"pk": "S", "sk": kind} for kind, name in names.items()})
    async with DynamoDB(endpoint_url=backend.endpoint_url) as there, DynamoDB(wire=wire) as here:
        for kind, items in ITEMS.items():
            for db in (there, here):
                await db.batch_write_item([*items, {**items[0], "pk": "other"}], names[kind])
        for case in QUERIES:
            if (backend.name, case.expression) in OTHERWISE:
                continue
            ours, theirs = [
                [
                    item
                    async for item in db.query(
                        names[case.kind],
                        case.expression,
                        expression_attribute_values=case.values,
                        **case.more,
                    )
                ]
                for db in (here, there)
            ]
            assert ours == theirs, case


@pytest.mark.parametrize("ascending", [True, False])
async def test_a_query_has_pages_of_1_mb(ascending: bool) -> None:
    wire = FakeWire({"t": ("pk", "sk")})
    wire.put("t", [{"pk": "p", "sk": str(n), "a": "x" * 390_000} for n in range(8)])
    async with DynamoDB(wire=wire) as db:
        found = [
            item["sk"]
            async for item in db.query(
                "t", "pk = :p", expression_attribute_values=P, ascending=ascending
            )
        ]
    assert found == sorted(map(str, range(8)), reverse=not ascending)
    assert len(wire.requests) == 3


async def test_a_read_ends_at_16_mb() -> None:
    wire = FakeWire({"t": ("pk",)})
    keys = [{"pk": str(n)} for n in range(60)]
    wire.put("t", [{**key, "a": "x" * 400_000} for key in keys])
    async with DynamoDB(wire=wire, retry=Retry(max_retries=0)) as db:
        answer = await db.batch_get_item(keys, "t")
    # What is left over comes in further requests, at no cost to the budget.
    assert (answer["Count"], answer["UnprocessedKeys"]) == (60, [])
    assert len(wire.requests) > 1


async def test_capacity_is_told_where_it_is_asked_for() -> None:
    wire = FakeWire({"t": ("pk",)})
    large = {"pk": "b", "a": "x" * 5_000}
    told = []
    async with DynamoDB(wire=wire) as db:
        for items in ([{"pk": "a"}], [large]):
            written = await db.batch_write_item(items, "t", return_consumed_capacity="TOTAL")
            told.append(written["ConsumedCapacity"][0]["CapacityUnits"])
        for consistent in (False, True):
            read = await db.batch_get_item(
                [{"pk": "a"}, {"pk": "b"}, {"pk": "none"}],
                "t",
                consistent_read=consistent,
                return_consumed_capacity="TOTAL",
            )
            told.append(read["ConsumedCapacity"][0]["CapacityUnits"])
        one = await db.get({"pk": "b"}, "t", return_consumed_capacity="TOTAL")
        told.append(one["ConsumedCapacity"]["CapacityUnits"])
        gone = await db.batch_write_item(
            [{"pk": "b"}], "t", operation="delete", return_consumed_capacity="TOTAL"
        )
        told.append(gone["ConsumedCapacity"][0]["CapacityUnits"])
        silent = await db.batch_get_item([{"pk": "a"}], "t")
    # A KB a write, 4 KB a read, half of it where it is not consistent; at least one.
    assert told == [1.0, 5.0, 2.0, 4.0, 1.0, 5.0]
    assert "ConsumedCapacity" not in silent


@pytest.mark.parametrize(
    ("operation", "content"),
    [
        ("Scan", {"TableName": "t"}),
        ("Query", {"TableName": "t", "IndexName": "i"}),
        ("Query", {"TableName": "t", "FilterExpression": "a = :a"}),
        ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "a"}}, "ProjectionExpression": "a.b"}),
        (
            "UpdateItem",
            {
                "TableName": "t",
                "Key": {"pk": {"S": "a"}},
                "UpdateExpression": "SET m.a = :v",
                "ExpressionAttributeValues": {":v": {"S": "b"}},
                "ReturnValues": "UPDATED_NEW",
            },
        ),
    ],
)
async def test_what_it_does_not_know_it_leaves_to_a_server(operation: str, content: Any) -> None:
    wire = FakeWire({"t": ("pk",)})
    wire.put("t", [{"pk": "a", "m": {}}])
    with pytest.raises(NotImplementedError, match="FaultProxy"):
        await wire.send(Request(operation, "t", orjson.dumps(content)))


async def test_an_update_without_an_expression_makes_the_item() -> None:
    wire = FakeWire({"t": ("pk",)})
    content = {"TableName": "t", "Key": {"pk": {"S": "a"}}}
    await wire.send(Request("UpdateItem", "t", orjson.dumps(content)))
    assert wire.items("t") == [{"pk": "a"}]


async def test_a_single_delete_tells_what_it_deleted() -> None:
    wire = FakeWire({"t": ("pk",)})
    wire.put("t", [{"pk": "a", "n": 1}])
    async with DynamoDB(wire=wire) as db:
        told = [
            await db.delete(
                {"pk": "a"}, "t", return_values="ALL_OLD", return_consumed_capacity="TOTAL"
            )
            for _ in range(2)
        ]
    assert [answer.get("Attributes") for answer in told] == [{"pk": "a", "n": 1}, None]
    assert [answer["ConsumedCapacity"]["CapacityUnits"] for answer in told] == [1.0, 1.0]
    assert wire.items("t") == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"'])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    for operation in ("BatchGetItem", "PutItem", "DescribeTable"):
        with pytest.raises(ServiceError) as caught:
            await FakeWire({"t": ("pk",)}).send(Request(operation, "t", body))
        assert caught.value.code == "SerializationException"


@pytest.mark.parametrize("keys", [(), ("a", "b", "c"), {"a": "X"}])
def test_a_table_has_one_key_or_two(keys: Any) -> None:
    with pytest.raises(ValueError, match="keys must be"):
        FakeWire({"t": keys})


async def test_a_key_comes_once_by_name_and_arn() -> None:
    key = {"Keys": [{"pk": {"S": "a"}}]}
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/t"
    body = orjson.dumps({"RequestItems": {"t": key, arn: key}})
    with pytest.raises(ServiceError, match="BatchGetItem"):
        await FakeWire({"t": ("pk",)}).send(Request("BatchGetItem", "t", body))


@pytest.mark.parametrize(
    ("fault", "words", "disconnected"),
    [
        (Fault.reset_before(), "reset", True),
        (Fault.hang_up_after(), "without an answer", True),
        (Fault.truncated(), "in the answer", False),
    ],
)
async def test_a_connection_ends(fault: Fault, words: str, disconnected: bool) -> None:
    wire = FakeWire({"t": ("pk",)})
    wire.script([fault])
    body = orjson.dumps({"TableName": "t", "Item": {"pk": {"S": "a"}}})
    with pytest.raises(WireError, match=words) as caught:
        await wire.send(Request("PutItem", "t", body))
    assert caught.value.disconnected is disconnected
    assert len(wire.items("t")) == fault.executed


@pytest.mark.looptime
async def test_silence_ends_with_the_read_timeout() -> None:
    wire = FakeWire({"t": ("pk",)}, read_timeout=7.0)
    wire.script([Fault.silence()])
    began = asyncio.get_running_loop().time()
    # Faults are for what moves items.
    await wire.send(Request("DescribeTable", "t", b'{"TableName": "t"}'))
    with pytest.raises(WireError, match="read timeout"):
        await wire.send(Request("GetItem", "t", b'{"TableName": "t", "Key": {"pk": {"S": "a"}}}'))
    assert asyncio.get_running_loop().time() - began == 7.0


async def test_a_closed_wire_takes_nothing_more_and_lets_silence_end() -> None:
    wire = FakeWire({"t": ("pk",)})
    wire.script([Fault.silence()])
    body = b'{"TableName": "t", "Key": {"pk": {"S": "a"}}}'
    asking = asyncio.create_task(wire.send(Request("GetItem", "t", body)))
    while not wire.in_flight:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await wire.aclose()
    with pytest.raises(WireError, match="closed"):
        await asking
    with pytest.raises(RuntimeError, match="closed"):
        await wire.send(Request("GetItem", "t", body))
    assert wire.in_flight == 0


async def test_it_tells_how_many_requests_it_takes_at_once() -> None:
    assert FakeWire({}, max_concurrency=3).max_concurrency == 3
    assert FakeWire({}).max_concurrency >= 1_000
