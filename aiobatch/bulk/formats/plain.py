"""Plain JSON without loss: numbers are exact, and what would be dropped in silence is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Never

from aiobatch.bulk.errors import FormatError
from aiobatch.bulk.formats.rows import Broken
from aiobatch.codec.numbers import canonical_read

__all__ = ["parse_json", "plain_json", "under"]


class _Refused(ValueError):
    pass


def _no_constant(_text: str) -> Never:
    raise _Refused("holds NaN or an infinity, which DynamoDB cannot store")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("holds an object with the same name twice")
    return members


_decode = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique
).decode


def parse_json(text: str) -> Any:
    """Read a JSON text: numbers as int or Decimal. Raises Broken, without what it holds."""
    try:
        return _decode(text)
    except _Refused as error:
        raise Broken(str(error)) from None
    except json.JSONDecodeError as error:
        raise Broken(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise Broken("is nested deeper than DynamoDB stores") from None
    except ValueError:  # a whole number of thousands of digits
        raise Broken("holds a number too large for DynamoDB") from None


def under(path: str, name: str) -> str:
    """The path of an attribute below another."""
    if not name.isidentifier():
        return f"{path}[{name!r}]"
    return f"{path}.{name}" if path else name


def plain_json(typed: Mapping[str, Any], path: str) -> str:
    """Write an AttributeValue as plain JSON.

    Raises FormatError for sets and binary, which plain JSON has no words for.
    """
    [(tag, value)] = typed.items()
    match tag:
        case "S":
            return encode_basestring(value)
        case "N":
            return canonical_read(value)
        case "BOOL":
            return "true" if value else "false"
        case "NULL":
            return "null"
        case "L":
            elements = (plain_json(each, f"{path}[{i}]") for i, each in enumerate(value))
            return f"[{','.join(elements)}]"
        case "M":
            members = (
                f"{encode_basestring(name)}:{plain_json(each, under(path, name))}"
                for name, each in value.items()
            )
            return f"{{{','.join(members)}}}"
    what = "binary" if tag == "B" else "a set"
    raise FormatError(
        f"is {what}, which plain JSON has no words for: write DynamoDB JSON"
        ' (format="dynamodb-json"), or declare the attribute\'s type with types=',
        path=path,
    )
