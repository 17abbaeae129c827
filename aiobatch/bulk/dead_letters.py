"""Dead letters: the rows that were not written, as they stood in the file, with the reasons.

The rows of ``places.csv`` go to ``places.rejected.csv``, which can be loaded again as it is, and
the reasons to ``places.rejected.csv.reasons.jsonl``, one line for each row. Rows are added when the
checkpoint passes them, before it is written; a load that goes on cuts off what is behind it. So
each rejected row stands there once. Parquet's rows, and the items that a copy could not write, are
written as DynamoDB JSON.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from orjson import dumps

from aiobatch.bulk.durable import sync_directory, why_not_written
from aiobatch.bulk.errors import DeadLetterError
from aiobatch.bulk.formats import FormatName, suffix_of
from aiobatch.bulk.sources import Source

__all__ = ["MOST_REASONS", "DeadLetters", "Rejection", "default_dead_letters", "letters_of_table"]

_REASONS: Final = ".reasons.jsonl"
#: Of reasons that are told to people: the first ones tell what is wrong with a file.
MOST_REASONS: Final = 20


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not written.

    Attributes:
        row: which one of its file, counted from 1.
        line: where it begins, or None.
        path: the attribute at fault, or empty.
        reason: what is wrong.
    """

    row: int
    line: int | None
    path: str
    reason: str

    def told(self, file: str) -> str:
        """The same in words, for a row of this file."""
        at = f"line {self.line}" if self.line is not None else f"row {self.row}"
        return f"{file}, {at}: {f'{self.path}: ' if self.path else ''}{self.reason}"


def format_in_dead_letters(format: FormatName) -> FormatName:
    """The format in which rejected rows of a format are kept."""
    return "dynamodb-json" if format == "parquet" else format


def default_dead_letters(source: Source) -> Path:
    """Where the rejected rows of a source go: beside it, or into the working directory.

    >>> default_dead_letters(Source("data/places.csv.gz", "csv")).as_posix()
    'data/places.rejected.csv'
    """
    path = source.path
    if path is None:
        name = "stdin" if source.is_stdin else urlsplit(source.name).path.rsplit("/", 1)[-1]
        path = Path(name or "input")
    stem = path.name
    if stem.lower().endswith(".gz"):
        stem = stem[:-3]
    own = path.with_name(stem).suffix
    if own.lower() in (".csv", ".jsonl", ".ndjson", ".json", ".parquet"):
        stem = stem[: -len(own)]
    return path.with_name(f"{stem}.rejected{suffix_of(format_in_dead_letters(source.format))}")


def letters_of_table(table_name: str) -> Path:
    """Where the items of a table go that a copy of it could not write.

    >>> letters_of_table("arn:aws:dynamodb:eu-west-1:123456789012:table/users").as_posix()
    'users.rejected.json'
    """
    return Path(f"{table_name.rpartition('/')[2]}.rejected{suffix_of('dynamodb-json')}")


class DeadLetters:
    """The dead-letter files of a load, one for each of its files. Its methods block.

    Args:
        places: their paths. Each is made when its first row comes.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = list(places)
        self.lengths: dict[int, tuple[int, int]] = {}

    @property
    def written(self) -> list[Path]:
        """Those that have rows."""
        return [self.places[file] for file in sorted(self.lengths)]

    def begin(self) -> None:
        """A load begins. Raises DeadLetterError if one of the files is there already."""
        for place in self.places:
            for path in (place, _reasons(place)):
                if path.exists():
                    raise DeadLetterError(
                        str(path),
                        "the file is there already, from an earlier run: load it or move it away,"
                        " or name another one",
                    )

    def resume(self, lengths: Mapping[int, tuple[int, int]]) -> None:
        """A load goes on: forget the rows that came behind its checkpoint.

        Raises DeadLetterError if a file has been changed.
        """
        for file, place in enumerate(self.places):
            for path, length in zip(
                (place, _reasons(place)), lengths.get(file, (0, 0)), strict=True
            ):
                self._cut(path, length)
        self.lengths = dict(lengths)

    def add(self, file: int, header: bytes, rows: Sequence[tuple[bytes, Rejection]]) -> None:
        """Append rejected rows of one file, durably. Raises DeadLetterError."""
        place = self.places[file]
        size, reasons_size = self.lengths.get(file, (0, 0))
        # A row at the very end of a file may have no line end.
        letters = b"".join(raw if raw.endswith(b"\n") else raw + b"\n" for raw, _ in rows)
        reasons = b"".join(
            dumps(
                {
                    "row": each.row,
                    "line": each.line,
                    "path": each.path,
                    "reason": each.reason,
                }
            )
            + b"\n"
            for _, each in rows
        )
        if not size:
            letters = header + letters
        try:
            self.lengths[file] = (
                _append(place, size, letters),
                _append(_reasons(place), reasons_size, reasons),
            )
            if not size:
                sync_directory(place.parent)
        except OSError as error:
            raise DeadLetterError(str(place), why_not_written(error)) from error

    def _cut(self, path: Path, length: int) -> None:
        try:
            if not length:
                path.unlink(missing_ok=True)
                return
            if path.stat().st_size < length:
                raise DeadLetterError(
                    str(path), "has been changed since the checkpoint was written: put it back"
                )
            os.truncate(path, length)
        except FileNotFoundError:
            raise DeadLetterError(
                str(path), "is gone, and the checkpoint needs it: put it back"
            ) from None
        except OSError as error:
            raise DeadLetterError(str(path), why_not_written(error)) from error


def _append(path: Path, size: int, content: bytes) -> int:
    with path.open("r+b" if size else "wb") as file:
        # Where a failed attempt left something, it is written over.
        file.truncate(size)
        file.seek(size)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return size + len(content)


def _reasons(place: Path) -> Path:
    return place.with_name(f"{place.name}{_REASONS}")
