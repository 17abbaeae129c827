"""A schema from a sample of items. Pure but for the last step, which makes Spark's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

__all__ = ["Kind", "infer", "to_spark"]

_LONG_DIGITS = 18
_DECIMAL_DIGITS = 38


@dataclass(frozen=True, slots=True)
class Kind:
    """What the values of an attribute have in common.

    Attributes:
        name: "null", "string", "binary", "boolean", "number", "list" or "map".
        digits: of numbers: the most digits before the point.
        scale: of numbers: the most digits after it.
        element: of lists.
        fields: of maps, by name.
    """

    name: str
    digits: int = 0
    scale: int = 0
    element: Kind | None = None
    fields: dict[str, Kind] = field(default_factory=dict)


_NULL = Kind("null")
_NAMES = {str: "string", bytes: "binary", bool: "boolean"}


def infer(items: Iterable[Mapping[str, Any]]) -> Kind:
    """What items, whose numbers were read as Decimal, have in common.

    Raises:
        ValueError: an attribute that has values of different kinds, or no item at all.
    """
    found: Kind | None = None
    for item in items:
        kind = _kind_of(dict(item), "")
        found = kind if found is None else _merged(found, kind, "")
    if found is None:
        raise ValueError("the table has no item to infer a schema from: give one with .schema(...)")
    return found


def _kind_of(value: Any, path: str) -> Kind:
    if value is None:
        return _NULL
    if type(value) in _NAMES:
        return Kind(_NAMES[type(value)])
    if isinstance(value, Decimal):
        with localcontext(prec=_DECIMAL_DIGITS):
            _, digits, exponent = value.normalize().as_tuple()
        assert isinstance(exponent, int)  # DynamoDB has no NaN and no infinity
        whole = max(0, len(digits) + exponent) if value else 0
        return Kind("number", digits=whole, scale=max(0, -exponent))
    if isinstance(value, dict):
        return Kind(
            "map", fields={name: _kind_of(one, _under(path, name)) for name, one in value.items()}
        )
    element = _NULL
    for one in value:
        element = _merged(element, _kind_of(one, f"{path}[]"), f"{path}[]")
    return Kind("list", element=element)


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _merged(one: Kind, other: Kind, path: str) -> Kind:
    if one.name == "null" or other.name == "null":
        return other if one.name == "null" else one
    if one.name != other.name:
        raise ValueError(
            f"attribute {path} is a {one.name} in one item and a {other.name} in another, so no"
            ' schema fits both: give one with .schema(...), and .option("onMismatch", "null") to'
            " read what does not fit it as null"
        )
    match one.name:
        case "number":
            return Kind(
                "number",
                digits=max(one.digits, other.digits),
                scale=max(one.scale, other.scale),
            )
        case "list":
            assert one.element is not None
            assert other.element is not None
            return Kind("list", element=_merged(one.element, other.element, f"{path}[]"))
        case "map":
            fields = dict(one.fields)
            for name, kind in other.fields.items():
                known = fields.get(name)
                fields[name] = kind if known is None else _merged(known, kind, _under(path, name))
            return Kind("map", fields=fields)
    return one


def to_spark(kind: Kind, first: Iterable[str] = ()) -> Any:
    """The type of Spark's for it; a map becomes a struct, with these fields first.

    Numbers become bigint where none had a fraction or more than 18 digits, else decimal where 38
    digits hold them all, else double.
    """
    from pyspark.sql import types

    match kind.name:
        case "binary":
            return types.BinaryType()
        case "boolean":
            return types.BooleanType()
        case "number":
            if kind.scale == 0 and kind.digits <= _LONG_DIGITS:
                return types.LongType()
            if kind.digits + kind.scale > _DECIMAL_DIGITS:
                return types.DoubleType()
            # Room for more digits on both sides than the sample has.
            spare = _DECIMAL_DIGITS - kind.digits - kind.scale
            return types.DecimalType(_DECIMAL_DIGITS, kind.scale + spare // 2)
        case "list":
            assert kind.element is not None
            return types.ArrayType(to_spark(kind.element))
        case "map":
            ahead = [name for name in first if name in kind.fields]
            names = ahead + sorted(kind.fields.keys() - set(ahead))
            return types.StructType(
                [types.StructField(name, to_spark(kind.fields[name])) for name in names]
            )
    # Strings, and what was null in all of the sample.
    return types.StringType()
