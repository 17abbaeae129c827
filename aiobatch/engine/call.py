"""One batch call under way: its plan, its ledger, and what the dispatcher must remember of it."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections import Counter
from collections.abc import Sequence

from aiobatch import limits
from aiobatch.engine.ledger import Ledger, State
from aiobatch.engine.metrics import Meter
from aiobatch.engine.plan import Plan, strided
from aiobatch.engine.requests import BatchRequests
from aiobatch.retry import Retry

__all__ = ["BatchCall"]

# DynamoDB counts the whole body; this is more than what stands around the entries (a table's ARN,
# a projection of up to 4 KB and its names).
_ROOM_FOR_THE_REST = 64 * 1024

# So many lone entries, refused in the same words while nothing goes through, and it is the request
# itself that is wrong.
_FAULTS_OF_THE_REQUEST = 3
_QUOTED = re.compile("Value '.*' at", re.DOTALL)


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
        self.plan = Plan(
            strided(size, requests.max_entries) if self.ledger.writes else range(size),
            requests.size,
            max_entries=requests.max_entries,
            max_bytes=limits.REQUEST_MAX_BYTES - _ROOM_FOR_THE_REST,
        )
        self.wake = asyncio.Event()
        self.waiting = 0
        self.in_flight = 0
        self.progressed_at = meter.started_at
        self.has_progressed = False
        self.pump: asyncio.Task[None] | None = None
        # What ended the call; what ended an entry; what went wrong last, if nothing else did.
        self.fatal: Exception | None = None
        self.failure: Exception | None = None
        self.last_error: Exception | None = None
        self._retries = array("I", [0]) * size
        self._had_leftovers = False
        self._lone_faults = Counter[str]()
        # One object for the backoff to know the call by.
        self.on_due = self._on_due

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to send, to wait for, or to hear of."""
        return not (self.plan or self.waiting or self.in_flight)

    @property
    def can_send(self) -> bool:
        """Whether a request shall leave now."""
        return bool(self.plan)

    @property
    def must_raise(self) -> bool:
        """Whether any entry was rejected, is unknown, or failed for more than throttling."""
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
        if not (self.plan and self._had_leftovers and self._stalls(now)):
            return False
        while entries := self.plan.cut():
            for entry in entries:
                self.ledger.given_up(entry)
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
            False if it is rather the request itself that is wrong: three lone entries were
            refused in the same words, and nothing has gone through.
        """
        if len(entries) > 1:
            self.plan.split(entries)
            return True
        self.ledger.rejected(entries[0], code, message)
        if self.has_progressed:
            return True
        # Some messages begin with the whole request, which differs from entry to entry.
        words = _QUOTED.sub("Value at", message)
        self._lone_faults[words] += 1
        return self._lone_faults[words] < _FAULTS_OF_THE_REQUEST

    def landed(self, entries: Sequence[int]) -> None:
        """The request with these entries is over, and all that it meant has been entered."""
        self.in_flight -= 1
        self.wake.set()

    def progressed(self, now: float) -> None:
        """Something went through."""
        self.progressed_at = now
        self.has_progressed = True

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
