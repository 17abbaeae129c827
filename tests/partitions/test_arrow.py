"""Rows of Arrow as items, and items as columns: both ways, whatever the types."""

import importlib
import pickle
import sys
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiobatch.codec import decode_item, encode_item
from aiobatch.partitions.arrow import BatchMaker, Mismatch, RowMaker

DEEP = pa.schema(
    [
        ("text", pa.string()),
        ("blob", pa.binary()),
        ("flag", pa.bool_()),
        ("small", pa.int16()),
        ("whole", pa.int64()),
        ("real", pa.float64()),
        ("exact", pa.decimal128(38, 18)),
        ("list", pa.list_(pa.int64())),
        ("map", pa.map_(pa.string(), pa.decimal128(10, 2))),
        (
            "struct",
            pa.struct(
                [
                    ("a", pa.string()),
                    ("inner", pa.list_(pa.map_(pa.string(), pa.binary()))),
                ]
            ),
        ),
    ]
)
finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e120, max_value=1e120).filter(
    lambda number: number == 0 or abs(number) > 1e-120
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    most = 10**digits - 1
    # Written out: scaleb() would round to the 28 digits of the default context.
    return st.integers(-most, most).map(lambda whole: Decimal(f"{whole}E-{places}"))


rows = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(st.characters(codec="utf-8")),
        "blob": st.binary(),
        "flag": st.booleans(),
        "small": st.integers(-(2**15), 2**15 - 1),
        "whole": st.integers(-(2**63), 2**63 - 1),
        "real": finite,
        "exact": decimals(38, 18),
        "list": st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), max_size=3),
        "map": st.dictionaries(names, decimals(10, 2), max_size=3).map(lambda m: list(m.items())),
        "struct": st.fixed_dictionaries(
            {
                "a": st.text(st.characters(codec="utf-8")) | st.none(),
                "inner": st.none()
                | st.lists(
                    st.dictionaries(names, st.binary(), max_size=2).map(lambda m: list(m.items())),
                    max_size=2,
                ),
            }
        ),
    },
)


# The machines that run this are busy.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def through_the_wire(item: dict[str, Any]) -> dict[str, Any]:
    """The item as a table gives it back."""
    import orjson

    fragment, _ = encode_item(item, None, None)
    return decode_item(orjson.loads(fragment), "decimal")


@unhurried
@given(st.lists(rows, max_size=5))
def test_rows_come_back_as_they_were(given_rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(given_rows, schema=DEEP)
    items = [through_the_wire(item) for item in RowMaker().rows(batch)]
    assert BatchMaker(DEEP).batch(items).equals(batch)


@unhurried
@given(st.lists(rows, max_size=5))
def test_nulls_can_be_written(given_rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(given_rows, schema=DEEP)
    items = [through_the_wire(item) for item in RowMaker(nulls="write").rows(batch)]
    assert all(item.keys() == set(DEEP.names) for item in items)
    assert BatchMaker(DEEP).batch(items).equals(batch)


def test_sets_there_and_back() -> None:
    schema = pa.schema([("tags", pa.list_(pa.string())), ("codes", pa.large_list(pa.int64()))])
    batch = pa.RecordBatch.from_pylist(
        [{"tags": ["b", "a", "b"], "codes": [2, 1]}, {"tags": [], "codes": None}], schema=schema
    )
    items = RowMaker(sets=["tags", "codes"]).rows(batch)
    assert items == [{"tags": {"a", "b"}, "codes": {1, 2}}, {}]
    back = BatchMaker(schema).batch([through_the_wire(item) for item in items])
    assert back.to_pylist() == [
        {"tags": ["a", "b"], "codes": [1, 2]},
        {"tags": None, "codes": None},
    ]


def test_some_columns_alone() -> None:
    batch = pa.RecordBatch.from_pylist([{"pk": "a", "n": 1}])
    assert RowMaker(columns=["pk"]).rows(batch) == [{"pk": "a"}]
    with pytest.raises(ValueError, match="the rows have no column 'sk'"):
        RowMaker(columns=["sk"]).rows(batch)


def test_sets_that_are_none() -> None:
    batch = pa.RecordBatch.from_pylist([{"pk": "a"}])
    with pytest.raises(ValueError, match="sets names 'pk', a column of string, no list"):
        RowMaker(sets=["pk"]).rows(batch)
    with pytest.raises(ValueError, match="a column that is not there: 'tags'"):
        RowMaker(sets=["tags"]).rows(batch)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (pa.string(), Decimal(1), "item 1, attribute x: is a number in DynamoDB, and the schema"),
        (pa.int64(), "a", "is a string in DynamoDB"),
        (pa.int64(), Decimal("1.5"), "a number with a fraction"),
        (pa.int8(), Decimal(128), "beyond int8"),
        (pa.uint8(), Decimal(-1), "beyond uint8"),
        (pa.int64(), Decimal("1E+125"), "beyond int64"),
        (pa.decimal128(5, 2), Decimal("1000"), "more digits than decimal128"),
        (pa.decimal128(5, 2), Decimal("0.001"), "more digits than decimal128"),
        (pa.bool_(), "true", "is a string"),
        (pa.float64(), "1.5", "is a string in DynamoDB, and the schema has double"),
        (pa.decimal128(5, 2), True, "is a boolean in DynamoDB"),
        (pa.list_(pa.string()), "a", "is a string in DynamoDB"),
        (pa.map_(pa.string(), pa.int64()), ["k"], "is a list in DynamoDB"),
        (pa.struct([("a", pa.string())]), {"a"}, "is a set in DynamoDB"),
        (pa.list_(pa.string()), ["a", None, {"b": 1}], r"attribute x\[2\]: is a map"),
        (pa.map_(pa.string(), pa.int64()), {"k": b""}, r"attribute x\.k: is binary"),
        (pa.struct([("a", pa.struct([("b", pa.bool_())]))]), {"a": {"b": []}}, r"x\.a\.b: is a l"),
    ],
)
def test_values_that_do_not_fit(kind: Any, value: Any, told: str) -> None:
    schema = pa.schema([("x", kind)])
    with pytest.raises(Mismatch, match=told) as caught:
        BatchMaker(schema).batch([{}, {"x": value}])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    batch = BatchMaker(schema, on_mismatch="null").batch([{}, {"x": value}])
    assert batch.to_pylist() == [{"x": None}, {"x": None}]


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.date32(), pa.duration("s")])
def test_types_that_nothing_can_be_read_as(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"column 'x' has the type .* DynamoDB has none like it"):
        BatchMaker(pa.schema([("x", kind)]))


def test_maps_with_string_keys_alone() -> None:
    with pytest.raises(ValueError, match="column 'x' is a map with keys that are no strings"):
        BatchMaker(pa.schema([("x", pa.map_(pa.int64(), pa.string()))]))


def test_a_column_of_nothing() -> None:
    schema = pa.schema([("x", pa.null()), ("y", pa.string())])
    batch = BatchMaker(schema).batch([{"x": "whatever", "y": "a"}, {}])
    assert batch.to_pylist() == [{"x": None, "y": "a"}, {"x": None, "y": None}]


def test_rows_without_columns_are_counted() -> None:
    batch = BatchMaker(pa.schema([])).batch([{"pk": "a"}, {"pk": "b"}])
    assert (batch.num_rows, batch.num_columns) == (2, 0)


def test_maps_in_maps() -> None:
    deep = pa.map_(pa.string(), pa.map_(pa.string(), pa.list_(pa.map_(pa.string(), pa.int64()))))
    batch = pa.RecordBatch.from_pylist(
        [{"x": [("a", [("b", [[("c", 1)], None])]), ("d", None)]}], schema=pa.schema([("x", deep)])
    )
    [item] = RowMaker().rows(batch)
    assert item == {"x": {"a": {"b": [{"c": 1}, None]}, "d": None}}


def test_batches_of_one_frame_may_differ_in_their_schemas() -> None:
    maker = RowMaker()
    maps = pa.schema([("x", pa.map_(pa.string(), pa.int64()))])
    for _ in range(2):
        batch = pa.RecordBatch.from_pylist([{"x": [("a", 1)]}], schema=maps)
        assert maker.rows(batch) == [{"x": {"a": 1}}]
    assert maker.rows(pa.RecordBatch.from_pylist([{"x": ["a"]}])) == [{"x": ["a"]}]


def test_settings_that_are_none() -> None:
    with pytest.raises(ValueError, match='nulls must be "omit" or "write", not \'keep\''):
        RowMaker(nulls="keep")  # type: ignore[arg-type]
    for wrong in ({"sets": "tags"}, {"columns": "tags"}):
        with pytest.raises(TypeError, match="take lists of names, not a str"):
            RowMaker(**wrong)  # type: ignore[arg-type]


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aiobatch.partitions.arrow")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'aiobatch\[parquet\]'"):
        importlib.import_module("aiobatch.partitions.arrow")
