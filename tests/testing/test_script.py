"""Faults and limits as FakeWire carries them out: who meets which, and what comes of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest

from aiobatch import (
    AccessDenied,
    DynamoDB,
    Retry,
    ServiceError,
    TableNotFound,
    Throttled,
    WireError,
)
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request

NO_RETRY = Retry(max_retries=0)
# 10 capacity units where it is read consistently, 39 to write.
LARGE = "x" * 39_000


@pytest.fixture
def wire() -> FakeWire:
    wire = FakeWire({"t": ("pk",), "other": ("pk",)}, record_bodies=True)
    wire.put("t", [{"pk": str(n), "a": "x"} for n in range(10)])
    return wire


async def ask(wire: FakeWire, operation: str, content: Any) -> Any:
    return orjson.loads(await wire.send(Request(operation, "t", orjson.dumps(content))))


def keys(*numbers: int) -> list[Any]:
    return [{"pk": {"S": str(n)}} for n in numbers]


def get(*numbers: int, **more: Any) -> dict[str, Any]:
    return {"RequestItems": {"t": {"Keys": keys(*numbers), **more}}}


GET_ONE = {"TableName": "t", "Key": {"pk": {"S": "1"}}}
PUT_ONE = {"TableName": "t", "Item": {"pk": {"S": "new"}}}


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault.throttle(), Throttled, "ProvisionedThroughputExceededException"),
        (Fault.throttling_exception(), Throttled, "ThrottlingException"),
        (Fault.request_limit(), Throttled, "RequestLimitExceeded"),
        (Fault.hot_key_range(), Throttled, "ProvisionedThroughputExceededException"),
        (Fault.write_conflict(), Throttled, "ReplicatedWriteConflictException"),
        (Fault.internal_error(), ServiceError, "InternalServerError"),
        (Fault.internal_error(executed=True), ServiceError, "InternalServerError"),
        (Fault.unavailable(), ServiceError, "HTTP503"),
        (Fault.unavailable(executed=True), ServiceError, "HTTP503"),
        (Fault.validation(), ServiceError, "ValidationException"),
        (Fault.collection_too_large(), ServiceError, "ItemCollectionSizeLimitExceededException"),
        (Fault.access_denied(), AccessDenied, "AccessDeniedException"),
        (Fault.expired_token(), AccessDenied, "ExpiredTokenException"),
        (Fault.table_not_found(), TableNotFound, "ResourceNotFoundException"),
        (Fault.fails("Some", "words", status=400, executed=True), ServiceError, "Some"),
    ],
    ids=str,
)
async def test_errors(fault: Fault, kind: type[ServiceError], code: str, wire: FakeWire) -> None:
    wire.script([fault])
    with pytest.raises(kind) as caught:
        await ask(wire, "PutItem", PUT_ONE)
    assert caught.value.code == code
    # Executed all the same, or not at all.
    assert ({"pk": "new"} in wire.items("t")) is fault.executed
    assert wire.faults_met == {str(fault): 1}
    assert wire.requests[0].status == caught.value.status
    assert wire.requests[0].refused == (0 if fault.executed else 1)


async def test_the_reasons_of_a_throttling(wire: FakeWire) -> None:
    wire.script([Fault.throttle(), Fault.hot_key_range(), Fault.request_limit()])
    reasons = []
    for operation, content in (("PutItem", PUT_ONE), ("GetItem", GET_ONE), ("GetItem", GET_ONE)):
        with pytest.raises(Throttled) as caught:
            await ask(wire, operation, content)
        reasons.append([told["reason"] for told in caught.value.throttling_reasons])
    assert reasons == [
        ["TableWriteProvisionedThroughputExceeded"],
        ["TableReadKeyRangeThroughputExceeded"],
        [],
    ]


async def test_a_fault_waits_for_a_request_that_it_makes_sense_for(wire: FakeWire) -> None:
    wire.script([Fault.partial(0.5)])
    wire.script([Fault.malformed("stranger")])
    assert (await ask(wire, "GetItem", GET_ONE))["Item"]["pk"] == {"S": "1"}
    assert wire.unused == 2
    answer = await ask(wire, "BatchGetItem", get(1, 2, 3, 4))
    assert len(answer["Responses"]["t"]) == len(answer["UnprocessedKeys"]["t"]["Keys"]) == 2
    # One fault a request: the other script's is for the next.
    assert wire.unused == 1


async def test_what_is_refused_has_no_answer_to_spoil(wire: FakeWire) -> None:
    wire.always(Fault.wrong_checksum())
    with pytest.raises(TableNotFound):
        await ask(wire, "GetItem", {**GET_ONE, "TableName": "nowhere"})
    with pytest.raises(WireError, match="x-amz-crc32"):
        await ask(wire, "GetItem", GET_ONE)


async def test_a_partial_answer_that_is_all_of_it_is_a_throttling(wire: FakeWire) -> None:
    wire.always(Fault.partial(entry=lambda entry: entry.value["pk"]["S"] in "12"))
    with pytest.raises(Throttled):
        await ask(wire, "BatchGetItem", get(1, 2))
    answer = await ask(wire, "BatchGetItem", get(1, 2, 3))
    assert answer["UnprocessedKeys"]["t"]["Keys"] == keys(1, 2)


async def test_two_tables_of_which_one_is_refused(wire: FakeWire) -> None:
    both = {"t": {"Keys": keys(1)}, "other": {"Keys": keys(2)}}
    wire.always(Fault.partial(), table="other", entry=lambda entry: entry.table == "other")
    wire.always(Fault.partial(entry=lambda entry: entry.table == "other"))
    answer = await ask(wire, "BatchGetItem", {"RequestItems": both})
    assert answer["UnprocessedKeys"] == {"other": {"Keys": keys(2)}}
    assert answer["Responses"] == {
        "t": [{"pk": {"S": "1"}, "a": {"S": "x"}}],
        "other": [],
    }


async def test_a_cut_joins_what_was_left_over_before(wire: FakeWire) -> None:
    wire.cut(1)
    wire.always(Fault.partial(entry=lambda entry: entry.value == keys(3)[0]))
    answer = await ask(wire, "BatchGetItem", get(1, 2, 3, ConsistentRead=True))
    assert [item["pk"]["S"] for item in answer["Responses"]["t"]] == ["1"]
    left = answer["UnprocessedKeys"]["t"]
    # The key's options come back with it.
    assert left == {"Keys": keys(2, 3), "ConsistentRead": True}


async def test_a_cut_above_the_answer_changes_nothing(wire: FakeWire) -> None:
    wire.cut(10_000)
    answer = await ask(wire, "BatchGetItem", get(1, 2))
    assert (len(answer["Responses"]["t"]), answer["UnprocessedKeys"]) == (2, {})


async def test_an_item_that_no_key_can_be_told_of_is_never_cut(wire: FakeWire) -> None:
    """A projection left the key out: whose leftover would it be?"""
    wire.cut(1)
    answer = await ask(wire, "BatchGetItem", get(1, 2, 3, ProjectionExpression="a"))
    assert answer == {"Responses": {"t": [{"a": {"S": "x"}}] * 3}, "UnprocessedKeys": {}}


async def test_an_answer_by_arn(wire: FakeWire) -> None:
    wire.always(Fault.answer_by_arn())
    answer = await ask(wire, "BatchGetItem", get(1))
    assert list(answer["Responses"]) == ["arn:aws:dynamodb:us-east-1:123456789012:table/t"]
    # What has no maps by table stays as it is.
    assert (await ask(wire, "DescribeTable", {"TableName": "t"}))["Table"]["TableName"] == "t"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"pk": "S"}, {"pk": {"S": "1"}}),
        ({"pk": "N"}, {"pk": {"N": "1"}}),
        ({"pk": "B"}, {"pk": {"B": "AQ=="}}),
    ],
)
async def test_a_stranger_is_a_key_that_nobody_sent(keys: Any, key: Any) -> None:
    wire = FakeWire({"t": keys})
    wire.always(Fault.malformed("stranger"))
    asked = {"RequestItems": {"t": {"Keys": [key]}}}
    [strange] = (await ask(wire, "BatchGetItem", asked))["UnprocessedKeys"]["t"]["Keys"]
    assert strange.keys() == key.keys()
    assert strange["pk"].keys() == key["pk"].keys()
    assert strange != key


async def test_what_is_no_legal_request_meets_no_fault_of_entries(wire: FakeWire) -> None:
    wire.always(Fault.throttle(), entry=lambda entry: True)
    for operation, content in (
        ("BatchGetItem", []),
        ("BatchGetItem", {"RequestItems": {"t": 7}}),
        ("BatchWriteItem", {"RequestItems": {"t": [{}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Upsert": {}}]}),
        ("GetItem", {"TableName": "t"}),
    ):
        with pytest.raises(ServiceError) as caught:
            await ask(wire, operation, content)
        assert caught.value.code in ("ValidationException", "SerializationException"), operation
    query = {
        "TableName": "t",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "1"}},
    }
    assert (await ask(wire, "Query", query))["Count"] == 1
    assert not wire.faults_met
    assert wire.requests[-1].tables == ("t",)
    assert wire.requests[0].tables == ()


# ---------------------------------------------------------------------- chance


async def test_chance_is_the_same_for_the_same_seed() -> None:
    async def course(seed: int) -> list[str | None]:
        wire = FakeWire({"t": ("pk",)})
        wire.randomly({Fault.throttle(): 0.3, Fault.internal_error(): 0.3}, seed=seed)
        for _ in range(40):
            with suppress(ServiceError):
                await ask(wire, "GetItem", GET_ONE)
        return [seen.fault for seen in wire.requests]

    first = await course(1)
    assert first == await course(1)
    assert first != await course(2)
    # Each of them, and nothing, about as often as was said.
    assert {first.count(fault) > 3 for fault in set(first)} == {True}
    assert len(set(first)) == 3


WRONG: list[tuple[str, Callable[[FakeWire], object]]] = [
    ("probabilities", lambda wire: wire.randomly({Fault.throttle(): -0.1})),
    ("probabilities", lambda wire: wire.randomly({Fault.none(): 0.6, Fault.throttle(): 0.6})),
    ("max_bytes", lambda wire: wire.cut(0)),
    ("more than 0 per second", lambda wire: wire.limit("t", read=0)),
    ("burst", lambda wire: wire.limit("t", write=1, burst=0)),
    ("seconds", lambda wire: Fault.latency(-1)),
    ("seconds", lambda wire: Fault.late_answer(float("nan"))),
    ("share", lambda wire: Fault.partial(0.0)),
    ("share", lambda wire: Fault.partial(1.1)),
    ("how must be", lambda wire: Fault.malformed("rude")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("words", "arrange"), WRONG)
def test_what_cannot_be_arranged(words: str, arrange: Callable[[FakeWire], object]) -> None:
    with pytest.raises(ValueError, match=words):
        arrange(FakeWire({"t": ("pk",)}))


# ---------------------------------------------------------------------- limits


@pytest.mark.looptime
async def test_reads_are_charged_with_what_they_turn_out_to_cost(wire: FakeWire) -> None:
    wire.put("t", [{"pk": str(n), "a": LARGE} for n in range(3)])
    wire.limit("t", read=10, unit="units")
    # Another table's limit is its own, and counts entries.
    wire.put("other", [{"pk": "1"}])
    wire.limit("other", read=1)

    async def taken(operation: str, content: Any) -> bool:
        try:
            await ask(wire, operation, content)
        except Throttled:
            return False
        return True

    consistent, not_consistent = get(1, ConsistentRead=True), get(1)
    # The bucket holds 10, and that is what it costs.
    assert await taken("BatchGetItem", consistent)
    assert not await taken("BatchGetItem", consistent)
    await asyncio.sleep(0.5)
    # Half of it is there again: enough for one that is not consistent.
    assert await taken("BatchGetItem", not_consistent)
    assert not await taken("BatchGetItem", not_consistent)
    # What is there for one is enough to begin with; the rest is a debt.
    await asyncio.sleep(0.1)
    assert await taken("BatchGetItem", consistent)
    await asyncio.sleep(0.85)
    assert not await taken("BatchGetItem", consistent)
    await asyncio.sleep(0.1)
    # A single item is charged in the same way.
    one = {**GET_ONE, "ConsistentRead": True}
    assert await taken("GetItem", one)
    assert not await taken("GetItem", one)
    await asyncio.sleep(10)
    # One that is not there costs the least.
    nobody = {"TableName": "t", "Key": {"pk": {"S": "nobody"}}}
    assert [await taken("GetItem", nobody) for _ in range(21)] == [True] * 20 + [False]
    # Pages of a query are free.
    query = {
        "TableName": "t",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "1"}},
    }
    assert await taken("Query", query)
    await asyncio.sleep(10)
    both = {"t": {"Keys": keys(1), "ConsistentRead": True}, "other": {"Keys": keys(1)}}
    assert await taken("BatchGetItem", {"RequestItems": both})
    assert wire.taken("other", "read") == 1
    assert not await taken("BatchGetItem", {"RequestItems": both})


@pytest.mark.looptime
async def test_writes_are_charged_by_their_size(wire: FakeWire) -> None:
    wire.limit("t", write=39, unit="units")
    items = [{"pk": str(n), "a": LARGE} for n in range(3)]
    async with DynamoDB(wire=wire, retry=NO_RETRY) as db:
        written = await db.batch_write_item(items, "t")
        assert written["UnprocessedItems"] == items[1:]
        await asyncio.sleep(1)
        small = [{"pk": str(n)} for n in range(25)]
        assert (await db.batch_write_item(small, "t"))["ProcessedCount"] == 25
    assert wire.taken("t", "write") == 26


@pytest.mark.looptime
async def test_a_limit_takes_nothing_for_what_a_fault_refuses(wire: FakeWire) -> None:
    wire.limit("t", read=2)
    wire.script([Fault.partial(entry=lambda entry: entry.value["pk"]["S"] in "12")])
    answer = await ask(wire, "BatchGetItem", get(1, 2, 3, 4, 5))
    assert answer["UnprocessedKeys"]["t"]["Keys"] == keys(1, 2, 5)
    assert wire.taken("t", "read") == 2


async def test_a_stranger_of_a_put_differs_in_what_can_differ(wire: FakeWire) -> None:
    wire.always(Fault.malformed("stranger"))
    item = {"pk": {"S": "1"}, "yes": {"BOOL": True}}
    answer = await ask(
        wire, "BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": item}}]}}
    )
    [left] = answer["UnprocessedItems"]["t"]
    assert left["PutRequest"]["Item"]["yes"] == {"BOOL": True}
    assert left["PutRequest"]["Item"]["pk"] != {"S": "1"}
