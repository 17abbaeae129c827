"""DynamoDB JSON: one item a line, with DynamoDB's types, as an export to S3 writes it.

``{"Item": {"pk": {"S": "a"}, "n": {"N": "5"}}}``, or the item alone. It holds every item exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from orjson import JSONDecodeError, dumps, loads

from aiobatch.bulk.formats.lines import JsonRows
from aiobatch.bulk.formats.rows import Broken
from aiobatch.bulk.formats.typed import line_of
from aiobatch.codec import Malformed, decode_item

__all__ = ["DynamoJsonWriter", "read_dynamodb_json"]


def read_dynamodb_json(stream: BinaryIO, name: str) -> JsonRows:
    """Make the reader."""
    return JsonRows(stream, _parse, name=name)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        read = loads(line)
    except JSONDecodeError as error:
        raise Broken(f"is not JSON: an error at character {error.pos + 1}") from None
    if type(read) is not dict:
        raise Broken("is not a JSON object")
    try:
        item = read.get("Item")
        if len(read) != 1 or type(item) is not dict:
            return decode_item(read, "decimal")
        try:
            return decode_item(item, "decimal")
        except Malformed:
            # An item alone whose only attribute is called Item. No line can be read both ways.
            if len(item) != 1:
                raise
        return decode_item(read, "decimal")
    except Malformed as error:
        if "Metadata" in read or "NewImage" in read:
            raise Broken("is of an incremental export: only full exports can be loaded") from None
        reason = error.reason.replace("in it ", "", 1)
        raise Broken(f"is not an item with DynamoDB's types: {reason}") from None


class DynamoJsonWriter:
    """Writes DynamoDB JSON."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, item: Any) -> None:
        """See :class:`Writer`."""
        self._stream.write(line_of(item))

    def write_typed(self, item: Mapping[str, Any]) -> None:
        """See :class:`Writer`."""
        self._stream.write(b'{"Item":' + dumps(item) + b"}\n")

    def close(self) -> None:
        """See :class:`Writer`."""
