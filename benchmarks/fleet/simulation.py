"""Many workers, each with an engine of its own, on one table: on virtual time, in one process.

The engines are real: the same batches, paces, ceilings and retries as in a task of Spark. The table
is a token bucket behind some latency. So the figures are about how a fleet behaves, not about how
fast a processor is, and come out the same on every machine.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiobatch import DynamoDB, Retry
from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS
from aiobatch.partitions.pacing import begin
from benchmarks.fleet.table import Table, WorkersWire

TABLE = "users"
LATENCY = 0.005


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is simulated.

    Attributes:
        workers: processes that write at the same time.
        rate: units a second that the table lets through; an entry costs one.
        seconds: the work there is, in seconds of that rate.
        share: the part of the rate that ``maxWriteUnits`` asks for; None: no ceiling.
        jitter: of the retries' waits, from 0.0 to 1.0.
        burst: seconds of unused rate that the table saves up.
        seed: for the jitter.
    """

    workers: int
    rate: float
    seconds: float
    share: float | None = None
    jitter: float = 1.0
    burst: float = 1.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it came to.

    Attributes:
        fleet: what was simulated.
        entries: entries written; all of them.
        elapsed: seconds until the last one was.
        requests: requests that were sent.
        refused: requests that were refused whole.
        busiest: the most requests that arrived in one second.
        stall: the longest time in which some worker had nothing go through.
    """

    fleet: Fleet
    entries: int
    elapsed: float
    requests: int
    refused: int
    busiest: int
    stall: float

    @property
    def of_the_rate(self) -> float:
        """What went through, by what the table lets through in that time."""
        return self.entries / (self.fleet.rate * self.elapsed)

    @property
    def of_the_ceiling(self) -> float | None:
        """What went through, by what ``maxWriteUnits`` asks for."""
        return None if self.fleet.share is None else self.of_the_rate / self.fleet.share

    @property
    def requests_by_least(self) -> float:
        """Requests sent, by the least that could have carried the entries."""
        return self.requests / (self.entries / BATCH_WRITE_MAX_OPERATIONS)


class _Progress:
    """When a worker last got something through."""

    def __init__(self, now: float) -> None:
        self.processed = 0
        self.at = now
        self.stall = 0.0

    def see(self, processed: int, now: float) -> None:
        if processed > self.processed:
            self.stall = max(self.stall, now - self.at)
            self.processed, self.at = processed, now


async def simulate(fleet: Fleet) -> Outcome:
    """Let the fleet write until all is written."""
    table = Table(fleet.rate, fleet.burst, LATENCY)
    loop = asyncio.get_running_loop()
    began = loop.time()
    total = int(fleet.rate * fleet.seconds)
    ends = [total * (number + 1) // fleet.workers for number in range(fleet.workers)]
    progress = [_Progress(began) for _ in ends]
    share = None if fleet.share is None else fleet.share * fleet.rate / fleet.workers
    retry = Retry(max_retries=None, jitter=fleet.jitter, max_stall=300.0, on_progress="refund")

    async def work(number: int) -> dict[str, Any]:
        first = ends[number - 1] if number else 0
        seen = progress[number]
        async with DynamoDB(
            wire=WorkersWire(table), key_names={TABLE: ("pk",)}, max_write_units=share
        ) as db:
            await begin(db, TABLE)
            report = await db.bulk_write(
                _keys(first, ends[number]),
                TABLE,
                operation="delete",
                retry=retry,
                on_progress=lambda report: seen.see(report.processed, loop.time()),
            )
            seen.see(report.processed, loop.time())
            return dict(report.metrics)

    # The jitter is drawn from the module's generator.
    state = random.getstate()
    random.seed(fleet.seed)
    try:
        metrics = await asyncio.gather(*map(work, range(fleet.workers)))
    finally:
        random.setstate(state)
    elapsed = loop.time() - began
    return Outcome(
        fleet=fleet,
        entries=total,
        elapsed=elapsed,
        requests=sum(one["requests"] for one in metrics),
        refused=sum(one["throttled"] for one in metrics),
        busiest=max(table.requests.values()),
        stall=max(one.stall for one in progress),
    )


def _keys(first: int, end: int) -> Iterator[dict[str, str]]:
    return ({"pk": f"{n:09}"} for n in range(first, end))
