"""What an UpdateExpression makes of an item. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from decimal import Context, Decimal
from typing import Any

from aiobatch import limits
from aiobatch.testing.expressions import Path, Scanner, found_at
from aiobatch.testing.values import invalid, number, plain

__all__ = ["updated"]

_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
_EXACT = Context(prec=2 * limits.NUMBER_MAX_DIGITS)


def updated(
    content: Mapping[str, Any], item: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    """The item after the update of a request, and the paths that it named.

    All that is read is what was there before.

    Raises:
        Refused: it is no update, or not for this item.
    """
    scanner = Scanner("UpdateExpression", content)
    after = deepcopy(dict(item))
    paths: list[Path] = []
    removed: list[Path] = []
    seen: set[str] = set()
    while scanner.next:
        clause = scanner.expect(*_CLAUSES)
        if clause in seen:
            raise invalid(
                f'Invalid UpdateExpression: The "{clause}" section can only be used once in an'
                " update expression;"
            )
        seen.add(clause)
        while True:
            path = scanner.path()
            _check_overlap(path, paths)
            paths.append(path)
            if clause == "REMOVE":
                removed.append(path)
            elif clause == "SET":
                scanner.expect("=")
                _put(after, path, _assigned(scanner, item))
            else:
                _join(after, path, scanner.value(), clause)
            if not scanner.takes(","):
                break
    # The last elements of a list first, whose places the others' removal would change.
    for path in sorted(removed, key=_place, reverse=True):
        _remove(after, path)
    return after, paths


def _place(path: Path) -> int:
    return path[-1] if isinstance(path[-1], int) else -1


def _check_overlap(path: Path, others: list[Path]) -> None:
    for other in others:
        shorter = min(len(path), len(other))
        if path[:shorter] == other[:shorter]:
            raise invalid(
                "Invalid UpdateExpression: Two document paths overlap with each other; must remove"
                " or rewrite one of these paths;"
            )


def _assigned(scanner: Scanner, item: Mapping[str, Any]) -> dict[str, Any]:
    value = _operand(scanner, item)
    sign = scanner.takes("+", "-")
    if not sign:
        return value
    other = _operand(scanner, item)
    if "N" not in value or "N" not in other:
        raise invalid("An operand in the update expression has an incorrect data type")
    left, right = number(value["N"]), number(other["N"])
    return _counted(_EXACT.add(left, right if sign == "+" else -right))


def _counted(value: Decimal) -> dict[str, Any]:
    text = format(_EXACT.normalize(value), "f")
    number(text)
    return {"N": text}


def _operand(scanner: Scanner, item: Mapping[str, Any]) -> dict[str, Any]:
    if scanner.takes("("):
        value = _assigned(scanner, item)
        scanner.expect(")")
        return value
    function = scanner.calls("if_not_exists", "list_append")
    if function == "if_not_exists":
        found = found_at(item, scanner.path())
        scanner.expect(",")
        other = _operand(scanner, item)
        scanner.expect(")")
        return other if found is None else found
    if function == "list_append":
        first = _operand(scanner, item)
        scanner.expect(",")
        second = _operand(scanner, item)
        scanner.expect(")")
        if "L" not in first or "L" not in second:
            raise invalid(
                "Invalid UpdateExpression: Incorrect operand type for operator or function;"
                " operator or function: list_append"
            )
        return {"L": [*first["L"], *second["L"]]}
    given = scanner.value()
    if given is not None:
        return given
    found = found_at(item, scanner.path())
    if found is None:
        raise invalid(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    return found


def _holder(item: dict[str, Any], path: Path) -> Any:
    """The map or list in which the last part of a path stands. Raises Refused."""
    holder: Any = {"M": item}
    if len(path) > 1:
        holder = found_at(item, path[:-1]) or {}
    inner = holder.get("M" if isinstance(path[-1], str) else "L")
    if inner is None:
        raise invalid("The document path provided in the update expression is invalid for update")
    return inner


def _put(item: dict[str, Any], path: Path, value: dict[str, Any]) -> None:
    holder, last = _holder(item, path), path[-1]
    if isinstance(last, int) and last >= len(holder):
        holder.append(deepcopy(value))
    else:
        holder[last] = deepcopy(value)


def _remove(item: dict[str, Any], path: Path) -> None:
    holder, last = _holder(item, path), path[-1]
    if isinstance(last, str):
        holder.pop(last, None)
    elif last < len(holder):
        del holder[last]


def _join(item: dict[str, Any], path: Path, given: dict[str, Any] | None, clause: str) -> None:
    """ADD a number or elements of a set, or DELETE elements."""
    kinds = ("SS", "NS", "BS") if clause == "DELETE" else ("N", "SS", "NS", "BS")
    [(tag, value)] = (given or {"": None}).items()
    if tag not in kinds:
        raise invalid(
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator:"
            f" {clause}, operand type: {tag or 'none'}"
        )
    holder, last = _holder(item, path), path[-1]
    old = found_at(item, path)
    if old is not None and tag not in old:
        raise invalid("An operand in the update expression has an incorrect data type")
    if tag == "N":
        before = number(old["N"]) if old is not None else Decimal(0)
        _put(item, path, _counted(_EXACT.add(before, number(value))))
        return
    elements = list(old[tag]) if old is not None else []
    if clause == "ADD":
        _, known = plain({tag: elements}) if elements else (tag, frozenset())
        elements += [one for one in value if not plain({tag: [one]})[1] <= known]
    else:
        _, gone = plain({tag: value})
        elements = [one for one in elements if not plain({tag: [one]})[1] <= gone]
    if elements:
        _put(item, path, {tag: elements})
    elif old is not None:
        del holder[last]
