"""What works on many at once against what works on one: the same bytes, refusals and items."""

import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiobatch.codec import AnswerKeys, Codec, KeySchema, Malformed, Refusal
from aiobatch.codec import python as plain
from tests.codec import values
from tests.codec.outcomes import exactly

SCHEMAS = [
    KeySchema.from_names(("pk",)),
    KeySchema.from_names(("sk", "pk")),
    KeySchema(("pk", "sk"), ordered=True, types={"pk": "S", "sk": "N"}),
    KeySchema.from_names(('a"\\é',)),
]
ROOM = 1 << 20
slow = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

key_values = (
    st.text(max_size=12)
    | st.sampled_from([n * "x" for n in (255, 256, 257)])
    | st.text('"\\\x00é\ud800', max_size=4)
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | values.decimals()
    | st.binary(max_size=5)
    | st.none()
    | st.booleans()
)
keys = st.fixed_dictionaries({}, optional=dict.fromkeys(("pk", "sk", 'a"\\é', "other"), key_values))


class Mapped(dict[str, Any]):
    """Not exactly a dict."""


def in_bulk(
    step: Callable[[list[bytes]], None], count: int, fragments: list[bytes]
) -> tuple[int, str, str] | None:
    """Go on until all is done; the index, path and reason of a refusal."""
    while len(fragments) < count:
        before = len(fragments)
        try:
            step(fragments)
        except Refusal as refusal:
            return len(fragments), refusal.path, refusal.reason
        assert len(fragments) > before
    return None


def one_by_one(
    encode: Callable[[Any], Any], given_values: list[Any]
) -> tuple[list[Any], tuple[int, str, str] | None]:
    """The same, by the function for one."""
    encoded: list[Any] = []
    for index, value in enumerate(given_values):
        try:
            encoded.append(encode(value))
        except Refusal as refusal:
            return encoded, (index, refusal.path, refusal.reason)
    return encoded, None


def never(_: Any) -> Any:
    raise AssertionError("a plain value needs no help")


@slow
@given(
    st.lists(keys | keys.map(Mapped) | st.integers(), max_size=8),
    st.sampled_from(SCHEMAS),
    st.integers(1, 200),
)
@example([{"pk": "x" * 257}, {"pk": 5}, {"pk": True}, {"pk": ""}], SCHEMAS[0], 1)
@example([{"pk": "a", "sk": 5}, {"pk": "a", "sk": "5"}], SCHEMAS[2], 1000)
@example([{"pk": "a", "sk": 5}, {"pk": 5, "sk": 5}], SCHEMAS[2], 1000)
def test_keys(codec: Codec, given_keys: list[Any], schema: KeySchema, room: int) -> None:
    def encode(key: Any) -> bytes:
        return plain.encode_key(key, schema, None)

    wanted, refused = one_by_one(encode, given_keys)
    fragments: list[bytes] = []
    told = in_bulk(
        lambda done: codec.encode_keys(given_keys, schema, encode, done, room),
        len(given_keys),
        fragments,
    )
    assert (fragments, told) == (wanted, refused)


@slow
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["pk", "sk", "a", "b"]), values.items() | key_values)
        | keys.map(Mapped)
        | st.just("no item"),
        max_size=6,
    ),
    st.sampled_from([None, *SCHEMAS]),
    st.integers(1, 400),
)
@example([{"PutRequest": {"Item": {"pk": "a"}}}, {"pk": "b"}], None, 1000)
@example([{"PutRequest": {"Item": {"pk": "a"}}}, {"pk": "b"}], SCHEMAS[0], 1000)
def test_items(codec: Codec, items: list[Any], schema: KeySchema | None, room: int) -> None:
    def encode(item: Any) -> tuple[bytes, bytes]:
        if isinstance(item, dict) and set(item) == {"PutRequest"}:
            item = item["PutRequest"]["Item"]
        return plain.encode_item(item, schema, None)

    wanted, refused = one_by_one(encode, items)
    fragments: list[bytes] = []
    identities: list[bytes] = []
    told = in_bulk(
        lambda done: codec.encode_items(items, schema, None, encode, done, identities, room),
        len(items),
        fragments,
    )
    assert list(zip(fragments, identities, strict=True)) == wanted
    assert told == refused


def test_the_room_is_a_stop(codec: Codec) -> None:
    """Whoever encodes a million keys must let the loop go in between."""
    given_keys = [{"pk": f"k{n:03}"} for n in range(100)]
    schema, fragments = SCHEMAS[0], list[bytes]()
    codec.encode_keys(given_keys, schema, lambda _: b"", fragments, 10 * len('{"pk":{"S":"k000"}}'))
    assert len(fragments) == 10
    del fragments[:]
    codec.encode_keys(given_keys, schema, never, fragments, 10 * len('{"pk":{"S":"k000"}}') + 1)
    assert len(fragments) == 11
    items = [{**key, "n": 1} for key in given_keys]
    fragments, identities = [], list[bytes]()
    codec.encode_items(items, schema, None, lambda _: (b"", b""), fragments, identities, 1)
    assert len(fragments) == len(identities) == 1
    size = len(fragments[0])
    for room, count in ((2 * size, 2), (2 * size + 1, 3)):
        fragments, identities = [], []
        codec.encode_items(items, schema, None, never, fragments, identities, room)
        assert len(fragments) == len(identities) == count


def test_what_takes_unknown_time_is_a_stop_too(codec: Codec) -> None:
    items = [Mapped(pk=f"{n}", n=1) for n in range(3)]
    fragments, identities = list[bytes](), list[bytes]()
    codec.encode_items(items, SCHEMAS[0], None, lambda _: (b"f", b"i"), fragments, identities, ROOM)
    assert (fragments, identities) == ([b"f"], [b"i"])


def test_an_items_bytes_are_no_larger_than_they_must_be() -> None:
    """They are kept until the item is written: the JSON writer's own keep 1 KB and more."""
    items = [{"pk": f"{n:06}", "text": "x" * 400} for n in range(500)]
    plain.encode_item(items[0], SCHEMAS[0], None)
    tracemalloc.start()
    kept = [plain.encode_item(item, SCHEMAS[0], None)[0] for item in items]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2 * sum(map(len, kept))


# --- Answers ---


def page(items: list[dict[str, Any]], tables: int = 1) -> bytes:
    encoded = [orjson.loads(plain.encode_item(item, None, None)[0]) for item in items]
    responses = {f"t{table}": encoded[table::tables] for table in range(tables)}
    return orjson.dumps({"Responses": responses, "UnprocessedKeys": {}})


def identity(name: str) -> bytes:
    return plain.encode_key({"pk": name}, None, None)


# Items of one layout, of another, in another order, with odd numbers in between.
pages = st.lists(
    st.sampled_from(
        [
            {"a": 1, "b": 2.5, "c": "x", "d": None, "e": True, "f": [1], "g": {"h": 1}},
            {"g": {"h": 1}, "f": [2], "e": False, "d": None, "c": "y", "b": 0.5, "a": 7},
            {"a": 1, "b": 2.5, "c": "x", "d": None, "e": True, "f": [1], "x": b"y"},
            {"a": Decimal("1E+100"), "b": 2, "c": "x", "d": None, "e": True, "f": [1], "g": 0},
            {"n": 1},
            {},
        ]
    ),
    max_size=12,
)


@slow
@given(pages, st.integers(1, 5), st.integers(1, 2), st.data())
def test_take(
    codec: Codec, rest: list[dict[str, Any]], most: int, tables: int, data: st.DataObject
) -> None:
    items = [{"pk": f"{n}", **attributes} for n, attributes in enumerate(rest)]
    items = [dict(data.draw(st.permutations(list(item.items())))) for item in items[:2]] + items[2:]
    marks = [b"%d:" % table for table in range(tables)]
    names: AnswerKeys = ("pk",)
    if tables > 1:

        def names(table: str) -> tuple[bytes, tuple[str]]:
            return marks[int(table[1:])], ("pk",)

    else:
        marks = [b""]
    asked = {marks[n % tables] + identity(f"{n}"): n for n in range(len(items) + 1)}
    body = page(items, tables)
    answer = codec.read_answer(body, names, "native")
    entries: list[int] = []
    places: list[Any] = [None] * (len(items) + 1)
    more = True
    while more:
        before = len(entries)
        more = answer.items.take(asked, most, entries, places)
        assert len(entries) - before <= most
        assert sum(place is not None for place in places) == len(entries)
    found = [places[entry] for entry in entries]
    assert sorted(entries) == list(range(len(items)))
    assert list(asked.values()) == [len(items)]
    for entry, item in zip(entries, found, strict=True):
        assert exactly(item) == exactly(
            {**items[entry], "a": item["a"]} if "a" in item else items[entry]
        )
    again = list(codec.read_answer(body, names, "native").items)
    assert [exactly(item) for _, item in again] == list(map(exactly, found))
    assert not answer.items.take(asked, most, entries, places)


@pytest.mark.parametrize("at", [0, 3, 7])
@pytest.mark.parametrize("what", ["odd", "unasked", "twice"])
def test_what_was_decoded_before_something_malformed_is_given(
    codec: Codec, at: int, what: str
) -> None:
    items = [{"pk": f"{n}", "a": n} for n in range(8)]
    body = orjson.loads(page(items))
    asked = {identity(f"{n}"): n for n in range(8)}
    if what == "odd":
        body["Responses"]["t0"][at]["a"] = {"N": "five"}
    elif what == "unasked":
        del asked[identity(f"{at}")]
    else:
        body["Responses"]["t0"].insert(at, body["Responses"]["t0"][at - 1 if at else 0])
        at = at or 1
    answer = codec.read_answer(orjson.dumps(body), ("pk",), "native")
    entries: list[int] = []
    found: list[Any] = [None] * 8
    with pytest.raises(Malformed) as caught:
        answer.items.take(asked, 100, entries, found)
    if what != "odd":
        assert caught.value.reason == "it has an item that was not asked for, or one twice"
    assert found == items[:at] + [None] * (8 - at)
    assert entries == list(range(at))


def test_all_that_there_is_room_for_is_encoded_at_once(codec: Codec) -> None:
    items = [{"pk": str(number), "v": number} for number in range(5)]
    fragments: list[bytes] = []
    identities: list[bytes] = []
    codec.encode_items(items, SCHEMAS[0], None, never, fragments, identities, ROOM)
    assert [orjson.loads(one)["pk"]["S"] for one in fragments] == list("01234")
    assert [orjson.loads(one) for one in identities] == [{"pk": {"S": n}} for n in "01234"]
    keys = [{"pk": str(number)} for number in range(5)]
    encoded: list[bytes] = []
    codec.encode_keys(keys, SCHEMAS[0], never, encoded, ROOM)
    assert encoded == identities


@pytest.mark.parametrize(
    ("value", "types", "needs_help"),
    [
        ("a", {}, False),
        ("a", {"pk": "S"}, False),
        ("a", {"pk": "N"}, True),
        ("", {}, True),
        ("é" * 256, {}, False),
        ("é" * 257, {}, True),
        (5, {}, False),
        (5, {"pk": "N"}, False),
        (5, {"pk": "S"}, True),
        (10**38 - 1, {}, False),
        (1 - 10**38, {}, False),
        (10**38, {}, True),
        (-(10**38), {}, True),
        (True, {}, True),
        (5.0, {}, True),
        (b"a", {}, True),
    ],
    ids=range(16),
)
def test_which_keys_need_the_function_for_one(
    value: Any, types: dict[str, Any], needs_help: bool
) -> None:
    """The others are what makes many keys cheap."""
    schema = KeySchema(("pk",), ordered=True, types=types or None)
    encoded: list[bytes] = []
    plain.encode_keys([{"pk": value}], schema, lambda _: b"helped", encoded, ROOM)
    assert (encoded == [b"helped"]) is needs_help
    if not needs_help:
        assert encoded == [plain.encode_key({"pk": value}, schema, None)]


def test_a_key_that_is_no_text_is_left_to_the_function_for_one(codec: Codec) -> None:
    keys = [{"pk": "a"}, {"pk": "\ud800"}, {"pk": "b"}]
    encoded: list[bytes] = []
    with pytest.raises(Refusal, match="surrogate"):
        codec.encode_keys(
            keys, SCHEMAS[0], lambda key: codec.encode_key(key, SCHEMAS[0], None), encoded, ROOM
        )
    assert encoded == [b'{"pk":{"S":"a"}}']


def test_a_view_of_bytes_is_written_as_bytes(codec: Codec) -> None:
    view = memoryview(b"0123456789")[2:8:2]
    assert codec.encode_item({"pk": view, "v": [view]}, SCHEMAS[0], None) == codec.encode_item(
        {"pk": b"246", "v": [b"246"]}, SCHEMAS[0], None
    )


class Money(Decimal):
    """A caller's own kind of number."""

    def __str__(self) -> str:
        return f"{Decimal(self):.2f} EUR"


def test_a_subclass_of_decimal_is_written_as_the_number(codec: Codec) -> None:
    item = {"pk": "a", "price": Money("12.5"), "prices": [Money("0.10")], "all": {Money(3)}}
    plainly = {"pk": "a", "price": Decimal("12.5"), "prices": [Decimal("0.1")], "all": {3}}
    assert codec.encode_item(item, SCHEMAS[0], None) == codec.encode_item(plainly, SCHEMAS[0], None)
