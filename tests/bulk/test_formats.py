"""What is written can be read, exactly; what a format cannot hold is refused."""

import io
import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiobatch.bulk.errors import FormatError, MissingExtra, SourceError
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
    ("csv", b"a,n:NS\n1,[true]\n", "is not a number", "n"),
    ("csv", b"a,n:SS\n1,[1]\n", "is not a string", "n"),
    ("csv", b"a,n:DDB\n1,{}\n", "has not the shape of DynamoDB's", "n"),
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


def test_declared_types_are_those_of_the_values() -> None:
    types = {"n": "N", "ok": "BOOL", "s": "S"}
    # NULL has no type of its own in JSON.
    assert written([{"n": None, "ok": True}], "jsonl", types) == b'{"n":null,"ok":true}\n'
    for wrong in ({"n": "5"}, {"ok": 1}, {"s": 5}):
        with pytest.raises(FormatError, match="and its column of type"):
            written([wrong], "jsonl", types)
    for format in ("csv", "parquet"):
        with pytest.raises(FormatError, match="is of type NULL, and its column of type N"):
            written([{"n": None}], format, {"n": "N"})
        with pytest.raises(FormatError, match="of type N, and its column of type BOOL"):
            written([{"ok": 5}], format, {"ok": "BOOL"})
    [row] = read(b'{"ok": 1}\n', "jsonl", types)
    assert (row.reason, row.path) == ("is neither true nor false", "ok")


def test_columns_are_declared_whole() -> None:
    for format in ("csv", "parquet"):
        with pytest.raises(ValueError, match=r"types= has attributes that are no columns: \['n'\]"):
            open_writer(io.BytesIO(), format, columns=["pk"], types={"n": "N"})
    with pytest.raises(ValueError, match="columns= is for CSV and Parquet"):
        open_writer(io.BytesIO(), "jsonl", columns=["pk"])


def test_a_row_of_nothing_is_no_line_of_csv() -> None:
    stream = io.BytesIO()
    writer = open_writer(stream, "csv", columns=["a"])
    writer.write({"a": "x"})
    with pytest.raises(FormatError, match="has no attribute, which is an empty line of CSV"):
        writer.write({})
    assert stream.getvalue() == b"a\nx\n"


def test_lines_of_json_that_editors_leave_behind() -> None:
    """A mark at the beginning, empty lines, and no line end at the last."""
    file = b'\xef\xbb\xbf{"a": 1}\n\n  \r\n{"a": 2}'
    first, second = read(file, "jsonl")
    assert (first.item, second.item) == ({"a": 1}, {"a": 2})
    assert (first.line, second.line, second.number) == (1, 4, 2)


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


def test_a_row_that_never_ends_is_broken_alone() -> None:
    lines = [b"y" * 1_000_000 + b"\n"] * 5
    first, *rest = read(b'a\n"' + b"".join(lines) + b"good\n", "csv")
    assert (first.item, first.reason) == (None, "is not CSV: the row never ends")
    assert [row.raw for row in rest] == [*lines[1:], b"good\n"]
    assert rest[-1].item == {"a": "good"}


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


def parquet_of(table: Any) -> bytes:
    import pyarrow.parquet as parquet

    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return stream.getvalue()


def test_more_types_of_parquet() -> None:
    import pyarrow as pa

    maps = pa.map_(pa.string(), pa.list_(pa.int64()))
    table = pa.table(
        {
            "fixed": pa.array([b"abcd"], pa.binary(4)),
            "word": pa.array(["x"]).dictionary_encode(),
            "map": pa.array([[("k", [1, None]), ("w", None)]], maps),
            "none": pa.array([None], pa.null()),
        }
    )
    [row] = read(parquet_of(table), "parquet")
    assert row.item == {"fixed": b"abcd", "word": "x", "map": {"k": [1, None], "w": None}}
    for kind, held in (
        (pa.map_(pa.int64(), pa.string()), [[(1, "a")]]),
        (pa.list_(pa.date32()), [[0]]),
    ):
        with pytest.raises(FormatError, match=r"attribute t: has the type .* no counterpart"):
            read(parquet_of(pa.table({"t": pa.array(held, kind)})), "parquet")


def test_types_of_parquet_that_are_none() -> None:
    import pyarrow as pa

    file = parquet_of(pa.table({"a": ["x"]}))
    with pytest.raises(FormatError, match=r"a file: types= has attributes that are no columns"):
        read(file, "parquet", {"b": "N"})
    field = pa.field("a", pa.string(), metadata={b"dynamodb": b"T"})
    strange = parquet_of(pa.table({"a": ["x"]}, schema=pa.schema([field])))
    with pytest.raises(FormatError, match=r"a file: the type of 'a' must be one of"):
        read(strange, "parquet")


def test_broken_rows_of_parquet_are_as_broken_in_the_dead_letters() -> None:
    import pyarrow as pa

    table = pa.table(
        {
            "n": ["1", "x", "2", "y"],
            "doc": ['{"a": 1}', "{}", "{broken", "{}"],
            "flag": [True, True, False, None],
            "blob": [b"a", b"b", b"c", None],
            "real": [0.5, 1.5, 2.5, None],
            "deep": [[1], [2], [3], None],
        }
    )
    first, *broken = read(parquet_of(table), "parquet", {"n": "N", "doc": "JSON"})
    assert first.item == {
        "n": 1,
        "doc": {"a": 1},
        "flag": True,
        "blob": b"a",
        "real": 0.5,
        "deep": [1],
    }
    assert [(row.number, row.path) for row in broken] == [(2, "n"), (3, "doc"), (4, "n")]
    assert "is not a number" in broken[0].reason
    assert "is not JSON" in broken[1].reason
    told = json.loads(broken[1].raw)["Item"]
    assert (told["n"], told["flag"], told["blob"]) == ({"N": "2"}, {"BOOL": False}, {"B": "Yw=="})
    # What has no place there is not taken for the value.
    assert told["deep"] == {"UNREADABLE": "list"}
    assert told["real"] == {"N": "2.5"}
    for row in broken:
        [again] = read(row.raw, "dynamodb-json")
        assert again.item is None


def test_groups_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as parquet

    monkeypatch.setattr("aiobatch.bulk.formats.parquet._ROWS_A_GROUP", 10)
    items = [{"pk": f"{n}"} for n in range(25)]
    stream = io.BytesIO()
    writer = open_writer(stream, "parquet", columns=["pk"])
    for item in items:
        writer.write(item)
    writer.close()
    assert parquet.ParquetFile(io.BytesIO(stream.getvalue())).num_row_groups == 3
    rows = read(stream.getvalue(), "parquet")
    assert items_of(rows) == items
    for start in (9, 10, 24, 25):
        rest = open_reader(io.BytesIO(stream.getvalue()), "parquet").rows(rows[start - 1].end)
        assert [row.item for row in rest] == items[start:]


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'aiobatch\[parquet\]'"):
        read(b"", "parquet")
