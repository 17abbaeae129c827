"""What an error means for the entries of a request. Pure; no loop parses messages but this."""

from __future__ import annotations

from enum import Enum

from aiobatch.errors import ServiceError, Throttled, WireError

__all__ = [
    "Outcome",
    "is_hot_key_range",
    "outcome_of",
    "says_key_schema_is_wrong",
    "tables_throttled",
]

# Errors that one entry of a request can cause for all of it: the API reference of BatchWriteItem.
_AN_ENTRYS_FAULT = frozenset(
    {"ValidationException", "ItemCollectionSizeLimitExceededException"},
)


class Outcome(Enum):
    """How a request that failed goes on."""

    REFUSED = "nothing was processed: all its entries are left over"
    FAULT = "no clear answer: try again"
    AN_ENTRYS_FAULT = "one of its entries is at fault: find it by halving"
    FATAL = "no request of this call can succeed"


def outcome_of(error: ServiceError | WireError) -> Outcome:
    """How to go on after this error."""
    if isinstance(error, Throttled):
        return Outcome.REFUSED
    if isinstance(error, WireError) or error.retryable:
        return Outcome.FAULT
    if error.code in _AN_ENTRYS_FAULT:
        return Outcome.AN_ENTRYS_FAULT
    return Outcome.FATAL


def is_hot_key_range(error: Throttled) -> bool:
    """Whether only a key range was too hot, so that the table's other keys can go on as before."""
    reasons = [str(reason.get("reason")) for reason in error.throttling_reasons]
    return bool(reasons) and all(
        reason.endswith("KeyRangeThroughputExceeded") for reason in reasons
    )


def tables_throttled(error: Exception) -> list[str]:
    """The ARNs of the tables and indexes that a throttling was for, if DynamoDB names any."""
    reasons = error.throttling_reasons if isinstance(error, Throttled) else ()
    resources = [reason.get("resource") for reason in reasons]
    return [resource for resource in resources if isinstance(resource, str)]


def says_key_schema_is_wrong(error: ServiceError) -> bool:
    """Whether the table's key attributes are not those that the request was made with."""
    if error.code != "ValidationException":
        return False
    text = error.message.lower()
    return (
        "does not match the schema" in text
        or "missing the key" in text
        or "type mismatch for key" in text
        or "number of conditions on the keys is invalid" in text
    )
