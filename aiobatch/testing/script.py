"""Who gets which fault: rules, limits, and the course of one exchange.

The decisions are pure but for the state of the rules; :class:`Faulty` carries them out. A proxy
and a fake wire differ only in who executes a request.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

import orjson

from aiobatch.codec.size import item_size
from aiobatch.testing.buckets import Bucket, Unit, read_units
from aiobatch.testing.faults import Ending, Entry, Fault
from aiobatch.testing.messages import (
    BATCHES,
    DATA_OPERATIONS,
    Asked,
    Reply,
    error_reply,
    name_of,
    shares,
)

__all__ = ["Faulty", "RecordedRequest"]

Clock = Callable[[], float]
_THROTTLED = Fault.throttle()


@dataclass(slots=True)
class RecordedRequest:
    """What is known of one request that came in. It fills up while the request goes on.

    Attributes:
        number: counted from 0, in the order of arrival.
        operation: such as ``"BatchGetItem"``; empty for a request that is not DynamoDB's.
        tables: the tables it names.
        entries: how many entries it has.
        connection: the same for requests of one kept-alive connection.
        arrived_at: when, by the clock.
        fault: the name of the fault that it met, or None. Latencies have none.
        refused: how many of its entries were not executed, by a fault or a limit.
        status: the HTTP status of the answer, or 0 where none came (yet).
        answered_at: when it ended, or None.
        body: its body, only where ``record_bodies=True`` asked for it.
    """

    number: int
    operation: str
    tables: tuple[str, ...]
    entries: int
    connection: int
    arrived_at: float
    fault: str | None = None
    refused: int = 0
    status: int = 0
    answered_at: float | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Where:
    """Which requests a rule is about."""

    operation: str | None
    table: str | None
    entry: Callable[[Entry], bool] | None

    def fits(self, asked: Asked) -> bool:
        operations = DATA_OPERATIONS if self.operation is None else (self.operation,)
        return (
            asked.operation in operations
            and (self.table is None or name_of(self.table) in map(name_of, asked.tables))
            and (self.entry is None or any(map(self.entry, asked.entries)))
        )


class _Rule(ABC):
    def __init__(self, where: _Where) -> None:
        self.where = where

    @abstractmethod
    def offer(self, asked: Asked) -> Fault | None:
        """The fault for this request, which the rule keeps until it is taken."""

    def taken(self) -> None:  # noqa: B027 (most rules need not know)
        """The fault was used."""


class _Script(_Rule):
    def __init__(self, where: _Where, faults: Iterable[Fault]) -> None:
        super().__init__(where)
        self.faults = deque(faults)

    def offer(self, asked: Asked) -> Fault | None:
        return self.faults[0] if self.faults else None

    def taken(self) -> None:
        self.faults.popleft()


class _Always(_Rule):
    def __init__(self, where: _Where, fault: Fault) -> None:
        super().__init__(where)
        self.fault = fault

    def offer(self, asked: Asked) -> Fault | None:
        return self.fault


class _Randomly(_Rule):
    def __init__(self, where: _Where, faults: Mapping[Fault, float], seed: int) -> None:
        super().__init__(where)
        if any(not share >= 0 for share in faults.values()) or sum(faults.values()) > 1.0 + 1e-9:
            raise ValueError("probabilities must be 0 or more, and 1.0 at most together")
        self.faults = dict(faults)
        self.random = Random(seed)

    def offer(self, asked: Asked) -> Fault | None:
        drawn = self.random.random()
        for fault, share in self.faults.items():
            drawn -= share
            if drawn < 0:
                return fault
        return None


@dataclass(frozen=True, slots=True)
class _Limit:
    bucket: Bucket
    clock: Clock | None


class Faulty:
    """What a :class:`FaultProxy` and a :class:`FakeWire` share: faults, limits and the record.

    Where several rules have something for a request, scripts come first, then what is always so,
    then what happens at random, each in the order of their making. One fault is used, and every
    latency; a rule whose fault makes no sense for a request (a partial answer to a GetItem) waits
    for the next one.

    Rules are about all operations that move items, unless ``operation`` names one. ``table`` takes
    a name or an ARN. ``entry`` is a predicate: the rule is about requests with such an entry.
    """

    def __init__(
        self,
        *,
        clock: Clock | None,
        sleep: Callable[[float], Awaitable[object]],
        seed: int,
        record_bodies: bool,
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.in_flight = 0
        self.peak_in_flight = 0
        self._clock = clock
        self._sleep = sleep
        self._random = Random(seed)
        self._record_bodies = record_bodies
        self._scripts: list[_Script] = []
        self._always: list[_Rule] = []
        self._randomly: list[_Rule] = []
        self._limits: dict[tuple[str, str], _Limit] = {}
        self._cut_at: int | None = None
        self._released: asyncio.Event | None = None

    # ------------------------------------------------------------------ arranging

    def script(
        self,
        faults: Iterable[Fault],
        *,
        operation: str | None = None,
        table: str | None = None,
        entry: Callable[[Entry], bool] | None = None,
    ) -> None:
        """Let the next requests meet these faults, one each, in order; then nothing more.

        Example::

            proxy.script([Fault.none(), Fault.throttle()], operation="BatchWriteItem")
        """
        self._scripts.append(_Script(_Where(operation, table, entry), faults))

    def always(
        self,
        *faults: Fault,
        operation: str | None = None,
        table: str | None = None,
        entry: Callable[[Entry], bool] | None = None,
    ) -> None:
        """Let every such request meet this fault.

        Example::

            proxy.always(Fault.validation(), entry=lambda entry: "bad" in entry.value)
        """
        where = _Where(operation, table, entry)
        self._always.extend(_Always(where, fault) for fault in faults)

    def randomly(
        self,
        faults: Mapping[Fault, float],
        *,
        seed: int = 0,
        operation: str | None = None,
        table: str | None = None,
        entry: Callable[[Entry], bool] | None = None,
    ) -> None:
        """Let requests meet faults with these probabilities, the same ones for the same seed.

        Example::

            proxy.randomly({Fault.throttle(): 0.1, Fault.reset_after(): 0.01}, seed=7)
        """
        self._randomly.append(_Randomly(_Where(operation, table, entry), faults, seed))

    def limit(
        self,
        table: str,
        *,
        read: float | None = None,
        write: float | None = None,
        unit: Unit = "entries",
        burst: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        """Let a table take so much per second. A batch gets what is there; the rest is refused.

        A request of which nothing is taken is throttled. Set again to change it; the bucket is
        full then.

        Args:
            table: its name or ARN.
            read: entries or capacity units per second. None: no limit.
            write: the same for writes.
            unit: ``"entries"`` or ``"units"``, capacity units as DynamoDB counts them.
            burst: seconds of unused rate that are saved up.
            clock: seconds; by default the running loop's, which tests may drive.

        Example::

            proxy.limit("users", write=500)
        """
        for direction, rate in (("read", read), ("write", write)):
            if rate is not None:
                bucket = Bucket(rate, burst=burst, unit=unit)
                self._limits[name_of(table), direction] = _Limit(bucket, clock)

    def cut(self, max_bytes: int | None) -> None:
        """Let answers to BatchGetItem end at so many bytes of items, as DynamoDB's do at 16 MB.

        The keys of the rest are left over. The first item always comes.
        """
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be 1 or more, or None")
        self._cut_at = max_bytes

    def clear(self) -> None:
        """Forget every rule, limit and cut. The record stays."""
        self._scripts.clear()
        self._always.clear()
        self._randomly.clear()
        self._limits.clear()
        self._cut_at = None

    # ------------------------------------------------------------------ asserting

    @property
    def unused(self) -> int:
        """How many faults of scripts no request has met yet."""
        return sum(len(script.faults) for script in self._scripts)

    @property
    def faults_met(self) -> Counter[str]:
        """How often each fault was met, by its name."""
        return Counter(seen.fault for seen in self.requests if seen.fault is not None)

    def taken(self, table: str, direction: Literal["read", "write"]) -> int:
        """How many entries the limit of a table has let through."""
        return self._limits[name_of(table), direction].bucket.taken

    # ------------------------------------------------------------------ inside

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _decide(self, asked: Asked) -> tuple[Fault | None, float, float]:
        """The fault for a request, and the latency before and after its execution."""
        met: Fault | None = None
        before = after = 0.0
        for rule in (*self._scripts, *self._always, *self._randomly):
            if not rule.where.fits(asked):
                continue
            fault = rule.offer(asked)
            if fault is None or (fault.needs_batch and not asked.is_batch):
                continue
            if met is not None and not fault.is_only_latency:
                continue
            rule.taken()
            before += fault.before
            after += fault.after
            if not fault.is_only_latency:
                met = fault
        return met, before, after

    def _refused_by(self, fault: Fault, asked: Asked) -> set[int]:
        """The entries that a partial answer leaves over."""
        count = len(asked.entries)
        if fault.refuses is not None:
            return {at for at, entry in enumerate(asked.entries) if fault.refuses(entry)}
        if fault.share:
            return set(self._random.sample(range(count), shares(count, fault.share)))
        return set()

    def _refused_by_limits(self, asked: Asked, refused: set[int]) -> set[int]:
        if not self._limits:
            return set()
        more: set[int] = set()
        for at, entry in enumerate(asked.entries):
            if at in refused:
                continue
            limit = self._limits.get((name_of(entry.table), asked.direction))
            if limit is None:
                continue
            now = limit.clock() if limit.clock else self._now()
            if not limit.bucket.take(entry, now, consistent=_is_consistent(asked, entry.table)):
                more.add(at)
        return more

    def _charge_for(self, asked: Asked, answer: Reply) -> None:
        """Reads cost what they turn out to be."""
        if not any(
            direction == "read" and limit.bucket.unit == "units"
            for (_, direction), limit in self._limits.items()
        ):
            return
        found = orjson.loads(answer.body)
        if asked.operation == "BatchGetItem":
            tables = found.get("Responses", {})
        elif asked.operation == "GetItem" and "Item" in found:
            tables = {asked.tables[0]: [found["Item"]]}
        else:
            return
        for table, items in tables.items():
            limit = self._limits.get((name_of(table), "read"))
            if limit is not None and limit.bucket.unit == "units":
                consistent = _is_consistent(asked, table)
                least = read_units(None, consistent=consistent)
                limit.bucket.charge(
                    sum(read_units(item, consistent=consistent) - least for item in items)
                )

    async def _exchange(
        self,
        operation: str,
        body: bytes,
        execute: Callable[[bytes], Awaitable[Reply]],
        connection: int,
    ) -> Reply:
        """One request from its arrival to its end."""
        asked = Asked.read(operation, body)
        seen = RecordedRequest(
            number=len(self.requests),
            operation=operation,
            tables=asked.tables,
            entries=len(asked.entries),
            connection=connection,
            arrived_at=self._now(),
            body=body if self._record_bodies else None,
        )
        self.requests.append(seen)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            reply = await self._course(asked, seen, execute)
            seen.status = reply.status if reply.ending is Ending.ANSWER else 0
            return reply
        finally:
            self.in_flight -= 1
            seen.answered_at = self._now()

    async def _course(
        self, asked: Asked, seen: RecordedRequest, execute: Callable[[bytes], Awaitable[Reply]]
    ) -> Reply:
        fault, before, after = self._decide(asked)
        if fault is not None and fault.name != "none":
            seen.fault = fault.name
        if before:
            await self._sleep(before)
        reply = await self._executed(asked, seen, fault, execute)
        if after:
            await self._sleep(after)
        if fault is None:
            return reply
        if fault.error is not None:
            reply = error_reply(fault.error, asked)
        elif fault.altered is not None and reply.is_answer:
            if fault.altered == "wrong_checksum":
                reply = reply.with_body(reply.body)
                reply.headers["x-amz-crc32"] = str(int(reply.headers["x-amz-crc32"]) ^ 1)
            elif fault.altered == "arn":
                reply = asked.by_arn(reply)
            else:
                reply = asked.malformed(reply, fault.altered)
        reply.ending = fault.ending
        if fault.ending is Ending.SILENCE:
            await self._until_released()
        return reply

    async def _executed(
        self,
        asked: Asked,
        seen: RecordedRequest,
        fault: Fault | None,
        execute: Callable[[bytes], Awaitable[Reply]],
    ) -> Reply:
        """Have what is not refused executed, and put the answer together."""
        if fault is not None and not fault.executed:
            seen.refused = len(asked.entries)
            return Reply(0, {}, b"")
        refused = self._refused_by(fault, asked) if fault is not None else set()
        refused |= self._refused_by_limits(asked, refused)
        seen.refused = len(refused)
        # Of a batch, a part can be refused; of a transaction, only all of it.
        if refused and (len(refused) == len(asked.entries) or asked.operation not in BATCHES):
            assert _THROTTLED.error is not None
            return error_reply(_THROTTLED.error, asked)
        reply = await execute(asked.without(refused))
        if not reply.is_answer or not asked.entries:
            return reply
        self._charge_for(asked, reply)
        cut = self._cut_at if asked.operation == "BatchGetItem" else None
        if not refused and cut is None:
            return reply
        answer = orjson.loads(reply.body)
        if cut is not None:
            asked.cut(answer, cut, item_size)
        if refused and asked.operation in BATCHES:
            asked.leave_over(answer, refused)
        return reply.with_body(orjson.dumps(answer))

    async def _until_released(self) -> None:
        if self._released is None:
            self._released = asyncio.Event()
        await self._released.wait()

    def _release(self) -> None:
        """Let every silent exchange end."""
        if self._released is not None:
            self._released.set()


def _is_consistent(asked: Asked, table: str) -> bool:
    content = asked.content or {}
    if asked.operation == "BatchGetItem":
        content = next(
            (
                part
                for name, part in content["RequestItems"].items()
                if name_of(name) == name_of(table)
            ),
            {},
        )
    return bool(content.get("ConsistentRead"))
