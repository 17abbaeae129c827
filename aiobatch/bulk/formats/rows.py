"""What all formats have in common: rows, places in a file, readers and writers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

__all__ = ["FORMATS", "START", "Broken", "FormatName", "Position", "Reader", "Row", "Writer"]

FormatName = Literal["csv", "jsonl", "dynamodb-json", "parquet"]
FORMATS: Final[tuple[FormatName, ...]] = ("csv", "jsonl", "dynamodb-json", "parquet")


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two rows of a file.

    Attributes:
        row: how many rows stand before it.
        line: how many lines stand before it; 0 where a format has none.
        offset: how many bytes stand before it, of the decompressed file; rows where a format
            counts no bytes.
    """

    row: int = 0
    line: int = 0
    offset: int = 0


START: Final = Position()


@dataclass(slots=True)
class Row:
    """One row of a file.

    Attributes:
        number: which one, counted from 1. Lines without anything on them are none.
        line: the line that it begins on, counted from 1; None where a format has no lines.
        end: the place behind it.
        raw: the row as it stands in the file, its line end included; in a format that is no text,
            a line of DynamoDB JSON.
        item: its item; numbers are int or Decimal, exact. None if the row is broken.
        reason: what is wrong with a broken row. Never what it holds.
        path: the attribute of a broken row that is at fault, if it is a single one.
    """

    number: int
    line: int | None
    end: Position
    raw: bytes
    item: dict[str, Any] | None
    reason: str = ""
    path: str = ""


class Broken(Exception):
    """A row from which no item can be made."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path


class Reader(Protocol):
    """Reads the rows of one file. Its methods block: call them in a thread."""

    @property
    def header(self) -> bytes:
        """What stands before the first row, such as CSV's line of names."""
        ...

    def rows(self, start: Position = START) -> Iterator[Row]:
        """Read the rows from a place on. They are parsed one by one, as they are asked for.

        Raises FormatError if the file has not this format at all.
        """
        ...


class Writer(Protocol):
    """Writes items into one file. Its methods block: call them in a thread."""

    def write(self, item: Any) -> None:
        """Write an item, given in any form that ``batch_write_item`` takes.

        Raises FormatError if the format cannot hold it exactly; nothing of it is written then.
        """
        ...

    def write_typed(self, item: Mapping[str, Any]) -> None:
        """Write an item that is given as AttributeValues by name."""
        ...

    def close(self) -> None:
        """Write what is held back. The stream stays open."""
        ...
