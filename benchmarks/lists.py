"""One process that makes one call over n items, and tells what time and memory that took.

Started as ``python -m benchmarks.lists JSON``; prints one line of JSON. ``op`` is ``get`` or
``put`` for the list calls, ``stream`` for ``iter_get`` and ``bulk`` for ``bulk_write``, over keys
and items that are made as it goes.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, NotAvailable
from benchmarks.adapters.with_aiobatch import use_codec
from benchmarks.items import KEYED_TABLE, Item, key_of, make_item, make_items
from benchmarks.loops import loop_name, run
from benchmarks.worker import Channel, Stalls, harness_frozen, memory, peak_memory

SHAPE = "small"
CONCURRENCY = 16


class Source:
    """Keys or items that are made when they are asked for, and counted.

    Attributes:
        done: how many of them have ended, as far as its user says.
        most_held: the most that were taken and had not ended.
    """

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self.done: Callable[[], int] = lambda: 0
        self.most_held = 0
        self._count = count
        self._make = make

    def __iter__(self) -> Iterator[Item]:
        for number in range(self._count):
            self.most_held = max(self.most_held, number + 1 - self.done())
            yield self._make(number)


def make_key(number: int) -> Item:
    """One key."""
    return {"pk": key_of(number)}


async def _stream(db: Any, table: str, keys: Source) -> int:
    done = 0
    keys.done = lambda: done
    async with db.iter_get(keys, table) as items:
        async for _ in items:
            done += 1
    return done


async def _bulk(db: Any, table: str, items: Source) -> int:
    def told(report: Any) -> None:
        # It is live: the first one is enough.
        items.done = lambda: report.processed

    report = await db.bulk_write(items, table, on_progress=told)
    done: int = report.processed
    return done


async def measure(told: dict[str, Any]) -> dict[str, Any]:
    """Do it."""
    codec = use_codec(told["codec"])
    from aiobatch import DynamoDB

    count, op, table = told["n"], told["op"], KEYED_TABLE.format(shape=SHAPE)
    try:
        db = DynamoDB(
            endpoint_url=told["endpoint_url"],
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            max_concurrency=CONCURRENCY,
            key_names={table: ("pk",)},
            wire=told["wire"],
        )
    except ValueError as error:
        raise NotAvailable(f"this aiobatch has no wire={told['wire']!r}: {error}") from None
    source = Source(count, make_key if op == "stream" else partial(make_item, SHAPE))
    async with db:
        # What only a first call has to do is no part of it.
        await db.batch_get_item([{"pk": key_of(0)}], table)
        entries: Any = ()
        if op == "get":
            entries = [make_key(number) for number in range(count)]
        elif op == "put":
            entries = make_items(SHAPE, count)
        stalls = Stalls()
        with harness_frozen():
            before = memory()
            began, cpu = time.perf_counter(), time.process_time()
            async with stalls.watching():
                if op == "get":
                    done = len((await db.batch_get_item(entries, table))["Items"])
                elif op == "put":
                    done = (await db.batch_write_item(entries, table))["ProcessedCount"]
                elif op == "stream":
                    done = await _stream(db, table, source)
                else:
                    done = await _bulk(db, table, source)
            took, used = time.perf_counter() - began, time.process_time() - cpu
            peak = peak_memory()
    if done != count:
        raise RuntimeError(f"{done} of {count} items went through")
    return {
        "op": op,
        "n": count,
        "codec": codec,
        "wire": told["wire"],
        "loop": loop_name(),
        "seconds": took,
        "cpu": used,
        "before_mb": before,
        "peak_mb": peak,
        "held": source.most_held or count,
        "stall_ms": stalls.longest * 1000,
        "held_ms": stalls.held * 1000,
    }


def main(arguments: list[str]) -> int:
    """Run. What cannot be measured is told, and why."""
    channel = Channel()
    try:
        channel.say(**run(measure(json.loads(arguments[0]))))
    except NotAvailable as missing:
        channel.say(not_available=str(missing))
    except Exception as error:
        channel.say(failed=f"{type(error).__name__}: {error}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
