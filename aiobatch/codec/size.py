"""An item's size, as DynamoDB counts it against its 400 KB.

Source: "DynamoDB item sizes and formats" in AWS's Developer Guide (CapacityUnitCalculations).
Numbers it gives "approximately", as one byte per two significant digits and one more; where the
service was seen to take a byte more (a minus sign, digits that straddle a pair) this counts
without, so that no item is refused here that DynamoDB would take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["attribute_size", "binary_size", "item_size"]


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Count the bytes of an item, given as AttributeValues by name, as this codec encodes them."""
    return sum(len(name.encode()) + attribute_size(typed) for name, typed in item.items())


def attribute_size(typed: Mapping[str, Any]) -> int:
    """Count the bytes of one AttributeValue, without its name."""
    [(tag, value)] = typed.items()
    match tag:
        case "S":
            return len(value.encode())
        case "N":
            return _number_size(value)
        case "B":
            return binary_size(value)
        case "SS":
            return sum(len(text.encode()) for text in value)
        case "NS":
            return sum(map(_number_size, value))
        case "BS":
            return sum(map(binary_size, value))
        case "L":
            return 3 + sum(1 + attribute_size(element) for element in value)
        case "M":
            return 3 + len(value) + item_size(value)
        case _:  # BOOL and NULL
            return 1


def binary_size(base64: str) -> int:
    """Count the bytes that base64 text, padded, stands for."""
    return len(base64) // 4 * 3 - base64[-2:].count("=")


def _number_size(text: str) -> int:
    mantissa = text.partition("E")[0]
    digits = mantissa.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1
