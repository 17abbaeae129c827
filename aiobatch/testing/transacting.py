"""TransactWriteItems: all of its operations, or none. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiobatch import limits
from aiobatch.testing.values import Refused, invalid

__all__ = ["cancelled_for", "operations_of", "same_item_twice"]

_KINDS = ("Put", "Delete", "Update", "ConditionCheck", "Get")
_CODES = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ValidationException": "ValidationError",
}


def operations_of(content: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The kind of each operation of a transaction, and what it says. Raises Refused."""
    given = content.get("TransactItems")
    if not isinstance(given, list) or not 1 <= len(given) <= limits.TRANSACTION_MAX_OPERATIONS:
        raise invalid(
            "1 validation error detected: transactItems must have from 1 to"
            f" {limits.TRANSACTION_MAX_OPERATIONS} members"
        )
    operations: list[tuple[str, dict[str, Any]]] = []
    for one in given:
        kinds = [kind for kind in _KINDS if isinstance(one, dict) and kind in one]
        if len(kinds) != 1:
            raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        operations.append((kinds[0], one[kinds[0]]))
    return operations


def same_item_twice() -> Refused:
    """The refusal of a transaction with two operations on one item."""
    return invalid("Transaction request cannot include multiple operations on one item")


def cancelled_for(attempts: list[Callable[[], None]], olds: list[tuple[bool, Any]]) -> None:
    """Try each operation.

    Args:
        attempts: do nothing but raise Refused where the operation cannot be done.
        olds: whether each wants the item that failed its condition, and the item, or None.

    Raises:
        Refused: any cannot. The transaction is cancelled, with a reason for each.
    """
    reasons: list[dict[str, Any]] = []
    for attempt, (is_wanted, old) in zip(attempts, olds, strict=True):
        reason: dict[str, Any] = {"Code": "None"}
        try:
            attempt()
        except Refused as refused:
            code = _CODES.get(refused.code, refused.code)
            reason = {"Code": code, "Message": refused.message}
            if code == "ConditionalCheckFailed" and is_wanted and old is not None:
                reason["Item"] = old
        reasons.append(reason)
    if any(reason["Code"] != "None" for reason in reasons):
        told = ", ".join(reason["Code"] for reason in reasons)
        raise Refused(
            "TransactionCanceledException",
            "Transaction cancelled, please refer cancellation reasons for specific reasons"
            f" [{told}]",
            reasons,
        )
