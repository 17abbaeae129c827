"""What all streams have in common: places, the call over them, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, NamedTuple, NoReturn

from aiobatch import codec
from aiobatch.access import Access
from aiobatch.codec import KeySchema
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.ledger import State
from aiobatch.engine.loop_time import LOOP_SLICE
from aiobatch.engine.metrics import Meter
from aiobatch.engine.pressure import Direction
from aiobatch.engine.requests import BatchRequests
from aiobatch.errors import BatchError, ClientClosed, ServiceError, WireError
from aiobatch.retry import Retry
from aiobatch.streams.call import OpenCall
from aiobatch.streams.report import Report
from aiobatch.streams.room import Room

__all__ = ["Entry", "OnInvalid", "Settings", "Stream", "Version", "end"]

OnInvalid = Literal["raise", "collect"]

# Requests in hand for each slot of the client: one under way, one that is ready to leave.
_REQUESTS_A_SLOT = 2
# What is in hand may take so many bytes; the largest item has 400 KB, its JSON somewhat more.
_MAX_BYTES = 64 * 1024 * 1024


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


class Version(NamedTuple):
    """One of the caller's entries, ready to be sent."""

    position: int
    value: Any
    fragment: bytes
    deletes: bool


@dataclass(slots=True)
class Entry:
    """A key that is in hand.

    Attributes:
        place: where its fragment stands.
        identity: the key's.
        version: what is to be read or written.
        weight: for how many of the caller's entries it stands: the same key, given again.
        size: the bytes of room that it takes.
        held: a later write of the key, which waits until this one is no longer under way.
        held_weight: for how many entries that one stands.
        over: whether it is no longer in hand.
    """

    place: int
    identity: bytes
    version: Version
    weight: int
    size: int
    held: Version | None = None
    held_weight: int = 0
    over: bool = False


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

    def __init__(
        self,
        access: Access,
        name: str,
        table_name: str,
        direction: Direction,
        settings: Settings,
    ) -> None:
        self._access = access
        self._name = name
        self._table = table_name
        self._direction = direction
        self._settings = settings
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

    def _take_at_once(self, identity: bytes, version: Version) -> bool:
        """Take an entry in hand if nothing has to be waited for."""
        if self._is_ending():
            return False
        if self._fold(identity, version):
            return True
        size = len(version.fragment)
        if not self._room.take_at_once(size):
            return False
        self._place(identity, version, size)
        return True

    async def _take_in(self, identity: bytes, version: Version) -> None:
        """Take an entry in hand, as soon as there is room for it.

        Raises:
            BatchError, ClientClosed: the stream has come to its end; the entry was not taken.
        """
        if self._take_at_once(identity, version):
            return
        if self._is_ending():
            await self._raise_when_over()
        size = len(version.fragment)
        self._hurry_if_stuck()
        await self._room.take(size)
        # Others may have taken the key in hand, or the stream may have ended, in the meantime.
        try:
            if self._is_ending():
                await self._raise_when_over()
            if not self._fold(identity, version):
                self._place(identity, version, size)
                if self._room.is_wanted:
                    self._hurry_if_stuck()
                return
        except BaseException:
            self._room.give(size)
            raise
        self._room.give(size)

    def _fold(self, identity: bytes, version: Version) -> bool:
        """Let an entry of this key that is in hand stand for this one too, if there is one."""
        raise NotImplementedError

    def _place(self, identity: bytes, version: Version, size: int) -> None:
        assert self._call is not None
        weight, doubtful = self.report.resume(identity)
        place = self._free.pop()
        entry = Entry(place, identity, version, 1 + weight, size)
        self._in_hand[identity] = self._at[place] = entry
        self._identities[place] = identity
        self._fragments[place] = version.fragment
        self._call.feed(place, doubtful=doubtful)

    def _hurry_if_stuck(self) -> None:
        """There is no room for more: let a request leave that can become no fuller."""
        call = self._call
        if call is not None and call.only_waits_for_more and not self._may_wait():
            call.hurry()

    def _may_wait(self) -> bool:
        """Whether nobody needs what would leave in a request that is not full."""
        return False

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

    def _let_go(self, entry: Entry) -> None:
        """Free the place of an entry; its room is given back when its item has been handed out."""
        entry.over = True
        place = entry.place
        self._at[place] = None
        self._fragments[place] = self._identities[place] = b""
        self._free.append(place)
        del self._in_hand[entry.identity]

    def _reject(self, entry: Entry) -> None:
        assert self._call is not None
        rejection = self._call.ledger.rejections[entry.place]
        version = entry.version
        self.report.reject(version.position, version.value, entry.weight, rejection)

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
