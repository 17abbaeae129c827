"""How much may be under way: slots for requests, and a pace for the entries of each table."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal

__all__ = ["Direction", "Governor", "Pace", "Slots", "UnitBudget"]

Direction = Literal["read", "write"]

_SHORTEST_WAIT = 0.001
# A ceiling may be raised while a request waits for a lower one.
_LONGEST_LOOK = 1.0


class Slots:
    """The semaphore over all requests of a client.

    It is first come, first served, and each call waits with one request at a time, so the calls
    take turns: ten keys never stand behind a bulk load's forty thousand chunks.
    """

    def __init__(self, max_concurrency: int) -> None:
        self._semaphore = asyncio.Semaphore(max_concurrency)

    async def acquire(self) -> None:
        """Wait for a free slot."""
        await self._semaphore.acquire()

    def release(self) -> None:
        """Give a slot back."""
        self._semaphore.release()


class Pace:
    """Entries per second, learnt from throttling. Pure: the time is passed in.

    Without limit until the first request that is refused whole. Each such request lowers the
    rate, once a round trip at most: to half, but hardly below what went through lately. Requests
    that go through whole let it grow: soon back to where it was refused, then past it, the faster
    the longer nothing was left over. A partial answer is no throttling by itself: it lowers
    nothing before the first refusal, and after it never below what goes through.

    A table that is asked for too much leaves much undone, and more the more it is asked. A few
    requests refused among many that go through whole say nothing of the rate: to send less would
    help nobody. They lower nothing, and keep the rate from growing far above what goes through.
    """

    WINDOW = 1.0
    """Seconds over which the entries that left and that went through are counted."""
    ENTRIES = 4
    """A slow pace is counted over longer: at least until so many entries may have left."""
    SLICE = 0.25
    """Seconds of the rate that one request may hold."""
    SHORTEST = 0.01
    """Seconds that a burst is taken to last at least, when it is counted."""
    KEPT = 0.95
    """The share of what went through lately that a decrease leaves."""
    PROBE = 1.02
    """How far above what goes through the rate stays while answers are partial."""
    RECOVERY = 1.0
    """Seconds of success until a rate that was lowered is back."""
    GROWTH = 0.02
    """Growth per second and second of success, past the rate that was refused."""
    MINIMUM = 0.5
    """Entries per second below which the rate never falls."""
    STRAY = 0.2
    """The share of requests up to which refusals may have nothing to do with the rate."""
    FEWEST = 10
    """How many requests it takes to tell."""
    ABOVE = 1.125
    """How far above the most that went through lately the rate may grow in spite of strays."""
    LATELY = 5.0
    """Seconds for which the most that went through is remembered, or up to three times as long."""
    SAVED = 0.02
    """Seconds of unused rate that may be saved up."""
    DEBT = 5.0
    """Seconds that no request makes the next one wait for longer."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._refused_rate = 0.0
        self._recovery = 0.0
        self._hold_until = 0.0
        self._credit = 0.0
        self._credited_at = 0.0
        self._grown_at = 0.0
        self._quiet_since = 0.0
        self._gives_parts = False
        self._left = _Window()
        self._through = _Window()
        # Requests that were answered whole, answered in part, and refused.
        self._whole = _Window()
        self._in_part = _Window()
        self._refused = _Window()
        self._most_through = _Peak(self.LATELY)

    @property
    def rate(self) -> float | None:
        """Entries per second that may leave; None before the first throttling."""
        return self._rate

    @property
    def most(self) -> int | None:
        """How many entries the next request should have at most; None: any number.

        A slow table has hardly more to give than it earned in the last second. Full requests,
        each in debt for many seconds, would see ever less go through, and slow down ever more.
        """
        if self._rate is None or not self._gives_parts:
            return None
        return max(1, int(self._rate * self.SLICE))

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave; a request may leave in debt."""
        if self._rate is None:
            return 0.0
        self._earn(now)
        return _seconds_to_earn(-self._credit, self._rate)

    def spend(self, entries: int, now: float) -> None:
        """A request with so many entries leaves."""
        self._left.add(entries, now, self._window)
        if self._rate is not None:
            self._earn(now)
            self._credit = max(self._credit - entries, -self._rate * self.DEBT)

    def take_back(self, entries: int) -> None:
        """So many entries of a request stayed behind after all."""
        if self._rate is not None:
            self._credit += entries

    def passed(self, entries: int, now: float, sent_at: float, *, whole: bool) -> None:
        """Entries of a request that left at ``sent_at`` went through: all (``whole``) or some."""
        self._through.add(entries, now, self._window)
        (self._whole if whole else self._in_part).add(1, now, self._window)
        self._gives_parts = self._gives_parts or not whole
        if self._rate is None:
            return
        self._most_through.see(self._through.rate(now, self._window), now)
        if whole:
            self._grow(self._rate, entries, now)
        else:
            self._quiet_since = now
            through = self._through.rate(now, self._window)
            enough = max(self.PROBE * through, self._rate / 2, self.MINIMUM)
            if sent_at >= self._hold_until and enough < self._rate:
                self._rate = enough
                self._hold_until = now
        self._grown_at = now

    def throttled(self, now: float, sent_at: float) -> None:
        """A whole request that left at ``sent_at`` was refused."""
        self._refused.add(1, now, self._window)
        if self._rate is not None and self._are_strays(now):
            return
        if sent_at < self._hold_until:
            # It left before the last decrease could show: one decrease a round trip.
            return
        offered = self._left.rate(now, self._window)
        through = self._through.rate(now, self._window)
        tried = offered if self._rate is None else min(self._rate, offered)
        lowered = max(self.KEPT * through, tried / 2)
        self._earn(now)
        self._rate = max(self.MINIMUM, min(lowered, self.KEPT * tried))
        self._refused_rate = max(self.MINIMUM, min(through, tried))
        self._recovery = max(0.0, self._refused_rate - self._rate) / self.RECOVERY
        self._hold_until = self._grown_at = self._quiet_since = now
        self._credit = max(min(self._credit, 0.0), -self._rate * self.DEBT)

    @property
    def _window(self) -> float:
        return self.WINDOW if self._rate is None else max(self.WINDOW, self.ENTRIES / self._rate)

    def _are_strays(self, now: float) -> bool:
        """Whether the refusals of late seem to have nothing to do with the rate."""
        refused = self._refused.count(now, self._window)
        requests = refused + self._whole.count(now, self._window)
        return (
            requests >= self.FEWEST
            and refused <= self.STRAY * requests
            and not self._in_part.count(now, self._window)
        )

    def _grow(self, rate: float, entries: int, now: float) -> None:
        # Growth is for time in which entries went through: a pause is no success.
        span = min(now - self._grown_at, max(0.1, entries / rate))
        if rate < self._refused_rate:
            self._rate = rate + self._recovery * span
        else:
            share = min(1.0, self.GROWTH * (1.0 + now - self._quiet_since))
            grown = rate * (1.0 + share * span)
            if self._refused.count(now, self._window):
                grown = max(rate, min(grown, self.ABOVE * self._most_through.value))
            self._rate = grown

    def _earn(self, now: float) -> None:
        rate = self._rate or 0.0
        self._credit = min(self._credit + rate * (now - self._credited_at), rate * self.SAVED)
        self._credited_at = now


class _Window:
    """Events per second, over a sliding window."""

    def __init__(self) -> None:
        self._events: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, count: int, now: float, seconds: float) -> None:
        self._events.append((now, count))
        self._sum += count
        self._forget(now - seconds)

    def count(self, now: float, seconds: float) -> int:
        """How many there are in the window."""
        self._forget(now - seconds)
        return self._sum

    def rate(self, now: float, seconds: float) -> float:
        """What happened since the oldest event in the window, by the second."""
        self._forget(now - seconds)
        if not self._events:
            return 0.0
        return self._sum / max(Pace.SHORTEST, now - self._events[0][0])

    def _forget(self, before: float) -> None:
        while self._events and self._events[0][0] < before:
            self._sum -= self._events.popleft()[1]


class _Peak:
    """The largest of the values seen lately: for ``seconds``, or up to three times as long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = 0.0
        self._before = 0.0
        self._since = 0.0

    @property
    def value(self) -> float:
        return max(self._before, self._since)

    def see(self, value: float, now: float) -> None:
        if now - self._begun >= self._seconds:
            # After a pause, all that was seen before it is old.
            fresh = now - self._begun < 2 * self._seconds
            self._before, self._since, self._begun = self._since if fresh else 0.0, 0.0, now
        self._since = max(self._since, value)


class UnitBudget:
    """Capacity units per second, a ceiling set by the caller. Pure: the time is passed in.

    Requests are charged with a guess when they leave and with DynamoDB's own figure when it is
    known. A request above the budget passes in debt, which later ones wait out.
    """

    def __init__(self, units_per_second: float) -> None:
        self._rate = units_per_second
        self._credit = units_per_second
        self._credited_at: float | None = None
        self._units_an_entry = 1.0

    @property
    def rate(self) -> float:
        """Units per second."""
        return self._rate

    def change(self, units_per_second: float, now: float) -> None:
        """Another ceiling from now on."""
        self._earn(now)
        self._rate = units_per_second
        self._credit = min(self._credit, units_per_second)

    def forget_savings(self, now: float) -> None:
        """Give up the units that were saved up; debts stay."""
        self._earn(now)
        self._credit = min(self._credit, 0.0)

    def wait(self, now: float) -> float:
        """Seconds until the next request may leave."""
        self._earn(now)
        return _seconds_to_earn(-self._credit, self._rate)

    def spend(self, entries: int, now: float) -> float:
        """A request leaves. Returns the units guessed for it."""
        self._earn(now)
        guess = entries * self._units_an_entry
        self._credit -= guess
        return guess

    def settle(self, guess: float, units: float, entries: int = 0) -> None:
        """A request consumed so many units.

        ``entries``: how many entries it processed, if that teaches what an entry costs.
        """
        self._credit += guess - units
        if entries:
            self._units_an_entry += 0.2 * (units / entries - self._units_an_entry)

    def _earn(self, now: float) -> None:
        if self._credited_at is not None:
            earned = self._rate * (now - self._credited_at)
            self._credit = min(self._credit + earned, self._rate)
        self._credited_at = now


def _seconds_to_earn(debt: float, rate: float) -> float:
    # No wait is shorter than what a loop's clock can tell; what is then earned too much is saved.
    return 0.0 if debt <= 0.0 else max(debt / rate, _SHORTEST_WAIT)


class Governor:
    """The pace of one table in one direction, shared by all calls, new and leftover entries.

    First come, first served; a request that waits here holds no slot, so that no table slows
    another.
    """

    def __init__(self, max_units: float | None = None) -> None:
        self.pace = Pace()
        self.budget = UnitBudget(max_units) if max_units is not None else None
        self._turn = asyncio.Lock()
        self._told: float | None = None

    def rate_to_tell(self) -> float | None:
        """The pace, if it fell or has grown by a tenth since it was last asked for here."""
        rate, told = self.pace.rate, self._told
        if rate is None or (told is not None and told <= rate < 1.1 * told):
            return None
        self._told = rate
        return rate

    @property
    def is_open(self) -> bool:
        """Whether a request may leave without asking: nothing was throttled, and no ceiling set."""
        return self.pace.rate is None and self.budget is None

    async def admit(self, entries: int) -> float:
        """Wait until a request with so many entries may leave. Returns the units guessed for it."""
        loop = asyncio.get_running_loop()
        if self.is_open:
            return self.spend(entries, loop.time())
        async with self._turn:
            # The wait may change while it lasts: another throttling, another answer's units,
            # another ceiling.
            while (wait := self._wait(loop.time())) > 0.0:  # noqa: ASYNC110
                await asyncio.sleep(min(wait, _LONGEST_LOOK))
            return self.spend(entries, loop.time())

    def spend(self, entries: int, now: float) -> float:
        """So many entries leave, in debt if need be. Returns the units guessed for them."""
        self.pace.spend(entries, now)
        return self.budget.spend(entries, now) if self.budget else 0.0

    def amend(self, admitted: int, leaving: int, guess: float, now: float) -> float:
        """A request of so many admitted entries leaves with others, perhaps with none.

        Returns:
            The units guessed for it now.
        """
        if leaving == admitted:
            return guess
        if leaving > admitted:
            self.pace.spend(leaving - admitted, now)
        else:
            self.pace.take_back(admitted - leaving)
        if self.budget is None:
            return guess
        self.budget.settle(guess, 0.0)
        return self.budget.spend(leaving, now)

    def _wait(self, now: float) -> float:
        budget = self.budget.wait(now) if self.budget else 0.0
        return max(self.pace.wait(now), budget)
