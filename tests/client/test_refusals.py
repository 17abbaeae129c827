"""Bad input: the error names the index, the path and the reason, and nothing is sent.

One table for all that sections 2 and 3 of the contract refuse. `SECRET` stands in the values, which
no error may quote.
"""

import functools
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy
import pytest

from aiobatch import DynamoDB, InvalidItem
from tests.client.conftest import Connect
from tests.client.server import Server

SECRET = "s3cr3t"
TABLE = "users"
NAMES = {TABLE: ("pk", "sk")}


def nested(levels: int, bottom: Any = SECRET, kind: str = "list") -> Any:
    value = bottom
    for _ in range(levels):
        value = [value] if kind == "list" else {"in": value}
    return value


class Colour(Enum):
    RED = SECRET


@dataclass
class Row:
    pk: str
    sk: str
    inner: Any


class Failing:
    def to_resource_dictionary(self) -> dict[str, Any]:
        raise RuntimeError(SECRET)


class Shapeless:
    def model_dump(self) -> list[str]:
        return [SECRET]


class Opaque:
    def __repr__(self) -> str:
        return SECRET


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


def item(**attributes: Any) -> dict[str, Any]:
    return {"pk": SECRET, "sk": SECRET, **attributes}


# What it is called: the item, the path, words of the reason.
VALUES: dict[str, tuple[Any, str, str]] = {
    # numbers
    "NaN": (item(v=math.nan), "v", "NaN"),
    "NaN in a list": (item(v=[1, {"deep": [math.nan]}]), "v[1].deep[0]", "NaN"),
    "decimal NaN": (item(v=Decimal("NaN")), "v", "NaN"),
    "signalling NaN": (item(v=Decimal("sNaN")), "v", "NaN"),
    "numpy NaN": (item(v=numpy.float64("nan")), "v", "NaN"),
    "infinity": (item(v=math.inf), "v", "infinite"),
    "negative infinity": (item(v={"a": -math.inf}), "v.a", "infinite"),
    "decimal infinity": (item(v=Decimal("-Infinity")), "v", "infinite"),
    "39 digits": (item(v=int("1" * 39)), "v", "38 significant digits"),
    "39 decimal digits": (item(v=Decimal("0." + "1" * 39)), "v", "38 significant digits"),
    "1E126": (item(v=10**126), "v", "too large"),
    "a huge float": (item(v=-1.5e300), "v", "too large"),
    "a huge int": (item(v=7**9000), "v", "too large"),
    "decimal 1E126": (item(v=Decimal("1E126")), "v", "too large"),
    "1E-131": (item(v=Decimal("1E-131")), "v", "too small"),
    "a tiny float": (item(v=5e-324), "v", "too small"),
    "number in a set": (item(v={1, math.nan}), "v", "NaN"),
    # text
    "lone surrogate": (item(v=f"{SECRET}\ud800"), "v", "surrogate"),
    "surrogate in a list": (item(v=["a", ["\udfff"]]), "v[1][0]", "surrogate"),
    "surrogate in a set": (item(v={"\ud800"}), "v", "surrogate"),
    "surrogate in a key": ({"pk": "\ud800", "sk": "a"}, "pk", "surrogate"),
    "surrogate in a name": (item(v={"\ud800": 1}), "v", "surrogate"),
    # structure
    "33 levels of lists": (item(v=nested(33)), "v" + "[0]" * 31, "32"),
    "33 levels of maps": (item(v=nested(33, kind="map")), "v" + ".in" * 31, "32"),
    "no end": (item(v=ITSELF), "v" + "[0]" * 31, "32"),
    "empty set": (item(v=set()), "v", "empty set"),
    "empty frozenset": (item(a={"b": [frozenset()]}), "a.b[0]", "empty set"),
    "mixed set": (item(v={1, SECRET}), "v", "mixed"),
    "mixed binary set": (item(v={b"a", SECRET}), "v", "mixed"),
    "set with none": (item(v={None}), "v", "set"),
    "set with a bool": (item(v={True}), "v", "set"),
    "set with a tuple": (item(v={(1, 2)}), "v", "set"),
    # names
    "name no string": (item(v={5: SECRET}), "v", "name"),
    "top name no string": ({**item(), 7: SECRET}, "", "name"),
    "bytes name": ({**item(), b"x": SECRET}, "", "name"),
    "empty name": (item(v={"": SECRET}), "v", "empty name"),
    "long name": ({**item(), "n" * 65_536: 1}, "", "65535"),
    "odd name in the path": (item(**{"a.b": {"c d": math.nan}}), "['a.b']['c d']", "NaN"),
    # types
    "object": (item(v=Opaque()), "v", "Opaque"),
    "class": (item(v=Row), "v", "type"),
    "function": (item(v=nested), "v", "function"),
    "complex": (item(v=1j), "v", "complex"),
    "datetime": (item(v=datetime(2026, 1, 1)), "v", "datetime"),
    "date": (item(v=[date(2026, 1, 1)]), "v[0]", "isoformat"),
    "timedelta": (item(v=timedelta(1)), "v", "total_seconds"),
    "enum": (item(v=Colour.RED), "v", "Colour"),
    "uuid": (item(v=UUID(int=1)), "v", "UUID"),
    "generator": (item(v=(n for n in "ab")), "v", "generator"),
    "numpy array": (item(v=numpy.zeros(2)), "v", "ndarray"),
    "numpy date": (item(v=numpy.datetime64("2026-01-01")), "v", "datetime64"),
    "in a dataclass": (Row(SECRET, SECRET, {"x": math.nan}), "inner.x", "NaN"),
    "nested dataclass": (item(v=Row(SECRET, SECRET, [{1j}])), "v.inner[0]", "complex"),
    "failing method": (Failing(), "", "RuntimeError"),
    "shapeless model": (Shapeless(), "", "list"),
    "failing method inside": (item(v=[Failing()]), "v[0]", "RuntimeError"),
    # no item at all
    "text": (SECRET, "", "str"),
    "number": (5, "", "int"),
    "none": (None, "", "None"),
    "list": ([SECRET], "", "list"),
    "pairs": ([("pk", SECRET)], "", "list"),
    "class as an item": (Row, "", "type"),
    # size
    "over 400 KB": (item(v="x" * 409_600), "", "400 KB"),
    "names over 400 KB": (item(v={"n" * 60_000 + str(n): 1 for n in range(7)}), "", "400 KB"),
    "multi-byte over 400 KB": (item(v="é" * 204_800), "", "400 KB"),
}

# In an item as in a key.
KEYS: dict[str, tuple[Any, str, str]] = {
    "partition key missing": ({"sk": SECRET}, "pk", "missing"),
    "sort key missing": ({"pk": SECRET}, "sk", "missing"),
    "no attributes": ({}, "pk", "missing"),
    "empty partition key": ({"pk": "", "sk": SECRET}, "pk", "empty"),
    "empty sort key": ({"pk": SECRET, "sk": ""}, "sk", "empty"),
    "empty binary key": ({"pk": b"", "sk": SECRET}, "pk", "empty"),
    "bool key": ({"pk": True, "sk": SECRET}, "pk", "string, a number or binary"),
    "null key": ({"pk": SECRET, "sk": None}, "sk", "string, a number or binary"),
    "list key": ({"pk": [SECRET], "sk": SECRET}, "pk", "string, a number or binary"),
    "map key": ({"pk": {"S": SECRET}, "sk": SECRET}, "pk", "string, a number or binary"),
    "set key": ({"pk": {SECRET}, "sk": SECRET}, "pk", "string, a number or binary"),
    "NaN key": ({"pk": SECRET, "sk": math.nan}, "sk", "NaN"),
    "39 digits in a key": ({"pk": SECRET, "sk": int("1" * 39)}, "sk", "38"),
    "datetime key": ({"pk": SECRET, "sk": datetime(2026, 1, 1)}, "sk", "datetime"),
    "partition key of 2049": ({"pk": "p" * 2049, "sk": SECRET}, "pk", "2048"),
    "partition key in UTF-8": ({"pk": "é" * 1025, "sk": SECRET}, "pk", "2048"),
    "binary key of 2049": ({"pk": b"p" * 2049, "sk": SECRET}, "pk", "2048"),
    "sort key of 1025": ({"pk": SECRET, "sk": "s" * 1025}, "sk", "1024"),
    "sort key in UTF-8": ({"pk": SECRET, "sk": "é" * 513}, "sk", "1024"),
}
ONLY_KEYS: dict[str, tuple[Any, str, str]] = {
    "more than the key": (item(v=SECRET), "v", "not a key attribute"),
    "another name": ({"pk": SECRET, "other": SECRET}, "sk", "missing"),
}
WRAPPED: dict[str, dict[str, tuple[Any, str, str]]] = {
    "put": {
        "wrapped delete": ({"DeleteRequest": {"Key": item()}}, "", "DeleteRequest"),
        "wrapped NaN": ({"PutRequest": {"Item": item(v=math.nan)}}, "v", "NaN"),
        "wrapped twice": ({"PutRequest": {"Item": {"PutRequest": {"Item": item()}}}}, "pk", "miss"),
    },
    "delete": {
        "wrapped put": ({"PutRequest": {"Item": item()}}, "", "PutRequest"),
        "wrapped empty": ({"DeleteRequest": {"Key": {"pk": "", "sk": SECRET}}}, "pk", "empty"),
    },
}

# The client is Any here: a type checker would refuse many of these calls.
Call = Callable[[Any, Any], Awaitable[Any]]
GOOD = [{"pk": str(n), "sk": str(n)} for n in range(4)]


def among_good(bad: Any) -> list[Any]:
    """At index 2 of five."""
    return [*GOOD[:2], bad, *GOOD[2:]]


BATCHES: dict[str, Call] = {
    "batch put": lambda db, bad: db.batch_write_item(among_good(bad), TABLE),
    "batch delete": lambda db, bad: db.batch_write_item(among_good(bad), TABLE, operation="delete"),
    "batch get": lambda db, bad: db.batch_get_item(among_good(bad), TABLE),
    "ordered batch get": lambda db, bad: db.batch_get_item(
        among_good(bad), TABLE, ordered=True, projection_expression="a"
    ),
}
SINGLES: dict[str, Call] = {
    "save": lambda db, bad: db.save(bad, TABLE),
    "save if new": lambda db, bad: db.save(bad, TABLE, fail_if_exists=True),
    "delete": lambda db, bad: db.delete(bad, TABLE),
    "get": lambda db, bad: db.get(bad, TABLE),
}

CASES = [
    *(("batch put", *case) for case in (VALUES | KEYS | WRAPPED["put"]).items()),
    *(("batch delete", *case) for case in (KEYS | ONLY_KEYS | WRAPPED["delete"]).items()),
    *(("batch get", *case) for case in (KEYS | ONLY_KEYS).items()),
    *(("ordered batch get", *case) for case in ONLY_KEYS.items()),
    *(("save", *case) for case in (VALUES | KEYS).items()),
    *(("save if new", *case) for case in KEYS.items()),
    *(("delete", *case) for case in (KEYS | ONLY_KEYS).items()),
    *(("get", *case) for case in (KEYS | ONLY_KEYS).items()),
]


@pytest.mark.parametrize(
    ("call", "case"),
    [(call, case) for call, _, case in CASES],
    ids=[f"{call}-{label}" for call, label, _ in CASES],
)
async def test_refused_before_anything_is_sent(
    call: str, case: tuple[Any, str, str], connect: Connect, server: Server
) -> None:
    bad, path, words = case
    db = connect(key_names=NAMES)
    with pytest.raises(InvalidItem) as caught:
        await (BATCHES | SINGLES)[call](db, bad)
    error = caught.value
    assert server.asked == []
    assert error.index == (2 if call in BATCHES else None)
    assert error.path == path
    assert words in error.reason
    assert isinstance(error, ValueError)
    what = "item" if call in ("batch put", "save", "save if new") else "key"
    place = f"{what} 2" if call in BATCHES else what
    where = f", attribute {path}" if path else ""
    assert str(error) == f"{place}{where}: {error.reason}"
    for text in (str(error), repr(error), error.reason):
        assert SECRET not in text
        assert "1111" not in text
        assert len(text) < 500


def failing(value: Any) -> Any:
    raise KeyError(SECRET)


def undecided(value: Any) -> Any:
    return object()


SERIALIZERS: dict[str, tuple[Callable[[Any], Any], Any, str, str]] = {
    "it raises": (failing, item(v=[Opaque()]), "v[0]", "serialize= raised KeyError"),
    "it knows no better": (undecided, item(v=Opaque()), "v", "serialize= returned an object"),
    "it gives NaN": (lambda value: math.nan, item(v={"a": Opaque()}), "v.a", "NaN"),
    "it gives no item": (lambda value: 5, Opaque(), "", "not an item"),
    "it gives an empty key": (lambda value: "", {"pk": Opaque(), "sk": "a"}, "pk", "empty"),
}


@pytest.mark.parametrize("case", SERIALIZERS)
async def test_what_serialize_makes_is_checked_too(
    case: str, connect: Connect, server: Server
) -> None:
    serialize, bad, path, words = SERIALIZERS[case]
    db = connect(key_names=NAMES, serialize=serialize)
    for call, index in (("batch put", 2), ("save", None)):
        with pytest.raises(InvalidItem, match=words) as caught:
            await (BATCHES | SINGLES)[call](db, bad)
        assert (caught.value.index, caught.value.path) == (index, path)
        assert SECRET not in str(caught.value)
        if case == "it raises":
            assert isinstance(caught.value.cause, KeyError)
    assert server.asked == []


@pytest.mark.parametrize(
    ("keys", "index", "path", "words"),
    [
        ([{}], 0, "", "0 attributes"),
        ([{"a": 1, "b": 2, "c": 3}], 0, "", "3 attributes"),
        ([{"a": "x"}, {"b": "x"}], 1, "a", "missing"),
        ([{"a": "x"}, {"a": "x", "b": SECRET}], 1, "b", "not a key attribute"),
        ([{"a": "x"}, {"a": None}], 1, "a", "string, a number or binary"),
        ([{"a": ""}], 0, "a", "empty"),
        ([{"a": "x" * 2049}], 0, "a", "2048"),
        # One of the two must be the sort key, but which?
        ([{"a": "x" * 1025, "b": "y" * 1025}], 0, "", "1024"),
        ([{"a": "x"}, SECRET], 1, "", "str"),
        ([SECRET], 0, "", "str"),
        ([{"a": {math.nan}}], 0, "a", "NaN"),
    ],
)
@pytest.mark.parametrize("operation", ["get", "delete"])
async def test_keys_of_a_table_of_which_nothing_is_known(
    operation: str,
    keys: list[Any],
    index: int,
    path: str,
    words: str,
    connect: Connect,
    server: Server,
) -> None:
    db = connect()
    call: Awaitable[Any] = (
        db.batch_get_item(keys, TABLE)
        if operation == "get"
        else db.batch_write_item(keys, TABLE, operation="delete")
    )
    with pytest.raises(InvalidItem, match=words) as caught:
        await call
    assert (caught.value.index, caught.value.path) == (index, path)
    assert SECRET not in str(caught.value)
    assert server.asked == []


async def test_items_are_checked_before_the_table_is_described(
    connect: Connect, server: Server
) -> None:
    db = connect()
    for label, (bad, path, _) in VALUES.items():
        with pytest.raises(InvalidItem) as caught:
            await db.batch_write_item([{"pk": "a"}, bad], TABLE)
        assert (caught.value.index, caught.value.path) == (1, path), label
    assert server.asked == []


async def test_a_key_that_only_the_description_tells_of(connect: Connect, server: Server) -> None:
    db = connect()
    with pytest.raises(InvalidItem) as caught:
        await db.batch_write_item([{"pk": "a"}, {"pk": 5}], TABLE)
    assert (caught.value.index, caught.value.path) == (1, "pk")
    assert "a string in the table" in caught.value.reason
    assert server.operations == ["DescribeTable"]


async def query(db: DynamoDB, values: Any) -> None:
    db.query(TABLE, "pk = :v", expression_attribute_values=values)


CONDITIONAL: dict[str, Call] = {
    "save": lambda db, values: db.save(
        {"pk": "a"}, TABLE, condition_expression="x", expression_attribute_values=values
    ),
    "delete": lambda db, values: db.delete(
        {"pk": "a"}, TABLE, condition_expression="x", expression_attribute_values=values
    ),
    "query": query,
}


@pytest.mark.parametrize("values", [{":v": math.nan}, {":v": [set()]}, {":v": 1, ":w": Opaque()}])
@pytest.mark.parametrize("call", CONDITIONAL)
async def test_values_of_expressions(
    call: str, values: dict[str, Any], connect: Connect, server: Server
) -> None:
    db = connect()
    with pytest.raises(InvalidItem) as caught:
        await CONDITIONAL[call](db, values)
    assert caught.value.index is None
    assert caught.value.path.startswith("[':")
    assert SECRET not in str(caught.value)
    assert server.asked == []


async def with_argument(name: str, db: Any, _: Any) -> None:
    await db.batch_write_item([], TABLE, **{name: "x"})


# Arguments that are wrong as such: the call, the error, words that it must have.
ARGUMENTS: dict[str, tuple[Call, type[Exception], str]] = {
    "operation": (
        lambda db, _: db.batch_write_item([], TABLE, operation="update"),
        ValueError,
        "Invalid operation 'update'. Must be 'put' or 'delete'",
    ),
    **{
        f"{name} in a batch": (
            functools.partial(with_argument, name),
            ValueError,
            "fail_if_exists=True",
        )
        for name in (
            "condition_expression",
            "ConditionExpression",
            "fail_if_exists",
            "expression_attribute_values",
            "expression_attribute_names",
            "update_expression",
            "expected",
        )
    },
    "a transaction is named": (
        lambda db, _: db.batch_write_item([], TABLE, condition_expression="x"),
        ValueError,
        "transaction",
    ),
    "unknown argument": (
        lambda db, _: db.batch_write_item([], TABLE, nonsense=1),
        TypeError,
        "nonsense",
    ),
    "one key, no list": (
        lambda db, _: db.batch_get_item({"pk": SECRET}, TABLE),
        TypeError,
        "keys must be an iterable of keys, not dict",
    ),
    "one item, no list": (
        lambda db, _: db.batch_write_item({"pk": SECRET}, TABLE),
        TypeError,
        "items must be an iterable of items, not dict",
    ),
    "text for keys": (lambda db, _: db.batch_get_item(SECRET, TABLE), TypeError, "not str"),
    "none for items": (lambda db, _: db.batch_write_item(None, TABLE), TypeError, "NoneType"),
    "an int for keys": (lambda db, _: db.batch_get_item(5, TABLE), TypeError, "not int"),
    "no table": (lambda db, _: db.batch_get_item([], ""), ValueError, "table_name"),
    "arguments swapped": (
        lambda db, _: db.batch_get_item(TABLE, GOOD),
        TypeError,
        "table_name must be a str, not list",
    ),
    "a table for get": (lambda db, _: db.get(GOOD[0], None), TypeError, "table_name"),
    "a table for save": (lambda db, _: db.save(GOOD[0], ""), ValueError, "table_name"),
    "capacity": (
        lambda db, _: db.batch_get_item([], TABLE, return_consumed_capacity="ALL"),
        ValueError,
        '"NONE", "TOTAL" or "INDEXES"',
    ),
    "capacity of writes": (
        lambda db, _: db.batch_write_item([], TABLE, return_consumed_capacity=True),
        ValueError,
        "return_consumed_capacity",
    ),
    "retry": (lambda db, _: db.batch_get_item([], TABLE, retry=3), TypeError, "aiobatch.Retry"),
    "retry of writes": (
        lambda db, _: db.batch_write_item([], TABLE, retry={"max": 1}),
        TypeError,
        "aiobatch.Retry",
    ),
    "timeout": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, timeout=-1),
        ValueError,
        "timeout must be seconds",
    ),
    "empty projection": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, projection_expression=""),
        ValueError,
        "projection_expression",
    ),
    "malformed projection": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, projection_expression="a,,b"),
        ValueError,
        "character 2",
    ),
    "projection with a list": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, projection_expression=["a"]),
        TypeError,
        "projection_expression must be a string",
    ),
    "undefined placeholder": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, projection_expression="#x"),
        ValueError,
        "#x is not defined in expression_attribute_names",
    ),
    "unused placeholder": (
        lambda db, _: db.batch_get_item(
            GOOD, TABLE, projection_expression="a", expression_attribute_names={"#x": "b"}
        ),
        ValueError,
        "#x not used",
    ),
    "names without a projection": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, expression_attribute_names={"#x": "b"}),
        ValueError,
        "without projection_expression",
    ),
    "a wrong placeholder": (
        lambda db, _: db.batch_get_item(
            GOOD, TABLE, projection_expression="x", expression_attribute_names={"x": "b"}
        ),
        ValueError,
        "'x' is no placeholder",
    ),
    "below a key": (
        lambda db, _: db.batch_get_item(GOOD, TABLE, projection_expression="pk.x"),
        ValueError,
        "key attribute",
    ),
    "projection of get": (
        lambda db, _: db.get(GOOD[0], TABLE, projection_expression="#x"),
        ValueError,
        "#x is not defined",
    ),
    "a condition object": (
        lambda db, _: db.save(GOOD[0], TABLE, condition_expression=Opaque()),
        TypeError,
        "condition objects are not taken",
    ),
    "a condition object for delete": (
        lambda db, _: db.delete(GOOD[0], TABLE, condition_expression=Opaque()),
        TypeError,
        "condition objects are not taken",
    ),
}


@pytest.mark.parametrize("case", ARGUMENTS)
async def test_wrong_arguments(case: str, connect: Connect, server: Server) -> None:
    call, kind, words = ARGUMENTS[case]
    db = connect(key_names=NAMES)
    with pytest.raises(kind) as caught:
        await call(db, None)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"limit": 0}, ValueError, "limit"),
        ({"limit": True}, ValueError, "limit"),
        ({"limit": -1}, ValueError, "limit"),
        ({"retry": 1}, TypeError, "aiobatch.Retry"),
        ({"filter_expression": Opaque()}, TypeError, "FilterExpression"),
        ({"projection_expression": "#x"}, ValueError, "#x is not defined"),
        ({"table_name": ""}, ValueError, "table_name"),
        ({"key_condition_expression": Opaque()}, TypeError, "KeyConditionExpression"),
    ],
)
async def test_a_query_refuses_before_it_is_iterated(
    arguments: dict[str, Any],
    kind: type[Exception],
    words: str,
    connect: Connect,
    server: Server,
) -> None:
    given: dict[str, Any] = {
        "table_name": TABLE,
        "key_condition_expression": "pk = :v",
        "expression_attribute_values": {":v": SECRET},
    }
    with pytest.raises(kind, match=words):
        connect().query(**{**given, **arguments})
    assert server.asked == []


@pytest.mark.parametrize("method", ["scan", "scan_pages"])
@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"table_name": ""}, ValueError, "table_name"),
        ({"segment": 0}, ValueError, "both or neither"),
        ({"total_segments": 2}, ValueError, "both or neither"),
        ({"segment": 2, "total_segments": 2}, ValueError, "that is 1; not 2"),
        ({"segment": -1, "total_segments": 2}, ValueError, "segment must be 0 to"),
        ({"segment": True, "total_segments": 2}, TypeError, "segment must be an int, not bool"),
        ({"segment": 0, "total_segments": 2.0}, TypeError, "total_segments must be an int"),
        ({"segment": 0, "total_segments": 1_000_001}, ValueError, "1 to 1,000,000"),
        ({"retry": 1}, TypeError, "aiobatch.Retry"),
        ({"filter_expression": Opaque()}, TypeError, "FilterExpression"),
        ({"projection_expression": "#x"}, ValueError, "#x is not defined"),
        ({"exclusive_start_key": {"pk": Opaque()}}, InvalidItem, "pk"),
        ({"expression_attribute_values": {":v": Opaque()}}, InvalidItem, ":v"),
    ],
)
async def test_a_scan_refuses_before_it_is_iterated(
    arguments: dict[str, Any],
    kind: type[Exception],
    words: str,
    method: str,
    connect: Connect,
    server: Server,
) -> None:
    with pytest.raises(kind, match=words):
        getattr(connect(), method)(**{"table_name": TABLE, **arguments})
    assert server.asked == []


@pytest.mark.parametrize("given", [0, -1, True])
async def test_a_scan_of_no_items(given: Any, connect: Connect) -> None:
    with pytest.raises(ValueError, match="limit must be 1 or more"):
        connect().scan(TABLE, limit=given)
    with pytest.raises(ValueError, match="page_size must be 1 or more"):
        connect().scan_pages(TABLE, page_size=given)
