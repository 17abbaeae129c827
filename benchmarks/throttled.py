"""How close a client comes to what a throttled table lets through, and how often it asks for it.

``python -m benchmarks.throttled`` prints the table. Simulated: a table with a token bucket, behind
a few milliseconds of latency, on virtual time, so the figures are the same on every machine.
"""

import argparse
import random
import sys
from dataclasses import dataclass
from typing import Any

from aiobatch import BatchTimeout, DynamoDB, Retry
from aiobatch.limits import BATCH_GET_MAX_KEYS, BATCH_WRITE_MAX_OPERATIONS
from aiobatch.testing import FakeWire, Fault
from benchmarks.virtual_time import on_virtual_time

LATENCY = 0.005
LEAST_GOODPUT = 0.9
MOST_REQUESTS = 1.6
# Entries a second, and the simulated seconds. Below a request or so a second, "the least possible
# requests" means nothing: a slow table never has a full request's worth.
RATES = {500: 30.0, 2_000: 30.0, 10_000: 30.0}
# The share of requests refused whatever the rate, and the goodput there must be in spite of it.
STRAYS = {0.02: 0.9, 0.1: 0.8}
SLOW_RATES = {2: 600.0, 5: 300.0, 10: 300.0, 20: 300.0, 100: 60.0}


@dataclass(frozen=True, slots=True)
class Throttled:
    """What one run came to.

    Attributes:
        rate: entries a second that the table lets through.
        seconds: simulated time.
        accepted: entries that went through.
        requests: requests that were sent.
        refused: requests that were refused whole.
        size: the most entries a request may have.
    """

    rate: float
    seconds: float
    accepted: int
    requests: int
    refused: int
    size: int

    @property
    def goodput(self) -> float:
        """The share of what the table lets through at its rate."""
        return self.accepted / (self.rate * self.seconds)

    @property
    def requests_by_least(self) -> float:
        """Requests sent, by the least that could have carried what was accepted."""
        return self.requests / (self.accepted / self.size)

    @property
    def meets_the_bar(self) -> bool:
        """Whether goodput and requests are what the project promises."""
        return self.goodput >= LEAST_GOODPUT and self.requests_by_least <= MOST_REQUESTS


async def throttled(
    rate: float,
    seconds: float,
    *,
    reads: bool = False,
    burst: float = 1.0,
    strays: float = 0.0,
    seed: int = 1,
    max_concurrency: int = 16,
) -> Throttled:
    """One patient call with more entries than the table lets through in this time.

    Args:
        rate: entries a second.
        seconds: how long the call may take, in the loop's time.
        reads: read instead of deleting.
        burst: seconds of unused rate that the table saves up.
        strays: the share of requests that are refused whatever the rate.
        seed: for the jitter of waits.
        max_concurrency: the client's.
    """
    wire = FakeWire({"users": ("pk",)}, seed=seed)
    wire.always(Fault.latency(LATENCY))
    wire.limit("users", read=rate, write=rate, burst=burst)
    if strays:
        wire.randomly({Fault.throttle(): strays}, seed=seed)
    keys = [{"pk": f"{n:07}"} for n in range(int(rate * seconds * 1.5) + 200)]
    settings: dict[str, Any] = {"timeout": seconds, "retry": Retry.patient()}
    async with DynamoDB(wire=wire, max_concurrency=max_concurrency) as db:
        # The jitter is drawn from the module's generator; a run with one seed is always the same.
        state = random.getstate()
        random.seed(seed)
        try:
            if reads:
                await db.batch_get_item(keys, "users", **settings)
            else:
                await db.batch_write_item(keys, "users", operation="delete", **settings)
        except BatchTimeout as timeout:
            metrics = timeout.response["Metrics"]
        else:
            raise AssertionError("the call ended before its time")
        finally:
            random.setstate(state)
    return Throttled(
        rate=rate,
        seconds=seconds,
        accepted=wire.taken("users", "read" if reads else "write"),
        requests=metrics["requests"],
        refused=metrics["throttled"],
        size=BATCH_GET_MAX_KEYS if reads else BATCH_WRITE_MAX_OPERATIONS,
    )


def main() -> int:
    """Print the table. The exit code is 1 if the bar is missed where it is set."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throttled", description=__doc__)
    parser.add_argument("--burst", type=float, default=1.0, help="seconds that a table saves up")
    burst = parser.parse_args().burst
    print(f"latency {LATENCY * 1000:g} ms, burst {burst:g} s, Retry.patient(), virtual time")
    print("direction  entries/s  seconds  goodput  requests/least  requests/s  refused")
    missed = False
    for reads in (False, True):
        for rate, seconds in (SLOW_RATES | RATES).items():
            run = on_virtual_time(throttled(rate, seconds, reads=reads, burst=burst))
            print(
                f"{'read' if reads else 'write':9}  {rate:9,}  {seconds:7.0f}  {run.goodput:7.3f}"
                f"  {run.requests_by_least:14.2f}  {run.requests / seconds:10.1f}"
                f"  {run.refused:7}",
                flush=True,
            )
            missed = missed or (rate in RATES and not reads and not run.meets_the_bar)
    for strays, least in STRAYS.items():
        for rate, seconds in RATES.items():
            run = on_virtual_time(throttled(rate, seconds, burst=burst, strays=strays))
            print(
                f"{strays:7.0%} refused at random, write, {rate:6,} entries/s:"
                f" goodput {run.goodput:.3f}, requests/least {run.requests_by_least:.2f}",
                flush=True,
            )
            missed = missed or run.goodput < least or run.requests_by_least > MOST_REQUESTS
    if missed:
        print(
            f"missed: goodput of at least {LEAST_GOODPUT:g} with at most {MOST_REQUESTS:g} times"
            " the least possible requests, for writes, and what STRAYS says",
            file=sys.stderr,
        )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
