"""What an error means for the entries of a request."""

from typing import Any

import pytest

from aiobatch.engine.outcome import (
    Outcome,
    is_hot_key_range,
    outcome_of,
    says_key_schema_is_wrong,
    tables_throttled,
)
from aiobatch.errors import ServiceError, Throttled, WireError


def service(code: str, message: str = "", **more: Any) -> ServiceError:
    return ServiceError(code, message, operation="BatchWriteItem", **more)


def throttled(*reasons: dict[str, Any]) -> Throttled:
    return Throttled("ThrottlingException", operation="BatchGetItem", throttling_reasons=reasons)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (throttled(), Outcome.REFUSED),
        (WireError("the connection was reset", operation="BatchGetItem"), Outcome.FAULT),
        (service("InternalServerError", retryable=True), Outcome.FAULT),
        # What may be sent again is sent again before an entry is looked for.
        (service("ValidationException", retryable=True), Outcome.FAULT),
        (service("ValidationException"), Outcome.AN_ENTRYS_FAULT),
        (service("ItemCollectionSizeLimitExceededException"), Outcome.AN_ENTRYS_FAULT),
        (service("AccessDeniedException"), Outcome.FATAL),
        (service("ResourceNotFoundException"), Outcome.FATAL),
    ],
)
def test_how_a_request_goes_on(error: ServiceError | WireError, outcome: Outcome) -> None:
    assert outcome_of(error) is outcome


HOT = {"reason": "TableWriteKeyRangeThroughputExceeded", "resource": "arn:hot"}
SLOW = {"reason": "TableWriteProvisionedThroughputExceeded", "resource": "arn:slow"}


@pytest.mark.parametrize(
    ("reasons", "hot"),
    [
        ([HOT], True),
        ([HOT, HOT], True),
        ([HOT, SLOW], False),
        ([SLOW, HOT], False),
        ([SLOW], False),
        ([], False),
        ([{"resource": "arn:hot"}], False),
        ([{"reason": None}], False),
    ],
)
def test_only_a_key_range_is_hot_if_nothing_else_is_named(reasons: list[Any], hot: bool) -> None:
    assert is_hot_key_range(throttled(*reasons)) is hot


def test_the_tables_that_a_throttling_names() -> None:
    reasons: list[dict[str, Any]] = [
        HOT,
        {"reason": "x"},
        {"resource": None},
        {"resource": 5},
        SLOW,
    ]
    assert tables_throttled(throttled(*reasons)) == ["arn:hot", "arn:slow"]
    assert tables_throttled(throttled()) == []
    assert tables_throttled(service("InternalServerError", throttling_reasons=[HOT])) == []
    assert tables_throttled(ValueError("no answer of DynamoDB's")) == []


@pytest.mark.parametrize(
    "message",
    [
        "The provided key element does not match the schema",
        "One or more parameter values were invalid: Missing the key id in the item",
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
        "The number of conditions on the keys is invalid",
    ],
)
def test_words_that_tell_of_another_key_schema(message: str) -> None:
    assert says_key_schema_is_wrong(service("ValidationException", message))
    assert says_key_schema_is_wrong(service("ValidationException", message.upper()))
    assert not says_key_schema_is_wrong(service("InternalServerError", message))


@pytest.mark.parametrize("message", ["", "Item size has exceeded the maximum allowed size"])
def test_other_words_tell_of_none(message: str) -> None:
    assert not says_key_schema_is_wrong(service("ValidationException", message))
