"""CSV in UTF-8, with a line of names: ``pk,elevation:N,tags:SS``.

A column without a type is text (S). An empty cell is no attribute, so empty strings need a column
of the type JSON or DDB. Sets and the types JSON and DDB stand as JSON in their cells, binary as
base64. What a column cannot hold exactly is refused.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from aiobatch.bulk.errors import FormatError
from aiobatch.bulk.formats.columns import ColumnedWriter, Columns
from aiobatch.bulk.formats.lines import LONGEST_LINE, read_line
from aiobatch.bulk.formats.rows import START, Broken, Position, Row
from aiobatch.bulk.formats.typed import mismatch, simple_json
from aiobatch.bulk.formats.types import from_cell, split_header

__all__ = ["CsvReader", "CsvWriter"]

_QUOTE: Final = '"'
# csv.writer of some versions leaves a lone CR unquoted, which no reader takes.
_unsafe = re.compile(r'[",\r\n]|^[\s\ufeff]|\s$').search


class _Lines:
    """The lines that csv reads, with what it took for the row at hand; some may be given back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._again: list[bytes] = []
        self.taken: list[bytes] = []
        self._size = 0
        self._encoding = "utf-8-sig"  # for the first line, which may begin with a mark

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else read_line(self._stream, "a line")
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._size += len(line)
        if self._size > LONGEST_LINE:
            raise csv.Error("the row never ends")
        encoding, self._encoding = self._encoding, "utf-8"
        # Checked as a whole, once its row is known.
        return line.decode(encoding, "surrogateescape")

    def next_row(self) -> None:
        self.taken = []
        self._size = 0

    def give_back(self, kept: int) -> None:
        """All but the first lines of this row stand for themselves."""
        self._again.extend(reversed(self.taken[kept:]))
        del self.taken[kept:]


class CsvReader:
    """Reads CSV. The names are read at once.

    Raises:
        FormatError: there is no usable line of names.
    """

    def __init__(self, stream: BinaryIO, types: Mapping[str, str], name: str) -> None:
        # A cell may hold an item's 400 KB, and csv allows 128 KB by default: for the whole process.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
        self._stream = stream
        self._lines = _Lines(stream)
        self._name = name
        names = self._read_header()
        columns = self._columns(names, types)
        self._convert = from_cell(columns.items())
        self._width = len(names)
        # An empty file has no rows, and needs no names.
        self.header = header_of(columns) if columns else b""
        taken = self._lines.taken
        self._begin = Position(0, len(taken), sum(map(len, taken)))

    def rows(self, start: Position = START) -> Iterator[Row]:
        """See :class:`Reader`."""
        if start.offset > self._begin.offset:
            self._stream.seek(start.offset)
        else:
            start = self._begin
        lines = self._lines
        reader = csv.reader(lines, strict=True)
        number, line, offset = start.row, start.line, start.offset
        while True:
            lines.next_row()
            item, broken = None, None
            try:
                cells = next(reader)
                if cells:
                    item = self._item(cells)
            except StopIteration:
                return
            except csv.Error as error:
                # A quote too many swallows the rows below it: only the line that has it is broken.
                lines.give_back(1)
                broken = Broken(f"is not CSV: {error}")
                cells = [""]
            except Broken as error:
                broken = error
            except FormatError as error:
                raise FormatError(error.reason, source=self._name) from None
            raw = b"".join(lines.taken)
            first = line + 1
            line += len(lines.taken)
            offset += len(raw)
            if not cells:
                continue
            number += 1
            end = Position(number, line, offset)
            if broken is None:
                yield Row(number, first, end, raw, item)
            else:
                yield Row(number, first, end, raw, None, broken.reason, broken.path)

    def _item(self, cells: list[str]) -> dict[str, Any]:
        if len(cells) != self._width:
            raise Broken(f"has {len(cells)} cells, and the line of names {self._width}")
        for text in cells:
            if not text.isascii():
                _check_utf8(text)
        return self._convert(cells)

    def _read_header(self) -> list[str]:
        try:
            names = next(csv.reader(self._lines, strict=True), [])
            for cell in names:
                _check_utf8(cell)
        except (csv.Error, Broken) as error:
            raise self._no_header(f"the line of names cannot be read: {error}") from None
        if not names and self._lines.taken:
            raise self._no_header("there is no line of names at the top")
        return names

    def _columns(self, cells: list[str], types: Mapping[str, str]) -> dict[str, str]:
        columns: dict[str, str] = {}
        for cell in cells:
            name, kind = (cell, None) if cell in types else split_header(cell)
            if not name:
                raise self._no_header("the line of names has an empty name")
            if name in columns:
                raise self._no_header(f"the line of names has {name!r} twice")
            columns[name] = types.get(name) or kind or "S"
        if cells and (strange := types.keys() - columns.keys()):
            raise self._no_header(f"types= has attributes that are no columns: {sorted(strange)}")
        return columns

    def _no_header(self, reason: str) -> FormatError:
        return FormatError(reason, source=self._name)


def _check_utf8(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Broken("is not UTF-8") from None


class CsvWriter(ColumnedWriter):
    """Writes CSV.

    Args:
        stream: where to.
        types: types by attribute.
        columns: all columns, in their order. None: those of the first items, which are held back.
    """

    def __init__(
        self,
        stream: BinaryIO,
        types: Mapping[str, str] | None,
        columns: Iterable[str] | None,
    ) -> None:
        super().__init__(types, columns)
        self._stream = stream
        if self._columns is not None:
            self._stream.write(header_of(self._columns))

    def _found(self, columns: Columns) -> None:
        if columns:
            self._stream.write(header_of(columns))

    def _write(self, item: Mapping[str, Any], columns: Columns) -> None:
        cells = []
        for name, kind in columns.items():
            typed = item.get(name)
            cells.append("" if typed is None else _cell(typed, kind, name))
        if len(cells) == 1 and not cells[0]:
            raise FormatError("has no attribute, which is an empty line of CSV, and no row")
        self._stream.write(_line(cells))


def header_of(columns: Mapping[str, str]) -> bytes:
    """The line of names, with the types."""
    cells = []
    for name, kind in columns.items():
        ambiguous = split_header(name)[1] is not None
        cells.append(f"{name}:{kind}" if kind != "S" or ambiguous else name)
    return _line(cells)


def _line(cells: list[str]) -> bytes:
    quoted = [f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if _unsafe(text) else text for text in cells]
    return f"{','.join(quoted)}\n".encode()


def _cell(typed: Mapping[str, Any], kind: str, name: str) -> str:
    [(tag, value)] = typed.items()
    if kind in ("S", "B"):
        if tag != kind:
            raise mismatch(tag, kind, name)
        if value == "":
            raise FormatError(
                "is empty, which CSV does not tell from no attribute: declare it as DDB with"
                ' types=, or write DynamoDB JSON (format="dynamodb-json")',
                path=name,
            )
        return str(value)
    if tag == "NULL" and kind not in ("JSON", "DDB"):
        raise mismatch(tag, kind, name)
    return simple_json(typed, kind, name)
