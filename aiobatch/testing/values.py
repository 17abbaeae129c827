"""AttributeValues, held to DynamoDB's rules and compared as DynamoDB does. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from aiobatch import limits

__all__ = ["Refused", "binary", "check", "invalid", "number", "plain"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class Refused(Exception):
    """A request that DynamoDB refuses.

    Attributes:
        code: DynamoDB's name for it.
        message: its words.
        reasons: of a cancelled transaction, what DynamoDB says of each operation.
    """

    def __init__(
        self, code: str, message: str, reasons: list[dict[str, Any]] | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.reasons = reasons
        super().__init__(code)


def invalid(message: str) -> Refused:
    """A ValidationException."""
    return Refused("ValidationException", message)


def number(text: str) -> Decimal:
    """The number that an N holds. Raises Refused."""
    try:
        if not _NUMBER.fullmatch(text):
            raise InvalidOperation
        found = Decimal(text)
    except InvalidOperation:
        raise invalid("The parameter cannot be converted to a numeric value") from None
    digits = "".join(map(str, found.as_tuple().digits)).strip("0")
    if len(digits) > limits.NUMBER_MAX_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    if found and not (limits.NUMBER_MIN_EXPONENT <= found.adjusted() <= limits.NUMBER_MAX_EXPONENT):
        raise invalid("Number overflow or underflow. Magnitude out of range")
    return found


def binary(text: str) -> bytes:
    """The bytes that a B holds. Raises Refused."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("SerializationException", "binary is not base64") from None


_NO_TYPE = "Supplied AttributeValue must contain exactly one of the supported datatypes"
_ELEMENTS: dict[str, Callable[[str], Any]] = {"SS": str, "NS": number, "BS": binary}


def check(typed: Any, level: int = 1) -> None:
    """Refuse what is no AttributeValue."""
    if not isinstance(typed, dict) or len(typed) != 1:
        raise invalid(_NO_TYPE)
    if level > limits.NESTING_MAX_LEVELS:
        raise invalid("Nesting Levels have exceeded supported limits")
    [(tag, value)] = typed.items()
    match tag:
        case "S" if isinstance(value, str):
            return
        case "N" if isinstance(value, str):
            number(value)
        case "B" if isinstance(value, str):
            binary(value)
        case "BOOL" if isinstance(value, bool):
            return
        case "NULL" if value is True:
            return
        case "L" if isinstance(value, list):
            for element in value:
                check(element, level + 1)
        case "M" if isinstance(value, dict):
            for element in value.values():
                check(element, level + 1)
        case "SS" | "NS" | "BS" if isinstance(value, list):
            if not value:
                raise invalid("One or more parameter values were invalid: An set may not be empty")
            if len(set(map(_ELEMENTS[tag], value))) != len(value):
                raise invalid("Input collection contains duplicates")
        case "S" | "N" | "B" | "BOOL" | "NULL" | "L" | "M" | "SS" | "NS" | "BS":
            raise Refused("SerializationException", f"no AttributeValue has a {tag} like this")
        case _:
            raise invalid(_NO_TYPE)


def plain(typed: dict[str, Any]) -> tuple[str, Any]:
    """The type and a value that is equal for equal AttributeValues, and ordered as they are."""
    [(tag, value)] = typed.items()
    match tag:
        case "N":
            return tag, number(value)
        case "S":
            # DynamoDB orders strings by the bytes of their UTF-8.
            return tag, value.encode()
        case "B":
            return tag, binary(value)
        case "SS" | "NS" | "BS":
            return tag, frozenset(map(_ELEMENTS[tag], value))
        case "L":
            return tag, [plain(element) for element in value]
        case "M":
            return tag, {name: plain(element) for name, element in value.items()}
        case _:
            return tag, value
