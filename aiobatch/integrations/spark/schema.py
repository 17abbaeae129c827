"""Spark's types beside DynamoDB's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiobatch.integrations.spark.options import WriteOptions

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = ["check_columns"]


def check_columns(schema: StructType, key_names: tuple[str, ...], options: WriteOptions) -> None:
    """Refuse a frame that cannot be written, before anything is.

    Raises:
        ValueError: a key without a column, or a column of a type that DynamoDB has none for.
    """
    names = schema.fieldNames()
    for name in key_names:
        if name not in names:
            raise ValueError(
                f"the frame has no column {name!r}, a key attribute of table {options.table!r}."
                " Nothing was written"
            )
    unknown = [name for name in options.sets if name not in names]
    if unknown:
        raise ValueError(f"option sets names {unknown[0]!r}, and the frame has no such column")
    for field in schema.fields:
        if options.operation == "put" or field.name in key_names:
            _check(field.dataType, field.name)


def _check(kind: Any, path: str) -> None:
    from pyspark.sql import types

    if isinstance(kind, types.StructType):
        for field in kind.fields:
            _check(field.dataType, f"{path}.{field.name}")
    elif isinstance(kind, types.ArrayType):
        _check(kind.elementType, f"{path}[]")
    elif isinstance(kind, types.MapType):
        if not isinstance(kind.keyType, types.StringType):
            raise ValueError(
                f"column {path} is a map with keys of {kind.keyType.simpleString()}, and names of"
                " attributes are strings: cast them. Nothing was written"
            )
        _check(kind.valueType, f"{path}.*")
    elif not isinstance(
        kind,
        types.StringType
        | types.NumericType
        | types.BooleanType
        | types.BinaryType
        | types.NullType,
    ):
        raise ValueError(
            f"column {path} is {kind.simpleString()}, and DynamoDB has no such type: cast it to a"
            " string or a number. Nothing was written"
        )
