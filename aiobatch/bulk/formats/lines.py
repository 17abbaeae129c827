"""Lines of a binary file, with their numbers and the bytes before them."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from aiobatch.bulk.errors import FormatError
from aiobatch.bulk.formats.rows import START, Broken, Position, Row

__all__ = ["LONGEST_LINE", "JsonRows", "read_line", "text_of"]

#: No item has so many bytes, in any of the formats: 400 KB, each written as an escape of six bytes.
LONGEST_LINE: Final = 4 * 1024 * 1024


def read_line(stream: BinaryIO, what: str) -> bytes:
    """Read a line, with its end. Raises FormatError for one that is longer than any item."""
    line = stream.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE and line[-1:] != b"\n":
        raise FormatError(
            f"{what} has more than {LONGEST_LINE} bytes, which no item has: is this the format?"
        )
    return line


def text_of(line: bytes) -> str:
    """A line's text. Raises Broken if it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken(f"is not UTF-8: byte {error.start + 1} of the row") from None


class JsonRows:
    """Rows that are a line of JSON each. Empty lines are no rows.

    Args:
        stream: the file, read from its beginning, or from a place given to :meth:`rows`.
        parse: makes the item of a line; raises Broken.
    """

    header = b""

    def __init__(
        self, stream: BinaryIO, parse: Callable[[bytes], dict[str, Any]], *, name: str = ""
    ) -> None:
        self._stream = stream
        self._parse = parse
        self._name = name

    def rows(self, start: Position = START) -> Iterator[Row]:
        """See :class:`Reader`."""
        stream, parse = self._stream, self._parse
        number, at, offset = start.row, start.line, start.offset
        if offset:
            stream.seek(offset)
        while True:
            try:
                raw = read_line(stream, f"line {at + 1}")
            except FormatError as error:
                raise FormatError(error.reason, source=self._name) from None
            if not raw:
                return
            at += 1
            offset += len(raw)
            content = raw
            if offset == len(raw) and raw.startswith(codecs.BOM_UTF8):
                content = raw[len(codecs.BOM_UTF8) :]
            if content.isspace() or not content:
                continue
            number += 1
            end = Position(number, at, offset)
            try:
                yield Row(number, at, end, raw, parse(content))
            except Broken as broken:
                yield Row(number, at, end, raw, None, broken.reason, broken.path)
