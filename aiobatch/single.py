"""The bodies of the single-item calls: GetItem, PutItem, DeleteItem, Query, Scan, DescribeTable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from aiobatch import codec
from aiobatch.codec import KeySchema, Projection

__all__ = ["Expressions", "condition_of", "describe_body", "item_body", "pages_body", "verbatim"]


class Expressions:
    """The expressions of one request and the names and values that stand in them.

    Args:
        names: the caller's placeholders for attribute names.
        values: the caller's placeholders for values, in Python.
        serialize: the caller's function for other types.
    """

    def __init__(
        self,
        names: Mapping[str, str] | None,
        values: Mapping[str, Any] | None,
        serialize: codec.Serialize | None,
    ) -> None:
        self.names = dict(names or {})
        self._values = codec.encode_values(values, serialize) if values else None
        self._parts: dict[str, str] = {}

    def add(self, parameter: str, expression: str | None) -> None:
        """Put an expression in, if there is one."""
        if expression is None:
            return
        if not isinstance(expression, str):
            raise TypeError(
                f"{parameter} must be a str such as 'pk = :pk', not"
                f" {type(expression).__name__}: boto3's condition objects are not taken"
            )
        self._parts[parameter] = expression

    def project(self, projection: Projection | None) -> None:
        """Put a projection in, with its names."""
        if projection is not None:
            self._parts["ProjectionExpression"] = projection.expression
            self.names.update(projection.names)

    def members(self) -> list[bytes]:
        """The JSON members for the request's body."""
        members = [_member(name, text) for name, text in self._parts.items()]
        if self.names:
            members.append(_member("ExpressionAttributeNames", self.names))
        if self._values is not None:
            members.append(b'"ExpressionAttributeValues":' + self._values)
        return members


def condition_of(
    condition: str | None, schema: KeySchema | None, names: dict[str, str]
) -> str | None:
    """The caller's condition, and that there is no such item yet if ``schema`` is given.

    A placeholder for the key attribute is added to ``names``.
    """
    if schema is None:
        return condition
    placeholder = "#aiobatch_key"
    names[placeholder] = schema.names[0]
    absent = f"attribute_not_exists({placeholder})"
    return absent if condition is None else f"({condition}) AND {absent}"


def item_body(
    table: str, kind: str, fragment: bytes, expressions: Expressions, options: Mapping[str, Any]
) -> bytes:
    """A request about one item. ``kind`` is ``"Key"`` or ``"Item"``; None options are left out."""
    return _body(table, options, [f'"{kind}":'.encode() + fragment, *expressions.members()])


def pages_body(table: str, expressions: Expressions, options: Mapping[str, Any]) -> bytes:
    """A request for one page of a query or a scan."""
    return _body(table, options, expressions.members())


def verbatim(fragment: bytes) -> Any:
    """An encoded key as an option of a request."""
    return orjson.Fragment(fragment)


def describe_body(table: str) -> bytes:
    """A request for the description of a table."""
    return _body(table, {}, [])


def _body(table: str, options: Mapping[str, Any], members: list[bytes]) -> bytes:
    given = [_member(name, value) for name, value in options.items() if value is not None]
    return b"{" + b",".join([_member("TableName", table), *given, *members]) + b"}"


def _member(name: str, value: Any) -> bytes:
    return orjson.dumps(name) + b":" + orjson.dumps(value)
