import collections
import dataclasses
import enum
import pickle
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import orjson
import pydantic
import pytest
from boto3.dynamodb.types import (  # type: ignore[import-untyped]
    Binary,
    TypeDeserializer,
    TypeSerializer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from aiobatch.codec import KeySchema, Refusal, Serialize
from tests.codec.subject import decode_item, encode_item, encode_values
from tests.codec.values import decimals, extremes, integers, items, plain


def encoded(item: Any, serialize: Serialize | None = None) -> dict[str, Any]:
    fragment, identity = encode_item(item, None, serialize)
    assert identity == b""
    parsed = orjson.loads(fragment)
    assert isinstance(parsed, dict)
    return parsed


def value_of(value: Any, serialize: Serialize | None = None) -> Any:
    return encoded({"a": value}, serialize)["a"]


def refused(item: Any, serialize: Serialize | None = None, schema: Any = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        encode_item(item, schema, serialize)
    return caught.value


# --- Round trips and boto3 ---


@settings(deadline=None, max_examples=150)
@given(items())
def test_round_trip(item: dict[str, Any]) -> None:
    assert plain(decode_item(encoded(item), "decimal")) == plain(item)
    assert plain(decode_item(encoded(item), "strict")) == plain(item)


@settings(deadline=None, max_examples=150)
# boto3 counts the zeros at a number's end among its 38 digits, DynamoDB and aiobatch do not.
@given(items(integers | decimals(zeros=False)))
def test_boto3_writes_and_reads_the_same(item: dict[str, Any]) -> None:
    like_boto3(item)


@settings(deadline=None, max_examples=60)
@given(extremes())
def test_boto3_writes_and_reads_the_same_at_the_limits(item: dict[str, Any]) -> None:
    like_boto3(item)
    assert plain(decode_item(encoded(item), "strict")) == plain(item)


def like_boto3(item: dict[str, Any]) -> None:
    ours = encoded(item)
    reference = TypeSerializer().serialize(item)["M"]
    assert _comparable(ours) == _comparable(reference)
    read_by_boto3 = TypeDeserializer().deserialize({"M": _with_bytes(ours)})
    assert decode_item(ours, "decimal") == read_by_boto3


def _comparable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """An encoded item with numbers and binary by value, for boto3 has other texts for both."""

    def of(typed: Mapping[str, Any]) -> Any:
        [(tag, value)] = typed.items()
        match tag:
            case "M":
                return tag, _comparable(value)
            case "L":
                return tag, [of(element) for element in value]
            case "N":
                return tag, Decimal(value)
            case "NS":
                return tag, frozenset(map(Decimal, value))
            case "B":
                return tag, _bytes(value)
            case "BS":
                return tag, frozenset(map(_bytes, value))
            case "SS":
                return tag, frozenset(value)
        return tag, value

    return {name: of(typed) for name, typed in attributes.items()}


def _bytes(value: Any) -> bytes:
    # boto3 leaves base64 to botocore.
    decoded = decode_item({"b": {"B": value}}, "native")["b"] if isinstance(value, str) else value
    assert isinstance(decoded, bytes)
    return decoded


def _with_bytes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    def of(typed: Mapping[str, Any]) -> Any:
        [(tag, value)] = typed.items()
        match tag:
            case "M":
                return {tag: _with_bytes(value)}
            case "L":
                return {tag: [of(element) for element in value]}
            case "B":
                return {tag: _bytes(value)}
            case "BS":
                return {tag: [_bytes(element) for element in value]}
        return typed

    return {name: of(typed) for name, typed in attributes.items()}


# --- Types ---


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "never this"


class Odd(float):
    __slots__ = ()

    def __repr__(self) -> str:
        return "never this"


class Blob(bytes):
    """Not exactly bytes."""


class Pair(NamedTuple):
    one: Any
    two: str


class Plain(enum.Enum):
    ONE = 1


class Binaries(enum.Enum):
    ONE = b"1"


def of_the_name_binary(value: Any) -> Any:
    """What has the name of boto3's class, and may hold anything."""
    return type("Binary", (), {"value": value})()


@dataclasses.dataclass
class Address:
    city: str
    tags: list[str]


class Model(pydantic.BaseModel):
    pk: str
    address: dict[str, int]


class Resource(dict[str, Any]):
    """A dict too: the method goes before the mapping."""

    def to_resource_dictionary(self) -> dict[str, Any]:
        return {"pk": "from the method", "n": Decimal(1)}


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("", {"S": ""}),
        ("é\u2028", {"S": "é\u2028"}),
        (Color.RED, {"S": "red"}),
        (Shouting("x"), {"S": "x"}),
        (5, {"N": "5"}),
        (10**38 - 1, {"N": "9" * 38}),
        (10**38, {"N": "1E+38"}),
        (-(10**38), {"N": "-1E+38"}),
        (Level.HIGH, {"N": "3"}),
        (0.5, {"N": "0.5"}),
        (Odd(0.5), {"N": "0.5"}),
        (Decimal("5.00"), {"N": "5"}),
        (True, {"BOOL": True}),
        (False, {"BOOL": False}),
        (None, {"NULL": True}),
        (b"", {"B": ""}),
        (b"\x00\xff", {"B": "AP8="}),
        (bytearray(b"a"), {"B": "YQ=="}),
        (Blob(b"a"), {"B": "YQ=="}),
        (memoryview(b"abcd")[::2], {"B": "YWM="}),
        (Binary(b"a"), {"B": "YQ=="}),
        (Binary(bytearray(b"a")), {"B": "YQ=="}),
        ([], {"L": []}),
        ([1, "a", [None]], {"L": [{"N": "1"}, {"S": "a"}, {"L": [{"NULL": True}]}]}),
        ((1, 2), {"L": [{"N": "1"}, {"N": "2"}]}),
        (Pair(1, "a"), {"L": [{"N": "1"}, {"S": "a"}]}),
        ({}, {"M": {}}),
        ({"b": {"c": 1}}, {"M": {"b": {"M": {"c": {"N": "1"}}}}}),
        (collections.OrderedDict(b=1), {"M": {"b": {"N": "1"}}}),
        (types.MappingProxyType({"b": 1}), {"M": {"b": {"N": "1"}}}),
        ({Color.RED: 1}, {"M": {"red": {"N": "1"}}}),
        # What the JSON writer refuses is looked through, with all that stands beside it.
        (
            {Color.RED: {"x"}, "n": {1}, "l": [True, "y", b"z"]},
            {
                "M": {
                    "red": {"SS": ["x"]},
                    "n": {"NS": ["1"]},
                    "l": {"L": [{"BOOL": True}, {"S": "y"}, {"B": "eg=="}]},
                }
            },
        ),
        (Address("x", ["y"]), {"M": {"city": {"S": "x"}, "tags": {"L": [{"S": "y"}]}}}),
        (
            Model(pk="a", address={"n": 1}),
            {"M": {"pk": {"S": "a"}, "address": {"M": {"n": {"N": "1"}}}}},
        ),
        ({"a"}, {"SS": ["a"]}),
        (frozenset({1}), {"NS": ["1"]}),
        ({b"a"}, {"BS": ["YQ=="]}),
        ({"k": 1}.keys(), {"SS": ["k"]}),
        ({Color.RED}, {"SS": ["red"]}),
        ({0.1, Decimal("0.1")}, {"NS": ["0.1"]}),
        ({b"x", Binary(b"x")}, {"BS": ["eA=="]}),
        (np.int64(5), {"N": "5"}),
        (np.uint8(5), {"N": "5"}),
        (np.float64(0.1), {"N": "0.1"}),
        (np.float32(0.5), {"N": "0.5"}),
        (np.array(5.0), {"N": "5"}),
        (np.array("a"), {"S": "a"}),
        (np.array(b"a"), {"B": "YQ=="}),
        (np.bool_(True), {"BOOL": True}),
        (np.str_("a"), {"S": "a"}),
        (np.bytes_(b"a"), {"B": "YQ=="}),
        ({np.int64(5), 5.0}, {"NS": ["5"]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_types(value: Any, typed: dict[str, Any]) -> None:
    assert value_of(value) == typed
    assert value_of([value]) == {"L": [typed]}


@pytest.mark.parametrize(
    "item",
    [
        {"pk": "a", "n": 1},
        collections.UserDict(pk="a", n=1),
        types.MappingProxyType({"pk": "a", "n": 1}),
        dataclasses.make_dataclass("Item", [("pk", str), ("n", int)])("a", 1),
        pydantic.create_model("Item", pk=(str, ...), n=(int, ...))(pk="a", n=1),
        type("Item", (), {"to_resource_dictionary": lambda _self: {"pk": "a", "n": 1}})(),
    ],
    ids=["dict", "UserDict", "proxy", "dataclass", "pydantic", "to_resource_dictionary"],
)
def test_forms_of_an_item(item: Any) -> None:
    assert encoded(item) == {"pk": {"S": "a"}, "n": {"N": "1"}}


def test_to_resource_dictionary_goes_before_the_rest() -> None:
    assert encoded(Resource(pk="from the dict")) == {
        "pk": {"S": "from the method"},
        "n": {"N": "1"},
    }


def test_what_is_no_item() -> None:
    for item, kind in (
        (None, "a NoneType"),
        (5, "an int"),
        ("text", "a str"),
        ([("pk", "a")], "a list"),
        ({"pk"}, "a set"),
        (Address, "a type"),
        (object(), "an object"),
    ):
        refusal = refused(item)
        assert refusal.path == ""
        assert refusal.reason == (
            f"is {kind}, not an item: pass a mapping, a dataclass, a pydantic model, a msgspec"
            " struct, an attrs object, or an object with to_resource_dictionary()"
        )


def test_an_item_that_serialize_makes() -> None:
    class Thing:
        name = "a"

    assert encoded(Thing(), lambda thing: {"pk": thing.name}) == {"pk": {"S": "a"}}


def test_a_form_that_fails() -> None:
    class Raises:
        def to_resource_dictionary(self) -> dict[str, Any]:
            raise KeyError("secret")

    class Returns:
        def model_dump(self) -> Any:
            return ["secret"]

    refusal = refused({"a": Raises()})
    assert str(refusal) == "a: is a Raises, whose to_resource_dictionary() raised KeyError"
    assert isinstance(refusal.__cause__, KeyError)
    assert (
        str(refused(Returns())) == "is a Returns, whose model_dump() returned a list, not a mapping"
    )


# --- serialize= ---


def test_serialize_gets_what_is_not_known_and_its_result_is_encoded_in_turn() -> None:
    def serialize(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, uuid.UUID):
            return [value.bytes, {"when": datetime(2024, 1, 2, tzinfo=UTC)}]
        if isinstance(value, Plain):
            return Level.HIGH
        raise TypeError(value)

    assert value_of(datetime(2024, 1, 2, tzinfo=UTC), serialize) == {
        "S": "2024-01-02T00:00:00+00:00"
    }
    assert value_of(uuid.UUID(int=0), serialize) == {
        "L": [
            {"B": "AAAAAAAAAAAAAAAAAAAAAA=="},
            {"M": {"when": {"S": "2024-01-02T00:00:00+00:00"}}},
        ]
    }
    assert value_of(Plain.ONE, serialize) == {"N": "3"}
    assert value_of({Plain.ONE, 3}, serialize) == {"NS": ["3"]}
    # What DynamoDB knows never goes through it.
    assert value_of([1, "a", Color.RED, None, {"b": {2}}, Address("x", [])], serialize)


class Unknown:
    """What only the caller knows."""


@pytest.mark.parametrize(
    ("result", "typed"),
    [
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (5, {"N": "5"}),
        (Shouting("x"), {"S": "x"}),
        ([1], {"L": [{"N": "1"}]}),
    ],
    ids=str,
)
def test_what_serialize_may_return(result: Any, typed: dict[str, Any]) -> None:
    assert value_of(Unknown(), lambda _value: result) == typed
    assert value_of([Unknown()], lambda _value: result) == {"L": [typed]}


@pytest.mark.parametrize("by_serialize", [False, True])
@pytest.mark.parametrize(
    ("wrap", "typed"),
    [
        (lambda x: [x], {"L": [{"S": "x"}]}),
        (lambda x: Pair(x, "y"), {"L": [{"S": "x"}, {"S": "y"}]}),
        (lambda x: {"m": x}, {"M": {"m": {"S": "x"}}}),
        (lambda x: collections.OrderedDict(m=x), {"M": {"m": {"S": "x"}}}),
        (lambda x: {x}, {"SS": ["x"]}),
        (lambda x: {x: 1}.keys(), {"SS": ["x"]}),
    ],
    ids=["list", "NamedTuple", "dict", "OrderedDict", "set", "keys"],
)
def test_serialize_gets_what_is_inside(
    wrap: Callable[[Any], Any], typed: dict[str, Any], by_serialize: bool
) -> None:
    class Wrapped:
        pass

    def serialize(value: Any) -> Any:
        return wrap(Unknown()) if isinstance(value, Wrapped) else "x"

    assert value_of(Wrapped() if by_serialize else wrap(Unknown()), serialize) == typed


def test_serialize_that_fails() -> None:
    def raising(_value: Any) -> Any:
        raise RuntimeError("secret")

    refusal = refused({"a": [1, date(2024, 1, 2)]}, raising)
    assert str(refusal) == "a[1]: is a date, for which serialize= raised RuntimeError"
    assert isinstance(refusal.__cause__, RuntimeError)
    refusal = refused({"a": {date(2024, 1, 2)}}, raising)
    assert isinstance(refusal.__cause__, RuntimeError)
    assert refusal.path == "a"


def test_serialize_that_does_not_help() -> None:
    refusal = refused({"a": date(2024, 1, 2)}, lambda value: value)
    assert str(refusal) == (
        "a: is a date, for which serialize= returned a date, which DynamoDB has no type for"
    )
    assert "is NaN" in refused({"a": date(2024, 1, 2)}, lambda _value: float("nan")).reason
    # One that wraps its value for ever ends where nesting does.
    assert "levels deep" in refused({"a": date(2024, 1, 2)}, lambda value: [value]).reason


# --- Refusals ---


def cyclic() -> dict[str, Any]:
    item: dict[str, Any] = {"SECRET": []}
    item["SECRET"].append(item)
    return item


class FailingMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        return object()

    def __iter__(self) -> Iterator[str]:
        return iter(("x",))

    def __len__(self) -> int:
        return 1


SECRET = 271828

ALL_OF_A_SET = (
    "in DynamoDB the elements of a set are all strings, all numbers or all binary; use a list"
)

REFUSALS: list[tuple[Any, str, str]] = [
    ({"a": float("nan")}, "a", "is NaN"),
    ({"a": {"b": [0, float("inf")]}}, "a.b[1]", "is infinite"),
    ({"a": Decimal("sNaN271828")}, "a", "is NaN"),
    ({"a": SECRET * 10**200}, "a", "too large"),
    ({"a": Decimal("2.71828E-131")}, "a", "too small"),
    ({"a": Decimal("0." + "271828" * 7)}, "a", "more than 38 significant digits"),
    ({"a": "271828\ud800"}, "a", "lone surrogate"),
    ({"a": [{"b": "271828\udfff"}]}, "a[0].b", "lone surrogate"),
    ({"a": {"271828\ud800"}}, "a", "holds an element that has a lone surrogate"),
    ({"a": {"\ud800": 271828}}, "a", "name has a lone surrogate"),
    ({"a": set()}, "a", "empty set"),
    ({"a": [frozenset()]}, "a[0]", "empty set"),
    ({"a": {271828, "x"}}, "a", "mixed types"),
    ({"a": {271828, b"x"}}, "a", "mixed types"),
    ({"a": {True}}, "a", "holds a bool"),
    ({"a": {271828, False}}, "a", "holds a bool"),
    ({"a": {None}}, "a", "holds a NoneType"),
    ({"a": {(271828, "x")}}, "a", "holds a tuple"),
    ({"a": {((float("nan"),),)}}, "a", "holds an element that is NaN"),
    ({"a": {float("nan")}}, "a", "holds an element that is NaN"),
    ({"a": {date(2024, 1, 2)}}, "a", "holds an element that is a date"),
    ({"": 271828}, "", "empty name"),
    ({"a": {"b": {"": 271828}}}, "a.b", "empty name"),
    ({271828: 1}, "", "whose name is an int"),
    ({"a": [{None: 271828}]}, "a[0]", "whose name is a NoneType"),
    ({271828: float("nan")}, "", "is NaN"),
    ({"a": datetime(2024, 1, 2, tzinfo=UTC)}, "a", "is a datetime, which DynamoDB has no type for"),
    ({"a": timedelta(271828)}, "a", "is a timedelta"),
    ({"a": uuid.UUID(int=271828)}, "a", "is a UUID, which DynamoDB has no type for: convert it"),
    ({"a": {(271828, "x"): 1}.keys()}, "a", "holds a tuple"),
    ({"a": Binaries.ONE}, "a", "is a Binaries, which DynamoDB has no type for: use its value"),
    ({"a": of_the_name_binary(271828)}, "a", "is a Binary, which DynamoDB has no type for"),
    ({"a": np.errstate()}, "a", "is an errstate, which DynamoDB has no type for"),
    ({"a": Plain.ONE}, "a", "is a Plain, which DynamoDB has no type for: use its value"),
    ({"a": complex(271828)}, "a", "is a complex"),
    ({"a": object()}, "a", "is an object"),
    ({"a": {"b": FailingMapping()}}, "a.b.x", "is an object"),
    ({"a": range(271828)}, "a", "is a range"),
    ({"a": Address}, "a", "is a type"),
    ({"a": np.array([271828])}, "a", "is a ndarray"),
    ({"a": np.datetime64(271828, "ns")}, "a", "is a datetime64"),
    ({"a": np.datetime64("NaT")}, "a", "is a datetime64"),
    ({"a": np.longdouble(271828)}, "a", "is a longdouble"),
    ({"a": np.complex128(271828)}, "a", "is a complex128"),
    ({"a": np.float64("nan")}, "a", "is NaN"),
    ({"a.b": {"c d": [float("nan")]}}, "['a.b']['c d'][0]", "is NaN"),
    ({"a": {"é": {"1": float("nan")}}}, "a.é['1']", "is NaN"),
    ({"a": Address("x", [float("nan")])}, "a.tags[0]", "is NaN"),  # type: ignore[list-item]
    (cyclic(), "SECRET" + "[0].SECRET" * 15 + "[0]", "nested more than 32 levels"),
    ({"a": "271828" * 70_000}, "", "bytes as DynamoDB counts"),
    ({"a": {"x" * 65_536: 271828}}, "a", "name is over 65535 bytes"),
    ({"a": [{"é" * 32_768: 271828}]}, "a[0]", "name is over 65535 bytes"),
]


@pytest.mark.parametrize(("item", "path", "reason"), REFUSALS, ids=range(len(REFUSALS)))
def test_refusals(item: Any, path: str, reason: str) -> None:
    refusal = refused(item)
    assert refusal.path == path
    assert reason in refusal.reason
    assert str(refusal) == (f"{path}: {refusal.reason}" if path else refusal.reason)
    assert str(SECRET) not in str(refusal)
    # Nor does an error behind it hold the value.
    assert refusal.__cause__ is None
    assert refusal.__context__ is None or isinstance(refusal.__context__, Refusal)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (set(), "is an empty set, which DynamoDB cannot store: leave it out, or store None"),
        ({1, "x"}, f"is a set of mixed types: {ALL_OF_A_SET}"),
        ({None}, f"holds a NoneType: {ALL_OF_A_SET}"),
        (
            {"x" * 65_536: 1},
            "has an attribute whose name is over 65535 bytes, the most that DynamoDB takes",
        ),
    ],
    ids=["empty", "mixed", "other", "name"],
)
def test_what_a_refusal_says(value: Any, reason: str) -> None:
    assert refused({"a": value}).reason == reason


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Plain.ONE, "use its value, or pass serialize="),
        (date(2024, 1, 2), "convert it (to isoformat(), say), or pass serialize="),
        (time(1, 2), "convert it (to isoformat(), say), or pass serialize="),
        (timedelta(1), "convert it (to total_seconds(), say), or pass serialize="),
        (object(), "convert it, or pass serialize="),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_refusal_advises(value: Any, advice: str) -> None:
    assert refused({"a": value}).reason.endswith(f", which DynamoDB has no type for: {advice}")


def test_an_item_at_its_largest() -> None:
    assert encoded({"a": "x" * (409_600 - 1)})
    assert refused({"a": "x" * 409_600}).reason == (
        "is 409601 bytes as DynamoDB counts, names and values; an item has at most 409600 "
        "(400 KB): split it, or store the large part elsewhere"
    )


def test_a_refusal_can_be_pickled_with_the_path_that_it_has_by_then() -> None:
    refusal = refused({"a": [{"b": object()}]})
    again = pickle.loads(pickle.dumps(refusal))
    assert type(again) is Refusal
    assert (again.path, again.reason) == (refusal.path, refusal.reason)
    assert again.path == "a[0].b"


def test_attributes_beside_the_refused_one_do_not_matter() -> None:
    item = {"z": 1, "a": [{"y": "fine"}, {"x": {"w": {"v": object()}}}], "b": 2}
    assert refused(item).path == "a[1].x.w.v"


def test_names_at_their_longest() -> None:
    assert encoded({"x" * 65_535: 1})


# --- Nesting: AWS takes a scalar under 31 lists or maps, and refuses it under 32 ---


def nested(levels: int, inner: Any, wrap: Callable[[Any], Any]) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: [x],
        lambda x: (x,),
        lambda x: {"m": x},
        lambda x: Pair(x, "y"),
        lambda x: collections.OrderedDict(m=x),
    ],
    ids=["list", "tuple", "dict", "NamedTuple", "OrderedDict"],
)
def test_32_levels(wrap: Callable[[Any], Any]) -> None:
    for leaf in (1, "x", {1, 2}):
        assert encoded({"a": nested(31, leaf, wrap)})
        assert "levels deep" in refused({"a": nested(32, leaf, wrap)}).reason
    # An empty list on level 32 holds nothing below it.
    assert encoded({"a": nested(31, [], wrap)})
    assert "levels deep" in refused({"a": nested(100, [], wrap)}).reason


def test_the_deepest_item_reads_back() -> None:
    item = {"a": nested(31, 1, lambda x: {"m": [x]} if isinstance(x, dict) else {"m": x})}
    shallow = {"a": nested(15, 1, lambda x: {"m": [x]})}
    for value in (shallow, {"a": nested(31, 1, lambda x: [x])}):
        assert decode_item(encoded(value), "native") == value
    assert "levels deep" in refused(item).reason


# --- Expression values ---


def test_expression_values() -> None:
    assert orjson.loads(encode_values({":a": 5.0, ":b": {"x"}}, None)) == {
        ":a": {"N": "5"},
        ":b": {"SS": ["x"]},
    }
    with pytest.raises(Refusal) as caught:
        encode_values({":a": [float("nan")]}, None)
    assert caught.value.path == "[':a'][0]"
    assert encode_values({":a": Unknown()}, lambda _value: 5) == b'{":a":{"N":"5"}}'
    assert encode_values({":a": nested(31, 1, lambda x: [x])}, None)
    with pytest.raises(Refusal, match="levels deep"):
        encode_values({":a": nested(32, 1, lambda x: [x])}, None)


@settings(deadline=None, max_examples=100)
@given(items(), st.booleans())
def test_any_item_is_one_json_text(item: dict[str, Any], with_key: bool) -> None:
    schema = KeySchema.from_names(("the key",)) if with_key else None
    fragment, _ = encode_item({**item, "the key": "k"}, schema, None)
    assert orjson.dumps(orjson.loads(fragment)) == fragment
