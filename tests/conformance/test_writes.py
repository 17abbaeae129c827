"""Section 3 of the contract: batches of puts and deletes, over real servers."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy
import pydantic
import pytest

from aiobatch import BatchError, DynamoDB, InvalidItem, TableNotFound
from tests.backends import Backend, Quirk
from tests.conformance.conftest import Connect, SentLog
from tests.conformance.test_reads import key_of, users
from tests.conftest import TableFactory


async def everything(client: Any, name: str) -> list[dict[str, Any]]:
    """The whole table, through another client."""
    pages = client.get_paginator("scan").paginate(TableName=name)
    return [item async for page in pages for item in page["Items"]]


@pytest.mark.parametrize("operation", ["put", "delete"])
async def test_no_items_are_no_request(operation: Any, db: DynamoDB, sent: SentLog) -> None:
    answer = await db.batch_write_item([], "no-such-table", operation=operation)
    assert answer["ProcessedCount"] == answer["UnprocessedCount"] == 0
    assert answer["UnprocessedItems"] == []
    assert answer["Metrics"]["requests"] == 0
    assert not sent


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (25, 1), (26, 2), (110, 5)])
async def test_any_number_of_puts_and_deletes(
    count: int,
    requests: int,
    connect: Connect,
    raw_client: Any,
    table: TableFactory,
    sent: SentLog,
) -> None:
    name, items = await table(), users(count)
    db = connect(key_names={name: ("pk",)})
    answer = await db.batch_write_item(iter(items), name)
    assert (answer["ProcessedCount"], answer["UnprocessedCount"]) == (count, 0)
    assert answer["UnprocessedItems"] == []
    assert set(answer) == {"ProcessedCount", "UnprocessedCount", "UnprocessedItems", "Metrics"}
    assert sent.operations == ["BatchWriteItem"] * requests
    assert len(await everything(raw_client, name)) == count
    sent.clear()
    answer = await db.batch_write_item(map(key_of, items[1:]), name, operation="delete")
    assert answer["ProcessedCount"] == count - 1
    assert [item["pk"]["S"] for item in await everything(raw_client, name)] == ["user#0000"]


async def test_deleting_what_is_not_there_counts_as_done(db: DynamoDB, table: TableFactory) -> None:
    answer = await db.batch_write_item([{"pk": "nobody"}], await table(), operation="delete")
    assert answer["ProcessedCount"] == 1


async def test_puts_replace_whole_items(db: DynamoDB, table: TableFactory) -> None:
    name = await table()
    await db.batch_write_item([{"pk": "a", "old": 1}], name)
    await db.batch_write_item([{"pk": "a", "new": 2}], name)
    assert (await db.batch_get_item([{"pk": "a"}], name))["Items"] == [{"pk": "a", "new": 2}]


# --- forms of items ---


class Model(pydantic.BaseModel):
    pk: str
    count: int = 1
    price: Decimal = Decimal("9.90")
    tags: set[str] = {"a", "b"}
    inner: dict[str, list[float | None]] = {"values": [0.5, None]}


@dataclass
class Inner:
    x: int = 1
    y: tuple[str, ...] = ("a",)


@dataclass
class Record:
    pk: str
    inner: Inner = field(default_factory=Inner)
    rows: list[Inner] = field(default_factory=lambda: [Inner(x=2)])


class Resource:
    """As boto3-assist's models have it. Its own attributes must not be looked at."""

    def __init__(self, pk: str) -> None:
        self.id = pk

    def to_resource_dictionary(self) -> dict[str, Any]:
        return {"pk": self.id, "kind": "resource"}


FORMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "mapping": ({"pk": "k", "v": 1}, {"pk": "k", "v": 1}),
    "pydantic": (
        Model(pk="k"),
        {
            "pk": "k",
            "count": 1,
            "price": 9.9,
            "tags": {"a", "b"},
            "inner": {"values": [0.5, None]},
        },
    ),
    "dataclass": (
        Record("k"),
        {"pk": "k", "inner": {"x": 1, "y": ["a"]}, "rows": [{"x": 2, "y": ["a"]}]},
    ),
    "resource": (Resource("k"), {"pk": "k", "kind": "resource"}),
    "wrapped": ({"PutRequest": {"Item": {"pk": "k", "v": 1}}}, {"pk": "k", "v": 1}),
    "wrapped model": ({"PutRequest": {"Item": Resource("k")}}, {"pk": "k", "kind": "resource"}),
}


async def test_every_form_of_an_item(db: DynamoDB, table: TableFactory) -> None:
    name = await table()
    for form, (given, wanted) in FORMS.items():
        assert (await db.batch_write_item([given], name))["ProcessedCount"] == 1, form
        assert (await db.batch_get_item([{"pk": "k"}], name))["Items"] == [wanted], form


async def test_every_form_of_a_key(db: DynamoDB, table: TableFactory) -> None:
    @dataclass
    class Key:
        pk: str

    class KeyModel(pydantic.BaseModel):
        pk: str

    class KeyResource:
        def to_resource_dictionary(self) -> dict[str, Any]:
            return {"pk": "c"}

    name = await table()
    items = [{"pk": pk} for pk in "abcd"]
    await db.batch_write_item(items, name)
    keys = [Key("a"), KeyModel(pk="b"), KeyResource(), {"pk": "d"}]
    assert (await db.batch_get_item(keys, name))["Items"] == items
    wrapped = [*keys[:3], {"DeleteRequest": {"Key": {"pk": "d"}}}]
    answer = await db.batch_write_item(wrapped, name, operation="delete")
    assert answer["ProcessedCount"] == 4
    answer_after = await db.batch_get_item(keys, name)
    assert answer_after["MissingKeys"] == keys
    assert all(a is b for a, b in zip(answer_after["MissingKeys"], keys, strict=True))


async def test_an_item_that_only_looks_wrapped(db: DynamoDB, table: TableFactory) -> None:
    name = await table("PutRequest")
    items: list[dict[str, Any]] = [
        {"PutRequest": "a"},
        {"PutRequest": "b", "Item": {"pk": 1}},
    ]
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 2
    keys = [{"PutRequest": "a"}, {"PutRequest": "b"}]
    assert (await db.batch_get_item(keys, name))["Items"] == items


async def test_serialize_for_other_types(connect: Connect, table: TableFactory) -> None:
    name = await table()

    def serialize(value: Any) -> Any:
        if isinstance(value, complex):
            return {"re": value.real, "im": value.imag}
        raise TypeError("not mine")

    db = connect(serialize=serialize)
    await db.batch_write_item([{"pk": "a", "z": 1 + 2j, "l": [1j]}], name)
    (item,) = (await db.batch_get_item([{"pk": "a"}], name))["Items"]
    assert item == {"pk": "a", "z": {"re": 1, "im": 2}, "l": [{"re": 0, "im": 1}]}
    with pytest.raises(InvalidItem) as caught:
        await db.batch_write_item([{"pk": "a"}, {"pk": "b", "v": [object()]}], name)
    assert (caught.value.index, caught.value.path) == (1, "v[0]")
    assert isinstance(caught.value.cause, TypeError)


async def test_serialize_for_keys(connect: Connect, table: TableFactory) -> None:
    """A type of the caller's may stand in a key as well, in every call."""
    name = await table()

    class Id:
        def __init__(self, text: str) -> None:
            self.text = text

    db = connect(serialize=lambda value: value.text)
    items = [{"pk": Id("a"), "n": 1}, {"pk": Id("b"), "n": 2}]
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 2
    fresh = connect(serialize=lambda value: value.text, max_concurrency=3)
    keys = [{"pk": Id("b")}, {"pk": "a"}, {"pk": Id("a")}]
    answer = await fresh.batch_get_item(keys, name)
    assert answer["Items"] == [{"pk": "b", "n": 2}, {"pk": "a", "n": 1}]
    other = connect(serialize=lambda value: value.text, max_concurrency=4)
    assert (await other.get({"pk": Id("a")}, name))["Item"] == {"pk": "a", "n": 1}


async def test_serialize_may_give_a_whole_key(connect: Connect, table: TableFactory) -> None:
    name = await table()

    class User:
        def __init__(self, pk: str) -> None:
            self.pk = pk

    db = connect(serialize=lambda user: {"pk": user.pk})
    assert (await db.batch_write_item([User("a"), User("b")], name))["ProcessedCount"] == 2
    for concurrency, call in enumerate(("batch", "get", "delete", "batch delete"), 3):
        # Each has learnt nothing of the table yet.
        fresh = connect(serialize=lambda user: {"pk": user.pk}, max_concurrency=concurrency)
        if call == "batch":
            assert (await fresh.batch_get_item([User("a")], name))["Items"] == [{"pk": "a"}]
        elif call == "get":
            assert (await fresh.get(User("a"), name))["Item"] == {"pk": "a"}
        elif call == "delete":
            await fresh.delete(User("a"), name)
        else:
            await fresh.batch_write_item([User("b")], name, operation="delete")
    assert (await db.batch_get_item([User("a"), User("b")], name))["Items"] == []


# --- values ---

VALUES: dict[str, tuple[Any, Any]] = {
    "text": ('häß\u0000\n"\\\U0001f600', 'häß\u0000\n"\\\U0001f600'),
    "empty text": ("", ""),
    "int": (-7, -7),
    "float": (0.1, 0.1),
    "whole float": (5.0, 5),
    "tiny float": (1.5e-100, 1.5e-100),
    "decimal": (Decimal("12.340"), 12.34),
    "true": (True, True),
    "false": (False, False),
    "none": (None, None),
    "bytes": (b"\x00\xff", b"\x00\xff"),
    "empty bytes": (b"", b""),
    "bytearray": (bytearray(b"ab"), b"ab"),
    "memoryview": (memoryview(b"ab"), b"ab"),
    "list": ([1, "a", None, [True]], [1, "a", None, [True]]),
    "empty list": ([], []),
    "tuple": ((1, 2), [1, 2]),
    "dict": ({"a": {"b": {"c": [{}]}}}, {"a": {"b": {"c": [{}]}}}),
    "empty dict": ({}, {}),
    "odd names": ({"a.b": 1, "c d": 2}, {"a.b": 1, "c d": 2}),
    "string set": ({"a", "b"}, {"a", "b"}),
    "number set": ({1, 2.5, Decimal("3.0")}, {1, 2.5, 3}),
    "binary set": (frozenset({b"a", b"b"}), {b"a", b"b"}),
    "numpy int": (numpy.int64(5), 5),
    "numpy float": (numpy.float64(0.25), 0.25),
    "numpy float32": (numpy.float32(0.5), 0.5),
    "numpy bool": (numpy.bool_(True), True),
    "numpy text": (numpy.str_("np"), "np"),
    "deep list": ([[[[[[[[["bottom"]]]]]]]]], [[[[[[[[["bottom"]]]]]]]]]),
}


async def test_every_type_of_value_comes_back(db: DynamoDB, table: TableFactory) -> None:
    name = await table()
    item = {"pk": "a", **{label: given for label, (given, _) in VALUES.items()}}
    await db.batch_write_item([item], name)
    (found,) = (await db.batch_get_item([{"pk": "a"}], name))["Items"]
    for label, (_, wanted) in VALUES.items():
        assert found[label] == wanted, label
        assert type(found[label]) is type(wanted), label
    assert len(found) == len(item)
    assert (await db.get({"pk": "a"}, name))["Item"] == found


NUMBERS = [
    "0", "1", "-1", "12345678901234567890123456789012345678",
    "-99999999999999999999999999999999999999", "1E+125", "-1E+125", "1E-130", "-1E-130",
    "9.9999999999999999999999999999999999999E+125", "0.1", "1.10", "3.14", "1E+2", "100.00",
    "0.30000000000000000000000000000000000001", "1E+28", "123456789.123456789123456789",
]  # fmt: skip


async def test_numbers_are_exact_as_decimals(connect: Connect, table: TableFactory) -> None:
    name = await table()
    values = [Decimal(text) for text in NUMBERS]
    exact, native, strict = (
        connect(numbers=numbers) for numbers in ("decimal", "native", "strict")
    )
    await exact.batch_write_item([{"pk": "a", "v": values, "m": {"n": values[3]}}], name)
    (item,) = (await exact.batch_get_item([{"pk": "a"}], name))["Items"]
    assert item["v"] == values
    assert {type(number) for number in item["v"]} == {Decimal}
    assert item["m"] == {"n": values[3]}
    (item,) = (await native.batch_get_item([{"pk": "a"}], name))["Items"]
    for number, text in zip(item["v"], NUMBERS, strict=True):
        whole = Decimal(text) == Decimal(text).to_integral_value()
        assert type(number) is (int if whole else float), text
        assert number == (int(Decimal(text)) if whole else float(text)), text
    (item,) = (await strict.batch_get_item([{"pk": "a"}], name))["Items"]
    for number, text in zip(item["v"], NUMBERS, strict=True):
        assert Decimal(repr(number) if isinstance(number, float) else number) == Decimal(text)
    assert {type(number) for number in item["v"]} == {int, float, Decimal}


async def test_numbers_in_sets(connect: Connect, table: TableFactory) -> None:
    name = await table()
    close = {Decimal("0.1"), Decimal("0.10000000000000000000000000000000000001")}
    exact, native, strict = (
        connect(numbers=numbers) for numbers in ("decimal", "native", "strict")
    )
    await exact.batch_write_item([{"pk": "a", "s": close, "i": {1, 2}}], name)
    (item,) = (await exact.batch_get_item([{"pk": "a"}], name))["Items"]
    assert item["s"] == close
    # Members that meet as one float merge.
    assert (await native.batch_get_item([{"pk": "a"}], name))["Items"][0]["s"] == {0.1}
    (item,) = (await strict.batch_get_item([{"pk": "a"}], name))["Items"]
    assert item["s"] == {0.1, Decimal("0.10000000000000000000000000000000000001")}
    assert item["i"] == {1, 2}


async def test_number_keys_of_38_digits(
    connect: Connect, backend: Backend, table: TableFactory
) -> None:
    """Never through float: neighbours in the last digit are two keys."""
    name = await table("id", id="N")
    db = connect(numbers="decimal")
    first = 12345678901234567890123456789012345678
    items = [{"id": first, "v": "a"}, {"id": first + 1, "v": "b"}, {"id": Decimal("1E+125")}]
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 3
    keys = [{"id": first + 1}, {"id": Decimal(first)}, {"id": 10**125}]
    answer = await db.batch_get_item(keys, name, ordered=True)
    if Quirk.EXPONENT_KEYS_NOT_FOUND in backend.quirks:
        assert answer["Items"] == [items[1], items[0], None]
        assert answer["MissingKeys"] == [keys[2]]
    else:
        assert answer["Items"] == [items[1], items[0], items[2]]
        assert answer["MissingKeys"] == []


# --- duplicates ---


async def test_the_last_put_of_a_key_wins(db: DynamoDB, table: TableFactory, sent: SentLog) -> None:
    name = await table()
    items = [{"pk": f"{n % 40:02}", "round": n // 40} for n in range(400)]
    answer = await db.batch_write_item(items, name)
    assert (answer["ProcessedCount"], answer["UnprocessedCount"]) == (400, 0)
    operations = [
        operation
        for request in sent
        if request.operation == "BatchWriteItem"
        for table in request.parameters["RequestItems"].values()
        for operation in table
    ]
    assert len(operations) == 40
    found = await db.batch_get_item([{"pk": f"{n:02}"} for n in range(40)], name)
    assert found["Items"] == [{"pk": f"{n:02}", "round": 9} for n in range(40)]


async def test_puts_of_one_number_in_many_forms(db: DynamoDB, table: TableFactory) -> None:
    name = await table("id", id="N")
    forms = [5, 5.0, Decimal("5.00"), numpy.float32(5), Decimal("0.05E2")]
    items = [{"id": form, "n": n} for n, form in enumerate(forms)]
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 5
    assert (await db.batch_get_item([{"id": 5}], name))["Items"] == [{"id": 5, "n": 4}]


async def test_duplicates_in_deletes(db: DynamoDB, table: TableFactory, sent: SentLog) -> None:
    name = await table("id", id="B")
    await db.batch_write_item([{"id": b"x"}, {"id": b"y"}], name)
    sent.clear()
    keys = [{"id": b"x"}, {"id": bytearray(b"x")}, {"id": b"y"}, {"id": b"x"}]
    answer = await db.batch_write_item(keys, name, operation="delete")
    assert (answer["ProcessedCount"], answer["UnprocessedCount"]) == (4, 0)
    (request,) = sent
    (operations,) = request.parameters["RequestItems"].values()
    assert len(operations) == 2
    assert (await db.batch_get_item(keys, name))["Items"] == []


async def test_equal_items_twice(db: DynamoDB, table: TableFactory) -> None:
    """Even moto refuses two wholly equal items in one request: it never sees them."""
    name = await table()
    same = {"pk": "a", "v": [1]}
    assert (await db.batch_write_item([same, dict(same), same], name))["ProcessedCount"] == 3


# --- errors and answers ---


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("operation", ["put", "delete"])
async def test_a_missing_table_stops_the_call(
    operation: Any, known: bool, connect: Connect, sent: SentLog
) -> None:
    name = "no-such-table"
    db = connect(max_concurrency=1, key_names={name: ("pk",)} if known else None)
    items = [{"pk": str(n)} for n in range(60)]
    with pytest.raises(BatchError, match="no-such-table") as caught:
        await db.batch_write_item(items, name, operation=operation)
    error = caught.value
    assert isinstance(error.cause, TableNotFound)
    assert error.response["ProcessedCount"] == 0
    assert error.response["UnprocessedCount"] == 60
    assert error.response["UnprocessedItems"] == items
    assert all(a is b for a, b in zip(error.response["UnprocessedItems"], items, strict=True))
    assert "UnknownItems" not in error.response
    assert "RejectedItems" not in error.response
    assert len(sent) == 1


async def test_an_item_that_only_the_service_can_refuse(
    connect: Connect, backend: Backend, table: TableFactory
) -> None:
    """Named key names tell no types, so a number in a string's place passes here."""
    name = await table()
    db = connect(key_names={name: ("pk",)})
    items: list[dict[str, Any]] = users(60)
    items[33] = {"pk": 33, "n": 33}
    with pytest.raises(BatchError) as caught:
        await db.batch_write_item(items, name)
    response = caught.value.response
    (rejected,) = response["RejectedItems"]
    assert (rejected["index"], rejected["code"]) == (33, "ValidationException")
    assert rejected["item"] is items[33]
    assert (response["ProcessedCount"], response["UnprocessedCount"]) == (59, 0)
    assert response["UnprocessedItems"] == []
    assert "UnknownItems" not in response
    good = [item for item in items if item["pk"] != 33]
    assert (await db.batch_get_item(map(key_of, good), name))["Items"] == good


@pytest.mark.takes_no_retries
async def test_what_is_left_can_be_passed_straight_back(
    connect: Connect, table: TableFactory
) -> None:
    """After an error, the account's own lists are valid input."""
    name = await table()
    db = connect()
    wrapped = [{"PutRequest": {"Item": item}} for item in users(30)]
    with pytest.raises(BatchError) as caught:
        await db.batch_write_item(wrapped, "no-such-table")
    left = caught.value.response["UnprocessedItems"]
    assert left == wrapped
    assert (await db.batch_write_item(left, name))["ProcessedCount"] == 30
    keys = [{"DeleteRequest": {"Key": key_of(item)}} for item in users(30)]
    with pytest.raises(BatchError) as caught:
        await db.batch_write_item(keys, "no-such-table", operation="delete")
    left = caught.value.response["UnprocessedItems"]
    answer = await db.batch_write_item(left, name, operation="delete")
    assert answer["ProcessedCount"] == 30


@pytest.mark.parametrize("capacity", ["TOTAL", "INDEXES"])
async def test_the_capacity_of_writes(
    capacity: Any, db: DynamoDB, backend: Backend, table: TableFactory
) -> None:
    name = await table()
    items = [{"pk": f"{n:03}", "v": "x" * 3000} for n in range(50)]
    answer = await db.batch_write_item(items, name, return_consumed_capacity=capacity)
    (told,) = answer["ConsumedCapacity"]
    assert name in told["TableName"]
    # Summed over two requests: 3 KB are three units.
    wanted = 2.0 if Quirk.WRITE_CAPACITY_WRONG in backend.quirks else 150.0
    assert told["CapacityUnits"] == pytest.approx(wanted)
    assert "ConsumedCapacity" not in await db.batch_write_item(items, name)


async def test_a_ceiling_of_units_lets_everything_through(
    connect: Connect, table: TableFactory
) -> None:
    name = await table()
    db = connect(max_write_units=5000, max_read_units=5000)
    items = users(60)
    answer = await db.batch_write_item(items, name)
    assert answer["ProcessedCount"] == 60
    # The requests asked for the capacity on their own account.
    assert "ConsumedCapacity" not in answer
    read = await db.batch_get_item(map(key_of, items), name)
    assert read["Items"] == items
    assert "ConsumedCapacity" not in read
