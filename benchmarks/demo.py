"""The demo: 28,298 airports in and out of DynamoDB, and batches against single calls.

Run it with ``make demo``, or as ``python -m benchmarks.demo``; ``--help`` tells the options.
"""

import argparse
import asyncio
import contextlib
import io
import itertools
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aiobatch import AiobatchError, DynamoDB
from benchmarks.embedded import embedded_server, placeholder_credentials
from benchmarks.latency import delayed
from benchmarks.markdown import NoPlace, as_table, check_place, markers, write_into
from benchmarks.progress import Progress
from benchmarks.tables import own_region, own_table

SLICE = 2_500
"""Items in one call: small enough that the progress line moves."""
TOO_HIGH = 10_000
"""Feet. Airports above are deleted."""
COMPARED = 100
BATCH_RUNS = 5
GUIDE = {"get 100": "35x", "write 100": "15x", "mixed 100": "13x"}
PLACE = "demo"
"""Of the figures, in a Markdown file."""
BEGIN, END = markers(PLACE)

Airport = dict[str, Any]


class DemoFailed(Exception):
    """Something did not come out as it should."""


@dataclass
class Step:
    """What one step of the demo did."""

    name: str
    items: int = 0
    requests: int = 0
    units: float | None = None
    seconds: float = 0.0

    def add(self, items: int, answer: Any) -> None:
        """Add one call's answer."""
        self.items += items
        self.requests += answer["Metrics"]["requests"]
        self.seconds += answer["Metrics"]["seconds"]
        for capacity in answer.get("ConsumedCapacity", ()):
            self.units = (self.units or 0.0) + float(capacity["CapacityUnits"])


@dataclass
class Compared:
    """One row of the comparison."""

    name: str
    individual: float
    batch: float


def airports(limit: int | None) -> list[Airport]:
    """The airports of the airportsdata package, by their ICAO codes."""
    import airportsdata

    found = [dict(airport) for airport in airportsdata.load("ICAO").values()]
    return found[:limit]


def in_slices(entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Slices of the entries."""
    for start in range(0, len(entries), SLICE):
        yield entries[start : start + SLICE]


def key_of(airport: Airport) -> dict[str, str]:
    """The key of an airport in its table."""
    return {"icao": airport["icao"]}


# ---------------------------------------------------------------- the airports


async def load(db: DynamoDB, table: str, items: list[Airport]) -> Step:
    """Write all airports."""
    step, progress = Step("write"), Progress("writing", len(items))
    for part in in_slices(items):
        answer = await db.batch_write_item(part, table, return_consumed_capacity="TOTAL")
        if answer["UnprocessedCount"]:
            raise DemoFailed(f"{answer['UnprocessedCount']} airports were left unwritten")
        step.add(answer["ProcessedCount"], answer)
        progress.show(step.items)
    progress.clear()
    return step


async def read_back(db: DynamoDB, table: str, items: list[Airport]) -> Step:
    """Read all airports, and compare each of their values with what was written."""
    step, progress = Step("read"), Progress("reading", len(items))
    for part in in_slices(items):
        answer = await db.batch_get_item(
            [key_of(airport) for airport in part],
            table,
            ordered=True,
            return_consumed_capacity="TOTAL",
        )
        if answer["UnprocessedKeys"]:
            raise DemoFailed(f"{len(answer['UnprocessedKeys'])} airports were left unread")
        for written, read in zip(part, answer["Items"], strict=True):
            compare(written, read)
        step.add(answer["Count"], answer)
        progress.show(step.items)
    progress.clear()
    return step


def compare(written: Airport, read: Airport | None) -> None:
    """Hold what was read to what was written, value by value."""
    code = written["icao"]
    if read is None:
        raise DemoFailed(f"airport {code} was written and not found")
    if read.keys() != written.keys():
        raise DemoFailed(f"airport {code} came back with other attributes")
    for name, value in written.items():
        if read[name] != value:
            raise DemoFailed(f"airport {code}: wrote {name} = {value!r}, read {read[name]!r}")


async def delete_high(
    db: DynamoDB, table: str, items: list[Airport], count: Callable[[], Awaitable[int]]
) -> tuple[Step, int]:
    """Delete the airports above 10,000 ft, and count what is left."""
    step = Step("delete")
    keys = [key_of(airport) for airport in items if airport["elevation"] > TOO_HIGH]
    deleted = await db.batch_write_item(
        keys, table, operation="delete", return_consumed_capacity="TOTAL"
    )
    step.add(deleted["ProcessedCount"], deleted)
    again = await db.batch_get_item(keys, table, consistent_read=True)
    if again["Count"]:
        raise DemoFailed(f"{again['Count']} airports are still there after their deletion")
    left, expected = await count(), len(items) - len(keys)
    if left != expected:
        raise DemoFailed(f"the table holds {left:,} airports, but {expected:,} should be left")
    return step, left


# -------------------------------------------------------------- the comparison


async def compare_calls(db: DynamoDB, table: str, items: list[Airport]) -> list[Compared]:
    """One call an item against one batch call, for reads, writes and half of each."""
    some = items[:COMPARED]
    keys = [key_of(airport) for airport in some]
    half = len(some) // 2

    async def get_each(these: Sequence[Any], done: Callable[[], None]) -> None:
        for key in these:
            if "Item" not in await db.get(key, table):
                raise DemoFailed(f"airport {key['icao']} was written and not found")
            done()

    async def save_each(these: Sequence[Any], done: Callable[[], None]) -> None:
        for airport in these:
            await db.save(airport, table)
            done()

    async def get_batch(these: Sequence[Any]) -> None:
        answer = await db.batch_get_item(these, table)
        if answer["Count"] != len(these):
            raise DemoFailed(f"read {answer['Count']} airports of {len(these)}")

    async def save_batch(these: Sequence[Any]) -> None:
        answer = await db.batch_write_item(these, table)
        if answer["ProcessedCount"] != len(these):
            raise DemoFailed(f"wrote {answer['ProcessedCount']} airports of {len(these)}")

    # What only a first call has to do is no part of the comparison.
    await save_batch(some)

    async def timed(work: Callable[[], Awaitable[None]]) -> float:
        began = time.perf_counter()
        await work()
        return time.perf_counter() - began

    async def row(
        name: str,
        individual: Callable[[Callable[[], None]], Awaitable[None]],
        batch: Callable[[], Awaitable[None]],
    ) -> Compared:
        progress = Progress(f"{name}, one call an item", len(some))
        finished = itertools.count(1)
        alone = await timed(lambda: individual(lambda: progress.show(next(finished))))
        progress.clear()
        together = statistics.median([await timed(batch) for _ in range(BATCH_RUNS)])
        return Compared(name, alone, together)

    async def mixed_each(done: Callable[[], None]) -> None:
        await get_each(keys[:half], done)
        await save_each(some[half:], done)

    async def mixed_batch() -> None:
        await get_batch(keys[:half])
        await save_batch(some[half:])

    return [
        await row("get 100", lambda done: get_each(keys, done), lambda: get_batch(keys)),
        await row("write 100", lambda done: save_each(some, done), lambda: save_batch(some)),
        await row("mixed 100", mixed_each, mixed_batch),
    ]


# ------------------------------------------------------------------ the report


def steps_table(steps: list[Step]) -> list[str]:
    """What was done, a row a step."""
    rows = [["step", "items", "requests", "seconds", "items/s", "capacity units"]]
    rows += [
        [
            step.name,
            f"{step.items:,}",
            f"{step.requests:,}",
            f"{step.seconds:.2f}",
            f"{step.items / step.seconds:,.0f}" if step.seconds else "-",
            "untold" if step.units is None else f"{step.units:,.1f}",
        ]
        for step in steps
    ]
    return as_table(rows)


def comparison_table(rows: list[Compared]) -> list[str]:
    """Measured speed-ups beside those that the guide claims."""
    table = [["operation", "one by one", "batch", "measured", "guide claims"]]
    table += [
        [
            row.name,
            f"{row.individual:.2f} s",
            f"{row.batch:.3f} s",
            f"{row.individual / row.batch:.0f}x",
            GUIDE[row.name],
        ]
        for row in rows
    ]
    return as_table(table)


def environment(server: str) -> str:
    """What the figures were measured with."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"aiobatch {version('aiobatch')}, aiobotocore {version('aiobotocore')}, {server},"
        f" Python {platform.python_version()}, {platform.system()} {platform.machine()},"
        f" {cpus} CPUs"
    )


# --------------------------------------------------------------------- the run


async def run(endpoint_url: str, server: str, options: argparse.Namespace) -> list[str]:
    """Do everything, print it, and return the block for the README."""
    items = airports(options.limit)
    print(f"{len(items):,} airports of airportsdata {version('airportsdata')}, against {server}")
    async with own_table(endpoint_url, "aiobatch-demo", "icao") as (table, count):
        region = own_region()
        async with DynamoDB(endpoint_url=endpoint_url, region_name=region) as db:
            written = await load(db, table, items)
            print(f"  wrote {written.items:,} airports")
            read = await read_back(db, table, items)
            print(f"  read {read.items:,} back: every value is equal")
            deleted, left = await delete_high(db, table, items, count)
            print(f"  deleted {deleted.items:,} above {TOO_HIGH:,} ft: {left:,} are left")
        steps = [written, read, deleted]
        print("\n" + "\n".join(steps_table(steps)))
        print(f"Capacity is what {server} tells; moto's figures are not DynamoDB's.\n")

        milliseconds = f"{options.latency * 1000:g} ms"
        print(f"{COMPARED} items, one call an item against batch calls,")
        print(f"with {milliseconds} added to each answer:")
        async with contextlib.AsyncExitStack() as stack:
            far = endpoint_url
            if options.latency:
                far = await stack.enter_async_context(delayed(endpoint_url, options.latency))
            db = await stack.enter_async_context(DynamoDB(endpoint_url=far, region_name=region))
            compared = await compare_calls(db, table, items)
        print("\n" + "\n".join(comparison_table(compared)))
        print(f"Batch: the median of {BATCH_RUNS} runs. Mixed: 50 read and 50 written.")
    return readme_block(server, steps, compared, milliseconds)


def readme_block(
    server: str, steps: list[Step], compared: list[Compared], milliseconds: str
) -> list[str]:
    """The measured part of the README."""
    return [
        "<!-- Written by `make figures`. Do not edit. -->",
        "",
        *steps_table(steps),
        "",
        f"{COMPARED} items, one call an item against batch calls, with {milliseconds} added to"
        " each answer:",
        "",
        *comparison_table(compared),
        "",
        f"Measured with {environment(server)}.",
        "Server and client shared one process, so most of the time above is the server's.",
        "",
    ]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.demo",
        description="Load all airports, read them back, delete the high ones; then compare"
        " batches with single calls. Without --endpoint-url, moto serves DynamoDB from this"
        " process: no account, no network.",
    )
    made.add_argument("--endpoint-url", help="use this endpoint instead of moto")
    made.add_argument("--limit", type=int, help="only so many airports, 100 or more")
    made.add_argument(
        "--latency", type=float, default=0.05, help="seconds added to each answer (0.05)"
    )
    made.add_argument("--write", type=Path, metavar="FILE", help="put the figures into this file")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. The exit status is 0 only if everything came out as it should."""
    options = parser().parse_args(arguments)
    if options.limit is not None and options.limit < COMPARED:
        parser().error(f"--limit must be {COMPARED} or more")
    if not 0 <= options.latency < math.inf:
        parser().error("--latency must be seconds, 0 or more")
    if options.latency and not (options.endpoint_url or "http://").startswith("http://"):
        parser().error("latency can be added to http:// endpoints only: use --latency 0")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a pipe too, lines come as they are made
    began = time.monotonic()
    try:
        if options.write is not None:
            # Before a minute's work, not after.
            check_place(options.write, PLACE)
        with contextlib.ExitStack() as stack:
            endpoint_url, server = options.endpoint_url, options.endpoint_url
            if endpoint_url is None:
                print("starting moto in this process ...")
                stack.enter_context(placeholder_credentials())
                endpoint_url = stack.enter_context(embedded_server())
                server = f"moto {version('moto')}"
            block = asyncio.run(run(endpoint_url, server, options))
        if options.write is not None:
            write_into(options.write, PLACE, block)
            print(f"The figures are in {options.write}.")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (AiobatchError, BotoCoreError, ClientError, DemoFailed, NoPlace) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Done in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
