"""The columns of a file that has some: declared, or found in the first items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiobatch.bulk.errors import FormatError
from aiobatch.bulk.formats.typed import typed_of
from aiobatch.bulk.formats.types import check_types

__all__ = ["ColumnedWriter", "Columns", "found_columns"]

# From so many items the columns are found where they are not declared.
_HELD_BACK: Final = 1000

_SIMPLE: Final = frozenset({"S", "N", "B", "BOOL", "SS", "NS", "BS"})

Columns = dict[str, str]


def _declared_columns(
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


def _refuse_strangers(item: Mapping[str, Any], columns: Columns) -> None:
    """Raise FormatError for an attribute that has no column."""
    for name in item:
        if name not in columns:
            raise FormatError(
                "has no column, since the first items had no such attribute: name all columns"
                ' with columns=, or write DynamoDB JSON (format="dynamodb-json")',
                path=name,
            )


class ColumnedWriter:
    """What writers of rows under columns have in common: the first items tell the columns.

    Args:
        types: types by attribute.
        columns: all columns, in their order. None: those of the first items, which are held back.
    """

    def __init__(self, types: Mapping[str, str] | None, columns: Iterable[str] | None) -> None:
        self._types = check_types(types)
        self._columns = _declared_columns(columns, types)
        self._held: list[Mapping[str, Any]] = []

    def write(self, item: Any) -> None:
        """See :class:`Writer`."""
        self.write_typed(typed_of(item))

    def write_typed(self, item: Mapping[str, Any]) -> None:
        """See :class:`Writer`."""
        if self._columns is not None:
            self._write_under(item, self._columns)
            return
        self._held.append(item)
        if len(self._held) >= _HELD_BACK:
            self._settle()

    def close(self) -> None:
        """See :class:`Writer`."""
        if self._columns is None:
            self._settle()

    def _settle(self) -> None:
        self._columns = found_columns(self._held, self._types)
        held, self._held = self._held, []
        self._found(self._columns)
        for item in held:
            self._write_under(item, self._columns)

    def _write_under(self, item: Mapping[str, Any], columns: Columns) -> None:
        _refuse_strangers(item, columns)
        self._write(item, columns)

    def _found(self, columns: Columns) -> None:
        """The columns are known now that were not declared."""

    def _write(self, item: Mapping[str, Any], columns: Columns) -> None:
        """Write an item that has no other attributes."""
        raise NotImplementedError
