"""From an HTTP answer to bytes or to one typed error; the same for every wire."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from aiobatch.errors import (
    AccessDenied,
    ServiceError,
    TableNotFound,
    Throttled,
    WireError,
)

__all__ = ["CRC32_HEADER", "body_of", "error_from"]

CRC32_HEADER = "x-amz-crc32"
"""The checksum of the body, in decimal digits."""

# Refused whole, with nothing processed: the API reference of BatchGetItem and BatchWriteItem, and
# "Error handling with DynamoDB". A replicated write conflict is refused in the same way.
_THROTTLING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ProvisionedThroughputExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ReplicatedWriteConflictException",
    }
)
# Why a transaction is cancelled that may succeed a moment later: it met another, or was throttled.
# The API reference of TransactWriteItems.
_PASSING = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"},
)
_CODES_IN_MESSAGE = re.compile(r"specific reasons \[([\w, ]+)\]")
# The credentials had run out when DynamoDB looked: the next attempt signs with fresh ones.
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_DENIED = _EXPIRED | {
    "AccessDenied",
    "AccessDeniedException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


def body_of(
    operation: str, headers: Mapping[str, str], body: bytes, crc32: int | None = None
) -> bytes:
    """The body of an answer with status 200, once its checksum is known to be right.

    ``headers`` has lower-case names. ``crc32`` is the body's, where it is known already. An answer
    without a checksum passes: not every backend sends one.

    Raises:
        WireError: the body is not the one that the checksum was made of.
    """
    told = headers.get(CRC32_HEADER)
    if told is not None and told != str(zlib.crc32(body) if crc32 is None else crc32):
        raise WireError(
            f"the answer of {len(body)} bytes does not match its x-amz-crc32",
            operation=operation,
        )
    return body


def error_from(
    operation: str, status: int, headers: Mapping[str, str], body: bytes
) -> ServiceError | WireError:
    """The typed error for an answer whose status is not 200. ``headers`` has lower-case names."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    fields: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    code = _code_of(fields, headers)
    request_id = headers.get("x-amzn-requestid")
    if code is None:
        if status < 500:
            return WireError(
                f"HTTP {status} without DynamoDB's error code: something between may have answered",
                operation=operation,
            )
        code = "InternalServerError" if status == 500 else f"HTTP{status}"
    message = fields.get("message", fields.get("Message", ""))
    reasons = fields.get("ThrottlingReasons", fields.get("throttlingReasons"))
    facts: dict[str, Any] = {
        "operation": operation,
        "status": status,
        "request_id": request_id,
        "throttling_reasons": [r for r in reasons if isinstance(r, dict)]
        if isinstance(reasons, list)
        else [],
    }
    text = message if isinstance(message, str) else ""
    if code in _THROTTLING:
        return Throttled(code, text, retryable=True, **facts)
    if code == "ResourceNotFoundException":
        return TableNotFound(code, text, **facts)
    if code in _DENIED:
        return AccessDenied(code, text, retryable=code in _EXPIRED, **facts)
    if code == "TransactionCanceledException":
        facts["cancellation_reasons"] = told = _cancellation_reasons(fields, text)
        codes = {reason.get("Code") for reason in told} - {None, "None"}
        # All or nothing: it is certain that nothing was written.
        return ServiceError(code, text, retryable=bool(codes) and codes <= _PASSING, **facts)
    if code == "TransactionInProgressException":
        # An earlier attempt with the same token is still under way.
        return ServiceError(code, text, retryable=True, ambiguous=True, **facts)
    if status >= 500:
        return ServiceError(code, text, retryable=True, ambiguous=True, **facts)
    return ServiceError(code, text, **facts)


def _cancellation_reasons(fields: Mapping[str, Any], message: str) -> list[dict[str, Any]]:
    reasons = fields.get("CancellationReasons")
    if isinstance(reasons, list):
        return [dict(reason) if isinstance(reason, dict) else {} for reason in reasons]
    # Some servers have them in the message alone.
    found = _CODES_IN_MESSAGE.search(message)
    return [{"Code": code.strip()} for code in found[1].split(",")] if found else []


def _code_of(fields: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    code = fields.get("__type") or fields.get("code")
    if not isinstance(code, str) or not code:
        code = headers.get("x-amzn-errortype")
    if not code:
        return None
    # "com.amazonaws.dynamodb.v20120810#ValidationException", or "Code:http://..." in the header.
    return code.rsplit("#", 1)[-1].split(":", 1)[0]
