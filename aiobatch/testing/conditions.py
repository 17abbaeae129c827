"""Whether an item meets a ConditionExpression. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiobatch.testing.expressions import Scanner, found_at
from aiobatch.testing.values import binary, invalid, plain

__all__ = ["holds"]

_Typed = dict[str, Any] | None
_FUNCTIONS = (
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
)
_ORDERED = ("S", "N", "B")


def holds(content: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Whether the condition of a request holds for an item; ``{}`` for one that is not there.

    Raises:
        Refused: it is no condition.
    """
    scanner = Scanner("ConditionExpression", content)
    result = _any_of(scanner, item)
    if scanner.next:
        raise scanner.wrong()
    return result


def _any_of(scanner: Scanner, item: Mapping[str, Any]) -> bool:
    result = _all_of(scanner, item)
    while scanner.takes("OR"):
        # What comes after is read in any case.
        result = _all_of(scanner, item) or result
    return result


def _all_of(scanner: Scanner, item: Mapping[str, Any]) -> bool:
    result = _negated(scanner, item)
    while scanner.takes("AND"):
        result = _negated(scanner, item) and result
    return result


def _negated(scanner: Scanner, item: Mapping[str, Any]) -> bool:
    if scanner.takes("NOT"):
        return not _negated(scanner, item)
    if scanner.takes("("):
        result = _any_of(scanner, item)
        scanner.expect(")")
        return result
    if function := scanner.calls(*_FUNCTIONS):
        result = _called(function, scanner, item)
        scanner.expect(")")
        return result
    return _compared(scanner, item)


def _called(function: str, scanner: Scanner, item: Mapping[str, Any]) -> bool:
    found = found_at(item, scanner.path())
    if function == "attribute_exists":
        return found is not None
    if function == "attribute_not_exists":
        return found is None
    scanner.expect(",")
    other = _operand(scanner, item)
    if other is None or found is None:
        return False
    tag, value = plain(found)
    other_tag, other_value = plain(other)
    if function == "attribute_type":
        return {"S": tag} == other
    if function == "begins_with":
        return tag == other_tag and tag in ("S", "B") and bool(value.startswith(other_value))
    if tag in ("S", "B"):
        return tag == other_tag and other_value in value
    if tag in ("SS", "NS", "BS"):
        return tag == f"{other_tag}S" and _is_in(other, found)
    return tag == "L" and (other_tag, other_value) in value


def _is_in(element: dict[str, Any], of_set: dict[str, Any]) -> bool:
    [(tag, raw)] = element.items()
    _, alone = plain({f"{tag}S": [raw]})
    _, members = plain(of_set)
    return bool(alone <= members)


def _compared(scanner: Scanner, item: Mapping[str, Any]) -> bool:
    left = _operand(scanner, item)
    sign = scanner.expect("=", "<>", "<", "<=", ">", ">=", "BETWEEN", "IN")
    if sign == "BETWEEN":
        low = _operand(scanner, item)
        scanner.expect("AND")
        high = _operand(scanner, item)
        return _is_ordered(low, "<=", left) and _is_ordered(left, "<=", high)
    if sign == "IN":
        scanner.expect("(")
        among = [_operand(scanner, item)]
        while scanner.takes(","):
            among.append(_operand(scanner, item))
        scanner.expect(")")
        return any(_is_equal(left, one) for one in among)
    right = _operand(scanner, item)
    if sign in ("=", "<>"):
        return _is_equal(left, right) == (sign == "=")
    return _is_ordered(left, sign, right)


def _operand(scanner: Scanner, item: Mapping[str, Any]) -> _Typed:
    if scanner.calls("size"):
        found = found_at(item, scanner.path())
        scanner.expect(")")
        return None if found is None else _size(found)
    return scanner.value() or found_at(item, scanner.path())


def _size(typed: dict[str, Any]) -> _Typed:
    [(tag, value)] = typed.items()
    if tag in ("N", "BOOL", "NULL"):
        return None
    if tag == "S":
        return {"N": str(len(value.encode()))}
    return {"N": str(len(binary(value) if tag == "B" else value))}


def _is_equal(left: _Typed, right: _Typed) -> bool:
    return left is not None and right is not None and plain(left) == plain(right)


def _is_ordered(left: _Typed, sign: str, right: _Typed) -> bool:
    if left is None or right is None:
        return False
    (tag, less), (other, more) = plain(left), plain(right)
    if other not in _ORDERED:
        raise invalid(
            "Invalid ConditionExpression: Incorrect operand type for operator or function;"
            f" operator: {sign}, operand type: {other}"
        )
    if tag != other:
        return False
    match sign:
        case "<":
            return bool(less < more)
        case "<=":
            return bool(less <= more)
        case ">":
            return bool(less > more)
        case _:
            return bool(less >= more)
