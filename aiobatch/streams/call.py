"""A batch call that is fed while it runs."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from aiobatch.engine.call import BatchCall
from aiobatch.engine.ledger import State
from aiobatch.engine.metrics import Meter
from aiobatch.engine.requests import BatchRequests
from aiobatch.retry import Retry

__all__ = ["OpenCall"]

# Timers may fire early by less than the clock can tell.
_CLOCK_ERROR = 1e-6
_SHORTEST_WAIT = 0.01
# Entries that come within so many seconds count as having come with the first of them.
_AT_ONCE = 1e-4
_NEVER = 1 << 62


class OpenCall(BatchCall):
    """A call over a bounded number of places, each of which many entries take in turn.

    A request leaves when it is full, when its first entry has waited for ``max_wait``, when
    leftovers are due, or when the call is closed.

    Args:
        requests: builds requests from what stands at the places.
        places: how many entries may be in hand at once.
        retry: the budget of each entry.
        meter: counts what the call costs.
        max_wait: seconds that an entry waits at most for others to fill its request.
        may_wait: whether it may wait longer, because nobody needs it yet.
        on_landed: called with the places of each request that is over.
    """

    def __init__(
        self,
        requests: BatchRequests,
        places: int,
        *,
        retry: Retry,
        meter: Meter,
        max_wait: float,
        may_wait: Callable[[], bool],
        on_landed: Callable[[Sequence[int]], None],
    ) -> None:
        super().__init__(requests, places, retry=retry, meter=meter)
        # A call of fixed entries begins with all of them planned; this one with empty places.
        self.plan.clear()
        self.is_open = True
        self._loop = asyncio.get_running_loop()
        self._stalled = False
        self._max_wait = max_wait
        self._may_wait = may_wait
        self._on_landed = on_landed
        self._added = 0
        self._hurried = 0
        # How many must have been added for the next request to be full, as far as is known.
        self._full_at = 0
        # What became of those whose places others have taken since, by the number of the state.
        self._replaced = [0] * len(State)
        self._was_fed = bytearray(places)
        # Up to which entry, by its number, they came with the first of them, and when.
        self._came: deque[list[float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether it was closed and nothing is left to send, to wait for, or to hear of."""
        return not self.is_open and super().is_over

    @property
    def is_one_request(self) -> bool:
        """False: there may be more."""
        return False

    @property
    def can_send(self) -> bool:
        """Whether a request shall leave now, full or not."""
        plan = self.plan
        if plan.fills_a_request:
            return True
        fresh = plan.fresh
        self._full_at = self._added + plan.max_entries - fresh
        return fresh > 0 and (self._added - fresh < self._hurried or not self.is_open)

    @property
    def entries(self) -> int:
        """0: not known beforehand, for they come while it runs."""
        return 0

    def counts(self) -> Counter[State]:
        """How many of the entries that it was fed with so far are in each state."""
        counts = Counter(dict(zip(State, self._replaced, strict=True)))
        for place, was_fed in enumerate(self._was_fed):
            if was_fed:
                counts[self.ledger.state(place)] += 1
        return counts

    @property
    def only_waits_for_more(self) -> bool:
        """Whether nothing happens until more entries come or their time is over."""
        return not (self.in_flight or self.waiting)

    def feed(self, place: int, *, doubtful: bool = False) -> None:
        """An entry has taken a place.

        Args:
            place: one that is free.
            doubtful: an earlier write of the same key may have taken effect.
        """
        now = self._comes()
        ended = self.ledger.reopen(place, doubtful=doubtful)
        if self._was_fed[place]:
            self._replaced[ended] += 1
        else:
            self._was_fed[place] = True
        self._retries[place] = 0
        self.plan.add(place)
        self._has_come(1, now)

    def feed_all(self, places: Sequence[int]) -> None:
        """Entries have taken these places, at once; nothing of their keys is in doubt."""
        now = self._comes()
        was_fed, replaced, retries = self._was_fed, self._replaced, self._retries
        for place, ended in zip(places, self.ledger.reopen_all(places), strict=True):
            if was_fed[place]:
                replaced[ended] += 1
            else:
                was_fed[place] = True
            retries[place] = 0
        self.plan.extend(places)
        self._has_come(len(places), now)

    def _comes(self) -> float:
        """Something is about to come; the time."""
        now = self._loop.time()
        if not self.in_flight and self.only_waits_for_more and not self.plan:
            # A stream that has nothing to do does not stall.
            self.progressed_at = now
        return now

    def _has_come(self, entries: int, now: float) -> None:
        # Each entry of a stream comes through here: what can be done once for many is.
        self._added += entries
        came = self._came
        if came and now - came[-1][1] < _AT_ONCE:
            came[-1][0] = self._added
        else:
            came.append([self._added, now])
        if self._added >= self._full_at and self.plan.fills_a_request:
            # Until the pump asks again how much is missing.
            self._full_at = _NEVER
            self.wake.set()
        # Even then: what leaves next may be others, and this one must not wait for ever.
        if self._timer is None:
            self._timer = self._loop.call_later(self._max_wait, self._waited)

    def hurry(self) -> None:
        """Let everything that was fed so far leave, in full requests or not."""
        self._hurried = self._added
        self.wake.set()

    def close(self) -> None:
        """No more entries will come."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.wake.set()

    def landed(self, entries: Sequence[int]) -> None:
        """The request with these entries is over, and all that it meant has been entered."""
        super().landed(entries)
        is_narrow = self.plan.max_entries < self.requests.max_entries
        if is_narrow and not any(self.ledger.is_pending(entry) for entry in entries):
            self.plan.widen()
        if self._stalled and self.fatal is None:
            self._stop_stalled()
        self._forget_what_left()
        self._on_landed(entries)

    def gives_up(self, now: float) -> bool:
        """Whether the call has stalled: then it is over, with all that is in hand."""
        if not (self.plan and self._had_leftovers and self._stalls(now)):
            return False
        self._stop_stalled()
        return True

    def _stop_stalled(self) -> None:
        # Whatever else is in hand would only wait for the same.
        self.stop(
            self.last_error or TimeoutError(f"nothing went through for {self.retry.max_stall:g} s")
        )

    def _stalls(self, until: float) -> bool:
        stalls = super()._stalls(until)
        self._stalled = self._stalled or stalls
        return stalls

    def _waited(self) -> None:
        self._timer = None
        self._forget_what_left()
        if not self._came:
            return
        due = self._came[0][1] + self._max_wait
        if due > self._loop.time() + _CLOCK_ERROR:
            self._timer = self._loop.call_at(due, self._waited)
        elif self._may_wait():
            self._timer = self._loop.call_later(max(self._max_wait, _SHORTEST_WAIT), self._waited)
        else:
            self.hurry()

    def _forget_what_left(self) -> None:
        # Fresh entries leave in the order in which they came.
        left = self._added - self.plan.fresh
        while self._came and self._came[0][0] <= left:
            self._came.popleft()
