"""Which update expressions may be sent twice."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_idempotent"]

_CLAUSE: Final = re.compile(r"(?<![\w#:.])(SET|REMOVE|ADD|DELETE)(?![\w.])", re.IGNORECASE)
# No list elements: REMOVE a[0] takes another one the second time, SET a[9] may append.
_PATH: Final = r"[\w#]+(?:\.[\w#]+)*"
_VALUE: Final = r":\w+"
_ASSIGNMENT: Final = re.compile(
    rf"\s*(?P<path>{_PATH})\s*=\s*"
    rf"(?:{_VALUE}|if_not_exists\s*\(\s*(?P=path)\s*,\s*{_VALUE}\s*\))\s*(?:,|$)"
)
_REMOVAL: Final = re.compile(rf"\s*{_PATH}\s*(?:,|$)")
_DELETION: Final = re.compile(rf"\s*{_PATH}\s+{_VALUE}\s*(?:,|$)")
_HARMLESS: Final = {"SET": _ASSIGNMENT, "REMOVE": _REMOVAL, "DELETE": _DELETION}


def is_idempotent(update_expression: str) -> bool:
    """Whether doing it twice in a row surely leaves the item as doing it once does.

    That is so where attributes are set to given values, removed, or rid of set elements. Anything
    else (ADD, arithmetic, list_append, list elements, values of other attributes) is taken to
    matter; so is what is not understood here.

    >>> is_idempotent("SET #s = :shipped, at = :now REMOVE cart")
    True
    >>> is_idempotent("SET stock = stock - :n")
    False
    """
    before, *parts = _CLAUSE.split(update_expression)
    if before.strip() or not parts:
        return False
    return all(
        _consists_of(_HARMLESS.get(keyword.upper()), clause)
        for keyword, clause in zip(parts[::2], parts[1::2], strict=True)
    )


def _consists_of(action: re.Pattern[str] | None, clause: str) -> bool:
    if action is None or not clause.strip() or clause.endswith(","):
        return False
    at = 0
    while at < len(clause):
        found = action.match(clause, at)
        if found is None:
            return False
        at = found.end()
    return True
