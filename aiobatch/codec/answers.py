"""One body of an answer -> what the engine needs of it.

The map of tables in an answer is keyed by the table's name or by its ARN, whichever the service
likes, so it is walked and never indexed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from orjson import JSONDecodeError, loads

from aiobatch.codec.numbers import Numbers
from aiobatch.codec.python import decode_items, identity_of
from aiobatch.codec.refusal import Malformed

__all__ = [
    "AnswerKeys",
    "Items",
    "ReadAnswer",
    "WriteAnswer",
    "item_answer",
    "items_from",
    "not_asked",
    "read_answer",
    "write_answer",
]

AnswerKeys = Sequence[str] | Callable[[str], tuple[bytes, Sequence[str]]]
"""The key attributes of all tables in an answer. Or, for answers about several tables, a function
that gives for the name of a table in the answer a mark for its identities to begin with, since two
tables may have items with equal keys, and its key attributes; it may raise Malformed."""


class Items(Protocol):
    """The items of an answer, each decoded when it is asked for."""

    def __iter__(self) -> Iterator[tuple[bytes, dict[str, Any]]]: ...

    def __next__(self) -> tuple[bytes, dict[str, Any]]: ...

    def take(
        self, asked: dict[bytes, int], most: int, entries: list[int], found: list[Any]
    ) -> bool:
        """Decode a few items, and see which entries of a request they are.

        Args:
            asked: entries by identity; those that are found are taken out.
            most: how many items to decode at most.
            entries: the entries are appended to this.
            found: each item is put into this, at the place that its entry numbers.

        Returns:
            Whether there may be more.

        Raises:
            Malformed: the next item is not DynamoDB's, or not in ``asked``. What was decoded before
                it stands in ``entries`` and ``found``.
        """
        ...


@dataclass(slots=True)  # not frozen: one is made for every request
class ReadAnswer:
    """What a BatchGetItem answered.

    Attributes:
        items: identity and item, one after the other, each decoded when it is asked for, so that
            its user may pause in between. Raises Malformed at an item that is not DynamoDB's.
        left: the identities of ``UnprocessedKeys``.
        capacity: ``ConsumedCapacity`` as it came, empty if absent.
    """

    items: Items
    left: list[bytes]
    capacity: list[dict[str, Any]]


@dataclass(slots=True)  # not frozen: one is made for every request
class WriteAnswer:
    """What a BatchWriteItem answered.

    Attributes:
        left: the identities of ``UnprocessedItems``, puts and deletes alike.
        capacity: ``ConsumedCapacity`` as it came, empty if absent.
    """

    left: list[bytes]
    capacity: list[dict[str, Any]]


def read_answer(body: bytes, names: AnswerKeys, numbers: Numbers) -> ReadAnswer:
    """Read a BatchGetItem's answer.

    Args:
        body: the answer's JSON.
        names: the key attributes of the table (of all tables in it), or how to find them.
        numbers: how to decode numbers, as in ``decode_item()``.

    Raises:
        Malformed: it is not one; without ``Responses`` or ``UnprocessedKeys`` it is none.
    """
    answer = item_answer(body)
    items = items_from(answer, names, numbers, 0)
    left = [
        mark + identity_of(key, keys)
        for mark, keys, table in _tables(answer, "UnprocessedKeys", names)
        for key in _entries(_field(table, "Keys"))
    ]
    return ReadAnswer(items, left, _capacity(answer))


def write_answer(body: bytes, names: AnswerKeys) -> WriteAnswer:
    """Read a BatchWriteItem's answer.

    Args:
        body: the answer's JSON.
        names: the key attributes of the table (of all tables in it), or how to find them.

    Raises:
        Malformed: it is not one; without ``UnprocessedItems`` it is none.
    """
    answer = item_answer(body)
    left = [
        mark + identity_of(_written(operation), keys)
        for mark, keys, table in _tables(answer, "UnprocessedItems", names)
        for operation in _entries(table)
    ]
    return WriteAnswer(left, _capacity(answer))


class _PlainItems:
    def __init__(self, items: Iterator[tuple[bytes, dict[str, Any]]]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        return self._items

    def __next__(self) -> tuple[bytes, dict[str, Any]]:
        return next(self._items)

    def take(
        self, asked: dict[bytes, int], most: int, entries: list[int], found: list[Any]
    ) -> bool:
        count = 0
        for identity, item in islice(self._items, most):
            entry = asked.pop(identity, None)
            if entry is None:
                raise not_asked()
            entries.append(entry)
            found[entry] = item
            count += 1
        return count == most


def not_asked() -> Malformed:
    """What to raise for an item that was not asked for."""
    return Malformed("it has an item that was not asked for, or one twice")


def items_from(answer: dict[str, Any], names: AnswerKeys, numbers: Numbers, first: int) -> Items:
    """Give the items in a BatchGetItem's answer, of all tables in turn, without the ``first`` ones.

    Raises Malformed if it has no ``Responses``, or no list under a table.
    """
    found = []
    for mark, keys, items in _tables(answer, "Responses", names):
        found.append((mark, keys, _entries(items)[first:]))
        first = max(0, first - len(items))
    return _PlainItems(
        (mark + identity, item)
        for mark, keys, items in found
        for identity, item in decode_items(items, keys, numbers)
    )


def item_answer(body: bytes) -> dict[str, Any]:
    """Parse the answer of any other operation. Raises Malformed if it is not a JSON object."""
    try:
        answer = loads(body)
    except JSONDecodeError:
        answer = None  # raised outside: the error at hand holds the whole body
    if type(answer) is not dict:
        raise Malformed("it is not a JSON object")
    return answer


_OfTable = tuple[bytes, Sequence[str], Any]


def _tables(answer: dict[str, Any], name: str, names: AnswerKeys) -> Iterator[_OfTable]:
    tables = answer.get(name)
    if type(tables) is not dict:
        raise Malformed(f"it has no {name}")
    for table, of_table in tables.items():
        mark, keys = names(table) if callable(names) else (b"", names)
        yield mark, keys, of_table


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
