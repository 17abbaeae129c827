from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiobatch.codec import Malformed, item_answer, write_answer
from aiobatch.codec.answers import items_from
from tests.codec.subject import decode_item, encode_item, encode_key, read_answer
from tests.codec.values import items, keys, plain

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"


def key_of(n: int) -> bytes:
    return encode_key({"pk": "a", "n": n}, None, None)


ITEM_1 = {"pk": {"S": "a"}, "n": {"N": "1"}, "x": {"L": [{"N": "2.50"}]}}
ITEM_2 = {"pk": {"S": "a"}, "n": {"N": "2.0"}}
CAPACITY = [{"TableName": "users", "CapacityUnits": 1.5}]

READ: dict[str, Any] = {
    "Responses": {"users": [ITEM_1, ITEM_2]},
    "UnprocessedKeys": {
        ARN: {
            "Keys": [{"n": {"N": "3.00"}, "pk": {"S": "a"}}, {"pk": {"S": "a"}, "n": {"N": "4"}}],
            "ProjectionExpression": "#n0",
            "ConsistentRead": True,
        }
    },
    "ConsumedCapacity": CAPACITY,
}
WRITE: dict[str, Any] = {
    "UnprocessedItems": {
        ARN: [
            {"PutRequest": {"Item": ITEM_1}},
            {"DeleteRequest": {"Key": {"pk": {"S": "a"}, "n": {"N": "2.0"}}}},
        ],
        "other": [{"PutRequest": {"Item": {"pk": {"S": "a"}, "n": {"N": "3"}}}}],
    },
    "ConsumedCapacity": CAPACITY,
}
NAMES = ("pk", "n")


def test_reading() -> None:
    answer = read_answer(orjson.dumps(READ), NAMES, "native")
    assert list(answer.items) == [
        (key_of(1), {"pk": "a", "n": 1, "x": [2.5]}),
        (key_of(2), {"pk": "a", "n": 2}),
    ]
    assert answer.left == [key_of(3), key_of(4)]
    assert answer.capacity == CAPACITY


def test_an_empty_read() -> None:
    answer = read_answer(b'{"Responses":{},"UnprocessedKeys":{}}', NAMES, "native")
    assert (list(answer.items), answer.left, answer.capacity) == ([], [], [])


def of_table(name: str) -> tuple[bytes, tuple[str, ...]]:
    """The mark and the key names of a table; of any other, a call is told nothing."""
    if name == "counts":
        return b"1:", ("id",)
    if name in ("users", ARN):
        return b"0:", NAMES
    raise Malformed("it is about a table that the request did not name")


def test_reading_several_tables() -> None:
    """Each has key names of its own, and the marks tell equal keys apart."""
    counts = {"id": {"N": "1.0"}, "v": {"B": "AAE="}}
    body: dict[str, Any] = {
        "Responses": {ARN: [ITEM_1], "counts": [counts]},
        "UnprocessedKeys": {
            "users": {"Keys": [{"n": {"N": "2.0"}, "pk": {"S": "a"}}]},
            "counts": {"Keys": [{"id": {"N": "7"}}]},
        },
        "ConsumedCapacity": CAPACITY,
    }
    answer = read_answer(orjson.dumps(body), of_table, "native")
    assert list(answer.items) == [
        (b"0:" + key_of(1), {"pk": "a", "n": 1, "x": [2.5]}),
        (b"1:" + encode_key({"id": 1}, None, None), {"id": 1, "v": b"\x00\x01"}),
    ]
    assert answer.left == [b"0:" + key_of(2), b"1:" + encode_key({"id": 7}, None, None)]
    assert answer.capacity == CAPACITY


@pytest.mark.parametrize("member", ["Responses", "UnprocessedKeys"])
def test_an_answer_about_a_strange_table_is_none(member: str) -> None:
    """It is known before the first item is asked for."""
    body: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {}}
    body[member] = {"strange": [] if member == "Responses" else {"Keys": []}}
    with pytest.raises(Malformed, match="did not name"):
        read_answer(orjson.dumps(body), of_table, "native")


@pytest.mark.parametrize("items", [None, {}, "x"])
def test_no_list_of_items_under_one_of_several_tables(items: Any) -> None:
    body = {"Responses": {"users": [ITEM_1], "counts": items}, "UnprocessedKeys": {}}
    with pytest.raises(Malformed, match=r"^it has something else where a list belongs$"):
        read_answer(orjson.dumps(body), of_table, "native")


@pytest.mark.parametrize("first", range(6))
def test_the_first_items_of_an_answer_can_be_left_out(first: int) -> None:
    """However many tables they are of."""
    counts = [{"id": {"N": f"{n}"}} for n in range(3)]
    answer = {"Responses": {"users": [ITEM_1, ITEM_2], "counts": counts}}
    every = list(items_from(answer, of_table, "native", 0))
    assert len(every) == 5
    assert list(items_from(answer, of_table, "native", first)) == every[first:]


def test_writing_several_tables() -> None:
    body = {
        "UnprocessedItems": {
            ARN: [{"PutRequest": {"Item": ITEM_1}}],
            "counts": [{"DeleteRequest": {"Key": {"id": {"N": "2"}}}}],
        }
    }
    assert write_answer(orjson.dumps(body), of_table).left == [
        b"0:" + key_of(1),
        b"1:" + encode_key({"id": 2}, None, None),
    ]


def test_items_are_decoded_one_by_one() -> None:
    body = orjson.dumps({**READ, "Responses": {ARN: [ITEM_1, {"pk": {"S": "a"}}]}})
    answer = read_answer(body, NAMES, "native")
    assert next(answer.items)[0] == key_of(1)
    with pytest.raises(Malformed):
        next(answer.items)


def test_writing() -> None:
    answer = write_answer(orjson.dumps(WRITE), NAMES)
    assert answer.left == [key_of(1), key_of(2), key_of(3)]
    assert answer.capacity == CAPACITY
    empty = write_answer(b'{"UnprocessedItems":{}}', NAMES)
    assert (empty.left, empty.capacity) == ([], [])


def test_other_answers() -> None:
    assert item_answer(b"{}") == {}
    assert item_answer(b'{"Item":{"pk":{"S":"a"}}}') == {"Item": {"pk": {"S": "a"}}}


NO_JSON = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"<html>secret</html>",
    b"\xff\xfe",
    b'{"a":NaN}',
    b'{"a":"\\ud800"}',
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"[" * 1_000_000,
]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_no_answer_at_all(body: bytes) -> None:
    for read in (
        item_answer,
        lambda body: read_answer(body, NAMES, "native"),
        lambda body: write_answer(body, NAMES),
    ):
        with pytest.raises(Malformed) as caught:
            read(body)
        assert caught.value.reason == "it is not a JSON object"
        # The parser's own error holds the whole body.
        assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Responses": {}},
        {"UnprocessedKeys": {}},
        {**READ, "Responses": None},
        {**READ, "Responses": []},
        {**READ, "Responses": {"users": None}},
        {**READ, "Responses": {"users": {"pk": {"S": "a"}}}},
        {**READ, "UnprocessedKeys": None},
        {**READ, "UnprocessedKeys": []},
        {**READ, "UnprocessedKeys": {"users": []}},
        {**READ, "UnprocessedKeys": {"users": {}}},
        {**READ, "UnprocessedKeys": {"users": {"Keys": None}}},
        {**READ, "UnprocessedKeys": {"users": {"Keys": [None]}}},
        {**READ, "UnprocessedKeys": {"users": {"Keys": [{"pk": {"S": "a"}}]}}},
        {**READ, "ConsumedCapacity": {}},
        {**READ, "ConsumedCapacity": [5]},
        {"message": "secret", "__type": "Error"},
    ],
    ids=range(17),
)
def test_no_read_answer(answer: Any) -> None:
    with pytest.raises(Malformed):
        read_answer(orjson.dumps(answer), NAMES, "native")


@pytest.mark.parametrize("item", [None, [], "a", {"pk": {"S": "a"}}, {**ITEM_1, "x": {"S": 5}}])
def test_no_item(item: Any) -> None:
    answer = read_answer(
        orjson.dumps({**READ, "Responses": {"users": [ITEM_2, item]}}), NAMES, "native"
    )
    with pytest.raises(Malformed):
        list(answer.items)


@pytest.mark.parametrize(
    "left",
    [
        None,
        [],
        {"users": None},
        {"users": {}},
        {"users": [None]},
        {"users": [{}]},
        {"users": [{"PutRequest": None}]},
        {"users": [{"PutRequest": {}}]},
        {"users": [{"PutRequest": {"Item": None}}]},
        {"users": [{"PutRequest": {"Key": ITEM_1}}]},
        {"users": [{"DeleteRequest": {"Item": ITEM_1}}]},
        {"users": [{"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}]},
        {"users": [{"UpdateRequest": {"Key": ITEM_1}}]},
    ],
    ids=str,
)
def test_no_write_answer(left: Any) -> None:
    with pytest.raises(Malformed):
        write_answer(orjson.dumps({"UnprocessedItems": left}), NAMES)


@pytest.mark.parametrize("capacity", [{}, [5], "x"])
def test_a_capacity_that_is_none(capacity: Any) -> None:
    body = orjson.dumps({"UnprocessedItems": {}, "ConsumedCapacity": capacity})
    with pytest.raises(Malformed, match=r"^its ConsumedCapacity is not a list of objects$"):
        write_answer(body, NAMES)


def test_a_write_answer_without_its_field_is_none() -> None:
    for body in (b"{}", b'{"UnprocessedKeys":{}}', b'{"ConsumedCapacity":[]}'):
        with pytest.raises(Malformed, match="it has no UnprocessedItems"):
            write_answer(body, NAMES)


@settings(deadline=None, max_examples=60)
@given(st.lists(items(), max_size=4), st.lists(keys, min_size=4, max_size=4))
def test_items_come_back_under_the_identity_they_were_sent_with(
    sent: list[dict[str, Any]], pks: list[Any]
) -> None:
    sent = [{**item, "pk": pk} for item, pk in zip(sent, pks, strict=False)]
    fragments = [encode_item(item, None, None)[0] for item in sent]
    body = b'{"Responses":{"t":[%s]},"UnprocessedKeys":{}}' % b",".join(fragments)
    answer = read_answer(body, ["pk"], "decimal")
    for item, (identity, decoded) in zip(sent, answer.items, strict=True):
        assert identity == encode_key({"pk": item["pk"]}, None, None)
        assert plain(decoded) == plain(item)


# --- Fuzz: an answer that something damaged is read, or Malformed, and nothing else ---


def drain_read(body: bytes) -> None:
    answer = read_answer(body, NAMES, "strict")
    for identity, item in answer.items:
        assert type(identity) is bytes
        assert type(item) is dict


def drain_write(body: bytes) -> None:
    assert all(type(identity) is bytes for identity in write_answer(body, NAMES).left)


def drain_item(body: bytes) -> None:
    decode_item(item_answer(body).get("Item"), "decimal")


def read_or_malformed(drain: Callable[[bytes], None], body: bytes) -> str:
    try:
        drain(body)
    except Malformed as malformed:
        return "malformed" if len(malformed.reason) < 100 else malformed.reason
    return "read"


BODIES: list[tuple[bytes, Callable[[bytes], None]]] = [
    (orjson.dumps(READ), drain_read),
    (orjson.dumps(WRITE), drain_write),
    (orjson.dumps({"Item": {**ITEM_1, "b": {"BS": ["YQ=="]}, "z": {"BOOL": True}}}), drain_item),
]

edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 6),
        st.sampled_from(
            [b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\xff", b"9", b"E", b"null"]
        )
        | st.binary(max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(("body", "drain"), BODIES, ids=["read", "write", "item"])
@settings(deadline=None, max_examples=400)
@given(edits=edits)
def test_damaged_bytes(
    body: bytes, drain: Callable[[bytes], None], edits: list[tuple[float, int, bytes]]
) -> None:
    drain(body)
    for place, removed, put in edits:
        at = int(place * len(body))
        body = body[:at] + put + body[at + removed :]
    assert read_or_malformed(drain, body) in ("read", "malformed")


def every_place(value: Any, put: Any) -> list[Any]:
    """All copies of a JSON value with one place in it replaced, left out or renamed."""
    copies = [put]
    if isinstance(value, dict):
        for name, inner in value.items():
            copies += [{**value, name: copy} for copy in every_place(inner, put)]
            copies.append({other: value[other] for other in value if other != name})
            copies.append({("X" if other == name else other): value[other] for other in value})
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            copies += [
                [*value[:index], copy, *value[index + 1 :]] for copy in every_place(inner, put)
            ]
    return copies


@pytest.mark.parametrize(("body", "drain"), BODIES, ids=["read", "write", "item"])
def test_damaged_structure(body: bytes, drain: Callable[[bytes], None]) -> None:
    put: list[Any] = [None, 5, -1.5, True, "", "NaN", "text", [], {}, [None], {"S": "a"}]
    outcomes = {
        read_or_malformed(drain, orjson.dumps(answer))
        for replacement in put
        for answer in every_place(orjson.loads(body), replacement)
    }
    assert outcomes == {"read", "malformed"}
