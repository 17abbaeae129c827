"""What requests say and weigh, and what is made of their answers."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from aiobatch.codec import Malformed, Projection
from aiobatch.engine.ledger import Ledger, State
from aiobatch.engine.requests import (
    BatchGet,
    BatchRequests,
    BatchWrite,
    GetPart,
    Settled,
    WritePart,
)
from aiobatch.streams.requests import MixedWrite

KEYS = [b'{"pk":{"S":"%b"}}' % (b"x" * length) for length in (1, 7, 300)]
PROJECTION = Projection("#a, #b", {"#a": "pk", "#b": "v"}, added=("pk",))


def get(fragments: Sequence[bytes], **more: Any) -> BatchGet:
    settings: dict[str, Any] = {
        "numbers": "native",
        "projection": None,
        "consistent_read": False,
        "capacity": "NONE",
    }
    return BatchGet.of_table("t", fragments, ("pk",), **(settings | more))


REQUESTS: list[BatchRequests] = [
    get(KEYS),
    BatchWrite.of_table("t", KEYS, KEYS, ("pk",), deletes=True, capacity="NONE"),
    BatchWrite.of_table("t", KEYS, KEYS, ("pk",), deletes=[False, True, False], capacity="NONE"),
    MixedWrite(
        "t",
        KEYS,
        KEYS,
        bytearray([False, True, False]),
        ("pk",),
        capacity="NONE",
    ),
]


@pytest.mark.parametrize("requests", REQUESTS, ids=lambda requests: type(requests).__name__)
def test_an_entry_takes_what_it_is_said_to_take(requests: BatchRequests) -> None:
    entries = range(len(KEYS))
    assert sum(map(requests.size, entries)) == requests.total(entries)
    for entry in entries:
        others = [other for other in entries if other != entry]
        more = len(requests.body(entries)) - len(requests.body(others))
        # A put is counted with the longer words of a delete.
        assert 0 <= requests.size(entry) - more <= 10


# ---------------------------------------------------------------------- bodies


def keys(*numbers: int) -> list[bytes]:
    return [b'{"pk":{"S":"%d"}}' % number for number in numbers]


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": f"{number}"}}


@pytest.mark.parametrize(
    ("settings", "of_table", "of_request"),
    [
        ({}, {}, {}),
        ({"consistent_read": True}, {"ConsistentRead": True}, {}),
        ({"capacity": "INDEXES"}, {}, {"ReturnConsumedCapacity": "INDEXES"}),
        (
            # What was read does not show in an answer with a projection, but in what it consumed.
            {"projection": PROJECTION},
            {"ProjectionExpression": "#a, #b", "ExpressionAttributeNames": PROJECTION.names},
            {"ReturnConsumedCapacity": "TOTAL"},
        ),
        (
            {"projection": PROJECTION, "consistent_read": True, "capacity": "INDEXES"},
            {
                "ConsistentRead": True,
                "ProjectionExpression": "#a, #b",
                "ExpressionAttributeNames": PROJECTION.names,
            },
            {"ReturnConsumedCapacity": "INDEXES"},
        ),
    ],
)
def test_a_get_asks_for_what_it_is_to_read(
    settings: dict[str, Any], of_table: dict[str, Any], of_request: dict[str, Any]
) -> None:
    requests = get(keys(0, 1, 2), **settings)
    assert orjson.loads(requests.body([0, 2])) == {
        "RequestItems": {"t": {"Keys": [key(0), key(2)], **of_table}},
        **of_request,
    }
    assert [len(requests), requests.size(1)] == [3, len(keys(1)[0]) + 1]


def test_a_write_of_one_table_has_its_operations() -> None:
    items = [b'{"pk":{"S":"%d"},"v":{"N":"1"}}' % number for number in range(3)]
    requests = BatchWrite.of_table(
        "t", items, keys(0, 1, 2), ("pk",), deletes=[False, True, False], capacity="TOTAL"
    )
    put = [{"PutRequest": {"Item": {**key(n), "v": {"N": "1"}}}} for n in range(3)]
    assert orjson.loads(requests.body([0, 2])) == {
        "RequestItems": {"t": [put[0], put[2]]},
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert orjson.loads(requests.body([1])) == {
        "RequestItems": {"t": [{"DeleteRequest": {"Key": {**key(1), "v": {"N": "1"}}}}]},
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert (len(requests), requests.parts[0].table, requests.parts[0].names) == (3, "t", ("pk",))
    # In an answer it is found by its key, whatever else it has.
    left = [{"PutRequest": {"Item": {**key(2), "v": {"N": "1"}}}}]
    told, _ = settled(requests, {"UnprocessedItems": {"t": left}}, [0, 2], Ledger(3, writes=True))
    assert told.left == [2]


# ---------------------------------------------------------------------- answers


def settled(
    requests: BatchRequests, answer: Any, entries: Sequence[int], ledger: Ledger
) -> tuple[Settled, int]:
    """What became of an answer, and in how many steps."""
    ledger.depart(entries)
    steps, count = requests.settle(orjson.dumps(answer), entries, ledger), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


def states(ledger: Ledger) -> list[State]:
    return [ledger.state(entry) for entry in range(len(ledger))]


CAPACITY = [{"TableName": "t", "CapacityUnits": 2.5}, {"TableName": "u", "CapacityUnits": 1.0}]


@pytest.mark.parametrize(("consistent", "a_unit"), [(False, 8192), (True, 4096)])
def test_an_answer_tells_what_was_found_and_what_is_left(consistent: bool, a_unit: int) -> None:
    requests, ledger = get(keys(*range(6)), consistent_read=consistent), Ledger(6, writes=False)
    answer = {
        "Responses": {"t": [{**key(4), "v": {"N": "4"}}, {**key(1), "v": {"N": "1"}}]},
        "UnprocessedKeys": {"t": {"Keys": [key(2)]}},
        "ConsumedCapacity": CAPACITY,
    }
    told, _ = settled(requests, answer, [1, 2, 3, 4], ledger)
    # Three ended, each of which was rounded up to whole units of 4 KB.
    assert told == Settled(3, [2], CAPACITY, read=3.5 * a_unit - 3 * 4096)
    assert requests.items == [None, {"pk": "1", "v": 1}, None, None, {"pk": "4", "v": 4}, None]
    assert states(ledger) == [
        State.PENDING,
        State.PROCESSED,
        State.PENDING,
        State.MISSING,
        State.PROCESSED,
        State.PENDING,
    ]


def test_what_a_projection_added_is_taken_out_again() -> None:
    requests = get(keys(0, 1), projection=PROJECTION)
    answer = {"Responses": {"t": [{**key(1), "v": {"N": "5"}}]}, "UnprocessedKeys": {}}
    settled(requests, answer, [0, 1], Ledger(2, writes=False))
    assert requests.items == [None, {"v": 5}]


def test_items_are_converted_one_by_one_and_those_that_are_refused_stay_as_they_are() -> None:
    def convert(item: dict[str, Any]) -> Any:
        if item["v"] == 1:
            raise refusal
        return f"converted {item['v']}"

    refusal = ValueError("not this one")
    requests, ledger = get(keys(0, 1, 2), convert=convert), Ledger(3, writes=False)
    found = [{**key(number), "v": {"N": f"{number}"}} for number in range(3)]
    answer = {"Responses": {"t": found}, "UnprocessedKeys": {}}
    _, steps = settled(requests, answer, [0, 1, 2], ledger)
    # It is a function of the caller's: nobody knows how long it takes.
    assert steps >= 4
    assert requests.items == ["converted 0", {"pk": "1", "v": 1}, "converted 2"]
    assert requests.refusals == [{1: refusal}]
    assert set(states(ledger)) == {State.PROCESSED}


@pytest.mark.parametrize(("size", "count", "least", "most"), [(10, 9, 1, 1), (4000, 8, 3, 4)])
def test_a_large_answer_is_entered_in_steps(size: int, count: int, least: int, most: int) -> None:
    """Of 16 KB each: four items of 4 KB, or three and something."""
    requests, ledger = get(keys(*range(count))), Ledger(count, writes=False)
    found = [{**key(number), "v": {"S": "x" * size}} for number in range(count)]
    answer = {"Responses": {"t": found}, "UnprocessedKeys": {}}
    _, steps = settled(requests, answer, range(count), ledger)
    assert least <= steps <= most
    assert set(states(ledger)) == {State.PROCESSED}


def test_items_that_are_larger_than_a_step_come_one_by_one() -> None:
    requests, ledger = get(keys(0, 1, 2)), Ledger(3, writes=False)
    found = [{**key(number), "v": {"S": "x" * 40_000}} for number in range(3)]
    _, steps = settled(
        requests, {"Responses": {"t": found}, "UnprocessedKeys": {}}, [0, 1, 2], ledger
    )
    assert steps >= 4


def test_several_tables_have_lists_of_their_own() -> None:
    refused = LookupError("none of mine")

    def convert(item: dict[str, Any]) -> Any:
        raise refused

    parts = [
        GetPart(table="t", fragments=keys(0, 1), names=("pk",), projection=PROJECTION),
        GetPart(table="u", fragments=keys(0, 1, 2), names=("pk",), convert=convert),
        GetPart(table="v", fragments=keys(1), names=("pk",)),
    ]
    requests = BatchGet(parts, numbers="decimal", capacity="NONE")
    ledger = Ledger(len(requests), writes=False)
    answer = {
        "Responses": {
            "v": [{**key(1), "v": {"N": "7"}}],
            "u": [{**key(2), "v": {"N": "8"}}],
            "t": [{**key(0), "v": {"N": "9"}}],
        },
        "UnprocessedKeys": {"u": {"Keys": [key(1)]}},
    }
    told, _ = settled(requests, answer, range(6), ledger)
    assert told == Settled(5, [3], [], read=-5.0 * 4096)
    assert requests.found == [
        [{"v": 9}, None],
        [None, None, {"pk": "2", "v": 8}],
        [{"pk": "1", "v": 7}],
    ]
    assert requests.refusals == [{}, {2: refused}, {}]
    assert states(ledger) == [
        State.PROCESSED,
        State.MISSING,
        State.MISSING,
        State.PENDING,
        State.PROCESSED,
        State.PROCESSED,
    ]


def written(*tables: str, deletes: bool = True) -> BatchWrite:
    parts = [
        WritePart(
            table=table, fragments=keys(0, 1), identities=keys(0, 1), deletes=deletes, names=("pk",)
        )
        for table in tables
    ]
    return BatchWrite(parts, capacity="NONE")


def test_writes_that_are_left_over() -> None:
    requests, ledger = written("t", "u"), Ledger(4, writes=True)
    answer = {
        "UnprocessedItems": {
            "u": [{"DeleteRequest": {"Key": key(0)}}],
            "t": [{"DeleteRequest": {"Key": key(1)}}],
        },
        "ConsumedCapacity": CAPACITY,
    }
    told, _ = settled(requests, answer, [0, 1, 2], ledger)
    assert told == Settled(1, [2, 1], CAPACITY)
    assert states(ledger) == [State.PROCESSED, State.PENDING, State.PENDING, State.PENDING]
    told, _ = settled(requests, {"UnprocessedItems": {}, "ConsumedCapacity": CAPACITY}, [1], ledger)
    assert told == Settled(1, [], CAPACITY)
    assert ledger.state(1) is State.PROCESSED


@pytest.mark.parametrize(
    "left",
    [
        [{"DeleteRequest": {"Key": key(5)}}],
        [{"DeleteRequest": {"Key": key(0)}}, {"DeleteRequest": {"Key": key(0)}}],
    ],
    ids=["a strange one", "one twice"],
)
def test_what_was_not_sent_cannot_be_left_over(left: list[Any]) -> None:
    told = "it leaves over an entry that was not sent, or one twice"
    with pytest.raises(Malformed) as caught:
        settled(written("t"), {"UnprocessedItems": {"t": left}}, [0, 1], Ledger(2, writes=True))
    assert caught.value.reason == told


def test_an_answer_about_another_table_is_none() -> None:
    answer = {"UnprocessedItems": {"v": [{"DeleteRequest": {"Key": key(0)}}]}}
    with pytest.raises(Malformed) as caught:
        settled(written("t", "u"), answer, [0, 1], Ledger(4, writes=True))
    assert caught.value.reason == "it is about a table that the request did not name"
    # Where there is only one it is this one, whatever the answer calls it.
    told, _ = settled(written("t"), answer, [0, 1], Ledger(2, writes=True))
    assert told.left == [0]


def test_names_are_confirmed_by_keys_alone() -> None:
    assert written("t").parts[0].teaches_names
    assert not written("t", deletes=False).parts[0].teaches_names
    assert get(keys(0)).parts[0].teaches_names
