"""One body of an answer -> what the engine needs of it.

The map of tables in an answer is keyed by the table's name or by its ARN, whichever the service
likes, so it is walked and never indexed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orjson import JSONDecodeError, loads

from aiobatch.codec.numbers import Numbers
from aiobatch.codec.python import decode_items, identity_of
from aiobatch.codec.refusal import Malformed

__all__ = [
    "ReadAnswer",
    "WriteAnswer",
    "found_items",
    "item_answer",
    "read_answer",
    "write_answer",
]


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What a BatchGetItem answered.

    Attributes:
        items: identity and item, one after the other, each decoded when it is asked for, so that
            its user may pause in between. Raises Malformed at an item that is not DynamoDB's.
        left: the identities of ``UnprocessedKeys``.
        capacity: ``ConsumedCapacity`` as it came, empty if absent.
    """

    items: Iterator[tuple[bytes, dict[str, Any]]]
    left: list[bytes]
    capacity: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """What a BatchWriteItem answered.

    Attributes:
        left: the identities of ``UnprocessedItems``, puts and deletes alike.
        capacity: ``ConsumedCapacity`` as it came, empty if absent.
    """

    left: list[bytes]
    capacity: list[dict[str, Any]]


def read_answer(body: bytes, names: Sequence[str], numbers: Numbers) -> ReadAnswer:
    """Read a BatchGetItem's answer.

    Args:
        body: the answer's JSON.
        names: the key attributes of the table (of all tables in it).
        numbers: how to decode numbers, as in ``decode_item()``.

    Raises:
        Malformed: it is not one; without ``Responses`` or ``UnprocessedKeys`` it is none.
    """
    answer = item_answer(body)
    found = found_items(answer)
    left = [
        identity_of(key, names)
        for table in _tables(answer, "UnprocessedKeys")
        for key in _entries(_field(table, "Keys"))
    ]
    return ReadAnswer(decode_items(found, names, numbers), left, _capacity(answer))


def write_answer(body: bytes, names: Sequence[str]) -> WriteAnswer:
    """Read a BatchWriteItem's answer.

    Args:
        body: the answer's JSON.
        names: the key attributes of the table (of all tables in it).

    Raises:
        Malformed: it is not one; without ``UnprocessedItems`` it is none.
    """
    answer = item_answer(body)
    left = [
        identity_of(_written(operation), names)
        for table in _tables(answer, "UnprocessedItems")
        for operation in _entries(table)
    ]
    return WriteAnswer(left, _capacity(answer))


def found_items(answer: dict[str, Any]) -> list[Any]:
    """Give the items in a BatchGetItem's answer, as they came, of all tables in turn.

    Raises Malformed if it has no ``Responses``, or no list under a table.
    """
    return [item for table in _tables(answer, "Responses") for item in _entries(table)]


def item_answer(body: bytes) -> dict[str, Any]:
    """Parse the answer of any other operation. Raises Malformed if it is not a JSON object."""
    try:
        answer = loads(body)
    except JSONDecodeError:
        answer = None  # raised outside: the error at hand holds the whole body
    if type(answer) is not dict:
        raise Malformed("it is not a JSON object")
    return answer


def _tables(answer: dict[str, Any], name: str) -> list[Any]:
    tables = answer.get(name)
    if type(tables) is not dict:
        raise Malformed(f"it has no {name}")
    return list(tables.values())


def _entries(entries: Any) -> list[Any]:
    if type(entries) is not list:
        raise Malformed("it has something else where a list belongs")
    return entries


def _field(entry: Any, name: str) -> Any:
    if type(entry) is not dict or name not in entry:
        raise Malformed(f"an entry in it has no {name}")
    return entry[name]


def _written(operation: Any) -> Any:
    if type(operation) is dict and "DeleteRequest" in operation:
        return _field(operation["DeleteRequest"], "Key")
    return _field(_field(operation, "PutRequest"), "Item")


def _capacity(answer: dict[str, Any]) -> list[dict[str, Any]]:
    capacity = answer.get("ConsumedCapacity")
    if capacity is None:
        return []
    if type(capacity) is not list or not all(type(entry) is dict for entry in capacity):
        raise Malformed("its ConsumedCapacity is not a list of objects")
    return capacity
