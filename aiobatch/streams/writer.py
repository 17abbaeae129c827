"""``batch_writer``: writes that come one by one, and leave 25 a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from aiobatch import codec, intake
from aiobatch.access import Access, needed_capacity
from aiobatch.codec import KeySchema
from aiobatch.engine.ledger import State
from aiobatch.errors import InvalidItem, KeyNamesUnknown
from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS
from aiobatch.streams.report import WriteReport
from aiobatch.streams.requests import MixedWrite
from aiobatch.streams.stream import STEP, Entry, OnInvalid, Settings, Stream, end

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
        self,
        access: Access,
        table_name: str,
        settings: Settings,
        *,
        name: str = "batch_writer",
        on_invalid: OnInvalid = "raise",
    ) -> None:
        super().__init__(access, name, table_name, "write", settings, on_invalid=on_invalid)
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
        await self._write("put", item)

    async def delete(self, key: Any) -> None:
        """Take a key whose item is to be deleted; as :meth:`put` otherwise.

        An item that is not there is no error.
        """
        await self._write("delete", key)

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
        while any(self._at[entry.place] is entry for entry in taken):
            await self._news.wait()
        if self._is_ending():
            await self._raise_when_over()

    # ------------------------------------------------------------------ inside

    async def _write(self, operation: Operation, value: Any) -> None:
        """Take a single write."""
        self._check_open()
        if self._slice_is_over:
            await self._breathe()
        try:
            if self._schema is None:
                # What can be refused without the key names is refused before anything is sent.
                self._encode(operation, value, None)
                await self._learn(operation, value)
            identity, fragment = self._encode(operation, value, self._schema)
        except codec.Refusal as refusal:
            what = "item" if operation == "put" else "key"
            raise InvalidItem(None, refusal.path, refusal.reason, what=what) from refusal.__cause__
        entry = Entry(identity, self.report.accepted, value, fragment, operation == "delete")
        if not self._take_at_once(entry):
            await self._take_in(entry)

    async def _begin(self, first: Any) -> None:
        operation: Operation = "delete" if self._deletes else "put"
        self._encode(operation, first, None)
        await self._learn(operation, first)

    def _encode_some(
        self, values: list[Any], fragments: list[bytes], identities: list[bytes]
    ) -> None:
        schema, serialize = self._schema, self._access.serialize
        assert schema is not None
        if not self._deletes:
            codec.encode_items(
                values,
                schema,
                serialize,
                lambda item: self._encode("put", item, schema)[::-1],
                fragments,
                identities,
                STEP,
            )
            return
        try:
            codec.encode_keys(
                values, schema, lambda key: self._encode("delete", key, schema)[1], fragments, STEP
            )
        finally:
            identities += fragments[len(identities) :]

    def _tell(self) -> None:
        """Entries may have ended."""

    def _check_open(self) -> None:
        if self._state != "open":
            how = "was not entered" if self._state == "new" else "has been left"
            raise RuntimeError(f"the block of this {self._name} {how}: use it inside `async with`")

    def _encode(
        self, operation: Operation, value: Any, schema: KeySchema | None
    ) -> tuple[bytes, bytes]:
        """The identity and the fragment of a write. Raises Refusal."""
        # An item of several attributes is in no wrapping.
        several = type(value) is dict and len(value) > 1
        plain = value if several else intake.unwrapped(value, operation)
        if operation == "delete":
            key = codec.encode_key(plain, schema, self._access.serialize)
            return key, key
        item, identity = codec.encode_item(plain, schema, self._access.serialize)
        return identity, item

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
                self._kinds,
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

    def _accept(self, entries: int) -> None:
        self.report.accept(entries)

    def _fold(self, entry: Entry) -> bool:
        # Asked of each write just before it is taken: its block may have been left meanwhile.
        self._check_open()
        in_hand = self._in_hand.get(entry.identity)
        if in_hand is None:
            return False
        assert self._call is not None
        self._accept(1)
        ledger = self._call.ledger
        # An answer is entered a turn of the loop before its request is over: what has ended there
        # cannot be replaced any more, either.
        settles = ledger.is_in_flight(in_hand.place) or not ledger.is_pending(in_hand.place)
        if in_hand.held is not None:
            entry.weight += in_hand.held.weight
            in_hand.held = entry
        elif settles:
            in_hand.held = entry
        else:
            self._replace(in_hand, entry)
        return True

    def _replace(self, entry: Entry, later: Entry) -> None:
        """A later write takes the place of one that waits; they share their fate."""
        assert self._call is not None
        entry.weight += later.weight
        self._become(entry, later)
        self._call.renew(entry.place)

    def _become(self, entry: Entry, later: Entry) -> None:
        entry.become(later)
        self._fragments[entry.place] = later.fragment
        self._kinds[entry.place] = later.deletes

    def _came_back(self, entry: Entry) -> None:
        assert self._call is not None
        if entry.held is not None and not self._call.ledger.is_in_flight(entry.place):
            held, entry.held = entry.held, None
            self._replace(entry, held)

    def _settle(self, places: Iterable[int]) -> None:
        # Nearly everything was written and nothing waits for it: it is let go of together.
        assert self._call is not None
        states, at, processed = self._call.ledger.states(), self._at, int(State.PROCESSED)
        written: list[Entry] = []
        others: list[int] = []
        for place in places:
            entry = at[place]
            assert entry is not None
            if states[place] == processed and entry.held is None:
                written.append(entry)
            else:
                others.append(place)
        if written:
            self._let_go(written)
            self._written(written)
            self._room.give(sum([entry.size for entry in written]), len(written))
        super()._settle(others)

    def _written(self, entries: Sequence[Entry]) -> None:
        """These were written, and nothing waits for them."""
        self.report.end(State.PROCESSED, sum([entry.weight for entry in entries]))

    def _ended(self, entry: Entry, state: State) -> None:
        assert self._call is not None
        held, entry.held = entry.held, None
        if held is None:
            self._enter_into_report(entry, state)
            self._drop(entry)
            return
        # A later write of the key was waiting for this one.
        doubtful = False
        if state in (State.PROCESSED, State.REJECTED):
            self._enter_into_report(entry, state)
            entry.weight = held.weight
        else:
            entry.weight += held.weight
            doubtful = state is State.UNKNOWN
        self._become(entry, held)
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
            self.report.leave(
                state, entry.identity, entry.value, entry.weight, deletes=entry.deletes
            )

    def _drop(self, entry: Entry) -> None:
        self._let_go((entry,))
        self._room.give(entry.size)
