"""What the engine is told of a transaction that was cancelled."""

from typing import Any

import orjson
import pytest

from aiobatch import ServiceError
from aiobatch.transactions import failure_of
from aiobatch.wire.answers import error_from

PASSING = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
LASTING = [
    "ConditionalCheckFailed",
    "ItemCollectionSizeLimitExceeded",
    "ValidationError",
    "DuplicateItem",
    "SomethingNew",
]


def cancelled(reasons: Any, message: str = "Transaction cancelled") -> ServiceError:
    body: dict[str, Any] = {"__type": "x#TransactionCanceledException", "Message": message}
    if reasons is not None:
        body["CancellationReasons"] = reasons
    error = error_from("TransactWriteItems", 400, {"x-amzn-requestid": "R1"}, orjson.dumps(body))
    assert isinstance(error, ServiceError)
    return error


@pytest.mark.parametrize("code", PASSING)
def test_what_passes_is_worth_another_try(code: str) -> None:
    error = cancelled([{"Code": "None"}, {"Code": code, "Message": "m"}])
    # All or nothing: that nothing was written is certain.
    assert (error.retryable, error.ambiguous) == (True, False)


@pytest.mark.parametrize("code", LASTING)
@pytest.mark.parametrize("other", ["None", "TransactionConflict"])
def test_what_lasts_is_not(code: str, other: str) -> None:
    assert not cancelled([{"Code": other}, {"Code": code}]).retryable


def test_reasons_may_stand_in_the_message_alone() -> None:
    error = cancelled(
        None,
        "Transaction cancelled, please refer cancellation reasons for specific reasons"
        " [None, TransactionConflict]",
    )
    assert error.cancellation_reasons == [{"Code": "None"}, {"Code": "TransactionConflict"}]
    assert error.retryable


@pytest.mark.parametrize("reasons", [None, [], "none", [{"Code": "None"}], [None, 7], [{}]])
def test_no_reason_is_no_reason_to_try_again(reasons: Any) -> None:
    error = cancelled(reasons)
    assert not error.retryable
    failure = failure_of(error, "native")
    assert failure is not None
    assert "the transaction was cancelled" in str(failure)


def test_items_are_decoded_and_kept_out_of_the_text() -> None:
    item = {"pk": {"S": "secret"}, "n": {"N": "1.50"}}
    reasons = [
        {"Code": "ConditionalCheckFailed", "Message": "secret", "Item": item},
        {"Code": "ConditionalCheckFailed", "Item": {"pk": {"?": 1}}},
    ]
    failure = failure_of(cancelled(reasons, "secret"), "decimal")
    assert failure is not None
    assert failure.reasons[0]["Item"]["pk"] == "secret"
    assert str(failure.reasons[0]["Item"]["n"]) == "1.50"
    assert "Item" not in failure.reasons[1]
    assert failure.request_id == "R1"
    assert "secret" not in f"{failure} {failure!r} {cancelled(reasons, 'secret')}"


def test_a_transaction_in_progress_is_asked_for_again() -> None:
    body = orjson.dumps({"__type": "x#TransactionInProgressException"})
    error = error_from("TransactWriteItems", 400, {}, body)
    assert isinstance(error, ServiceError)
    assert (error.retryable, error.ambiguous) == (True, True)
    assert failure_of(error, "native") is None
