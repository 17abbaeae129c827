"""The only loop: take a slot, send, see what the answer means, until the call is over."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from aiobatch import codec
from aiobatch.engine.backoff import Backoff
from aiobatch.engine.call import BatchCall
from aiobatch.engine.metrics import Meter
from aiobatch.engine.outcome import Outcome, is_hot_key_range, outcome_of, says_key_schema_is_wrong
from aiobatch.engine.pressure import Direction, Governor, Slots
from aiobatch.engine.requests import Settled
from aiobatch.engine.schemas import KeyBook
from aiobatch.errors import ServiceError, Throttled, WireError
from aiobatch.retry import Retry
from aiobatch.wire.protocol import Request, Wire

__all__ = ["LOOP_SLICE", "Dispatcher"]

AnswerT = TypeVar("AnswerT")

_log = logging.getLogger("aiobatch.engine")

LOOP_SLICE = 0.002
"""Seconds that decoding or encoding may hold the loop before others get their turn."""

# A partial answer of at least this size was cut by size, not by throttling: DynamoDB stops at
# 16 MB, or at 1 MB from one partition (API reference of BatchGetItem). JSON is never shorter.
_CUT_BY_SIZE = 1_000_000


class Dispatcher:
    """Runs calls over one wire. Everything that the calls of a client share is here.

    Args:
        wire: sends the requests.
        max_concurrency: requests under way at once, over all calls.
        max_read_units: capacity units a second that reads of one table may consume, or None.
        max_write_units: the same for writes.
        draw: random numbers from 0.0 up to 1.0, for the jitter of waits.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        max_concurrency: int,
        max_read_units: float | None = None,
        max_write_units: float | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.wire = wire
        self.schemas = KeyBook()
        self.backoff = Backoff()
        self.max_concurrency = min(max_concurrency, wire.max_concurrency)
        self._slots = Slots(self.max_concurrency)
        self._max_units = {"read": max_read_units, "write": max_write_units}
        self._governors: dict[tuple[str, Direction], Governor] = {}
        self._draw = draw
        self._decoding = asyncio.Lock()

    def wants_capacity(self, direction: Direction) -> bool:
        """Whether requests must ask for the capacity that they consume, for a ceiling's sake."""
        return self._max_units[direction] is not None

    def governor(self, table: str, direction: Direction) -> Governor:
        """The pace of one table in one direction."""
        governor = self._governors.get((table, direction))
        if governor is None:
            governor = Governor(self._max_units[direction])
            self._governors[table, direction] = governor
        return governor

    async def run(self, call: BatchCall) -> None:
        """Run a call to its end. Where each entry ended stands in its ledger, whatever happens.

        Cancelled, it leaves no task, no request and no slot behind.
        """
        try:
            async with asyncio.TaskGroup() as group:
                call.pump = group.create_task(self._pump(call, group))
        finally:
            self.backoff.drop(call.on_due)
            call.plan.clear()
            call.ledger.close()

    async def single(
        self,
        request: Request,
        direction: Direction | None,
        read: Callable[[dict[str, Any]], AnswerT],
        *,
        retry: Retry,
        meter: Meter,
    ) -> tuple[AnswerT, bool]:
        """Send one request that is no batch, with the same pace, slots and retries.

        Args:
            request: what to send.
            direction: whose pace it keeps; None for what takes none of the table's capacity.
            read: what to make of the answer. Raises codec.Malformed if it is none.
            retry: the budget.
            meter: counts what it costs.

        Returns:
            What ``read`` made of it, and whether an earlier attempt may have taken effect.

        Raises:
            ServiceError: DynamoDB refused it, or went on refusing it until the budget was spent.
                ``error.ambiguous`` is then True also if an earlier attempt had no clear answer.
            WireError: there was no usable answer to the last attempt.
        """
        governor = Governor() if direction is None else self.governor(request.table, direction)
        loop = asyncio.get_running_loop()
        began = loop.time()
        doubtful = False
        attempt = 1
        while True:
            guess = await self._turn(governor, 1)
            sent_at = loop.time()
            try:
                body, doubt = await self._send(request, meter)
                doubtful = doubtful or doubt
                answer, result = _read(request, body, read)
            except (ServiceError, WireError) as error:
                outcome = outcome_of(error)
                doubtful = doubtful or error.ambiguous
                _refund(governor, guess, error)
                if outcome is Outcome.REFUSED:
                    self._throttled(governor, error, meter, sent_at)
                delay = retry.delay(attempt, self._draw())
                stalled = (
                    retry.max_stall is not None and loop.time() + delay - began > retry.max_stall
                )
                if (
                    outcome not in (Outcome.REFUSED, Outcome.FAULT)
                    or stalled
                    or not retry.allows(attempt)
                ):
                    if isinstance(error, ServiceError):
                        error.ambiguous = doubtful
                    raise
            else:
                governor.pace.passed(1, loop.time(), sent_at, whole=True)
                capacity = answer.get("ConsumedCapacity")
                if isinstance(capacity, dict):
                    units = meter.consumed([capacity])
                    if governor.budget is not None:
                        governor.budget.settle(guess, units)
                return result, doubtful
            finally:
                self._slots.release()
            await self.backoff.sleep(delay)
            attempt += 1
            meter.retries += 1

    def forget_if_stale(self, table: str, error: ServiceError) -> None:
        """Drop what was learnt of a table's key names if this error says that it is wrong."""
        if says_key_schema_is_wrong(error):
            self.schemas.forget(table)

    async def aclose(self) -> None:
        """End the backoff. The wire is its opener's to close."""
        await self.backoff.aclose()

    async def _pump(self, call: BatchCall, group: asyncio.TaskGroup) -> None:
        governor = self.governor(call.requests.table, call.requests.direction)
        loop = asyncio.get_running_loop()
        while not call.is_over:
            if call.gives_up(loop.time()):
                continue
            if not call.can_send:
                call.wake.clear()
                await call.wake.wait()
                continue
            size = min(call.plan.next_size, governor.pace.most or call.plan.next_size)
            guess = await self._turn(governor, size)
            entries = call.plan.cut(governor.pace.most)
            # Other leftovers may have come back while it waited for a slot.
            guess = governor.amend(size, len(entries), guess)
            if not entries:
                # The call was stopped while it waited for its turn.
                self._slots.release()
                continue
            call.in_flight += 1
            task = group.create_task(self._exchange(call, governor, entries, guess))
            # Not in the task itself: one that is cancelled before its first step runs no code.
            task.add_done_callback(partial(self._landed, call, entries))

    async def _turn(self, governor: Governor, entries: int) -> float:
        """Wait for the table's pace, then for a slot. Returns the units guessed for the request."""
        guess = await governor.admit(entries)
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            governor.amend(entries, 0, guess)
            raise
        return guess

    def _landed(self, call: BatchCall, entries: list[int], _: asyncio.Task[None]) -> None:
        self._slots.release()
        call.landed(entries)

    async def _exchange(
        self, call: BatchCall, governor: Governor, entries: list[int], guess: float
    ) -> None:
        """Send one request of a call and enter what became of it."""
        requests = call.requests
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        call.ledger.depart(entries)
        try:
            body, doubtful = await self._send(
                Request(requests.operation, requests.table, requests.body(entries)), call.meter
            )
            async with self._decoding:
                settled = await self._settle(call, entries, body)
        except codec.Malformed as error:
            cause = WireError(f"malformed answer: {error.reason}", operation=requests.operation)
            self._failed(call, governor, entries, cause, guess, sent_at)
        except (ServiceError, WireError) as error:
            self._failed(call, governor, entries, error, guess, sent_at)
        except Exception as error:
            # Not ours, such as an error in a hook of the caller's client: it ends the call.
            call.ledger.returned(self._pending(call, entries), doubtful=True)
            self._stop(call, error)
        else:
            call.ledger.returned(settled.left, doubtful=doubtful)
            self._settled(call, governor, settled, len(body), guess, sent_at)

    async def _settle(self, call: BatchCall, entries: list[int], body: bytes) -> Settled:
        """Decode an answer: one answer a turn of the loop, and a long one in slices."""
        steps = call.requests.settle(body, entries, call.ledger)
        began = perf_counter()
        try:
            while True:
                next(steps)
                if perf_counter() - began > LOOP_SLICE:
                    await asyncio.sleep(0)
                    began = perf_counter()
        except StopIteration as end:
            settled: Settled = end.value
        await asyncio.sleep(0)
        return settled

    def _settled(
        self,
        call: BatchCall,
        governor: Governor,
        settled: Settled,
        size: int,
        guess: float,
        sent_at: float,
    ) -> None:
        requests = call.requests
        now = asyncio.get_running_loop().time()
        units = call.meter.consumed(settled.capacity)
        if governor.budget is not None and settled.capacity:
            governor.budget.settle(guess, units, settled.ended)
        cut_by_size = bool(
            settled.left and settled.ended and requests.direction == "read" and size >= _CUT_BY_SIZE
        )
        if settled.ended:
            whole = not settled.left or cut_by_size
            governor.pace.passed(settled.ended, now, sent_at, whole=whole)
            call.progressed(now)
            if requests.teaches_names:
                self.schemas.learn(requests.table, requests.names)
        if not settled.left:
            return
        if cut_by_size:
            # At once, in smaller requests, and at no cost: nothing was refused.
            call.plan.shrink(settled.ended)
            call.plan.requeue(settled.left)
            call.meter.retries += len(settled.left)
            return
        self._requeue(call, settled.left, None, progress=settled.ended > 0)

    def _failed(
        self,
        call: BatchCall,
        governor: Governor,
        entries: Sequence[int],
        error: ServiceError | WireError,
        guess: float,
        sent_at: float,
    ) -> None:
        left = self._pending(call, entries)
        outcome = outcome_of(error)
        _refund(governor, guess, error)
        if len(left) < len(entries):
            call.progressed(asyncio.get_running_loop().time())
        call.ledger.returned(left, doubtful=error.ambiguous)
        call.last_error = error
        if outcome is Outcome.REFUSED:
            self._throttled(governor, error, call.meter, sent_at)
            self._requeue(call, left, None, progress=False)
        elif outcome is Outcome.FAULT:
            self._requeue(call, left, error, progress=len(left) < len(entries))
        elif outcome is Outcome.AN_ENTRYS_FAULT and isinstance(error, ServiceError):
            self.forget_if_stale(call.requests.table, error)
            if not call.blame(left, error.code, error.message):
                self._stop(call, error)
        else:
            self._stop(call, error)

    def _requeue(
        self, call: BatchCall, entries: list[int], cause: Exception | None, *, progress: bool
    ) -> None:
        if call.fatal is not None:
            return
        now = asyncio.get_running_loop().time()
        again = call.leave(entries, now=now, draw=self._draw(), cause=cause, progress=progress)
        for delay, leftovers in again.items():
            call.waiting += len(leftovers)
            call.meter.retries += len(leftovers)
            self.backoff.wait(call.on_due, leftovers, delay)

    def _throttled(
        self, governor: Governor, error: Exception, meter: Meter, sent_at: float
    ) -> None:
        meter.throttled += 1
        # A hot key range slows its own entries, which wait, and not the whole table.
        if isinstance(error, Throttled) and not is_hot_key_range(error):
            governor.pace.throttled(asyncio.get_running_loop().time(), sent_at)

    def _stop(self, call: BatchCall, cause: Exception) -> None:
        call.stop(cause)
        self.backoff.drop(call.on_due)

    async def _send(self, request: Request, meter: Meter) -> tuple[bytes, bool]:
        """The answer, and whether an attempt before it may have taken effect."""
        try:
            return await self._send_once(request, meter), False
        except WireError as error:
            # A reused idle connection dies without a word; the next one is fresh.
            if not error.disconnected:
                raise
            _log.debug("%s: %s, sending it again", request.operation, error.reason)
        try:
            return await self._send_once(request, meter), True
        except ServiceError as error:
            # Whatever this says, the first attempt may have taken effect.
            error.ambiguous = True
            raise
        except WireError as error:
            # The same; and that this one never left says nothing of the first.
            error.sent = True
            raise

    async def _send_once(self, request: Request, meter: Meter) -> bytes:
        meter.requests += 1
        meter.bytes += len(request.body)
        body = await self.wire.send(request)
        meter.bytes += len(body)
        return body

    @staticmethod
    def _pending(call: BatchCall, entries: Sequence[int]) -> list[int]:
        return [entry for entry in entries if call.ledger.is_pending(entry)]


def _refund(governor: Governor, guess: float, error: ServiceError | WireError) -> None:
    """What DynamoDB refused, or never saw, has consumed nothing."""
    if governor.budget is not None and not error.ambiguous:
        governor.budget.settle(guess, 0.0)


def _read(
    request: Request, body: bytes, read: Callable[[dict[str, Any]], AnswerT]
) -> tuple[dict[str, Any], AnswerT]:
    try:
        answer = codec.item_answer(body)
        return answer, read(answer)
    except codec.Malformed as error:
        reason = f"malformed answer: {error.reason}"
    raise WireError(reason, operation=request.operation)
