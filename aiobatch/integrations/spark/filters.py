"""Spark's filters as key conditions of queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql.datasource import Filter
    from pyspark.sql.types import StructType

__all__ = ["KeyQuery", "key_queries"]

# Each is a partition of the frame; in most tables a scan is faster than more of them.
_MOST_QUERIES = 100


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """One query: its key condition, and the placeholders in it."""

    condition: str
    names: dict[str, str]
    values: dict[str, Any]


def key_queries(
    filters: Sequence[Filter], key_names: tuple[str, ...], schema: StructType
) -> list[KeyQuery] | None:
    """The queries that find everything that passes the filters, and perhaps more.

    Returns:
        A query for each partition key that the filters allow; None where they do not name any, or
        too many.
    """
    from pyspark.sql import datasource

    partition, *sort = key_names
    allowed: list[Any] | None = None
    for one in filters:
        if getattr(one, "attribute", None) != (partition,):
            continue
        if isinstance(one, datasource.EqualTo | datasource.EqualNullSafe):
            allowed = _both(allowed, [one.value])
        elif isinstance(one, datasource.In):
            allowed = _both(allowed, list(one.value))
    if allowed is None or len(allowed) > _MOST_QUERIES or not _is_exact(schema, partition):
        return None
    condition, names = "#pk = :pk", {"#pk": partition}
    values: dict[str, Any] = {}
    if sort and _is_exact(schema, sort[0]):
        more, values = _of_sort_key(
            [one for one in filters if getattr(one, "attribute", None) == (sort[0],)]
        )
        if more:
            condition += f" AND {more}"
            names["#sk"] = sort[0]
    return [
        KeyQuery(condition, names, {**values, ":pk": value})
        for value in dict.fromkeys(allowed)
        if value is not None
    ]


def _both(allowed: list[Any] | None, more: list[Any]) -> list[Any]:
    return more if allowed is None else [value for value in more if value in allowed]


def _is_exact(schema: StructType, name: str) -> bool:
    """Whether equal values of the column are equal keys: not so for floats, nor for a collation."""
    from pyspark.sql import types

    if name not in schema.fieldNames():
        return False
    kind = schema[name].dataType
    if isinstance(kind, types.StringType):
        return bool(kind == types.StringType())
    return isinstance(kind, types.IntegralType | types.DecimalType | types.BinaryType)


def _of_sort_key(filters: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """One condition on the sort key, for a query takes one; the widest that is sure to hold."""
    from pyspark.sql import datasource

    lower = upper = None
    for one in filters:
        value = getattr(one, "value", None)
        if value is None:
            continue
        if isinstance(one, datasource.EqualTo | datasource.EqualNullSafe):
            return "#sk = :sk", {":sk": value}
        if isinstance(one, datasource.StringStartsWith):
            if value:
                return "begins_with(#sk, :sk)", {":sk": value}
        elif isinstance(one, datasource.GreaterThan | datasource.GreaterThanOrEqual):
            lower = value if lower is None else max(lower, value)
        elif isinstance(one, datasource.LessThan | datasource.LessThanOrEqual):
            upper = value if upper is None else min(upper, value)
    # Spark looks again, so that an end that is left out may be read here.
    if lower is not None and upper is not None and lower <= upper:
        return "#sk BETWEEN :sk AND :end", {":sk": lower, ":end": upper}
    if lower is not None:
        return "#sk >= :sk", {":sk": lower}
    if upper is not None:
        return "#sk <= :sk", {":sk": upper}
    return "", {}
