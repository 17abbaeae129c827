"""The only loop: take a slot, send, see what the answer means, until the call is over."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from aiobatch import codec
from aiobatch.engine.backoff import Backoff
from aiobatch.engine.call import BatchCall, Lane, Portion
from aiobatch.engine.loop_time import loop_time, next_turn, turn_is_over
from aiobatch.engine.metrics import Meter
from aiobatch.engine.observer import Observer, counts_of, observing
from aiobatch.engine.outcome import (
    Outcome,
    is_hot_key_range,
    outcome_of,
    says_key_schema_is_wrong,
    tables_throttled,
)
from aiobatch.engine.pressure import Direction, Governor, Slots
from aiobatch.engine.requests import Settled
from aiobatch.engine.schemas import KeyBook
from aiobatch.engine.tables import TableNames
from aiobatch.errors import ServiceError, Throttled, WireError
from aiobatch.retry import Retry
from aiobatch.wire.protocol import Request, Wire

__all__ = ["Dispatcher", "Turn"]

AnswerT = TypeVar("AnswerT")

_log = logging.getLogger("aiobatch.engine")

# Bytes of an answer that takes less time than to wait for some.
_DECODED_AT_ONCE = 1024
# Of one that takes a turn or two.
_DECODED_SOON = 128 * 1024

# Seconds. Of an answer of many short values; others take a tenth of it.
_PARSED_A_BYTE = 2e-9

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
        # Requests that are cut and wait for a turn of the loop to be made up and sent.
        self._leaving = 0

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

    async def turn(self, table: str, direction: Direction, entries: int) -> Turn:
        """Wait for the pace of a table and for a slot, for a call that is made up only then.

        It must be given to :meth:`run` at once.

        Args:
            table: the call's one table.
            direction: of the call.
            entries: how many it will have, as far as is known; it may be more or fewer.
        """
        turn = Turn(table, self.governor(table, direction), entries)
        await self._turn([turn])
        return turn

    async def run(self, call: BatchCall, turn: Turn | None = None) -> None:
        """Run a call to its end. Where each entry ended stands in its ledger, whatever happens.

        Cancelled, it leaves no task, no request and no slot behind.

        Args:
            call: the call.
            turn: what it has waited for already, if it has; see :meth:`turn`.
        """
        call.time = asyncio.get_running_loop().time
        for lane in call.lanes:
            lane.governor = self.governor(lane.table, call.requests.direction)
        if turn is not None:
            call.lanes[0].admitted, call.lanes[0].guess = turn.entries, turn.guess
        call.observer = observing(call.meter, call.requests.operation, call.tables, call.entries)
        ended_by: BaseException | None = None
        try:
            await self._run_alone(call, holds_slot=turn is not None)
            if not call.is_over:
                async with asyncio.TaskGroup() as group:
                    call.pump = group.create_task(self._pump(call, group))
        except BaseException as error:
            ended_by = error
            raise
        finally:
            self.backoff.drop(call.on_due)
            call.plan.clear()
            call.ledger.close()
            # A circle through this would keep all that was read until the collector comes by.
            del call.on_due
            if call.observer is not None:
                failed = call.cause if call.must_raise else None
                call.observer.finished(counts_of(call.counts()), ended_by or failed)

    async def single(
        self,
        request: Request,
        direction: Direction | None,
        read: Callable[[dict[str, Any]], AnswerT],
        *,
        retry: Retry,
        meter: Meter,
        tables: Mapping[str, int] | None = None,
        resend_unclear: bool = True,
    ) -> tuple[AnswerT, bool]:
        """Send one request that is no batch, with the same pace, slots and retries.

        Args:
            request: what to send.
            direction: whose pace it keeps; None for what takes none of the table's capacity.
            read: what to make of the answer. Raises codec.Malformed if it is none.
            retry: the budget.
            meter: counts what it costs.
            tables: of a transaction, how many operations there are on each table.
            resend_unclear: whether it may be sent again when an earlier attempt may have taken
                effect.

        Returns:
            What ``read`` made of it, and whether an earlier attempt may have taken effect.

        Raises:
            ServiceError: DynamoDB refused it, or went on refusing it until the budget was spent.
                ``error.ambiguous`` is then True also if an earlier attempt had no clear answer.
            WireError: there was no usable answer to the last attempt.
        """
        sizes = tables or {request.table: 1}
        shares = [
            Turn(table, self.governor(table, direction) if direction else Governor(), size)
            for table, size in sizes.items()
        ]
        entries = sum(sizes.values())
        observer = observing(meter, request.operation, tuple(sizes), entries)
        error: BaseException | None = None
        try:
            return await self._single(
                request, direction, read, retry, meter, observer, shares, resend_unclear
            )
        except BaseException as raised:
            error = raised
            raise
        finally:
            if observer is not None:
                ended = "processed"
                if error is not None:
                    # Cancelled on its way, or without a clear answer, a write may have happened.
                    unclear = getattr(error, "ambiguous", not isinstance(error, Exception))
                    ended = "unknown" if unclear and direction == "write" else "unprocessed"
                observer.finished({ended: entries}, error)

    async def _single(
        self,
        request: Request,
        direction: Direction | None,
        read: Callable[[dict[str, Any]], AnswerT],
        retry: Retry,
        meter: Meter,
        observer: Observer | None,
        shares: list[Turn],
        resend_unclear: bool,
    ) -> tuple[AnswerT, bool]:
        tables = _tables_of(shares)
        entries = sum(share.entries for share in shares)
        loop = asyncio.get_running_loop()
        began = loop.time()
        doubtful = False
        attempt = 1
        while True:
            await self._turn(shares)
            sent_at = loop.time()
            try:
                answer = await self._send(
                    request, meter, observer, tables, entries, resend=resend_unclear
                )
                doubtful = doubtful or answer.doubtful
                parsed, result = _read(request, answer.body, read)
            except (ServiceError, WireError) as error:
                told = error
                outcome = outcome_of(error)
                doubtful = doubtful or error.ambiguous
                _refund([(share.governor, share.guess) for share in shares], error)
                if outcome is Outcome.REFUSED:
                    self._single_refused(shares, direction, error, meter, observer, sent_at)
                delay = retry.delay(attempt, self._draw())
                stalled = (
                    retry.max_stall is not None and loop.time() + delay - began > retry.max_stall
                )
                if (
                    outcome not in (Outcome.REFUSED, Outcome.FAULT)
                    or stalled
                    or (doubtful and not resend_unclear)
                    or not retry.allows(attempt)
                ):
                    if isinstance(error, ServiceError):
                        error.ambiguous = doubtful
                    raise
            else:
                for share in shares:
                    share.governor.pace.passed(share.entries, loop.time(), sent_at, whole=True)
                _settle_shares(shares, parsed.get("ConsumedCapacity"), meter)
                if observer is not None:
                    answer.tell(observer, tables, entries=entries, left=0)
                return result, doubtful
            finally:
                self._slots.release()
            if observer is not None:
                observer.requeued(tables, entries, delay, told)
            await self.backoff.sleep(delay)
            attempt += 1
            meter.retries += 1

    def _single_refused(
        self,
        shares: list[Turn],
        direction: Direction | None,
        error: Exception,
        meter: Meter,
        observer: Observer | None,
        sent_at: float,
    ) -> None:
        guilty = _guilty(shares, error)
        self._throttled([share.governor for share in guilty], error, meter, sent_at)
        if observer is None:
            return
        _tell_throttled(observer, _tables_of(shares), _tables_of(guilty), error)
        if direction is not None:
            for share in guilty:
                observer.paced(share.table, direction, share.governor)

    async def _turn(self, shares: list[Turn]) -> None:
        """Wait for the pace of each table, then for a slot."""
        admitted: list[Turn] = []
        try:
            for share in shares:
                share.guess = await share.governor.admit(share.entries)
                admitted.append(share)
            await self._slots.acquire()
        except asyncio.CancelledError:
            for share in admitted:
                share.governor.amend(share.entries, 0, share.guess, loop_time())
            raise

    def forget_if_stale(self, table: str, error: ServiceError) -> None:
        """Drop what was learnt of a table's key names if this error says that it is wrong."""
        if says_key_schema_is_wrong(error):
            self.schemas.forget(table)

    async def aclose(self) -> None:
        """End the backoff. The wire is its opener's to close."""
        await self.backoff.aclose()

    async def _run_alone(self, call: BatchCall, *, holds_slot: bool) -> None:
        """Send a call that is one request from here: it needs no tasks to be sent by.

        What becomes of its leftovers is the pump's business.
        """
        if not holds_slot:
            if not (call.is_one_request and all(lane.may_leave for lane in call.lanes)):
                return
            await self._slots.acquire()
        portions = call.cut()
        if not portions:
            # Its table was throttled while it waited for its turn, or nobody wants it any more.
            self._slots.release()
            for lane in call.lanes:
                lane.close()
            return
        call.in_flight += 1
        entries = _entries_of(portions)
        try:
            await self._exchange(call, portions, entries)
        finally:
            self._landed(call, entries)

    async def _pump(self, call: BatchCall, group: asyncio.TaskGroup) -> None:
        try:
            while not call.is_over:
                if call.gives_up(call.time()):
                    continue
                call.wake.clear()
                if not (call.can_send and self._open_gates(call, group)):
                    await call.wake.wait()
                    continue
                await self._slots.acquire()
                portions = call.cut()
                if not portions:
                    # Its tables were throttled while it waited for its turn.
                    self._slots.release()
                    continue
                call.in_flight += 1
                entries = _entries_of(portions)
                task = group.create_task(self._exchange(call, portions, entries))
                # Not in the task itself: one that is cancelled before its first step runs no code.
                task.add_done_callback(partial(self._landed, call, entries))
        finally:
            for lane in call.lanes:
                lane.close()

    def _open_gates(self, call: BatchCall, group: asyncio.TaskGroup) -> bool:
        """Whether any entry may leave. Tables that may not yet wait, each at its own governor."""
        may_leave = False
        for lane in call.lanes:
            size = call.plan.next_size(lane.number)
            if not size:
                continue
            if lane.may_leave:
                may_leave = True
            elif lane.gate is None:
                lane.gate = group.create_task(self._admit(call, lane, min(size, lane.most)))
        return may_leave

    @staticmethod
    async def _admit(call: BatchCall, lane: Lane, entries: int) -> None:
        await lane.wait(entries)
        call.wake.set()

    def _landed(
        self, call: BatchCall, entries: Sequence[int], _: asyncio.Task[None] | None = None
    ) -> None:
        self._slots.release()
        call.landed(entries)

    async def _exchange(
        self, call: BatchCall, portions: list[Portion], entries: Sequence[int]
    ) -> None:
        """Send one request of a call and enter what became of it."""
        if self._leaving or turn_is_over():
            # What was cut first leaves first.
            self._leaving += 1
            try:
                await next_turn(going_on=True)
            finally:
                self._leaving -= 1
        requests = call.requests
        sent_at = call.time()
        call.ledger.depart(entries)
        # The wire is told one of the tables: all are of one endpoint.
        request = Request(requests.operation, portions[0].lane.table, requests.body(entries))
        tables = tuple(portion.lane.table for portion in portions)
        try:
            answer = await self._send(request, call.meter, call.observer, tables, len(entries))
            settled = await self._settle(call, entries, answer.body)
        except codec.Malformed as error:
            cause = WireError(f"malformed answer: {error.reason}", operation=requests.operation)
            if call.observer is not None:
                answer.tell_failed(call.observer, tables, len(entries), cause)
            self._failed(call, portions, entries, cause, sent_at)
        except (ServiceError, WireError) as error:
            self._failed(call, portions, entries, error, sent_at)
        except Exception as error:
            # Not ours, such as an error in a hook of the caller's client: it ends the call.
            call.ledger.returned(self._pending(call, entries), doubtful=True)
            call.stop(error)
        else:
            call.ledger.returned(settled.left, doubtful=answer.doubtful)
            if call.observer is not None:
                left = len(settled.left)
                answer.tell(call.observer, tables, entries=len(entries), left=left)
            self._settled(call, portions, settled, len(answer.body), sent_at)

    async def _settle(self, call: BatchCall, entries: Sequence[int], body: bytes) -> Settled:
        """Decode an answer, a long one in slices."""
        steps = call.requests.settle(body, entries, call.ledger)
        parsing = len(body) * _PARSED_A_BYTE if len(body) > _DECODED_AT_ONCE else None
        try:
            if len(body) <= _DECODED_SOON:
                return await _settled_by_turns(steps, parsing, going_on=True)
            # One after the other: what was parsed and not yet decoded takes many times the memory.
            async with self._decoding:
                return await _settled_by_turns(steps, parsing, going_on=False)
        finally:
            # Cancelled in between, it enters what it has found so far.
            steps.close()

    def _settled(
        self,
        call: BatchCall,
        portions: list[Portion],
        settled: Settled,
        size: int,
        sent_at: float,
    ) -> None:
        requests = call.requests
        now = call.time()
        units = self._units(call, settled.capacity)
        left = call.by_lane(settled.left)
        cut_by_size = bool(
            settled.left
            and settled.ended
            and requests.direction == "read"
            and max(size, settled.read) >= _CUT_BY_SIZE
        )
        for portion in portions:
            lane = portion.lane
            leftovers = left.get(lane.number, [])
            ended = len(portion.entries) - len(leftovers)
            if lane.governor.budget is not None and lane.number in units:
                lane.governor.budget.settle(portion.guess, units[lane.number], ended)
            if ended:
                whole = not leftovers or cut_by_size
                lane.governor.pace.passed(ended, now, sent_at, whole=whole)
                call.progressed(lane, now)
                call.plan.apart.discard(lane.number)
                part = requests.parts[lane.number]
                if part.teaches_names:
                    self.schemas.learn(part.table, part.names)
                if call.observer is not None:
                    call.observer.paced(lane.table, requests.direction, lane.governor)
            elif len(portions) > 1:
                # What holds this table up is seen best in requests of its own.
                call.plan.apart.add(lane.number)
            if leftovers and not cut_by_size:
                self._requeue(call, leftovers, None, progress=ended > 0)
        if cut_by_size:
            # At once, in smaller requests, and at no cost: nothing was refused.
            call.plan.shrink(settled.ended)
            call.plan.requeue(settled.left)
            call.meter.retries += len(settled.left)

    @staticmethod
    def _units(call: BatchCall, capacity: list[dict[str, Any]]) -> dict[int, float]:
        """What an answer says was consumed, by lane, where it says so."""
        units: dict[int, float] = {}
        for told in capacity:
            lane = call.requests.tables.find(str(told.get("TableName")))
            number = 0 if len(call.lanes) == 1 else lane
            consumed = call.meter.consumed([told])
            if number is not None:
                units[number] = units.get(number, 0.0) + consumed
        return units

    def _failed(
        self,
        call: BatchCall,
        portions: list[Portion],
        entries: Sequence[int],
        error: ServiceError | WireError,
        sent_at: float,
    ) -> None:
        left = self._pending(call, entries)
        outcome = outcome_of(error)
        _refund([(portion.lane.governor, portion.guess) for portion in portions], error)
        if len(left) < len(entries):
            # An answer that turned out to be malformed had some in it.
            now = call.time()
            pending = call.by_lane(left)
            for portion in portions:
                if len(pending.get(portion.lane.number, ())) < len(portion.entries):
                    call.progressed(portion.lane, now)
        call.ledger.returned(left, doubtful=error.ambiguous)
        call.last_error = error
        if outcome is Outcome.REFUSED:
            self._refused(call, portions, error, sent_at)
        elif outcome is Outcome.FAULT:
            self._requeue(call, left, error, progress=len(left) < len(entries))
        elif outcome is Outcome.AN_ENTRYS_FAULT and isinstance(error, ServiceError):
            if len(portions) == 1:
                self.forget_if_stale(portions[0].lane.table, error)
            if not call.blame(left, error.code, error.message):
                call.stop(error)
        else:
            call.stop(error)

    def _refused(
        self, call: BatchCall, portions: list[Portion], error: Exception, sent_at: float
    ) -> None:
        """A whole request was throttled: slow the table that it was throttled for, and no other."""
        named = {call.requests.tables.find(table) for table in tables_throttled(error)}
        guilty = [portion for portion in portions if portion.lane.number in named]
        if len(portions) == 1:
            guilty = portions
        self._throttled([portion.lane.governor for portion in guilty], error, call.meter, sent_at)
        if call.observer is not None:
            _tell_throttled(
                call.observer,
                tuple(portion.lane.table for portion in portions),
                tuple(portion.lane.table for portion in guilty),
                error,
            )
            for portion in guilty:
                lane = portion.lane
                call.observer.paced(lane.table, call.requests.direction, lane.governor)
        if len(portions) > 1:
            # Where no table was named, requests of their own will tell.
            call.plan.apart.update(portion.lane.number for portion in guilty or portions)
        for portion in portions:
            if not guilty or portion in guilty:
                self._requeue(call, portion.entries, None, progress=False)
            else:
                call.plan.requeue(portion.entries)
                call.meter.retries += len(portion.entries)

    def _requeue(
        self, call: BatchCall, entries: Sequence[int], cause: Exception | None, *, progress: bool
    ) -> None:
        if call.fatal is not None:
            return
        now = call.time()
        again = call.leave(entries, now=now, draw=self._draw(), cause=cause, progress=progress)
        for delay, leftovers in again.items():
            call.waiting += len(leftovers)
            call.meter.retries += len(leftovers)
            self.backoff.wait(call.on_due, leftovers, delay)
            if call.observer is not None:
                tables = call.tables_of(leftovers)
                call.observer.requeued(tables, len(leftovers), delay, cause)

    def _throttled(
        self, governors: Iterable[Governor], error: Exception, meter: Meter, sent_at: float
    ) -> None:
        meter.throttled += 1
        # A hot key range slows its own entries, which wait, and not the whole table.
        if isinstance(error, Throttled) and not is_hot_key_range(error):
            for governor in governors:
                governor.pace.throttled(loop_time(), sent_at)

    async def _send(
        self,
        request: Request,
        meter: Meter,
        observer: Observer | None,
        tables: tuple[str, ...],
        entries: int,
        *,
        resend: bool = True,
    ) -> _Answer:
        try:
            return await self._send_once(request, meter, observer, tables, entries)
        except WireError as error:
            # A reused idle connection dies without a word; the next one is fresh.
            if not (error.disconnected and resend):
                raise
            _log.debug("%s: %s, sending it again", request.operation, error.reason)
        try:
            answer = await self._send_once(request, meter, observer, tables, entries)
        except ServiceError as error:
            # Whatever this says, the first attempt may have taken effect.
            error.ambiguous = True
            raise
        except WireError as error:
            # The same; and that this one never left says nothing of the first.
            error.sent = True
            raise
        answer.doubtful = True
        return answer

    async def _send_once(
        self,
        request: Request,
        meter: Meter,
        observer: Observer | None,
        tables: tuple[str, ...],
        entries: int,
    ) -> _Answer:
        meter.requests += 1
        meter.bytes += len(request.body)
        number, began = 0, 0.0
        if observer is not None:
            number = observer.sent(tables, entries, len(request.body))
            began = loop_time()
        try:
            body = await self.wire.send(request)
        except BaseException as error:
            if isinstance(error, ServiceError):
                # Before anybody is told of it.
                error.tables = tables
            if observer is not None:
                seconds = loop_time() - began
                observer.failed(number, tables, entries=entries, error=error, seconds=seconds)
            raise
        meter.bytes += len(body)
        if observer is None:
            return _Answer(body)
        return _Answer(body, number=number, seconds=loop_time() - began)

    @staticmethod
    def _pending(call: BatchCall, entries: Sequence[int]) -> list[int]:
        return [entry for entry in entries if call.ledger.is_pending(entry)]


async def _settled_by_turns(
    steps: Generator[None, None, Settled], parsing: float | None, *, going_on: bool
) -> Settled:
    """Take these steps, in as many turns of the loop as it needs.

    Args:
        steps: the first one parses the answer.
        parsing: seconds that it takes; None if they are too few to wait for.
        going_on: whether it goes before what others have not begun.
    """
    if parsing is not None and turn_is_over(parsing):
        await next_turn(parsing, going_on=going_on)
    while (settled := _in_this_turn(steps)) is None:
        await next_turn(going_on=going_on)
    return settled


def _in_this_turn(steps: Generator[None, None, Settled]) -> Settled | None:
    """Go on until the turn of the loop is over: what it came to, if that is its end."""
    try:
        next(steps)
        while not turn_is_over():
            next(steps)
    except StopIteration as end:
        settled: Settled = end.value
        return settled
    return None


def _entries_of(portions: list[Portion]) -> Sequence[int]:
    if len(portions) == 1:
        return portions[0].entries
    return [entry for portion in portions for entry in portion.entries]


@dataclass(slots=True)
class _Answer:
    """The body of an answer, and what is known of its request.

    Attributes:
        body: the bytes.
        doubtful: whether an attempt before it may have taken effect.
        number: the request's, where it is observed.
        seconds: how long it took, where it is observed.
    """

    body: bytes
    doubtful: bool = False
    number: int = 0
    seconds: float = 0.0

    def tell(self, observer: Observer, tables: tuple[str, ...], *, entries: int, left: int) -> None:
        observer.answered(
            self.number,
            tables,
            entries=entries,
            left=left,
            size=len(self.body),
            seconds=self.seconds,
        )

    def tell_failed(
        self, observer: Observer, tables: tuple[str, ...], entries: int, error: Exception
    ) -> None:
        observer.failed(self.number, tables, entries=entries, error=error, seconds=self.seconds)


@dataclass(slots=True)
class Turn:
    """What a request has to do with one table: it waits for its turn there.

    Attributes:
        table: its name or ARN.
        governor: its pace.
        entries: how many operations there are on it.
        guess: the units guessed for them.
    """

    table: str
    governor: Governor
    entries: int
    guess: float = 0.0


def _tables_of(shares: Iterable[Turn]) -> tuple[str, ...]:
    return tuple(share.table for share in shares)


def _guilty(shares: list[Turn], error: Exception) -> list[Turn]:
    """The tables that a request was throttled for, as far as is known."""
    if len(shares) == 1:
        return shares
    names = TableNames(_tables_of(shares))
    found = {names.find(resource) for resource in tables_throttled(error)}
    return [share for number, share in enumerate(shares) if number in found]


def _settle_shares(shares: list[Turn], capacity: Any, meter: Meter) -> None:
    """Charge what a request consumed, where the answer says so."""
    names = TableNames(_tables_of(shares))
    consumed: dict[int, float] = {}
    for told in capacity if isinstance(capacity, list) else [capacity]:
        if not isinstance(told, dict):
            continue
        units = meter.consumed([told])
        number = 0 if len(shares) == 1 else names.find(str(told.get("TableName")))
        if number is not None:
            consumed[number] = consumed.get(number, 0.0) + units
    for number, units in consumed.items():
        share = shares[number]
        if share.governor.budget is not None:
            share.governor.budget.settle(share.guess, units)


def _refund(guesses: Iterable[tuple[Governor, float]], error: ServiceError | WireError) -> None:
    """What DynamoDB refused, or never saw, has consumed nothing."""
    if error.ambiguous:
        return
    for governor, guess in guesses:
        if governor.budget is not None:
            governor.budget.settle(guess, 0.0)


def _tell_throttled(
    observer: Observer, tables: tuple[str, ...], guilty: tuple[str, ...], error: Exception
) -> None:
    reasons = error.throttling_reasons if isinstance(error, Throttled) else ()
    observer.throttled(tables, guilty, reasons)


def _read(
    request: Request, body: bytes, read: Callable[[dict[str, Any]], AnswerT]
) -> tuple[dict[str, Any], AnswerT]:
    try:
        answer = codec.item_answer(body)
        return answer, read(answer)
    except codec.Malformed as error:
        reason = f"malformed answer: {error.reason}"
    raise WireError(reason, operation=request.operation)
