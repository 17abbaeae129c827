"""One batch call under way: its plan, its ledger, and what the dispatcher must remember of it."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiobatch import limits
from aiobatch.engine.ledger import Ledger, State
from aiobatch.engine.loop_time import loop_time
from aiobatch.engine.metrics import Meter
from aiobatch.engine.observer import Observer
from aiobatch.engine.plan import Plan, TablesPlan, by_table, strided
from aiobatch.engine.pressure import Governor
from aiobatch.engine.requests import BatchRequests
from aiobatch.retry import Retry

__all__ = ["BatchCall", "Lane", "Portion"]

# DynamoDB counts the whole body; this is more than what stands around the entries (a table's ARN,
# a projection of up to 4 KB and its names).
_ROOM_FOR_THE_REST = 64 * 1024

# So many lone entries, refused in the same words while nothing goes through, and it is the request
# itself that is wrong.
_FAULTS_OF_THE_REQUEST = 3
_QUOTED = re.compile("Value '.*' at", re.DOTALL)


@dataclass(slots=True, eq=False)
class Lane:
    """One table's entries on their way through the engine.

    Attributes:
        number: the table's number in the call.
        table: its name or ARN.
        governor: its pace; set when the call begins to run.
        gate: the task that waits at the governor, if one does.
        admitted: how many entries the governor has let through for the next request.
        guess: the units that it guessed for them.
        has_progressed: whether anything of this table went through.
        lone_faults: how often DynamoDB refused an entry alone, by its words, before that.
    """

    number: int
    table: str
    governor: Governor = field(init=False)
    gate: asyncio.Task[None] | None = None
    admitted: int = 0
    guess: float = 0.0
    has_progressed: bool = False
    lone_faults: dict[str, int] = field(default_factory=dict)

    @property
    def may_leave(self) -> int:
        """How many entries may leave now.

        They may be more than were admitted, for others may have come back in the meantime.
        """
        if self.admitted or self.governor.is_open:
            return self.most
        return 0

    @property
    def most(self) -> int:
        """How many entries a request should have of this table at most."""
        return self.governor.pace.most or limits.BATCH_GET_MAX_KEYS

    async def wait(self, entries: int) -> None:
        """Wait until the governor lets so many entries through."""
        self.guess = await self.governor.admit(entries)
        self.admitted = entries
        self.gate = None

    def depart(self, entries: int, now: float) -> float:
        """So many entries leave, more or fewer than were admitted. Returns the units guessed."""
        guess = self.governor.amend(self.admitted, entries, self.guess, now)
        self.admitted, self.guess = 0, 0.0
        return guess

    def close(self) -> None:
        """Nothing more leaves: what was admitted and stayed is given back."""
        if self.gate is not None:
            self.gate.cancel()
            self.gate = None
        self.depart(0, loop_time())


@dataclass(slots=True)  # not frozen: one is made for every request
class Portion:
    """The entries of one table in one request, and the units guessed for them."""

    lane: Lane
    entries: Sequence[int]
    guess: float


class BatchCall:
    """The state of a call. Its methods decide; the dispatcher does the sending.

    Args:
        requests: the operation and its entries.
        size: the number of entries.
        retry: the budget.
        meter: counts what the call costs.
    """

    def __init__(
        self,
        requests: BatchRequests,
        size: int,
        *,
        retry: Retry,
        meter: Meter,
    ) -> None:
        self.requests = requests
        self.retry = retry
        self.meter = meter
        self.ledger = Ledger(size, writes=requests.direction == "write")
        self.lanes = [Lane(number, part.table) for number, part in enumerate(requests.parts)]
        self.plan = self._planned(size)
        self.observer: Observer | None = None
        # The loop's time. The dispatcher gives one that need not look for the loop first.
        self.time = loop_time
        self.wake = asyncio.Event()
        self.waiting = 0
        self.in_flight = 0
        self.progressed_at = meter.started_at
        self.pump: asyncio.Task[None] | None = None
        # What ended the call; what ended an entry; what went wrong last, if nothing else did.
        self.fatal: Exception | None = None
        self.failure: Exception | None = None
        self.last_error: Exception | None = None
        self._retries = array("I", [0]) * size
        self._had_leftovers = False
        # One object for the backoff to know the call by.
        self.on_due = self._on_due

    def _planned(self, size: int) -> TablesPlan:
        requests = self.requests
        room = limits.REQUEST_MAX_BYTES - _ROOM_FOR_THE_REST
        sizes: Mapping[int, int] = {0: size}
        if requests.table_of is not None:
            sizes = Counter(requests.table_of)
        plans = []
        first = 0
        for number in range(len(self.lanes)):
            count = sizes[number]
            # A table's entries stand together.
            entries = range(first, first + count)
            plans.append(
                Plan(
                    strided(entries, requests.max_entries) if self.ledger.writes else entries,
                    requests.size,
                    max_entries=requests.max_entries,
                    total=requests.total,
                )
            )
            first += count
        return TablesPlan(
            plans, requests.table_of, max_entries=requests.max_entries, max_bytes=room
        )

    def cut(self) -> list[Portion]:
        """Take the next request out of the plan: what the governors let through by now."""
        portions = []
        for number, entries in self.plan.cut(lambda table: self.lanes[table].may_leave).items():
            lane = self.lanes[number]
            portions.append(Portion(lane, entries, lane.depart(len(entries), self.time())))
        return portions

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the call."""
        return tuple(lane.table for lane in self.lanes)

    def tables_of(self, entries: Sequence[int]) -> tuple[str, ...]:
        """The tables that these entries are of."""
        return tuple(self.lanes[number].table for number in self.by_lane(entries))

    def by_lane(self, entries: Sequence[int]) -> dict[int, Sequence[int]]:
        """Entries by the number of their lane."""
        return by_table(entries, self.requests.table_of)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to send, to wait for, or to hear of."""
        return not (self.in_flight or self.waiting or self.plan)

    @property
    def is_one_request(self) -> bool:
        """Whether it fits into one request, as far as is known when it begins."""
        return len(self.ledger) <= self.requests.max_entries

    @property
    def can_send(self) -> bool:
        """Whether a request shall leave as soon as the governors let it."""
        return bool(self.plan)

    @property
    def entries(self) -> int:
        """How many entries it has, as far as is known when it begins."""
        return len(self.ledger)

    def counts(self) -> Counter[State]:
        """How many of its entries are in each state."""
        return self.ledger.counts()

    @property
    def must_raise(self) -> bool:
        """Whether any entry was rejected, is unknown, or failed for more than throttling."""
        if self.fatal is None and self.failure is None and self.ledger.are_all(State.PROCESSED):
            return False
        counts = self.ledger.counts()
        return bool(self.fatal or self.failure or counts[State.REJECTED] or counts[State.UNKNOWN])

    @property
    def cause(self) -> Exception | None:
        """The error to name if the call must raise."""
        return self.fatal or self.failure or self.last_error

    def leave(
        self,
        entries: Sequence[int],
        *,
        now: float,
        draw: float,
        cause: Exception | None,
        progress: bool,
    ) -> dict[float, list[int]]:
        """Charge these leftovers with one retry, and give up those whose budget is spent.

        Args:
            entries: leftovers of one request.
            now: the loop's time.
            draw: a random number from 0.0 up to 1.0, for the jitter.
            cause: why, if for another reason than throttling.
            progress: whether other entries of the request went through.

        Returns:
            The entries to send again, by the seconds that they must wait.
        """
        free = progress and self.retry.on_progress == "refund"
        self._had_leftovers = True
        again: dict[float, list[int]] = {}
        for entry in entries:
            retry = self._retries[entry] + 1
            delay = self.retry.delay(retry, draw)
            if (free or self.retry.allows(retry)) and not self._stalls(now + delay):
                again.setdefault(delay, []).append(entry)
                if not free:
                    self._retries[entry] = retry
            else:
                self.ledger.given_up(entry)
                self.failure = self.failure or cause
        return again

    def gives_up(self, now: float) -> bool:
        """Whether the call has stalled: then what still waits to be sent is given up, too.

        A table that lets nothing through has a slow pace, at which a long call would go on for
        hours, since only what comes back is held to the limit.
        """
        if not (self._had_leftovers and self.plan and self._stalls(now)):
            return False
        for entry in self.plan:
            self.ledger.given_up(entry)
        self.plan.clear()
        return True

    def renew(self, entry: int) -> None:
        """Something new takes the place of this entry, with a whole budget of its own."""
        self._retries[entry] = 0

    def _stalls(self, until: float) -> bool:
        limit = self.retry.max_stall
        return limit is not None and until - self.progressed_at > limit

    def blame(self, entries: Sequence[int], code: str, message: str) -> bool:
        """Narrow down which entry made DynamoDB refuse the request.

        Returns:
            False if it is rather the request itself that is wrong: three lone entries of one
            table were refused in the same words, and nothing of that table has gone through.
        """
        if len(entries) > 1:
            self.plan.split(entries)
            return True
        self.ledger.rejected(entries[0], code, message)
        [number] = self.by_lane(entries)
        lane = self.lanes[number]
        if lane.has_progressed:
            return True
        # Some messages begin with the whole request, which differs from entry to entry.
        words = _QUOTED.sub("Value at", message)
        faults = lane.lone_faults[words] = lane.lone_faults.get(words, 0) + 1
        return faults < _FAULTS_OF_THE_REQUEST

    def landed(self, entries: Sequence[int]) -> None:
        """The request with these entries is over, and all that it meant has been entered."""
        self.in_flight -= 1
        self.wake.set()

    def progressed(self, lane: Lane, now: float) -> None:
        """Something of this table went through."""
        self.progressed_at = now
        lane.has_progressed = True

    def stop(self, cause: Exception) -> None:
        """Send nothing more; what is in flight may still end well."""
        self.fatal = self.fatal or cause
        self.plan.clear()
        self.waiting = 0
        if self.pump is not None:
            self.pump.cancel()

    def _on_due(self, entries: list[int]) -> None:
        if self.fatal is None:
            self.waiting -= len(entries)
            self.plan.requeue(entries)
            self.wake.set()
