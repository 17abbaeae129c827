"""``batch_writer``: writes that come one by one, and leave 25 a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Self

from aiobatch import codec, intake
from aiobatch.access import Access, needed_capacity
from aiobatch.codec import KeySchema
from aiobatch.engine.ledger import State
from aiobatch.errors import InvalidItem, KeyNamesUnknown
from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS
from aiobatch.streams.report import WriteReport
from aiobatch.streams.requests import MixedWrite, delete_of, put_of
from aiobatch.streams.stream import Entry, Settings, Stream, Version, end

__all__ = ["BatchWriter", "Operation"]

Operation = Literal["put", "delete"]


class BatchWriter(Stream):
    """Puts and deletes on one table, in full requests. :meth:`DynamoDB.batch_writer` makes it.

    It is used as a block, and may be shared by any number of tasks inside it. ``put`` and
    ``delete`` return when the write was taken, which is at once unless as many are in hand as may
    be. Writes to one key act in the order in which they were taken: the last one wins, and no two
    of them are ever under way at once.

    Attributes:
        report: the account, live: see :class:`WriteReport`.
    """

    report: WriteReport

    def __init__(
        self, access: Access, table_name: str, settings: Settings, *, name: str = "batch_writer"
    ) -> None:
        super().__init__(access, name, table_name, "write", settings)
        self.report = WriteReport(self._metrics)
        self._schema: KeySchema | None = None
        self._learning = asyncio.Lock()
        self._state: Literal["new", "open", "closed"] = "new"

    async def __aenter__(self) -> Self:
        await self._enter(BATCH_WRITE_MAX_OPERATIONS)
        self._state = "open"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = "closed"
        if self._call is None:
            return
        try:
            if error is None:
                self._call.close()
            elif isinstance(error, Exception):
                # Nothing more leaves; what is under way may still get its answer.
                self._call.stop(error)
            else:
                await end([self._runner])
            while not self._is_over:
                await self._news.wait()
                self._tell()
        finally:
            # Unless this was cancelled, it has ended by itself.
            await end([self._runner])
        if error is None and self._must_raise:
            raise self._error()

    async def put(self, item: Any) -> None:
        """Take an item to be put; wait while too many writes are in hand.

        Args:
            item: as for :meth:`DynamoDB.batch_write_item`. It is encoded now: later changes to
                the object are not written.

        Raises:
            InvalidItem: DynamoDB would refuse it. It was not taken; the writer goes on.
            KeyNamesUnknown: the table's key names are needed, and DescribeTable was denied.
            BatchError, ClientClosed: the writer has come to its end, with the account in
                ``response``: no write to this table can succeed, nothing went through for as long
                as the policy allows, or the client was closed. The item was not taken.
            RuntimeError: its block was not entered, or has been left.
        """
        await self.write("put", item)

    async def delete(self, key: Any) -> None:
        """Take a key whose item is to be deleted; as :meth:`put` otherwise.

        An item that is not there is no error.
        """
        await self.write("delete", key)

    async def flush(self) -> None:
        """Send what was taken so far, without waiting for full requests, until all of it ended.

        Where it ended stands in ``report``. Writes that other tasks add meanwhile are not waited
        for, but for later ones to the same keys.

        Raises:
            BatchError, ClientClosed, RuntimeError: as for :meth:`put`.
        """
        self._check_open()
        if self._call is None:
            return
        taken = list(self._in_hand.values())
        self._call.hurry()
        while not all(entry.over for entry in taken):
            await self._news.wait()
        if self._is_ending():
            await self._raise_when_over()

    # ------------------------------------------------------------------ inside

    async def write(self, operation: Operation, value: Any, index: int | None = None) -> None:
        """Take a write, at this position of a source if it has one."""
        self._check_open()
        if self._slice_is_over:
            await self._breathe()
        if self._schema is None:
            # What can be refused without the key names is refused before anything is sent.
            self._version(operation, value, index)
            await self._learn(operation, value)
        await self._take_in(*self._version(operation, value, index))

    def _version(
        self, operation: Operation, value: Any, index: int | None
    ) -> tuple[bytes, Version]:
        """A write, ready to be sent, and the identity of its key. Raises InvalidItem."""
        try:
            identity, fragment = self._encode(operation, value, self._schema)
        except codec.Refusal as refusal:
            what = "item" if operation == "put" else "key"
            raise InvalidItem(index, refusal.path, refusal.reason, what=what) from refusal.__cause__
        at = self.report.accepted if index is None else index
        return identity, Version(at, value, fragment, operation == "delete")

    def _tell(self) -> None:
        """Entries may have ended."""

    def _check_open(self) -> None:
        if self._state != "open":
            how = "was not entered" if self._state == "new" else "has been left"
            raise RuntimeError(f"the block of this {self._name} {how}: use it inside `async with`")

    def _encode(
        self, operation: Operation, value: Any, schema: KeySchema | None
    ) -> tuple[bytes, bytes]:
        """The identity and the operation of a write. Raises Refusal."""
        plain = intake.unwrapped(value, operation)
        if operation == "delete":
            key = codec.encode_key(plain, schema, self._access.serialize)
            return key, delete_of(key)
        item, identity = codec.encode_item(plain, schema, self._access.serialize)
        return identity, put_of(item)

    async def _learn(self, operation: Operation, value: Any) -> None:
        """Learn the table's key names, and begin the call."""
        assert self._engine is not None
        async with self._learning:
            if self._schema is not None:
                # Another task did, while this one waited.
                return
            schema = await self._fitting_schema(
                lambda schema: self._encode(operation, value, schema)
            )
            if schema is None:
                schema = await self._ask_for_schema(operation, value)
            requests = MixedWrite(
                self._table,
                self._fragments,
                self._identities,
                schema.names,
                capacity=needed_capacity(self._engine, "write"),
            )
            self._check_open()
            self._start(requests)
            self._schema = schema

    async def _ask_for_schema(self, operation: Operation, value: Any) -> KeySchema:
        assert self._engine is not None
        try:
            async with self._access.under_way():
                return await self._access.describe(
                    self._engine, self._table, self._settings.retry, self._meter
                )
        except KeyNamesUnknown:
            if operation == "put":
                raise
            key = intake.unwrapped(value, operation)
            return KeySchema.from_key(key, self._access.serialize)

    def _accept(self) -> None:
        """One more write is in hand."""
        self.report.accept()

    def _place(self, identity: bytes, version: Version, size: int) -> None:
        self._accept()
        super()._place(identity, version, size)

    def _fold(self, identity: bytes, version: Version) -> bool:
        # Asked of each write just before it is taken: its block may have been left meanwhile.
        self._check_open()
        entry = self._in_hand.get(identity)
        if entry is None:
            return False
        assert self._call is not None
        self._accept()
        ledger = self._call.ledger
        # An answer is entered a turn of the loop before its request is over: what has ended there
        # cannot be replaced any more, either.
        settles = ledger.is_in_flight(entry.place) or not ledger.is_pending(entry.place)
        if settles or entry.held is not None:
            entry.held = version
            entry.held_weight += 1
        else:
            self._replace(entry, version, 1)
        return True

    def _replace(self, entry: Entry, version: Version, weight: int) -> None:
        """A later write takes the place of one that waits; they share their fate."""
        assert self._call is not None
        entry.version = version
        entry.weight += weight
        self._fragments[entry.place] = version.fragment
        self._call.renew(entry.place)

    def _came_back(self, entry: Entry) -> None:
        assert self._call is not None
        if entry.held is not None and not self._call.ledger.is_in_flight(entry.place):
            held, weight = entry.held, entry.held_weight
            entry.held, entry.held_weight = None, 0
            self._replace(entry, held, weight)

    def _settle(self, places: Iterable[int]) -> None:
        # Nearly everything was written and nothing waits for it: it is let go of together.
        assert self._call is not None
        state_of, at, processed = self._call.ledger.state, self._at, State.PROCESSED
        others: list[int] = []
        written = weight = size = 0
        for place in places:
            entry = at[place]
            assert entry is not None
            if state_of(place) is processed and entry.held is None:
                self._let_go(entry)
                written += 1
                weight += entry.weight
                size += entry.size
            else:
                others.append(place)
        if written:
            self.report.end(processed, weight)
            self._room.give(size, written)
        super()._settle(others)

    def _ended(self, entry: Entry, state: State) -> None:
        assert self._call is not None
        held, held_weight = entry.held, entry.held_weight
        entry.held, entry.held_weight = None, 0
        if held is None:
            self._enter_into_report(entry, state)
            self._drop(entry)
            return
        # A later write of the key was waiting for this one.
        doubtful = False
        if state in (State.PROCESSED, State.REJECTED):
            self._enter_into_report(entry, state)
            entry.weight = held_weight
        else:
            entry.weight += held_weight
            doubtful = state is State.UNKNOWN
        entry.version = held
        self._fragments[entry.place] = held.fragment
        if self._is_over or self._call.fatal is not None:
            left = State.UNKNOWN if doubtful else State.UNPROCESSED
            self._enter_into_report(entry, left)
            self._drop(entry)
        else:
            self._call.feed(entry.place, doubtful=doubtful)

    def _enter_into_report(self, entry: Entry, state: State) -> None:
        if state is State.PROCESSED:
            self.report.end(state, entry.weight)
        elif state is State.REJECTED:
            self._reject(entry)
        else:
            version = entry.version
            self.report.leave(
                state, entry.identity, version.value, entry.weight, deletes=version.deletes
            )

    def _drop(self, entry: Entry) -> None:
        self._let_go(entry)
        self._room.give(entry.size)
