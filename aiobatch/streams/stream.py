"""What all streams have in common: places, the call over them, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from time import perf_counter
from typing import Any, ClassVar, Literal, NoReturn

from aiobatch import codec
from aiobatch.access import Access
from aiobatch.codec import KeySchema
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.ledger import State
from aiobatch.engine.loop_time import LOOP_SLICE
from aiobatch.engine.metrics import Meter
from aiobatch.engine.pressure import Direction
from aiobatch.engine.requests import BatchRequests
from aiobatch.errors import BatchError, ClientClosed, InvalidItem, ServiceError, WireError
from aiobatch.retry import Retry
from aiobatch.streams.call import OpenCall
from aiobatch.streams.report import Report
from aiobatch.streams.room import Room

__all__ = ["STEP", "Entry", "OnInvalid", "Settings", "Stream", "end"]

OnInvalid = Literal["raise", "collect"]

# Requests in hand for each slot of the client: one under way, one that is ready to leave.
_REQUESTS_A_SLOT = 2
# What is in hand may take so many bytes; the largest item has 400 KB, its JSON somewhat more.
_MAX_BYTES = 64 * 1024 * 1024
STEP = 32 * 1024
"""Bytes that are encoded before the clock is looked at: a fraction of a millisecond."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What every stream can be told.

    Raises:
        ValueError: a number that makes no sense.
    """

    retry: Retry
    max_pending: int | None
    max_wait: float

    def __post_init__(self) -> None:
        if self.max_pending is not None and (
            isinstance(self.max_pending, bool) or self.max_pending < 1
        ):
            raise ValueError("max_pending must be 1 or more, or None")
        if not self.max_wait >= 0:
            raise ValueError("max_wait must be seconds, 0 or more")


class Entry:
    """One of the caller's entries, ready to be sent; and once it has a place, a key in hand.

    Attributes:
        identity: the key's.
        position: of what is to be read or written, among all that was given.
        value: the caller's object.
        fragment: the same, encoded.
        deletes: whether the key's item is to be deleted.
        size: the bytes of room that it takes.
        weight: for how many of the caller's entries it stands: the same key, given again.
        place: where its fragment stands, once it is in hand.
        held: a later write of the key, which waits until this one is no longer under way.
    """

    __slots__ = (
        "deletes",
        "fragment",
        "held",
        "identity",
        "place",
        "position",
        "size",
        "value",
        "weight",
    )

    # By hand: there is one of these for each entry of a stream.
    def __init__(
        self, identity: bytes, position: int, value: Any, fragment: bytes, deletes: bool
    ) -> None:
        self.identity = identity
        self.position = position
        self.value = value
        self.fragment = fragment
        self.deletes = deletes
        self.size = len(fragment)
        self.weight = 1
        self.place = -1
        self.held: Entry | None = None

    def become(self, later: Entry) -> None:
        """Stand for a later write of the key from now on."""
        self.position = later.position
        self.value = later.value
        self.fragment = later.fragment
        self.deletes = later.deletes


class Stream:
    """One call of the engine, fed while it runs; each entry ends once, in the report.

    Args:
        access: the client.
        name: what errors call it.
        table_name: the table's name or ARN.
        direction: ``"read"`` or ``"write"``.
        settings: see :class:`Settings`.
    """

    report: Report
    # Whether what comes from a source is to be deleted, and whether its values are kept.
    _deletes: bool = False
    _keeps_values: ClassVar[bool] = True

    def __init__(
        self,
        access: Access,
        name: str,
        table_name: str,
        direction: Direction,
        settings: Settings,
        *,
        on_invalid: OnInvalid = "raise",
    ) -> None:
        self._access = access
        self._name = name
        self._table = table_name
        self._direction = direction
        self._settings = settings
        self._on_invalid: OnInvalid = on_invalid
        self._meter = Meter(0.0, hooks=access.hooks)
        self._clock: Callable[[], float] = lambda: 0.0
        self._engine: Dispatcher | None = None
        self._call: OpenCall | None = None
        self._runner: asyncio.Task[None] | None = None
        # Why the call ended before its time: the client was closed, or something that is a bug.
        self._broken: BaseException | None = None
        self._is_over = False
        self._in_hand: dict[bytes, Entry] = {}
        self._at: list[Entry | None] = []
        self._free: list[int] = []
        self._fragments: list[bytes] = []
        self._identities: list[bytes] = []
        self._kinds = bytearray()
        self._slice = 1
        self._room = Room(1, _MAX_BYTES)
        # Set, and replaced, whenever entries have ended.
        self._news = asyncio.Event()
        self._began = perf_counter()

    def _metrics(self) -> dict[str, Any]:
        return self._meter.as_answer(self._clock())

    # ------------------------------------------------------------------ beginning

    async def _enter(self, max_entries: int) -> None:
        """Open the engine and make the places."""
        if self._engine is not None:
            raise RuntimeError(f"{self._name}: its block was entered before: make a new one")
        async with self._access.under_way():
            self._engine = await self._access.engine()
        self._clock = asyncio.get_running_loop().time
        self._meter.started_at = self._clock()
        places = self._settings.max_pending or (
            _REQUESTS_A_SLOT * self._engine.max_concurrency * max_entries
        )
        self._room = Room(places, _MAX_BYTES)
        self._at = [None] * places
        self._free = list(reversed(range(places)))
        self._fragments = [b""] * places
        self._identities = [b""] * places
        self._kinds = bytearray(places)
        self._slice = max_entries

    async def _fitting_schema(
        self, encode: Callable[[KeySchema | None], object]
    ) -> KeySchema | None:
        """The table's key schema, if it is known.

        One that is only remembered and refuses the first entry, which ``encode`` encodes, may be
        old: then it is asked for again.
        """
        assert self._engine is not None
        schema = self._access.known_schema(self._engine, self._table)
        if schema is None:
            return None
        try:
            encode(schema)
        except codec.Refusal:
            try:
                encode(None)
            except codec.Refusal:
                # The names have nothing to do with it.
                return schema
            async with self._access.under_way():
                await self._access.renew(
                    self._engine, self._table, self._settings.retry, self._meter
                )
            schema = self._access.known_schema(self._engine, self._table)
        return schema

    def _start(self, requests: BatchRequests) -> None:
        """Begin to send."""
        assert self._engine is not None
        self._call = OpenCall(
            requests,
            len(self._at),
            retry=self._settings.retry,
            meter=self._meter,
            max_wait=self._settings.max_wait,
            may_wait=self._may_wait,
            on_landed=self._landed,
        )
        name = f"aiobatch-{self._name}"
        self._runner = asyncio.create_task(self._run(self._engine, self._call), name=name)
        # Not in the task itself: one that is cancelled before its first step runs no code.
        self._runner.add_done_callback(self._ran)

    async def _run(self, engine: Dispatcher, call: OpenCall) -> None:
        async with self._access.under_way():
            await engine.run(call)

    # ------------------------------------------------------------------ entries in

    @property
    def _slice_is_over(self) -> bool:
        """Whether the loop must be let go: a source may never wait for anything."""
        return perf_counter() - self._began > LOOP_SLICE

    async def _breathe(self) -> None:
        """Let the loop go."""
        await asyncio.sleep(0)
        self._began = perf_counter()

    def _take_at_once(self, entry: Entry) -> bool:
        """Take an entry in hand if nothing has to be waited for."""
        if self._is_ending():
            return False
        if self._fold(entry):
            return True
        if not self._room.take_at_once(entry.size):
            return False
        self._place(entry)
        return True

    async def _take_in(self, entry: Entry) -> None:
        """Take an entry in hand, as soon as there is room for it.

        Raises:
            BatchError, ClientClosed: the stream has come to its end; the entry was not taken.
        """
        if self._take_at_once(entry):
            return
        if self._is_ending():
            await self._raise_when_over()
        self._hurry_if_stuck()
        await self._room.take(entry.size)
        self._began = perf_counter()
        # Others may have taken the key in hand, or the stream may have ended, in the meantime.
        try:
            if self._is_ending():
                await self._raise_when_over()
            if not self._fold(entry):
                self._place(entry)
                if self._room.is_wanted:
                    self._hurry_if_stuck()
                return
        except BaseException:
            self._room.give(entry.size)
            raise
        self._room.give(entry.size)

    def _take_run(self, entries: Sequence[Entry]) -> int:
        """Take the first of these in hand together, those that are new and find room.

        Returns:
            How many they are. The next one, if any, is a matter for :meth:`_take_in`.
        """
        if self._is_ending() or self.report.has_keys_left:
            return 0
        new = self._new(entries)
        count = self._room.take_first([entry.size for entry in new])
        if count:
            assert self._call is not None
            self._accept(count)
            self._call.feed_all(self._seat(new[:count]))
        return count

    def _new(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The first of these, up to one whose key is in hand, or is that of one before it."""
        identities = {entry.identity for entry in entries}
        if len(identities) == len(entries) and self._in_hand.keys().isdisjoint(identities):
            return entries
        seen: set[bytes] = set()
        for count, entry in enumerate(entries):
            if entry.identity in self._in_hand or entry.identity in seen:
                return entries[:count]
            seen.add(entry.identity)
        raise AssertionError("one of them is not new")  # pragma: no cover: as the sets have said

    def _fold(self, entry: Entry) -> bool:
        """Let an entry of this key that is in hand stand for this one too, if there is one."""
        raise NotImplementedError

    def _place(self, entry: Entry) -> None:
        assert self._call is not None
        weight, doubtful = self.report.resume(entry.identity)
        entry.weight += weight
        self._accept(1)
        [place] = self._seat((entry,))
        self._call.feed(place, doubtful=doubtful)

    def _seat(self, entries: Sequence[Entry]) -> list[int]:
        """Give each of these a place."""
        at, fragments, identities = self._at, self._fragments, self._identities
        in_hand, free, kinds = self._in_hand, self._free, self._kinds
        places = free[-len(entries) :]
        del free[-len(entries) :]
        for entry, place in zip(entries, places, strict=True):
            entry.place = place
            in_hand[entry.identity] = at[place] = entry
            identities[place] = entry.identity
            fragments[place] = entry.fragment
            kinds[place] = entry.deletes
        return places

    def _accept(self, entries: int) -> None:
        """So many more entries are in hand."""

    def _hurry_if_stuck(self) -> None:
        """There is no room for more: let a request leave that can become no fuller."""
        call = self._call
        if call is not None and call.only_waits_for_more and not self._may_wait():
            call.hurry()

    def _may_wait(self) -> bool:
        """Whether nobody needs what would leave in a request that is not full."""
        return False

    # ------------------------------------------------------------------ what a source gives

    def _readable(self) -> int:
        """How many values are to be read from a source at once: as many as there is room for."""
        return max(1, min(self._slice, self._room.free)) if self._call is not None else 1

    async def _take_slice(self, positions: Sequence[int], values: list[Any]) -> None:
        """Take values of a source in hand, in their order, as there is room for them.

        Raises:
            InvalidItem: DynamoDB would refuse one of them, and that is to be raised.
            BatchError, ClientClosed: the stream has come to its end.
        """
        fragments: list[bytes] = []
        identities: list[bytes] = []
        done = 0
        try:
            while done < len(values):
                if self._slice_is_over:
                    await self._breathe()
                refusal = None
                try:
                    if self._call is None:
                        await self._begin(values[done])
                    self._encode_some(values, fragments, identities)
                except codec.Refusal as error:
                    refusal = error
                entries = self._entries(positions, values, fragments, identities, done)
                at = 0
                while at < len(entries):
                    run = self._take_run(entries[at:] if at else entries)
                    at += run
                    done += run
                    if at < len(entries):
                        await self._take_in(entries[at])
                        at += 1
                        done += 1
                if refusal is not None:
                    fragments.append(b"")
                    identities.append(b"")
                    done += 1
                    self._refuse(positions[done - 1], values[done - 1], refusal)
        except BaseException as error:
            self._leave_unsent(values[done:], identities[done:], error)
            raise

    def _entries(
        self,
        positions: Sequence[int],
        values: Sequence[Any],
        fragments: Sequence[bytes],
        identities: Sequence[bytes],
        first: int,
    ) -> list[Entry]:
        """The entries of what was encoded, from the first on that has none."""
        if not self._keeps_values:
            values = [None] * len(values)
        if first:
            positions, values = positions[first:], values[first:]
            fragments, identities = fragments[first:], identities[first:]
        deletes = self._deletes
        # There may be values that were not encoded yet.
        return [
            Entry(identity, position, value, fragment, deletes)
            for identity, position, value, fragment in zip(
                identities, positions, values, fragments, strict=False
            )
        ]

    async def _begin(self, first: Any) -> None:
        """Begin to send; this is the first value. Raises Refusal."""
        raise NotImplementedError

    def _encode_some(
        self, values: list[Any], fragments: list[bytes], identities: list[bytes]
    ) -> None:
        """Encode some of these, from ``values[len(fragments)]`` on.

        Raises:
            Refusal: DynamoDB would not take that one. What came before it was encoded.
        """
        raise NotImplementedError

    def _refuse(self, position: int, value: Any, refusal: codec.Refusal) -> None:
        """DynamoDB would refuse a value. Raises InvalidItem if that is to be raised."""
        self.report.refuse(position, value, refusal.path, refusal.reason)
        if self._on_invalid == "raise":
            what = "key" if self._deletes or self._direction == "read" else "item"
            raise InvalidItem(
                position, refusal.path, refusal.reason, what=what
            ) from refusal.__cause__

    def _leave_unsent(
        self, values: Sequence[Any], identities: Sequence[bytes], error: BaseException
    ) -> None:
        """These were read from a source, and are not taken in hand because of this error."""
        for value, identity in zip_longest(values, identities):
            if isinstance(error, InvalidItem):
                self.report.leave_unread(value, deletes=self._deletes)
                continue
            known = self._identity(value) if identity is None else identity
            self.report.leave_unsent(known, value, deletes=self._deletes)

    def _identity(self, value: Any) -> bytes | None:
        """The identity of a value's key, if that can be told."""
        identities: list[bytes] = []
        if self._call is not None:
            with suppress(codec.Refusal):
                self._encode_some([value], [], identities)
        return identities[0] if identities else None

    # ------------------------------------------------------------------ entries out

    def _landed(self, places: Sequence[int]) -> None:
        """Requests are over: report what ended, and let the next entries take the places."""
        self._settle(places)

    def _settle(self, places: Iterable[int]) -> None:
        # Each has an entry: requests land once, and before the call is over.
        assert self._call is not None
        state_of, at, pending = self._call.ledger.state, self._at, State.PENDING
        for place in places:
            entry = at[place]
            assert entry is not None
            state = state_of(place)
            if state is pending:
                self._came_back(entry)
            else:
                self._ended(entry, state)
        self._announce()

    def _announce(self) -> None:
        """Wake everybody who waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    def _came_back(self, entry: Entry) -> None:
        """An entry is left over and will be sent again."""

    def _ended(self, entry: Entry, state: State) -> None:
        """An entry has ended: enter it into the report, and let go of it."""
        raise NotImplementedError

    def _let_go(self, entries: Iterable[Entry]) -> None:
        """Free the places of entries; room for an item is given back when it was handed out."""
        at, fragments, identities = self._at, self._fragments, self._identities
        in_hand, free = self._in_hand, self._free
        for entry in entries:
            place = entry.place
            at[place] = None
            fragments[place] = identities[place] = b""
            free.append(place)
            del in_hand[entry.identity]

    def _reject(self, entry: Entry) -> None:
        assert self._call is not None
        rejection = self._call.ledger.rejections[entry.place]
        self.report.reject(entry.position, entry.value, entry.weight, rejection)

    # ------------------------------------------------------------------ the end

    def _is_ending(self) -> bool:
        """Whether nothing that comes now would be sent."""
        call, runner = self._call, self._runner
        return call is not None and (
            call.fatal is not None or (runner is not None and runner.done())
        )

    async def _raise_when_over(self) -> NoReturn:
        """Tell why the stream has come to its end, once its account is complete."""
        while not self._is_over:
            await self._news.wait()
        raise self._error()

    def _ran(self, runner: asyncio.Task[None]) -> None:
        """The call is over: whatever is in hand has ended, too."""
        call = self._call
        assert call is not None
        if not runner.cancelled():
            self._broken = runner.exception()
        call.close()
        call.ledger.close()
        self._is_over = True
        ended_at = self._clock()
        self._clock = lambda: ended_at
        self._settle([entry.place for entry in self._in_hand.values()])

    def _cause(self) -> BaseException | None:
        call = self._call
        return self._broken or (call.cause if call is not None else None)

    def _error(self) -> BaseException:
        """What to raise for a stream with anything left, or one that was broken off."""
        cause = self._cause()
        told = self.report.in_words()
        account = "The account is in error.response"
        if isinstance(cause, ClientClosed):
            return ClientClosed(
                f"{self._name} on {self._table!r}: the client was closed, {told}. {account}",
                self.report.response(),
            )
        if cause is not None and not isinstance(cause, Exception):
            return cause
        # Only our own errors are known to quote no item.
        text = f" Cause: {_told(cause)}." if cause is not None else ""
        error = BatchError(
            f"{self._name} on {self._table!r}: {told}.{text} {account}", self.report.response()
        )
        error.__cause__ = cause
        return error

    @property
    def _must_raise(self) -> bool:
        call = self._call
        stopped = call is not None and call.fatal is not None
        return stopped or self._broken is not None or self.report.has_leftovers


async def end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel these tasks and wait until they are done, even if the waiting is cancelled."""
    running = [task for task in tasks if task is not None]
    cancelled = False
    while pending := [task for task in running if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _told(cause: BaseException) -> str:
    return str(cause) if isinstance(cause, ServiceError | WireError) else type(cause).__name__
