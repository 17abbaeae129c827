"""JSON Lines: one plain JSON object a line.

It holds strings, numbers (exactly), true, false, null, lists and maps. It has no words for sets
and binary: those attributes are declared, ``types={"tags": "SS", "picture": "B"}``, and stand as
arrays and base64; undeclared ones are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any, BinaryIO

from aiobatch.bulk.formats.lines import JsonRows, text_of
from aiobatch.bulk.formats.plain import parse_json, plain_json
from aiobatch.bulk.formats.rows import Broken
from aiobatch.bulk.formats.typed import simple_json, typed_of
from aiobatch.bulk.formats.types import from_json

__all__ = ["JsonLinesWriter", "read_json_lines"]


def read_json_lines(stream: BinaryIO, types: Mapping[str, str], name: str) -> JsonRows:
    """Make the reader."""
    convert = from_json(types)

    def parse(line: bytes) -> dict[str, Any]:
        item = parse_json(text_of(line).strip())
        if type(item) is not dict:
            raise Broken("is not a JSON object")
        return convert(item) if types else item

    return JsonRows(stream, parse, name=name)


class JsonLinesWriter:
    """Writes JSON Lines."""

    def __init__(self, stream: BinaryIO, types: Mapping[str, str]) -> None:
        self._stream = stream
        self._types = types

    def write(self, item: Any) -> None:
        """See :class:`Writer`."""
        self.write_typed(typed_of(item))

    def write_typed(self, item: Mapping[str, Any]) -> None:
        """See :class:`Writer`."""
        types = self._types
        members = []
        for name, typed in item.items():
            kind = types.get(name)
            text = plain_json(typed, name) if kind is None else simple_json(typed, kind, name)
            members.append(f"{encode_basestring(name)}:{text}")
        self._stream.write(f"{{{','.join(members)}}}\n".encode())

    def close(self) -> None:
        """See :class:`Writer`."""
