"""What is written can be read, exactly; what a format cannot hold is refused."""

import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiobatch.bulk.errors import FormatError, SourceError
from aiobatch.bulk.formats import (
    FORMATS,
    TYPES,
    FormatName,
    Row,
    format_of,
    open_reader,
    open_writer,
    parse_types,
    suffix_of,
)
from aiobatch.bulk.formats.csvs import CsvReader
from tests.codec.values import exact_numbers, names, values

exact_items = st.dictionaries(names, values(exact_numbers), min_size=1, max_size=3)
many = st.lists(exact_items, max_size=3)
# Items of all types take their time to draw.
patient = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def read(data: bytes, format: FormatName, types: dict[str, str] | None = None) -> list[Row]:
    return list(open_reader(io.BytesIO(data), format, types=types, name="a file").rows())


def written(
    given: list[dict[str, Any]], format: FormatName, types: dict[str, str] | None = None
) -> bytes:
    stream = io.BytesIO()
    writer = open_writer(stream, format, types=types)
    for item in given:
        writer.write(item)
    writer.close()
    return stream.getvalue()


def items_of(rows: list[Row]) -> list[dict[str, Any] | None]:
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [row.item for row in rows]


@given(many)
@patient
def test_dynamodb_json_holds_every_item(given: list[dict[str, Any]]) -> None:
    data = written(given, "dynamodb-json")
    assert items_of(read(data, "dynamodb-json")) == given
    alone = b"".join(
        json.dumps(json.loads(line)["Item"]).encode() + b"\n" for line in data.splitlines()
    )
    assert items_of(read(alone, "dynamodb-json")) == given


@pytest.mark.parametrize("format", ["csv", "parquet"])
@given(given=many)
@patient
def test_columns_hold_every_item_or_refuse_it(
    format: FormatName, given: list[dict[str, Any]]
) -> None:
    data = written(given, format)
    assert items_of(read(data, format)) == given


plain = st.recursive(
    st.none() | st.booleans() | st.text(max_size=9) | exact_numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(names, plain, max_size=4), max_size=4))
def test_json_lines_hold_what_json_has_words_for(given: list[dict[str, Any]]) -> None:
    assert items_of(read(written(given, "jsonl"), "jsonl")) == given


@pytest.mark.parametrize("value", [b"x", {1}, {"x"}, {b"x"}, [{"a": b"x"}]])
def test_json_lines_refuse_the_rest(value: Any) -> None:
    with pytest.raises(FormatError, match="plain JSON has no words for") as caught:
        written([{"pk": "a", "deep": value}], "jsonl")
    assert caught.value.path.startswith("deep")


TYPED = {
    "s": (st.text(max_size=9), "S"),
    "n": (exact_numbers, "N"),
    "b": (st.binary(max_size=9), "B"),
    "ok": (st.booleans(), "BOOL"),
    "ss": (st.sets(st.text(max_size=4), min_size=1), "SS"),
    "ns": (st.sets(exact_numbers, min_size=1), "NS"),
    "bs": (st.sets(st.binary(max_size=4), min_size=1), "BS"),
    "json": (plain.filter(lambda value: value is not None), "JSON"),
    "ddb": (values(exact_numbers).filter(lambda value: value is not None), "DDB"),
}
typed_items = st.fixed_dictionaries({}, optional={name: kind[0] for name, kind in TYPED.items()})


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
@given(given=st.lists(typed_items.filter(lambda item: item.get("s") != "").filter(bool)))
@patient
def test_declared_types_hold_their_values(format: FormatName, given: list[dict[str, Any]]) -> None:
    types = {name: kind for name, (_, kind) in TYPED.items()}
    given = [item for item in given if format != "csv" or item.get("b") != b""]
    data = written(given, format, types)
    # CSV and Parquet tell the types themselves.
    assert items_of(read(data, format, types if format == "jsonl" else None)) == given


@given(many, st.data())
@patient
def test_a_reader_goes_on_behind_any_row(given: list[dict[str, Any]], data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(FORMATS))
    try:
        file = written(given, format)
    except FormatError:
        return
    rows = read(file, format)
    for row in rows:
        rest = open_reader(io.BytesIO(file), format).rows(row.end)
        assert list(rest) == rows[row.number :]


@given(
    st.lists(
        st.binary(max_size=12) | st.sampled_from([b'"', b',"', b"a,b", b'"\n"', b"\r"]), max_size=9
    )
)
def test_no_row_of_a_csv_is_lost(parts: list[bytes]) -> None:
    """Whatever stands there: rows and empty lines together are the file."""
    body = b"\n".join(parts)
    file = b"a,b\n" + body
    rows = read(file, "csv")
    offset = 4
    for row in rows:
        assert file[row.end.offset - len(row.raw) : row.end.offset] == row.raw
        assert not file[offset : row.end.offset - len(row.raw)].strip(b"\r\n")
        assert row.line == file[: row.end.offset - len(row.raw)].count(b"\n") + 1
        assert (row.item is None) == bool(row.reason)
        offset = row.end.offset
    assert not file[offset:].strip(b"\r\n")


def test_lines_and_quoted_line_ends() -> None:
    file = b'pk,text\r\na,"two\r\nlines"\r\n\r\nb,plain\r\n'
    first, second = read(file, "csv")
    assert first.item == {"pk": "a", "text": "two\r\nlines"}
    assert (first.line, second.line) == (2, 5)
    assert second.end.offset == len(file)
    assert first.raw == b'a,"two\r\nlines"\r\n'


def test_types_in_the_header_and_beside_it() -> None:
    file = (
        b'\xef\xbb\xbf"pk",elevation:N,tags:SS,doc:JSON,a:b,ok:BOOL\n'
        b'X,-12.50,"[""a"",""b""]","{""x"":[1.10]}",t,TRUE\n'
        b"Y,,,,,\n"
    )
    first, second = read(file, "csv")
    assert first.item == {
        "pk": "X",
        "elevation": Decimal("-12.5"),
        "tags": {"a", "b"},
        "doc": {"x": [Decimal("1.10")]},
        "a:b": "t",
        "ok": True,
    }
    assert second.item == {"pk": "Y"}
    assert read(b"pk,n\na,5\n", "csv", {"n": "N"})[0].item == {"pk": "a", "n": 5}


BROKEN: list[tuple[FormatName, bytes, str, str]] = [
    ("csv", b"a,b\n1\n", "has 1 cells", ""),
    ("csv", b"a,b\n1,2,3\n", "has 3 cells", ""),
    ("csv", b"a,n:N\n1,x\n", "is not a number", "n"),
    ("csv", b"a,n:N\n1,NaN\n", "is not a number", "n"),
    ("csv", b"a,n:N\n1,1e200\n", "too large", "n"),
    ("csv", b"a,n:N\n1,0.123456789012345678901234567890123456789\n", "38 significant", "n"),
    ("csv", b"a,n:BOOL\n1,yes\n", "neither true nor false", "n"),
    ("csv", b"a,n:SS\n1,x\n", "is not JSON", "n"),
    ("csv", b"a,n:SS\n1,[]\n", "not a JSON array", "n"),
    ("csv", b"a,n:B\n1,?\n", "is not base64", "n"),
    ("csv", b"a,n\n1,\xff\n", "is not UTF-8", ""),
    ("csv", b'a,n\n1,"x"y\n', "is not CSV", ""),
    ("csv", b'a,n\n1,"x\n', "is not CSV", ""),
    ("jsonl", b"{\n", "is not JSON", ""),
    ("jsonl", b"[1]\n", "is not a JSON object", ""),
    ("jsonl", b'{"a": NaN}\n', "NaN", ""),
    ("jsonl", b'{"a": 1, "a": 2}\n', "the same name twice", ""),
    ("jsonl", b'{"a": "\xff"}\n', "is not UTF-8", ""),
    ("jsonl", b"[" * 100_000 + b"\n", "nested deeper", ""),
    ("jsonl", b'{"a": ' + b"1" * 5000 + b"}\n", "too large", ""),
    ("dynamodb-json", b"{\n", "is not JSON", ""),
    ("dynamodb-json", b"5\n", "is not a JSON object", ""),
    ("dynamodb-json", b'{"a": 5}\n', "DynamoDB's types", ""),
    ("dynamodb-json", b'{"Item": {"a": {"N": "x"}}}\n', "DynamoDB's types", ""),
    ("dynamodb-json", b'{"Metadata": {}, "NewImage": {"a": {"S": "b"}}}\n', "incremental", ""),
]


@pytest.mark.parametrize(("format", "data", "reason", "path"), BROKEN)
def test_a_broken_row_says_why_and_the_next_one_is_read(
    format: FormatName, data: bytes, reason: str, path: str
) -> None:
    good = {"csv": b"good,\n", "jsonl": b'{"a": 1}\n', "dynamodb-json": b'{"a": {"N": "1"}}\n'}
    row, following = read(data + good[format], format)
    assert row.item is None
    assert reason in row.reason
    assert row.path == path
    assert following.item is not None
    # What stands in a file must not stand in a log.
    assert "yes" not in row.reason


@pytest.mark.parametrize(
    "file", [b"\n", b"a,,b\n", b"a,b,a\n", b'a,"b\n', b"\xff\xfe\n", b"a:N,a\n"]
)
def test_a_csv_needs_a_line_of_names(file: bytes) -> None:
    with pytest.raises(FormatError, match=r"^a file: .*line of names|^a file: a line") as caught:
        read(file, "csv")
    assert caught.value.reason


def test_an_empty_file_has_no_rows() -> None:
    for format in FORMATS:
        assert read(written([], format), format) == []


def test_what_csv_cannot_tell_is_refused() -> None:
    with pytest.raises(FormatError, match="no column"):
        written([{"a": "x"}] * 1000 + [{"b": "y"}], "csv")
    with pytest.raises(FormatError, match="of type N, and its column of type S"):
        written([{"a": "x"}] * 1000 + [{"a": 5}], "csv")
    with pytest.raises(FormatError, match="is empty"):
        written([{"a": "x"}] * 1000 + [{"a": ""}], "csv")
    with pytest.raises(FormatError, match="a set"):
        written([{"a": {1}}], "jsonl")
    with pytest.raises(FormatError, match="NaN"):
        written([{"a": float("nan")}], "dynamodb-json")


def test_an_attribute_called_item() -> None:
    for typed in ('{"S": "x"}', '{"M": {}}', '{"M": {"S": {"N": "1"}}}', '{"L": []}'):
        line = f'{{"Item": {typed}}}\n'.encode()
        again = written(
            [item for item in items_of(read(line, "dynamodb-json")) if item], "dynamodb-json"
        )
        assert json.loads(again) == {"Item": json.loads(line)}


def test_a_line_that_never_ends_is_no_row() -> None:
    endless = b"x" * (5 * 1024 * 1024)
    with pytest.raises(FormatError, match="line 1 has more than"):
        read(endless, "jsonl")
    with pytest.raises(FormatError, match="a line has more than"):
        read(b"a\n" + endless, "csv")


def test_a_long_cell_is_read() -> None:
    [row] = read(b"a\n" + b"x" * 300_000 + b"\n", "csv")
    assert row.item == {"a": "x" * 300_000}


def test_formats_by_name() -> None:
    for format in FORMATS:
        assert format_of(f"some/where.x{suffix_of(format)}") == format
        assert format_of(f"s3://a/b{suffix_of(format)}.gz") == format
    assert format_of("A.NDJSON") == "jsonl"
    with pytest.raises(SourceError, match="format="):
        format_of("places.txt")


def test_types_are_checked() -> None:
    assert parse_types(" a:n , b:c:SS,") == {"a": "N", "b:c": "SS"}
    for text in ("a", ":N", "a:", "a:X"):
        with pytest.raises(ValueError, match=r"types? "):
            parse_types(text)
    with pytest.raises(ValueError, match="must be one of"):
        open_reader(io.BytesIO(), "csv", types={"a": "T"})
    with pytest.raises(ValueError, match="DynamoDB JSON"):
        open_reader(io.BytesIO(), "dynamodb-json", types={"a": "N"})
    with pytest.raises(FormatError, match="no columns"):
        read(b"a\n", "csv", {"b": "N"})
    assert "DDB" in TYPES


def test_parquet_of_others() -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = pa.table(
        {
            "pk": ["a", "b"],
            "n": pa.array([1, None], pa.int64()),
            "x": [0.5, float("nan")],
            "d": pa.array([Decimal("1.20"), None], pa.decimal128(5, 2)),
            "l": [[1, 2], None],
            "m": [{"k": "v", "w": None}, None],
            "b": [b"\x00", None],
        }
    )
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    first, second = read(stream.getvalue(), "parquet")
    assert first.item == {
        "pk": "a",
        "n": 1,
        "x": 0.5,
        "d": Decimal("1.2"),
        "l": [1, 2],
        "m": {"k": "v"},
        "b": b"\x00",
    }
    assert second.item is None
    assert (second.path, second.line) == ("x", None)
    # It stands in the dead letters as DynamoDB JSON, and is as broken there.
    [again] = read(second.raw, "dynamodb-json")
    assert again.item is None

    parquet.write_table(pa.table({"t": pa.array([0], pa.timestamp("s"))}), stream := io.BytesIO())
    with pytest.raises(FormatError, match="attribute t: has the type timestamp"):
        read(stream.getvalue(), "parquet")
    with pytest.raises(FormatError, match="is not Parquet"):
        read(b"a,b\n", "parquet")


def test_the_header_of_a_csv_has_the_types() -> None:
    reader = open_reader(io.BytesIO(b'a,"b c",d:N\n'), "csv", types={"b c": "SS"})
    assert isinstance(reader, CsvReader)
    assert reader.header == b"a,b c:SS,d:N\n"
