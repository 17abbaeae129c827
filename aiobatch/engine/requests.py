"""The two batch operations: how a request's body is joined and what its answer says.

A body is a join of fragments that were encoded once, so a retry costs no encoding and can never
alter an entry. An answer is settled entry by entry, so that the loop can be let go in between.

A call may be about several tables. Its entries are numbered through: first those of the first
table, then those of the next.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, Protocol

import orjson

from aiobatch import codec, limits
from aiobatch.engine.ledger import Ledger, State
from aiobatch.engine.metrics import units_of
from aiobatch.engine.plan import at, by_table
from aiobatch.engine.pressure import Direction
from aiobatch.engine.tables import TableNames

__all__ = [
    "REQUEST_ITEMS",
    "BatchGet",
    "BatchRequests",
    "BatchWrite",
    "Capacity",
    "GetPart",
    "Settled",
    "WritePart",
]

Capacity = Literal["NONE", "TOTAL", "INDEXES"]
Numbers = Literal["native", "decimal", "strict"]

# Bytes of an answer that are decoded in one step, if its items are all of one size.
_STEP = 16 * 1024

REQUEST_ITEMS = b'{"RequestItems":{'
"""How the body of every batch begins."""


@dataclass(slots=True)  # not frozen: one is made for every request
class Settled:
    """What one answer came to: how many entries ended, and which are left over.

    ``read``: DynamoDB read at least so many bytes for it, as far as is known; a projection leaves
    few of them in the answer.
    """

    ended: int
    left: list[int]
    capacity: list[dict[str, Any]]
    read: float = 0.0


class Part(Protocol):
    """What a call has to do with one table."""

    @property
    def table(self) -> str:
        """The table's name or ARN, as the caller has it."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The key attributes."""
        ...

    @property
    def teaches_names(self) -> bool:
        """Whether DynamoDB checks these names, so that its consent confirms them."""
        ...


class BatchRequests(Protocol):
    """One batch operation on one or more tables, over the entries of one call."""

    operation: str
    direction: Direction
    max_entries: int
    table_of: Sequence[int] | None
    """The number of each entry's table; None where there is one table."""
    tables: TableNames

    @property
    def parts(self) -> Sequence[Part]:
        """One for each table, by its number."""
        ...

    def size(self, entry: int) -> int:
        """The bytes that this entry takes in a request."""
        ...

    def total(self, entries: Sequence[int]) -> int:
        """The bytes that these entries take in a request."""
        ...

    def body(self, entries: Sequence[int]) -> bytes:
        """The body of a request for these entries."""
        ...

    def settle(
        self, body: bytes, entries: Sequence[int], ledger: Ledger
    ) -> Generator[None, None, Settled]:
        """Enter an answer into the ledger, a few entries a step.

        Raises:
            codec.Malformed: the answer is not one to this request. What was entered stays.
        """
        ...


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for every call
class GetPart:
    """The keys that are read from one table.

    Attributes:
        table: its name or ARN.
        fragments: the keys, encoded; distinct.
        names: the key attributes.
        projection: what to read of each item.
        consistent_read: strongly consistent.
        convert: makes of each item what the caller gets; what it refuses is left as it is.
    """

    table: str
    fragments: Sequence[bytes]
    names: Sequence[str]
    projection: codec.Projection | None = None
    consistent_read: bool = False
    convert: Callable[[dict[str, Any]], Any] | None = None
    teaches_names: bool = True


class BatchGet:
    """BatchGetItem on one or more tables.

    Args:
        parts: one for each table.
        numbers: how numbers are read.
        capacity: the ReturnConsumedCapacity to ask for.

    Attributes:
        found: for each part, the item of each of its entries, or None.
        refusals: for each part, why ``convert`` refused an item, by its place in ``found``.
    """

    operation = "BatchGetItem"
    direction: Direction = "read"
    max_entries = limits.BATCH_GET_MAX_KEYS

    def __init__(self, parts: Sequence[GetPart], *, numbers: Numbers, capacity: Capacity) -> None:
        self.parts = parts
        self.table_of, self.tables, self._names, self._marks = _told_apart(
            parts, [len(part.fragments) for part in parts]
        )
        self._fragments = _joined([part.fragments for part in parts])
        self.found: list[list[Any]] = [[None] * len(part.fragments) for part in parts]
        self.refusals: list[dict[int, Exception]] = [{} for _ in parts]
        self._converts = any(part.convert is not None for part in parts)
        # By entry: with one table, an item is decoded to where it belongs.
        self._decoded: list[Any] = (
            self.found[0] if self.table_of is None else [None] * len(self._fragments)
        )
        # Whether it is what the caller gets, just as it comes.
        self._is_plain = (
            self.table_of is None
            and not self._converts
            and not any(part.projection is not None and part.projection.added for part in parts)
        )
        self._firsts = list(accumulate([len(part.fragments) for part in parts], initial=0))
        self._numbers = numbers
        self._heads = [orjson.dumps(part.table) + b':{"Keys":[' for part in parts]
        self._tails = [b"]" + _options(part) + b"}" for part in parts]
        # DynamoDB stops at so many bytes read, which an answer with a projection does not show.
        projects = any(part.projection is not None for part in parts)
        self._end = b"}" + _wanting("TOTAL" if projects and capacity == "NONE" else capacity) + b"}"

    @classmethod
    def of_table(
        cls,
        table: str,
        fragments: Sequence[bytes],
        names: Sequence[str],
        *,
        numbers: Numbers,
        projection: codec.Projection | None,
        consistent_read: bool,
        capacity: Capacity,
        convert: Callable[[dict[str, Any]], Any] | None = None,
    ) -> BatchGet:
        """The requests of a call on one table."""
        part = GetPart(
            table=table,
            fragments=fragments,
            names=names,
            projection=projection,
            consistent_read=consistent_read,
            convert=convert,
        )
        return cls([part], numbers=numbers, capacity=capacity)

    @property
    def items(self) -> list[Any]:
        """What was found, by entry, where there is one table."""
        return self.found[0]

    def __len__(self) -> int:
        return len(self._fragments)

    def size(self, entry: int) -> int:
        """The bytes of the key and its comma."""
        return len(self._fragments[entry]) + 1

    def total(self, entries: Sequence[int]) -> int:
        """The same of many."""
        return sum(map(len, at(self._fragments, entries))) + len(entries)

    def body(self, entries: Sequence[int]) -> bytes:
        """The keys of these entries, with the projections and all other options."""
        tables = [
            self._heads[table] + b",".join(at(self._fragments, of_table)) + self._tails[table]
            for table, of_table in by_table(entries, self.table_of).items()
        ]
        return REQUEST_ITEMS + b",".join(tables) + self._end

    def settle(
        self, body: bytes, entries: Sequence[int], ledger: Ledger
    ) -> Generator[None, None, Settled]:
        """Enter found, missing and leftover keys."""
        answer = codec.read_answer(body, self._names, self._numbers)
        # A key's fragment is its identity.
        asked = _by_identity(entries, self._fragments, self._marks, self.table_of)
        left = _leftovers(answer.left, asked)
        yield  # a large answer takes its time to parse alone
        # So many items a step that it takes little time, whatever their size.
        most = 1 if self._converts else max(1, _STEP * len(entries) // len(body))
        came: list[int] = []
        try:
            more = True
            while more:
                before = len(came)
                try:
                    more = answer.items.take(asked, most, came, self._decoded)
                finally:
                    if not self._is_plain:
                        self._keep(came[before:])
                if more:
                    yield
        finally:
            # All of them as a slice. Or what was found before the answer turned out to be
            # malformed, or the call was cancelled.
            ledger.ended(entries if len(came) == len(entries) else came, State.PROCESSED)
        ledger.ended(list(asked.values()), State.MISSING)
        ended = len(entries) - len(left)
        return Settled(ended, left, answer.capacity, self._bytes_read(answer.capacity, ended))

    def _keep(self, entries: Sequence[int]) -> None:
        """Make of these items what the caller gets."""
        table = 0
        for entry in entries:
            item = self._decoded[entry]
            if self.table_of is not None:
                self._decoded[entry] = None
                table = self.table_of[entry]
            part, place = self.parts[table], entry - self._firsts[table]
            if part.projection is not None:
                for name in part.projection.added:
                    del item[name]
            self.found[table][place] = item
            if part.convert is not None:
                try:
                    self.found[table][place] = part.convert(item)
                except Exception as error:
                    self.refusals[table][place] = error

    def _bytes_read(self, capacity: Sequence[Mapping[str, Any]], entries: int) -> float:
        """At least so many bytes were read for these entries, by the capacity consumed."""
        units = sum(units_of(told) for told in capacity)
        a_unit = limits.READ_UNIT_BYTES
        if not any(part.consistent_read for part in self.parts):
            a_unit *= 2
        # Each item is rounded up to a whole number of units of 4 KB.
        return units * a_unit - entries * limits.READ_UNIT_BYTES


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for every call
class WritePart:
    """The puts and deletes on one table.

    Attributes:
        table: its name or ARN.
        fragments: the items and keys, encoded.
        identities: their keys, encoded; distinct.
        deletes: which are deletes: True or False for all, or one after the other.
        names: the key attributes.
    """

    table: str
    fragments: Sequence[bytes]
    identities: Sequence[bytes]
    deletes: bool | Sequence[bool]
    names: Sequence[str]

    @property
    def teaches_names(self) -> bool:
        """DynamoDB checks the names in a key; in an item, others may be just attributes."""
        return self.deletes is True


_OPENINGS = (b'{"PutRequest":{"Item":', b'{"DeleteRequest":{"Key":')
_AFTER_ONE = tuple(b"}}," + opening for opening in _OPENINGS)
_AROUND = len(_AFTER_ONE[1])


def _openings(deletes: Sequence[int]) -> list[bytes]:
    """What stands before each operation, the end of the one before it included."""
    if deletes.count(deletes[0]) == len(deletes):
        openings = [_AFTER_ONE[deletes[0]]] * len(deletes)
    else:
        openings = [_AFTER_ONE[kind] for kind in deletes]
    openings[0] = _OPENINGS[deletes[0]]
    return openings


class BatchWrite:
    """BatchWriteItem on one or more tables, puts and deletes mixed.

    Args:
        parts: one for each table.
        capacity: the ReturnConsumedCapacity to ask for.
    """

    operation = "BatchWriteItem"
    direction: Direction = "write"
    max_entries = limits.BATCH_WRITE_MAX_OPERATIONS

    def __init__(self, parts: Sequence[WritePart], *, capacity: Capacity) -> None:
        self.parts = parts
        self.table_of, self.tables, self._names, self._marks = _told_apart(
            parts, [len(part.fragments) for part in parts]
        )
        self._fragments = _joined([part.fragments for part in parts])
        self._identities = _joined([part.identities for part in parts])
        self._deletes: Sequence[int] = b"".join(
            bytes([part.deletes]) * len(part.fragments)
            if isinstance(part.deletes, bool)
            else bytes(part.deletes)
            for part in parts
        )
        self._heads = [orjson.dumps(part.table) + b":[" for part in parts]
        self._end = b"}" + _wanting(capacity) + b"}"

    @classmethod
    def of_table(
        cls,
        table: str,
        fragments: Sequence[bytes],
        identities: Sequence[bytes],
        names: Sequence[str],
        *,
        deletes: bool | Sequence[bool],
        capacity: Capacity,
    ) -> BatchWrite:
        """The requests of a call on one table."""
        part = WritePart(
            table=table,
            fragments=fragments,
            identities=identities,
            deletes=deletes,
            names=names,
        )
        return cls([part], capacity=capacity)

    def __len__(self) -> int:
        return len(self._fragments)

    def size(self, entry: int) -> int:
        """The bytes of the item or key and of the operation around it."""
        return len(self._fragments[entry]) + _AROUND

    def total(self, entries: Sequence[int]) -> int:
        """The same of many."""
        return sum(map(len, at(self._fragments, entries))) + len(entries) * _AROUND

    def body(self, entries: Sequence[int]) -> bytes:
        """The operations of these entries."""
        # One join over all pieces: an item of 400 KB is copied once.
        pieces = [REQUEST_ITEMS]
        for table, of_table in by_table(entries, self.table_of).items():
            pieces.append(self._heads[table])
            fragments, deletes = at(self._fragments, of_table), at(self._deletes, of_table)
            alternating = [b""] * (2 * len(fragments))
            alternating[0::2] = _openings(deletes)
            alternating[1::2] = fragments
            pieces += alternating
            pieces += (b"}}", b"],")
        pieces[-1] = b"]"
        pieces.append(self._end)
        return b"".join(pieces)

    def settle(
        self, body: bytes, entries: Sequence[int], ledger: Ledger
    ) -> Generator[None, None, Settled]:
        """Enter written and leftover entries."""
        answer = codec.write_answer(body, self._names)
        if not answer.left:
            ledger.ended(entries, State.PROCESSED)
            return Settled(len(entries), [], answer.capacity)
        sent = _by_identity(entries, self._identities, self._marks, self.table_of)
        left = _leftovers(answer.left, sent)
        ledger.ended(list(sent.values()), State.PROCESSED)
        yield
        return Settled(len(sent), left, answer.capacity)


def _told_apart(
    parts: Sequence[Part], sizes: Sequence[int]
) -> tuple[Sequence[int] | None, TableNames, codec.AnswerKeys, Sequence[bytes]]:
    """What tells the entries of several tables apart, in requests and in answers."""
    tables = TableNames([part.table for part in parts])
    if len(parts) == 1:
        # Whatever the answer calls the table, it is this one.
        return None, tables, parts[0].names, (b"",)
    table_of = array("H")
    for number, size in enumerate(sizes):
        table_of.extend([number] * size)
    marks = [b"%d:" % number for number in range(len(parts))]

    def find(name: str) -> tuple[bytes, Sequence[str]]:
        number = tables.find(name)
        if number is None:
            raise codec.Malformed("it is about a table that the request did not name")
        return marks[number], parts[number].names

    return table_of, tables, find, marks


def _joined(lists: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    return lists[0] if len(lists) == 1 else [one for each in lists for one in each]


def _by_identity(
    entries: Sequence[int],
    identities: Sequence[bytes],
    marks: Sequence[bytes],
    table_of: Sequence[int] | None,
) -> dict[bytes, int]:
    """Entries by their identity in an answer. Two tables may have items with equal keys."""
    if table_of is None:
        return dict(zip(at(identities, entries), entries, strict=True))
    return {marks[table_of[entry]] + identities[entry]: entry for entry in entries}


def _leftovers(identities: Iterable[bytes], sent: dict[bytes, int]) -> list[int]:
    """Take the leftovers out of ``sent`` and return their entries."""
    left: list[int] = []
    for identity in identities:
        entry = sent.pop(identity, None)
        if entry is None:
            raise codec.Malformed("it leaves over an entry that was not sent, or one twice")
        left.append(entry)
    return left


def _options(part: GetPart) -> bytes:
    members: dict[str, Any] = {}
    if part.consistent_read:
        members["ConsistentRead"] = True
    if part.projection is not None:
        members["ProjectionExpression"] = part.projection.expression
        members["ExpressionAttributeNames"] = part.projection.names
    return b"," + orjson.dumps(members)[1:-1] if members else b""


def _wanting(capacity: Capacity) -> bytes:
    return b"" if capacity == "NONE" else b',"ReturnConsumedCapacity":"%b"' % capacity.encode()
