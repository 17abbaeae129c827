"""Transactions: their operations checked and encoded, their answers and refusals read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from aiobatch import codec, intake, limits
from aiobatch.codec import KeySchema, Numbers, Serialize
from aiobatch.codec.size import item_size
from aiobatch.errors import InvalidItem, ServiceError, TransactionFailed
from aiobatch.operations import ConditionCheck, Delete, Get, Put, Update
from aiobatch.single import Expressions, item_body

__all__ = [
    "READS",
    "WRITES",
    "Transaction",
    "checked_token",
    "encode",
    "failure_of",
    "items_of",
    "operations_of",
]

READS = (Get,)
WRITES = (Put, Delete, Update, ConditionCheck)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that is ready to be sent.

    Attributes:
        body: the request's body.
        tables: how many operations there are on each table.
    """

    body: bytes
    tables: Mapping[str, int]


def checked_token(token: str | None) -> str | None:
    """The caller's idempotency token. Raises TypeError or ValueError."""
    if token is not None:
        if not isinstance(token, str):
            raise TypeError(f"client_request_token must be a str, not {type(token).__name__}")
        if not 1 <= len(token) <= limits.CLIENT_REQUEST_TOKEN_MAX_LENGTH:
            raise ValueError(
                "client_request_token must have 1 to"
                f" {limits.CLIENT_REQUEST_TOKEN_MAX_LENGTH} characters, not {len(token)}"
            )
    return token


def operations_of(operations: Iterable[Any], kinds: tuple[type, ...]) -> list[Any]:
    """The operations as a list. Raises for what is none, for too many, and for a missing table."""
    given = intake.as_list(operations, "operations")
    if len(given) > limits.TRANSACTION_MAX_OPERATIONS:
        raise ValueError(
            f"a transaction has at most {limits.TRANSACTION_MAX_OPERATIONS} operations,"
            f" not {len(given)}"
        )
    known = tuple(kind.__name__ for kind in kinds)
    for index, operation in enumerate(given):
        # By its own class: a subclass would need a member of its own in the request.
        if type(operation) not in kinds:
            raise TypeError(
                f"operation {index} must be one of {', '.join(known)},"
                f" not {type(operation).__name__}"
            )
        if operation.table_name is None:
            raise InvalidItem(index, "", "names no table: give table_name", what="operation")
        intake.check_table_name(operation.table_name)
    return given


async def encode(
    operations: Sequence[Any],
    schema_of: Callable[[str], KeySchema | None],
    serialize: Serialize | None,
    members: Mapping[str, Any],
) -> Transaction:
    """Encode a transaction of operations that are all reads or all writes.

    Args:
        operations: Get, or Put, Delete, Update and ConditionCheck.
        schema_of: what is known of a table's key attributes.
        serialize: the caller's function for other types.
        members: further members of the body; None is left out.

    Raises:
        InvalidItem: DynamoDB would refuse an operation, or two are on one item.
        ValueError: the items are too large together.
    """
    # Puts do not show which attributes are the key; another operation on the table may.
    shown: dict[str, KeySchema] = {}

    def encode_one(operation: Any) -> tuple[str, bytes, bytes, bytes]:
        table = operation.table_name
        known = schema_of(table)
        if isinstance(operation, Put):
            fragment, identity = _encode_put(operation.item, known, shown.get(table), serialize)
        else:
            fragment = identity = codec.encode_key(operation.key, known, serialize)
        expressions, options = _expressions(operation, serialize)
        kind = "Item" if isinstance(operation, Put) else "Key"
        name = type(operation).__name__
        body = item_body(table, kind, fragment, expressions, options)
        return table, identity, fragment, b'{"%b":%b}' % (name.encode(), body)

    keyed: list[Any] = [one for one in operations if not isinstance(one, Put)]
    for one in keyed:
        if one.table_name not in shown:
            try:
                shown[one.table_name] = KeySchema.from_key(one.key, serialize)
            except (codec.Refusal, TypeError, ValueError):
                continue  # it is refused below, with its index
    encoded = await intake.encode_all(operations, encode_one, "operation")
    _check_distinct(encoded)
    _check_size([fragment for _, _, fragment, _ in encoded])
    rest = {name: value for name, value in members.items() if value is not None}
    body = b'{"TransactItems":[' + b",".join([one for *_, one in encoded]) + b"]"
    body += b"," + orjson.dumps(rest)[1:] if rest else b"}"
    return Transaction(body, Counter(table for table, *_ in encoded))


def _encode_put(
    item: Any, known: KeySchema | None, shown: KeySchema | None, serialize: Serialize | None
) -> tuple[bytes, bytes]:
    if known is None and shown is not None:
        try:
            return codec.encode_item(item, shown, serialize)
        except codec.Refusal:
            pass  # it may be the other operation that is wrong: DynamoDB will tell
    return codec.encode_item(item, known, serialize)


def _expressions(operation: Any, serialize: Serialize | None) -> tuple[Expressions, dict[str, Any]]:
    if isinstance(operation, Get):
        expressions = Expressions(None, None, serialize)
        expressions.project(
            codec.compile_projection(
                operation.projection_expression, operation.expression_attribute_names, ()
            )
        )
        return expressions, {}
    expressions = Expressions(
        operation.expression_attribute_names, operation.expression_attribute_values, serialize
    )
    if isinstance(operation, Update):
        expressions.add("UpdateExpression", operation.update_expression)
    expressions.add("ConditionExpression", operation.condition_expression)
    wanted = operation.return_values_on_condition_check_failure
    return expressions, {"ReturnValuesOnConditionCheckFailure": wanted}


def _check_distinct(encoded: Sequence[tuple[str, bytes, bytes, bytes]]) -> None:
    seen: dict[tuple[str, bytes], int] = {}
    for index, (table, identity, *_) in enumerate(encoded):
        # Without an identity, DynamoDB has to see whether it is there twice.
        first = seen.setdefault((table, identity), index) if identity else index
        if first != index:
            raise InvalidItem(
                index,
                "",
                f"is on the same item as operation {first}: a transaction has one operation on an"
                " item",
                what="operation",
            )


def _check_size(fragments: Sequence[bytes]) -> None:
    # JSON is longer than what DynamoDB counts: most transactions need no count.
    if sum(map(len, fragments)) <= limits.TRANSACTION_MAX_BYTES:
        return
    size = sum(item_size(orjson.loads(fragment)) for fragment in fragments)
    if size > limits.TRANSACTION_MAX_BYTES:
        raise ValueError(
            f"the items of the transaction have {size} bytes together: at most"
            f" {limits.TRANSACTION_MAX_BYTES} are allowed"
        )


def items_of(answer: Mapping[str, Any], count: int, numbers: Numbers) -> list[Any]:
    """The items that a TransactGetItems found, None where there is none. Raises Malformed."""
    found = answer.get("Responses")
    if not isinstance(found, list) or len(found) != count:
        raise codec.Malformed("it has not one response for each operation")
    items: list[Any] = []
    for one in found:
        if not isinstance(one, dict):
            raise codec.Malformed("a response in it is no object")
        attributes = one.get("Item")
        items.append(None if attributes is None else codec.decode_item(attributes, numbers))
    return items


def failure_of(error: ServiceError, numbers: Numbers) -> TransactionFailed | None:
    """The error for a transaction that was cancelled; None if this is another error."""
    if error.code != "TransactionCanceledException":
        return None
    reasons = [dict(reason) for reason in error.cancellation_reasons]
    for reason in reasons:
        if isinstance(reason.get("Item"), dict):
            try:
                reason["Item"] = codec.decode_item(reason["Item"], numbers)
            except codec.Malformed:
                del reason["Item"]
    return TransactionFailed(reasons, request_id=error.request_id)
