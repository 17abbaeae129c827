"""One process that measures one client at one operation on one shape of items.

It is started in the client's own environment as ``python -m benchmarks.worker JSON``, checks that
the client does the work that all the others do, and then does what it is told: a line of JSON on
standard input is a command, a line of JSON on standard output its outcome.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import re
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.adapters import Job, NotAvailable, Operations, table_of
from benchmarks.canned import last_request
from benchmarks.items import (
    ITEMS_A_PUT,
    KEYS_A_GET,
    Item,
    UnequalWork,
    check_items,
    from_attributes,
    make_item,
    make_items,
)
from benchmarks.loops import loop_name, run

TICK = 0.001
"""Seconds between two looks at the clock."""


def _status(name: str) -> float | None:
    """A figure of /proc/self/status in MB; None where there is no such thing."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def peak_memory() -> float:
    """The most memory that this process has had so far, in MB."""
    peak = _status("VmHWM")
    if peak is not None:
        return peak
    # Where the system tells no better: this starts with what the parent process had.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def memory() -> float:
    """The memory that this process has now, in MB."""
    now = _status("VmRSS")
    return peak_memory() if now is None else now


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """The versions of the distributions that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class Stalls:
    """A ticker that keeps how late its turns came: what any other handler would have waited.

    Attributes:
        longest: seconds by the clock.
        held: seconds of this process's own CPU time within such a wait, at most. It is less than
            ``longest`` where the system gave the processor to somebody else.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.held = 0.0

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the loop until the block ends."""
        loop = asyncio.get_running_loop()
        due, cpu = time.perf_counter() + TICK, time.process_time()
        handle: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal due, cpu, handle
            now, now_cpu = time.perf_counter(), time.process_time()
            late = now - due
            self.longest = max(self.longest, late)
            self.held = max(self.held, min(late, now_cpu - cpu))
            due, cpu = now + TICK, now_cpu
            handle = loop.call_later(TICK, look)

        handle = loop.call_later(TICK, look)
        try:
            yield
        finally:
            look()
            handle.cancel()


@contextlib.contextmanager
def harness_frozen() -> Iterator[None]:
    """Keep everything that exists by now out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def check(operations: Operations, job: Job, canned: bool) -> None:
    """Hold the client to the work that it is timed for. Raises UnequalWork."""
    requests = operations.requests
    expected = make_items(job.shape, KEYS_A_GET * requests)
    if requests > 1:
        read = [{**make_item(job.shape, 0), "pk": item["pk"]} for item in expected]
    else:
        read = expected
    page = await operations.get()
    if operations.exchange_only:
        if len(page) != KEYS_A_GET:
            raise UnequalWork(f"get: {len(page)} entries where {KEYS_A_GET} belong")
    else:
        check_items(page, read, "get")
    written = await operations.put()
    if written != ITEMS_A_PUT * requests:
        raise UnequalWork(f"put: {written} items where {ITEMS_A_PUT * requests} belong")
    if canned:
        sent = await asyncio.to_thread(last_request, job.endpoint_url, "BatchWriteItem")
        puts = [
            from_attributes(entry["PutRequest"]["Item"])
            for entry in sent["RequestItems"][table_of(job)]
        ]
        check_items(puts, _same_keys(puts, expected, ITEMS_A_PUT), "put")
        asked = await asyncio.to_thread(last_request, job.endpoint_url, "BatchGetItem")
        wanted = [from_attributes(key) for key in asked["RequestItems"][table_of(job)]["Keys"]]
        those = _same_keys(wanted, expected, KEYS_A_GET)
        check_items(wanted, [{"pk": item["pk"]} for item in those], "keys of a get")
    elif not operations.exchange_only:
        check_items(await operations.get(), expected, "get after the put")


def _same_keys(sent: list[Item], expected: list[Item], count: int) -> list[Item]:
    """Those of the items expected that one request of so many had to be about."""
    if len(expected) <= KEYS_A_GET:
        return expected[:count]
    # Which ones a request of a long list takes is the client's choice.
    keys = {item.get("pk") for item in sent}
    found = [item for item in expected if item["pk"] in keys]
    if len(found) != count:
        raise UnequalWork(f"a request with {len(found)} entries where {count} belong")
    return found


async def measure(
    operations: Operations, op: str, seconds: float, concurrency: int, stalls: Stalls | None
) -> dict[str, float]:
    """Do one operation after the other for so long, so many at once.

    What a get returned is dropped at once, so that garbage collection weighs alike on all.
    """
    items = 0
    # A long list's requests are under way at once, and two such calls leave no gap between them.
    tasks = concurrency if operations.requests == 1 else 2

    async def pump(until: float) -> None:
        nonlocal items
        while time.perf_counter() < until:
            # Awaited first: `items += await ...` would add to what items were before the wait.
            done = len(await operations.get()) if op == "get" else await operations.put()
            items += done

    async def all_of_them() -> None:
        until = time.perf_counter() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(pump(until))

    with harness_frozen():
        began, cpu = time.perf_counter(), time.process_time()
        if stalls is None:
            await all_of_them()
        else:
            async with stalls.watching():
                await all_of_them()
        took, used = time.perf_counter() - began, time.process_time() - cpu
    return {"items": items, "seconds": took, "cpu": used}


async def obey(operations: Operations, op: str, command: dict[str, Any]) -> dict[str, float]:
    """Carry out one command."""
    stalls = Stalls() if command.get("stalls") else None
    outcome = await measure(operations, op, command["seconds"], command["concurrency"], stalls)
    if stalls is not None:
        outcome |= {"stall_ms": stalls.longest * 1000, "held_ms": stalls.held * 1000}
    return outcome | {"peak_mb": peak_memory()}


async def idle_stall(seconds: float) -> float:
    """What the ticker sees on a loop that has nothing to do, in milliseconds."""
    stalls = Stalls()
    async with stalls.watching():
        await asyncio.sleep(seconds)
    return stalls.longest * 1000


class Channel:
    """The line to the orchestrator. What libraries print goes to standard error instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def say(self, **told: Any) -> None:
        """Tell the orchestrator."""
        print(json.dumps(told), file=self._out, flush=True)


async def serve(arguments: dict[str, Any], channel: Channel) -> None:
    """Open the client, check it, and obey until the input ends."""
    job = Job(**arguments["job"])
    adapter = importlib.import_module(f"benchmarks.adapters.{arguments['adapter']}")
    before = peak_memory()
    async with adapter.opened(job) as operations:
        await check(operations, job, arguments["canned"])
        channel.say(
            ready=True,
            versions=versions(adapter.DISTRIBUTIONS),
            loop=loop_name(),
            told=dict(operations.told),
            start_mb=before,
            idle_stall_ms=await idle_stall(0.1),
        )
        while line := await asyncio.to_thread(sys.stdin.readline):
            channel.say(**await obey(operations, arguments["op"], json.loads(line)))


def main(arguments: list[str]) -> int:
    """Run. What cannot be measured is told, and why."""
    told, channel = json.loads(arguments[0]), Channel()
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in {"http_proxy", "https_proxy", "all_proxy"}:
            del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true"}
    try:
        run(serve(told, channel))
    except NotAvailable as missing:
        channel.say(not_available=str(missing))
    except UnequalWork as wrong:
        channel.say(failed=f"it does not do equal work: {wrong}")
        return 1
    except Exception as error:
        channel.say(failed=f"{type(error).__name__}: {error}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
