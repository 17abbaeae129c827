"""Items as AttributeValues, and the cells of declared attributes that they are written as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orjson import dumps, loads

from aiobatch.bulk.errors import FormatError
from aiobatch.bulk.formats.plain import plain_json
from aiobatch.codec import Refusal, encode_item

__all__ = ["encoded", "line_of", "mismatch", "simple_json", "typed_of"]


def encoded(item: Any) -> bytes:
    """The JSON of an item's AttributeValues. Raises FormatError for what DynamoDB cannot hold."""
    try:
        return encode_item(item, None, None)[0]
    except Refusal as refusal:
        raise FormatError(refusal.reason, path=refusal.path) from refusal.__cause__


def typed_of(item: Any) -> dict[str, Any]:
    """An item's AttributeValues by name. Raises FormatError like :func:`encoded`."""
    typed: dict[str, Any] = loads(encoded(item))
    return typed


def line_of(item: Any) -> bytes:
    """The line of DynamoDB JSON that holds an item."""
    return b'{"Item":' + encoded(item) + b"}\n"


def mismatch(tag: str, kind: str, path: str) -> FormatError:
    """What to raise for an attribute of another type than its column's."""
    return FormatError(
        f"is of type {tag}, and its column of type {kind}: declare it as DDB with types=,"
        ' which holds every type, or write DynamoDB JSON (format="dynamodb-json")',
        path=path,
    )


def simple_json(typed: Mapping[str, Any], kind: str, path: str) -> str:
    """Write an AttributeValue as the JSON of a declared type; ``types.from_json`` reads it.

    Raises FormatError if it is not of this type.
    """
    [(tag, value)] = typed.items()
    if kind == "DDB":
        return dumps(typed).decode()
    if kind == "JSON":
        return plain_json(typed, path)
    if tag == "NULL":
        return "null"
    if tag != kind:
        raise mismatch(tag, kind, path)
    if tag == "NS":
        return f"[{','.join(plain_json({'N': each}, path) for each in value)}]"
    if tag in ("B", "SS", "BS"):
        return dumps(value).decode()
    return plain_json(typed, path)
