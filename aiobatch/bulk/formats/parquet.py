"""Parquet, through pyarrow.

Strings, whole numbers, floats, decimals, booleans, binary, lists, structs and maps are read as
DynamoDB's types; null is no attribute. Dates and times have no counterpart, so a file with such a
column is refused. What is written keeps its types in the columns' metadata (``dynamodb``), which a
reader of ours follows: numbers stand as text, since a column of Parquet has no number of
DynamoDB's 38 digits and exponents; values of mixed types stand as DynamoDB's own JSON.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, BinaryIO, Final

from orjson import dumps

from aiobatch.bulk.errors import FormatError, MissingExtra
from aiobatch.bulk.formats.columns import ColumnedWriter, Columns
from aiobatch.bulk.formats.plain import parse_json, plain_json
from aiobatch.bulk.formats.rows import START, Broken, Position, Row
from aiobatch.bulk.formats.typed import line_of, mismatch
from aiobatch.bulk.formats.types import check_types, from_json
from aiobatch.codec import decode_item

__all__ = ["ParquetReader", "ParquetWriter"]

_KIND: Final = b"dynamodb"
_ROWS_AT_ONCE: Final = 500
_ROWS_A_GROUP: Final = 5000


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(
            "Parquet needs pyarrow: pip install 'aiobatch[parquet]'", name="pyarrow"
        ) from error
    return pyarrow, pyarrow.parquet


class ParquetReader:
    """Reads Parquet. The schema is read at once.

    Raises:
        FormatError: it is no Parquet, or has columns that DynamoDB has no types for.
    """

    header = b""

    def __init__(self, stream: BinaryIO, types: Mapping[str, str], name: str) -> None:
        self._pa, parquet = _pyarrow()
        try:
            self._file = parquet.ParquetFile(stream)
        except (self._pa.ArrowException, OSError, ValueError):
            raise FormatError("is not Parquet, or is damaged", source=name) from None
        self._name = name
        schema = self._file.schema_arrow
        if strange := types.keys() - set(schema.names):
            raise FormatError(
                f"types= has attributes that are no columns: {sorted(strange)}", source=name
            )
        kinds = dict(types)
        self._plain: dict[str, Callable[[Any], Any]] = {}
        for field in schema:
            declared = kinds.get(field.name) or (field.metadata or {}).get(_KIND, b"").decode()
            if declared:
                kinds[field.name] = declared
            else:
                self._plain[field.name] = self._reader(field.type, field.name)
        try:
            self._kinds = check_types(kinds)
        except ValueError as error:
            raise FormatError(str(error), source=name) from None
        # Binary is bytes here, not base64.
        self._convert = from_json({n: k for n, k in self._kinds.items() if k not in ("B", "BS")})

    def rows(self, start: Position = START) -> Iterator[Row]:
        """See :class:`Reader`."""
        number = 0
        groups = self._file.metadata.num_row_groups
        first = 0
        # Whole groups of rows that are behind us are not read at all.
        while first < groups:
            size = self._file.metadata.row_group(first).num_rows
            if number + size > start.row:
                break
            number += size
            first += 1
        if first == groups:
            return
        names = self._file.schema_arrow.names
        for batch in self._file.iter_batches(
            batch_size=_ROWS_AT_ONCE, row_groups=list(range(first, groups))
        ):
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                if number > start.row:
                    yield self._row(number, dict(zip(names, cells, strict=True)))

    def _row(self, number: int, cells: dict[str, Any]) -> Row:
        end = Position(number, 0, number)
        given = {name: value for name, value in cells.items() if value is not None}
        try:
            item = self._item(given)
            return Row(number, None, end, line_of(item), item)
        except FormatError as error:
            # DynamoDB would refuse it; that is found again, with its place, when it is sent.
            reason, path = error.reason, error.path
        except Broken as broken:
            reason, path = broken.reason, broken.path
        return Row(number, None, end, self._as_declared(given), None, reason, path)

    def _item(self, given: dict[str, Any]) -> dict[str, Any]:
        item = {}
        for name, value in given.items():
            kind = self._kinds.get(name)
            if kind is None:
                item[name] = self._plain[name](value)
            elif kind == "BS":
                item[name] = set(value)
            elif kind in ("JSON", "DDB"):
                try:
                    item[name] = parse_json(value) if type(value) is str else value
                except Broken as broken:
                    raise Broken(broken.reason, name) from None
            else:
                item[name] = value
        return self._convert(item)

    def _as_declared(self, given: dict[str, Any]) -> bytes:
        """A broken row, with the types that its columns have, so that it is broken again."""
        item = {name: _declared(self._kinds.get(name), value) for name, value in given.items()}
        return b'{"Item":' + dumps(item) + b"}\n"

    def _reader(self, kind: Any, name: str) -> Callable[[Any], Any]:
        """What turns a value of pyarrow's into one that DynamoDB has a type for."""
        types = self._pa.types
        if types.is_integer(kind) or types.is_boolean(kind) or types.is_string(kind):
            return _as_it_is
        if types.is_large_string(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return _as_it_is
        if types.is_binary(kind) or types.is_large_binary(kind) or types.is_null(kind):
            return _as_it_is
        if types.is_fixed_size_binary(kind):
            return _as_it_is
        if types.is_dictionary(kind):
            return self._reader(kind.value_type, name)
        if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            element = self._reader(kind.value_type, name)
            return lambda values: [None if each is None else element(each) for each in values]
        if types.is_struct(kind):
            fields = {field.name: self._reader(field.type, name) for field in kind}
            return lambda value: {
                key: fields[key](each) for key, each in value.items() if each is not None
            }
        if types.is_map(kind) and types.is_string(kind.key_type):
            member = self._reader(kind.item_type, name)
            return lambda pairs: {
                key: None if each is None else member(each) for key, each in pairs
            }
        raise FormatError(
            f"has the type {kind}, which DynamoDB has no counterpart for: convert it to a string"
            " or a number",
            path=name,
            source=self._name,
        )


def _as_it_is(value: Any) -> Any:
    return value


def _declared(kind: str | None, value: Any) -> dict[str, Any]:
    if kind is None:
        if type(value) is bool:
            return {"BOOL": value}
        if type(value) is bytes:
            return {"B": b2a_base64(value, newline=False).decode()}
        kind = "N" if isinstance(value, int | float | Decimal) else "S"
    if type(value) in (str, int, float, Decimal):
        return {kind: str(value)}
    # Of a type that DynamoDB does not know, so that nobody takes it for the value.
    return {"UNREADABLE": type(value).__name__}


class ParquetWriter(ColumnedWriter):
    """Writes Parquet; see the module for how."""

    def __init__(
        self,
        stream: BinaryIO,
        types: Mapping[str, str] | None,
        columns: Iterable[str] | None,
    ) -> None:
        super().__init__(types, columns)
        self._pa, self._parquet = _pyarrow()
        self._stream = stream
        self._rows: list[list[Any]] = []
        self._out: Any = None
        self._schema: Any = None

    def close(self) -> None:
        """See :class:`Writer`."""
        super().close()
        self._write_group()
        self._out.close()

    def _write(self, item: Mapping[str, Any], columns: Columns) -> None:
        self._rows.append(
            [
                _value(item[name], kind, name) if name in item else None
                for name, kind in columns.items()
            ]
        )
        if len(self._rows) >= _ROWS_A_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        assert self._columns is not None
        pa = self._pa
        if self._out is None:
            fields = [
                pa.field(name, self._type(kind), metadata={_KIND: kind.encode()})
                for name, kind in self._columns.items()
            ]
            self._schema = pa.schema(fields)
            self._out = self._parquet.ParquetWriter(self._stream, self._schema)
        if self._rows:
            columns = list(zip(*self._rows, strict=True))
            arrays = [
                pa.array(values, type=field.type)
                for values, field in zip(columns, self._schema, strict=True)
            ]
            self._out.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._rows = []

    def _type(self, kind: str) -> Any:
        pa = self._pa
        match kind:
            case "B":
                return pa.binary()
            case "BOOL":
                return pa.bool_()
            case "SS" | "NS":
                return pa.list_(pa.string())
            case "BS":
                return pa.list_(pa.binary())
            case _:
                return pa.string()


def _value(typed: Mapping[str, Any], kind: str, name: str) -> Any:
    [(tag, value)] = typed.items()
    if kind == "DDB":
        return dumps(typed).decode()
    if kind == "JSON":
        return plain_json(typed, name)
    if tag != kind:
        raise mismatch(tag, kind, name)
    if tag in ("B", "BS"):
        return decode_item({name: typed}, "decimal")[name]
    return value
