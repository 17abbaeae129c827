"""The columns of a file that has some: declared, or found in the first items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiobatch.bulk.errors import FormatError
from aiobatch.bulk.formats.types import check_types

__all__ = ["HELD_BACK", "Columns", "declared_columns", "found_columns", "refuse_strangers"]

#: From so many items the columns are found where they are not declared.
HELD_BACK: Final = 1000

_SIMPLE: Final = frozenset({"S", "N", "B", "BOOL", "SS", "NS", "BS"})

Columns = dict[str, str]


def declared_columns(
    columns: Iterable[str] | None, types: Mapping[str, str] | None
) -> Columns | None:
    """The columns as the caller gave them, with their types; None where only types were given.

    Raises ValueError for a type of what is no column.
    """
    kinds = check_types(types)
    if columns is None:
        return None
    named = list(columns)
    if strange := kinds.keys() - set(named):
        raise ValueError(f"types= has attributes that are no columns: {sorted(strange)}")
    return {name: kinds.get(name, "S") for name in named}


def found_columns(items: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> Columns:
    """Find columns in items that are given as AttributeValues.

    An attribute has its declared type; else the one that it has in all of these items; else DDB,
    which holds all. An empty string is not told from no attribute in every format, so it needs
    DDB as well.
    """
    found: Columns = {}
    for item in items:
        for name, typed in item.items():
            [(tag, value)] = typed.items()
            kind = tag if tag in _SIMPLE and value != "" else "DDB"
            if found.setdefault(name, kind) != kind:
                found[name] = "DDB"
    return {**found, **types}


def refuse_strangers(item: Mapping[str, Any], columns: Columns) -> None:
    """Raise FormatError for an attribute that has no column."""
    for name in item:
        if name not in columns:
            raise FormatError(
                "has no column, since the first items had no such attribute: name all columns"
                ' with columns=, or write DynamoDB JSON (format="dynamodb-json")',
                path=name,
            )
