"""The two batch operations: how a request's body is joined and what its answer says.

A body is a join of fragments that were encoded once, so a retry costs no encoding and can never
alter an entry. An answer is settled entry by entry, so that the loop can be let go in between.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from aiobatch import codec, limits
from aiobatch.engine.ledger import Ledger
from aiobatch.engine.pressure import Direction

__all__ = ["BatchGet", "BatchRequests", "BatchWrite", "Capacity", "Settled"]

Capacity = Literal["NONE", "TOTAL", "INDEXES"]
Numbers = Literal["native", "decimal", "strict"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What one answer came to: how many entries ended, and which are left over."""

    ended: int
    left: list[int]
    capacity: list[dict[str, Any]]


class BatchRequests(Protocol):
    """One batch operation on one table, over the entries of one call."""

    operation: str
    table: str
    direction: Direction
    max_entries: int
    names: Sequence[str]
    teaches_names: bool

    def size(self, entry: int) -> int:
        """The bytes that this entry takes in a request."""
        ...

    def body(self, entries: Sequence[int]) -> bytes:
        """The body of a request for these entries."""
        ...

    def settle(
        self, body: bytes, entries: Sequence[int], ledger: Ledger
    ) -> Generator[None, None, Settled]:
        """Enter an answer into the ledger, one entry a step at most.

        Raises:
            codec.Malformed: the answer is not one to this request. What was entered stays.
        """
        ...


class BatchGet:
    """BatchGetItem on one table. ``items`` holds what was found, by entry."""

    operation = "BatchGetItem"
    direction: Direction = "read"
    max_entries = limits.BATCH_GET_MAX_KEYS
    teaches_names = True

    def __init__(
        self,
        table: str,
        fragments: Sequence[bytes],
        names: Sequence[str],
        *,
        numbers: Numbers,
        projection: codec.Projection | None,
        consistent_read: bool,
        capacity: Capacity,
    ) -> None:
        self.table = table
        self.names = names
        self.items: list[dict[str, Any] | None] = [None] * len(fragments)
        self._fragments = fragments
        self._numbers = numbers
        self._added = projection.added if projection is not None else ()
        options: dict[str, Any] = {}
        if consistent_read:
            options["ConsistentRead"] = True
        if projection is not None:
            options["ProjectionExpression"] = projection.expression
            options["ExpressionAttributeNames"] = projection.names
        self._head = b'{"RequestItems":{' + orjson.dumps(table) + b':{"Keys":['
        self._tail = b"]" + _members(options) + b"}}" + _wanting(capacity) + b"}"

    def size(self, entry: int) -> int:
        """The bytes of the key and its comma."""
        return len(self._fragments[entry]) + 1

    def body(self, entries: Sequence[int]) -> bytes:
        """The keys of these entries, with the projection and all other options."""
        keys = b",".join([self._fragments[entry] for entry in entries])
        return self._head + keys + self._tail

    def settle(
        self, body: bytes, entries: Sequence[int], ledger: Ledger
    ) -> Generator[None, None, Settled]:
        """Enter found, missing and leftover keys."""
        answer = codec.read_answer(body, self.names, self._numbers)
        # A key's fragment is its identity.
        asked = {self._fragments[entry]: entry for entry in entries}
        left = _leftovers(answer.left, asked)
        yield  # a large answer takes its time to parse alone
        ended = 0
        for identity, item in answer.items:
            entry = asked.pop(identity, None)
            if entry is None:
                raise codec.Malformed("it has an item that was not asked for, or one twice")
            for name in self._added:
                item.pop(name, None)
            self.items[entry] = item
            ledger.processed(entry)
            ended += 1
            yield
        for entry in asked.values():
            ledger.missing(entry)
        return Settled(ended + len(asked), left, answer.capacity)


class BatchWrite:
    """BatchWriteItem on one table, puts or deletes."""

    operation = "BatchWriteItem"
    direction: Direction = "write"
    max_entries = limits.BATCH_WRITE_MAX_OPERATIONS

    def __init__(
        self,
        table: str,
        fragments: Sequence[bytes],
        identities: Sequence[bytes],
        names: Sequence[str],
        *,
        deletes: bool,
        capacity: Capacity,
    ) -> None:
        self.table = table
        self.names = names
        # DynamoDB checks the names in a key; in an item, others may be just attributes.
        self.teaches_names = deletes
        self._fragments = fragments
        self._identities = identities
        self._open = b'{"DeleteRequest":{"Key":' if deletes else b'{"PutRequest":{"Item":'
        self._head = b'{"RequestItems":{' + orjson.dumps(table) + b":["
        self._tail = b"]}" + _wanting(capacity) + b"}"
        self._join = b"}}," + self._open

    def size(self, entry: int) -> int:
        """The bytes of the item or key and of the operation around it."""
        return len(self._fragments[entry]) + len(self._join)

    def body(self, entries: Sequence[int]) -> bytes:
        """The operations of these entries."""
        operations = self._join.join([self._fragments[entry] for entry in entries])
        return self._head + self._open + operations + b"}}" + self._tail

    def settle(
        self, body: bytes, entries: Sequence[int], ledger: Ledger
    ) -> Generator[None, None, Settled]:
        """Enter written and leftover entries."""
        answer = codec.write_answer(body, self.names)
        sent = {self._identities[entry]: entry for entry in entries}
        left = _leftovers(answer.left, sent)
        for entry in sent.values():
            ledger.processed(entry)
        yield
        return Settled(len(sent), left, answer.capacity)


def _leftovers(identities: Iterable[bytes], sent: dict[bytes, int]) -> list[int]:
    """Take the leftovers out of ``sent`` and return their entries."""
    left: list[int] = []
    for identity in identities:
        entry = sent.pop(identity, None)
        if entry is None:
            raise codec.Malformed("it leaves over an entry that was not sent, or one twice")
        left.append(entry)
    return left


def _members(options: dict[str, Any]) -> bytes:
    return b"," + orjson.dumps(options)[1:-1] if options else b""


def _wanting(capacity: Capacity) -> bytes:
    return b"" if capacity == "NONE" else b',"ReturnConsumedCapacity":"%b"' % capacity.encode()
