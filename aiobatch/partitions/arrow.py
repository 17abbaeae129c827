"""Arrow's rows as items, and items as Arrow's columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Literal

try:
    import pyarrow as pa
    import pyarrow.types as kinds
except ImportError as error:
    raise ImportError("record batches need pyarrow: pip install 'aiobatch[parquet]'") from error

__all__ = ["BatchMaker", "Mismatch", "RowMaker"]

Convert = Callable[[Any], Any]
OnMismatch = Literal["raise", "null"]


class Mismatch(ValueError):
    """A value that the column's type has no place for.

    Attributes:
        row: the item's place among those that were read, counted from 0.
        path: the attribute.
        reason: what it is, and what the column takes.
    """

    def __init__(self, row: int, path: str, reason: str) -> None:
        self.row = row
        self.path = path
        self.reason = reason
        super().__init__(f"item {row}, attribute {path}: {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.row, self.path, self.reason)


# ---------------------------------------------------------------------- rows to items


class RowMaker:
    """Makes items of the rows of record batches that have one schema.

    Args:
        sets: columns of lists that become sets.
        nulls: whether null attributes are left out or written.
        columns: the columns to take, or None for all.

    Raises:
        ValueError: a column that is not there, or a set that is no list; at the first batch.
    """

    def __init__(
        self,
        *,
        sets: Iterable[str] = (),
        nulls: Literal["omit", "write"] = "omit",
        columns: Iterable[str] | None = None,
    ) -> None:
        if nulls not in ("omit", "write"):
            raise ValueError(f'nulls must be "omit" or "write", not {nulls!r}')
        if isinstance(sets, str) or isinstance(columns, str):
            raise TypeError("sets and columns take lists of names, not a str")
        self._sets = frozenset(sets)
        self._omits = nulls == "omit"
        self._columns = None if columns is None else list(columns)
        self._schema: Any = None
        self._converts: dict[str, Convert] = {}

    def rows(self, batch: pa.RecordBatch) -> list[dict[str, Any]]:
        """The items of a batch."""
        if self._columns is not None:
            missing = [name for name in self._columns if name not in batch.schema.names]
            if missing:
                raise ValueError(f"the rows have no column {missing[0]!r}")
            batch = batch.select(self._columns)
        if self._schema is None or not self._schema.equals(batch.schema):
            self._learn(batch.schema)
        rows: list[dict[str, Any]] = batch.to_pylist()
        converts, omits = self._converts, self._omits
        for row in rows:
            for name, convert in converts.items():
                if (value := row[name]) is not None:
                    row[name] = convert(value)
        return [_without_nulls(row) for row in rows] if omits else rows

    def _learn(self, schema: Any) -> None:
        unknown = sorted(self._sets - set(schema.names))
        if unknown:
            raise ValueError(f"sets names a column that is not there: {unknown[0]!r}")
        self._converts = {}
        for field in schema:
            if field.name in self._sets:
                if not _is_list(field.type):
                    raise ValueError(
                        f"sets names {field.name!r}, a column of {field.type}, no list"
                    )
                # None where there is nothing in it: DynamoDB has no empty set.
                self._converts[field.name] = lambda values: set(values) or None
            elif (convert := self._convert(field.type)) is not None:
                self._converts[field.name] = convert
        self._schema = schema

    def _convert(self, kind: Any) -> Convert | None:
        """What makes an attribute of a value of this type; None: it is one already."""
        if kinds.is_map(kind):
            of_item = self._convert(kind.item_type)
            if of_item is None:
                return dict
            return lambda pairs: {key: _if_any(of_item, value) for key, value in pairs}
        if kinds.is_struct(kind):
            fields = [kind.field(at) for at in range(kind.num_fields)]
            inside = {
                field.name: convert
                for field in fields
                if (convert := self._convert(field.type)) is not None
            }
            omits = self._omits

            def struct(values: dict[str, Any]) -> dict[str, Any]:
                made = {
                    name: _if_any(inside[name], value) if name in inside else value
                    for name, value in values.items()
                }
                return _without_nulls(made) if omits else made

            return struct if omits or inside else None
        if _is_list(kind):
            inner = self._convert(kind.value_type)
            if inner is None:
                return None
            return lambda values: [_if_any(inner, value) for value in values]
        return None


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _if_any(convert: Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _is_list(kind: Any) -> bool:
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


# ---------------------------------------------------------------------- items to columns


class BatchMaker:
    """Makes record batches of one schema from items, whose numbers were read as Decimal.

    Args:
        schema: the columns. An attribute that an item does not have is null.
        on_mismatch: what a value does that the column's type has no place for: ``"raise"`` or
            become ``"null"``.

    Raises:
        ValueError: a type that no attribute of DynamoDB can be read as.
    """

    def __init__(self, schema: pa.Schema, *, on_mismatch: OnMismatch = "raise") -> None:
        self.schema = schema
        self._nulls = on_mismatch == "null"
        self._rows = 0
        self._columns = [(field, _reader(field.type, field.name)) for field in schema]

    def batch(self, items: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        """A batch with a row for each item.

        Raises:
            Mismatch: see ``on_mismatch``.
        """
        arrays = []
        for field, read in self._columns:
            values = [item.get(field.name) for item in items]
            arrays.append(pa.array(self._read(values, read, field.name), type=field.type))
        self._rows += len(items)
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(items), pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _read(self, values: list[Any], read: Convert, name: str) -> list[Any]:
        made = []
        for row, value in enumerate(values, self._rows):
            try:
                made.append(None if value is None else read(value))
            except _Unfit as unfit:
                if not self._nulls:
                    raise Mismatch(row, name + unfit.path, unfit.reason) from None
                made.append(None)
        return made


class _Unfit(Exception):
    def __init__(self, reason: str, path: str = "") -> None:
        self.reason = reason
        self.path = path
        super().__init__()

    def under(self, path: str) -> _Unfit:
        return _Unfit(self.reason, path + self.path)


_NAMES = {
    str: "a string",
    Decimal: "a number",
    bytes: "binary",
    bool: "a boolean",
    list: "a list",
    dict: "a map",
    set: "a set",
}


def _unfit(value: Any, kind: Any) -> _Unfit:
    return _Unfit(
        f"is {_NAMES.get(type(value), type(value).__name__)} in DynamoDB, and the schema has {kind}"
    )


def _reader(kind: Any, name: str) -> Convert:
    """What reads an attribute as a value of this type."""
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return _exactly(str, kind)
    if kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return _exactly(bytes, kind)
    if kinds.is_boolean(kind):
        return _exactly(bool, kind)
    if kinds.is_integer(kind):
        return _integer(kind)
    if kinds.is_floating(kind):
        return _floating(kind)
    if kinds.is_decimal(kind):
        return _decimal(kind)
    if kinds.is_null(kind):
        return lambda value: None
    if kinds.is_map(kind):
        return _map(kind, _reader(kind.item_type, name), name)
    if kinds.is_struct(kind):
        fields = [kind.field(at) for at in range(kind.num_fields)]
        return _struct(kind, {field.name: _reader(field.type, name) for field in fields})
    if _is_list(kind):
        return _list(kind, _reader(kind.value_type, name))
    raise ValueError(
        f"column {name!r} has the type {kind}, and DynamoDB has none like it: read it as what is"
        " stored (a string, a number), and convert it afterwards"
    )


def _exactly(wanted: type, kind: Any) -> Convert:
    def read(value: Any) -> Any:
        if type(value) is not wanted:
            raise _unfit(value, kind)
        return value

    return read


def _integer(kind: Any) -> Convert:
    lowest = 0 if kinds.is_unsigned_integer(kind) else -(2 ** (kind.bit_width - 1))
    beyond = 2 ** (kind.bit_width - (0 if kinds.is_unsigned_integer(kind) else 1))

    def read(value: Any) -> int:
        if type(value) is not Decimal:
            raise _unfit(value, kind)
        # A number of DynamoDB has up to 126 digits before the point: look before converting.
        if value.adjusted() > 19 or not lowest <= (whole := int(value)) < beyond:
            raise _Unfit(f"is a number beyond {kind}")
        if whole != value:
            raise _Unfit(f"is a number with a fraction, and the schema has {kind}")
        return whole

    return read


def _floating(kind: Any) -> Convert:
    def read(value: Any) -> float:
        if type(value) is not Decimal:
            raise _unfit(value, kind)
        return float(value)

    return read


def _decimal(kind: Any) -> Convert:
    step = Decimal(1).scaleb(-kind.scale)
    most = kind.precision - kind.scale

    def read(value: Any) -> Decimal:
        if type(value) is not Decimal:
            raise _unfit(value, kind)
        with localcontext() as context:
            context.prec = 200
            made = value.quantize(step)
        if made != value or (value and value.adjusted() >= most):
            raise _Unfit(f"is a number with more digits than {kind}")
        return made

    return read


def _map(kind: Any, read: Convert, name: str) -> Convert:
    if not kinds.is_string(kind.key_type):
        raise ValueError(f"column {name!r} is a map with keys that are no strings")

    def read_map(value: Any) -> list[tuple[str, Any]]:
        if type(value) is not dict:
            raise _unfit(value, kind)
        return [(key, _within(read, one, f".{key}")) for key, one in value.items()]

    return read_map


def _struct(kind: Any, reads: dict[str, Convert]) -> Convert:
    def read_struct(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _unfit(value, kind)
        return {name: _within(read, value.get(name), f".{name}") for name, read in reads.items()}

    return read_struct


def _list(kind: Any, read: Convert) -> Convert:
    def read_list(value: Any) -> list[Any]:
        if type(value) is set:
            # A set has no order; sorted, the same set is read the same each time.
            value = sorted(value)
        elif type(value) is not list:
            raise _unfit(value, kind)
        return [_within(read, one, f"[{at}]") for at, one in enumerate(value)]

    return read_list


def _within(read: Convert, value: Any, path: str) -> Any:
    if value is None:
        return None
    try:
        return read(value)
    except _Unfit as unfit:
        raise unfit.under(path) from None
