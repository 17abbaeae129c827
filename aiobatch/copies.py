"""Copies of items for callers that share one answer: what one of them changes, no other sees."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

__all__ = ["copy_of"]

_UNCHANGEABLE = frozenset({str, int, float, bool, bytes, Decimal, type(None)})


def copy_of(value: Any) -> Any:
    """A deep copy. Several times faster than ``copy.deepcopy`` for what a decoded item holds."""
    kind = type(value)
    if kind in _UNCHANGEABLE:
        return value
    if kind is dict:
        return {
            name: inner if type(inner) in _UNCHANGEABLE else copy_of(inner)
            for name, inner in value.items()
        }
    if kind is list:
        return [copy_of(inner) for inner in value]
    if kind is set:
        # A set read from DynamoDB holds strings, numbers or binary.
        return set(value)
    return deepcopy(value)
