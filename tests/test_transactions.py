"""Transactions without a server: how they are encoded, and what their answers say."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from aiobatch import (
    ConditionCheck,
    Delete,
    Get,
    InvalidItem,
    Put,
    ServiceError,
    Update,
    codec,
    limits,
    transactions,
)
from aiobatch.codec import KeySchema


def nothing_known(table: str) -> KeySchema | None:
    return None


async def encoded(*operations: Any, **members: Any) -> dict[str, Any]:
    transaction = await transactions.encode(operations, nothing_known, None, members)
    body: dict[str, Any] = orjson.loads(transaction.body)
    assert sum(transaction.tables.values()) == len(operations)
    return body


async def test_each_kind_of_operation_has_its_place() -> None:
    body = await encoded(
        Put({"id": 1}, "a"),
        Delete({"id": 2}, "a", condition_expression="attribute_exists(id)"),
        Update({"id": 3}, "a", "SET n = :n", expression_attribute_values={":n": 1}),
        ConditionCheck({"id": 4}, "b", "attribute_exists(id)"),
        ClientRequestToken="once",
        ReturnConsumedCapacity=None,
    )
    assert [list(one) for one in body["TransactItems"]] == [
        ["Put"],
        ["Delete"],
        ["Update"],
        ["ConditionCheck"],
    ]
    assert body["TransactItems"][2]["Update"] == {
        "TableName": "a",
        "Key": {"id": {"N": "3"}},
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }
    # What is None is left out: botocore would refuse it, and DynamoDB has no null here.
    assert body.keys() == {"TransactItems", "ClientRequestToken"}


async def test_a_body_without_members() -> None:
    body = await encoded(Get({"id": 1}, "a"))
    assert body == {"TransactItems": [{"Get": {"TableName": "a", "Key": {"id": {"N": "1"}}}}]}


async def test_a_put_is_held_to_the_key_that_another_operation_shows() -> None:
    """So two operations on one item are found, though the table is unknown."""
    with pytest.raises(InvalidItem, match="same item as operation 0") as raised:
        await encoded(Delete({"id": 1}, "a"), Put({"id": Decimal("1.0"), "n": 2}, "a"))
    assert raised.value.index == 1


async def test_a_put_that_does_not_fit_the_key_of_another_is_dynamodbs_to_refuse() -> None:
    """Either of the two may be the one that is wrong."""
    body = await encoded(Delete({"id": 1}, "a"), Put({"pk": "x"}, "a"))
    assert body["TransactItems"][1]["Put"]["Item"] == {"pk": {"S": "x"}}


@pytest.mark.parametrize("key", [{"id": ""}, {"id": [1]}, {}, 7])
async def test_a_key_that_shows_nothing_is_refused_with_its_index(key: Any) -> None:
    with pytest.raises((InvalidItem, TypeError)) as raised:
        await encoded(Put({"id": 1}, "a"), Delete(key, "a"))
    if isinstance(raised.value, InvalidItem):
        assert raised.value.index == 1


# A quotation mark is one byte for DynamoDB, and two in the JSON that is sent.
_LARGE = '"' * 300_000


async def test_a_size_is_what_dynamodb_counts_and_not_that_of_the_json() -> None:
    count = limits.TRANSACTION_MAX_BYTES // 300_100
    body = await encoded(*(Put({"id": n, "t": _LARGE}, "a") for n in range(count)))
    assert len(orjson.dumps(body)) > limits.TRANSACTION_MAX_BYTES


async def test_a_transaction_that_is_too_large_is_refused_with_its_size() -> None:
    count = limits.TRANSACTION_MAX_BYTES // 300_000 + 1
    with pytest.raises(ValueError, match=rf"have (\d+) bytes.*{limits.TRANSACTION_MAX_BYTES}"):
        await encoded(*(Put({"id": n, "t": _LARGE}, "a") for n in range(count)))


@pytest.mark.parametrize("token", ["a", "a" * limits.CLIENT_REQUEST_TOKEN_MAX_LENGTH, None])
def test_a_token_is_taken_as_it_is(token: str | None) -> None:
    assert transactions.checked_token(token) == token


def test_a_token_of_another_type() -> None:
    with pytest.raises(TypeError, match="must be a str, not int"):
        transactions.checked_token(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Responses": {}},
        {"Responses": [{}]},
        {"Responses": [{}, {}, {}]},
        {"Responses": [{}, None]},
        {"Responses": [{}, {"Item": {"id": {"N": "x"}}}]},
    ],
)
def test_an_answer_that_is_none(answer: dict[str, Any]) -> None:
    with pytest.raises(codec.Malformed):
        transactions.items_of(answer, 2, "native")


def test_an_item_for_each_operation_or_none() -> None:
    answer = {"Responses": [{"Item": {"id": {"N": "1"}}}, {}, {"Item": None}]}
    assert transactions.items_of(answer, 3, "decimal") == [{"id": Decimal(1)}, None, None]


def _cancelled(*reasons: dict[str, Any], code: str = "TransactionCanceledException") -> Any:
    return ServiceError(
        code,
        "secret words",
        operation="TransactWriteItems",
        cancellation_reasons=reasons,
        request_id="r1",
    )


def test_reasons_have_plain_items() -> None:
    failed = {"Code": "ConditionalCheckFailed", "Message": "m", "Item": {"n": {"N": "5"}}}
    failure = transactions.failure_of(_cancelled({"Code": "None"}, failed), "native")
    assert failure is not None
    assert failure.reasons == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "m", "Item": {"n": 5}},
    ]
    assert failure.request_id == "r1"
    assert "operation 1: ConditionalCheckFailed" in str(failure)


def test_an_item_that_cannot_be_read_does_not_hide_the_reason() -> None:
    failed = {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "no number"}}}
    failure = transactions.failure_of(_cancelled(failed), "native")
    assert failure is not None
    assert failure.reasons == [{"Code": "ConditionalCheckFailed"}]
    # The service's own error stays as it came.
    assert failed["Item"] == {"n": {"N": "no number"}}


def test_another_error_is_no_failed_transaction() -> None:
    assert transactions.failure_of(_cancelled(code="ValidationException"), "native") is None
