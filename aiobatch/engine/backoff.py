"""The shared backoff: one coroutine a client wakes the leftovers of all its calls."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Generic, TypeVar

__all__ = ["TICK", "Backoff", "BackoffQueue"]

TICK = 0.010
"""Seconds. Leftovers of a call that are due within one tick leave together, in full requests."""

_CLOCK_ERROR = 1e-6
_TURNS_TO_SPARE = 64

OwnerT = TypeVar("OwnerT")


class BackoffQueue(Generic[OwnerT]):
    """Who waits until when. Pure: the time is passed in.

    An owner (a call) waits for each tick at most once; what it waits with is merged, so that it
    comes back as one list.
    """

    def __init__(self) -> None:
        # Whose turn it is, by tick and then by who came first; a turn that is no longer waited for
        # stays in the heap until it comes up.
        self._heap: list[tuple[int, int]] = []
        self._waiting: dict[int, tuple[OwnerT, list[int]]] = {}
        # By id: an owner that waits is kept alive by its turn, and one that does not is not here.
        self._turns: dict[int, dict[int, int]] = {}
        self._count = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def push(self, owner: OwnerT, entries: Iterable[int], due: float) -> None:
        """Let these entries of an owner wait until ``due``, rounded up to a whole tick."""
        # A due time that is a whole number of ticks but for rounding stays in its tick, unless
        # that would be a hair too early.
        tick = round(due / TICK)
        if tick * TICK < due:
            tick += 1
        turns = self._turns.setdefault(id(owner), {})
        if tick in turns:
            self._waiting[turns[tick]][1].extend(entries)
            return
        turns[tick] = turn = next(self._count)
        self._waiting[turn] = (owner, list(entries))
        heapq.heappush(self._heap, (tick, turn))

    def next_due(self) -> float | None:
        """When the first owner is due, or None if nobody waits."""
        while self._heap and self._heap[0][1] not in self._waiting:
            heapq.heappop(self._heap)
        return self._heap[0][0] * TICK if self._heap else None

    def pop_due(self, now: float) -> Iterator[tuple[OwnerT, list[int]]]:
        """Take out what is due by ``now``: the earliest tick first, in a tick who came first."""
        while (due := self.next_due()) is not None and due <= now:
            tick, turn = heapq.heappop(self._heap)
            owner, entries = self._waiting.pop(turn)
            turns = self._turns[id(owner)]
            del turns[tick]
            if not turns:
                del self._turns[id(owner)]
            yield owner, entries

    def drop(self, owner: OwnerT) -> None:
        """Forget an owner and all that it waits with."""
        for turn in self._turns.pop(id(owner), {}).values():
            del self._waiting[turn]
        if len(self._heap) > 2 * len(self._waiting) + _TURNS_TO_SPARE:
            self._heap = [slot for slot in self._heap if slot[1] in self._waiting]
            heapq.heapify(self._heap)


class Backoff:
    """The coroutine over the queue. It runs while somebody waits and leaves no task otherwise."""

    def __init__(self) -> None:
        self._queue: BackoffQueue[Callable[[list[int]], None]] = BackoffQueue()
        self._task: asyncio.Task[None] | None = None
        self._sooner: asyncio.Event | None = None

    def wait(
        self, wake: Callable[[list[int]], None], entries: Iterable[int], seconds: float
    ) -> None:
        """Call ``wake`` with the entries when the time is over, not before, within a tick after.

        The same ``wake`` object gathers what is due in one tick into one call.
        """
        loop = asyncio.get_running_loop()
        before = self._queue.next_due()
        self._queue.push(wake, entries, loop.time() + seconds)
        if self._task is None or self._task.done():
            self._sooner = asyncio.Event()
            self._task = loop.create_task(self._run(self._sooner), name="aiobatch-backoff")
        elif self._sooner is not None and self._queue.next_due() != before:
            self._sooner.set()

    async def sleep(self, seconds: float) -> None:
        """Wait here, on the shared coroutine."""
        over = asyncio.get_running_loop().create_future()

        def wake(_: list[int]) -> None:
            if not over.done():
                over.set_result(None)

        self.wait(wake, (), seconds)
        try:
            await over
        finally:
            self.drop(wake)

    def drop(self, wake: Callable[[list[int]], None]) -> None:
        """Forget a waiter; the coroutine ends with the last."""
        self._queue.drop(wake)
        if not self._queue and self._sooner is not None:
            self._sooner.set()

    async def aclose(self) -> None:
        """End the coroutine. Nobody may wait any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, sooner: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while (due := self._queue.next_due()) is not None:
            sooner.clear()
            timer = loop.call_at(due, sooner.set)
            try:
                await sooner.wait()
            finally:
                timer.cancel()
            # Timers may fire early by less than the clock can tell; that is on time.
            now = loop.time() + _CLOCK_ERROR
            for wake, entries in self._queue.pop_due(now):
                wake(entries)
