"""A load through every fault at once, its accounts compared with what the backend holds.

``soak()`` takes any size: the suite runs small ones, ``make soak`` large ones.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from aiobatch import BatchError, DynamoDB, Retry, codec
from aiobatch.testing import Entry, Fault
from aiobatch.testing.script import Faulty

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

Item = dict[str, Any]
Contents = Mapping[str, Item]

# Each of these slows the client down, as it should, and in real time a test would wait for it: they
# are for virtual time.
SLOWING_FAULTS: dict[Fault, float] = {
    Fault.throttle(): 0.05,
    Fault.throttling_exception(): 0.02,
    Fault.request_limit(): 0.02,
    Fault.write_conflict(): 0.01,
}
# Everything else that a request can meet without a wait; none that ends a call for good.
SUDDEN_FAULTS: dict[Fault, float] = {
    Fault.partial(0.3): 0.10,
    Fault.partial(0.9): 0.05,
    Fault.hot_key_range(): 0.05,
    Fault.internal_error(): 0.02,
    Fault.internal_error(executed=True): 0.02,
    Fault.unavailable(): 0.02,
    Fault.unavailable(executed=True): 0.02,
    Fault.expired_token(): 0.01,
    Fault.reset_before(): 0.02,
    Fault.reset_after(): 0.04,
    Fault.hang_up_before(): 0.02,
    Fault.hang_up_after(): 0.03,
    Fault.truncated(): 0.02,
    Fault.wrong_checksum(): 0.02,
    Fault.answer_by_arn(): 0.02,
    Fault.malformed("not_json"): 0.01,
    Fault.malformed("not_utf8"): 0.01,
    Fault.malformed("empty_body"): 0.01,
    Fault.malformed("list"): 0.01,
    Fault.malformed("empty_object"): 0.01,
    Fault.malformed("wrong_shape"): 0.01,
    Fault.malformed("unknown_type"): 0.01,
    Fault.malformed("stranger"): 0.01,
    Fault.malformed("twice"): 0.01,
    Fault.malformed("contradiction"): 0.01,
}
# With those that only a timeout ends: for virtual time.
ALL_FAULTS: dict[Fault, float] = {
    **SLOWING_FAULTS,
    **SUDDEN_FAULTS,
    Fault.silence(): 0.005,
    Fault.silence(executed=True): 0.005,
    Fault.late_answer(30.0): 0.005,
}

# Budgets from none to plenty, so that calls end in every way.
RETRIES = (
    Retry(max_retries=0),
    Retry(max_retries=1, base_delay=0.01),
    Retry(max_retries=5, base_delay=0.01, jitter=1.0),
    Retry(max_retries=12, base_delay=0.01, on_progress="refund"),
)


@dataclass
class SoakReport:
    """What came of it. ``wrong`` says where an account and the backend disagree: nothing may."""

    calls: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def expect(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)


@dataclass
class _Call:
    """One call, with the account that it ended with."""

    operation: str
    values: list[Item]
    response: Mapping[str, Any]


@asynccontextmanager
async def troubled(
    faulty: Faulty,
    report: SoakReport,
    faults: Mapping[Fault, float],
    poison: Container[str],
    *,
    seed: int,
) -> AsyncIterator[None]:
    """Faults at random, and puts of the poisoned keys refused; then neither, and what was met."""

    def is_poisoned(entry: Entry) -> bool:
        return entry.kind == "put" and entry.value["pk"]["S"] in poison

    faulty.always(Fault.validation(), operation="BatchWriteItem", entry=is_poisoned)
    faulty.randomly(faults, seed=seed)
    seen = len(faulty.requests)
    yield
    faulty.clear()
    report.faults.update(
        request.fault for request in faulty.requests[seen:] if request.fault is not None
    )


async def scan(client: "DynamoDBClient", table: str) -> dict[str, Item]:
    """What a backend's table holds, by key."""
    found: dict[str, Item] = {}
    async for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            plain = codec.decode_item(item, "native")
            found[plain["pk"]] = plain
    return found


async def soak(
    db: DynamoDB,
    faulty: Faulty,
    table: str,
    read_back: Callable[[], Awaitable[Contents]],
    *,
    items: int,
    seed: int,
    faults: Mapping[Fault, float] = ALL_FAULTS,
    retries: Sequence[Retry] = RETRIES,
    largest_call: int = 400,
    calls_at_once: int = 8,
    timeouts: float = 0.0,
    poisoned: float = 0.002,
    twice: float = 0.05,
) -> SoakReport:
    """Write, overwrite, delete and read so many items, and compare after each phase.

    Args:
        db: a client of what `faulty` stands in front of.
        faulty: the proxy or the fake wire; its rules are set and cleared here.
        table: an empty table with the string key ``pk``.
        read_back: what the table holds, by key, read past the faults.
        items: how many keys.
        seed: for everything that is drawn.
        faults: with their probabilities.
        retries: the policies of calls, in turn.
        largest_call: the most entries of a call.
        calls_at_once: how many calls are under way.
        timeouts: the share of calls with a timeout of less than a second.
        poisoned: the share of items that the service refuses.
        twice: the share of keys that a call writes twice.
    """
    random = Random(seed)
    report = SoakReport()
    keys = [f"key-{number:07}" for number in range(items)]
    poison = {key for key in keys if random.random() < poisoned}

    def trouble(phase: int) -> AbstractAsyncContextManager[None]:
        return troubled(faulty, report, faults, poison, seed=seed * 10 + phase)

    def versions(chosen: Sequence[str], phase: str) -> list[Item]:
        made: list[Item] = []
        for key in chosen:
            made += [
                {"pk": key, "version": f"{phase}-{again}", "n": random.randrange(10**9)}
                for again in range(2 if random.random() < twice else 1)
            ]
        return made

    async def run(work: Sequence[tuple[str, list[Item]]]) -> list[_Call]:
        """All this, cut into calls of random sizes, some at once."""
        waiting = []
        for operation, values in work:
            start = 0
            while start < len(values):
                size = random.randint(1, largest_call)
                # Both writes to a key belong to one call: between calls nothing is promised.
                end = start + size
                while end < len(values) and values[end]["pk"] == values[end - 1]["pk"]:
                    end += 1
                timeout = random.random() if random.random() < timeouts else None
                waiting.append((operation, values[start:end], random.choice(retries), timeout))
                start = end
        random.shuffle(waiting)
        done: list[_Call] = []

        async def worker() -> None:
            while waiting:
                operation, values, retry, timeout = waiting.pop()
                done.append(await _call(db, table, operation, values, retry, timeout, report))

        async with asyncio.TaskGroup() as group:
            for _ in range(calls_at_once):
                group.create_task(worker())
        return done

    # 1. Puts into the empty table.
    async with trouble(1):
        calls = await run([("put", versions(keys, "first"))])
    empty: Contents = {}
    held = await read_back()
    _compare_writes(calls, empty, held, report)

    # 2. What was left over is passed straight back, with nothing in the way.
    again = [
        (
            call.operation,
            [*call.response["UnprocessedItems"], *call.response.get("UnknownItems", [])],
        )
        for call in calls
    ]
    calls = await run(again)
    before, held = held, await read_back()
    _compare_writes(calls, before, held, report)
    if not timeouts:
        report.expect(held.keys() == set(keys) - poison, "passed back: not all of it is there now")

    # 3. Overwriting some and deleting others.
    chosen = random.sample(keys, len(keys) // 2)
    middle = len(chosen) // 2
    async with trouble(3):
        calls = await run(
            [
                ("put", versions(chosen[:middle], "second")),
                ("delete", [{"pk": key} for key in chosen[middle:]]),
            ]
        )
    before, held = held, await read_back()
    _compare_writes(calls, before, held, report)

    # 4. Reading all of it.
    wanted = [{"pk": key} for key in keys]
    wanted += random.sample(wanted, int(len(wanted) * twice))
    random.shuffle(wanted)
    async with trouble(4):
        calls = await run([("get", wanted)])
    for call in calls:
        _compare_reads(call, held, report)
    return report


async def _call(
    db: DynamoDB,
    table: str,
    operation: str,
    values: list[Item],
    retry: Retry,
    timeout: float | None,
    report: SoakReport,
) -> _Call:
    response: Mapping[str, Any]
    try:
        if operation == "get":
            response = await db.batch_get_item(values, table, retry=retry, timeout=timeout)
        else:
            response = await db.batch_write_item(
                values,
                table,
                operation="put" if operation == "put" else "delete",
                retry=retry,
                timeout=timeout,
            )
        report.calls["answered"] += 1
    except BatchError as error:
        report.calls[type(error).__name__] += 1
        response = error.response
    return _Call(operation, values, response)


def _compare_writes(
    calls: Sequence[_Call], before: Contents, after: Contents, report: SoakReport
) -> None:
    """Whether each entry ended as the account says, and exactly once."""
    for call in calls:
        response = call.response
        fates: dict[int, str] = {}
        for fate, ended in (
            ("unprocessed", response["UnprocessedItems"]),
            ("unknown", response.get("UnknownItems", [])),
            ("rejected", [one["item"] for one in response.get("RejectedItems", [])]),
        ):
            report.entries[fate] += len(ended)
            for value in ended:
                report.expect(id(value) not in fates, f"{call.operation}: in the account twice")
                fates[id(value)] = fate
        own = {id(value) for value in call.values}
        report.expect(fates.keys() <= own, f"{call.operation}: leftovers are not the caller's own")
        processed = response["ProcessedCount"]
        report.entries["processed"] += processed
        report.expect(
            processed + len(fates) == len(call.values),
            f"{call.operation}: {processed} + {len(fates)} of {len(call.values)} accounted for",
        )
        report.expect(
            response["UnprocessedCount"] == len(response["UnprocessedItems"]),
            f"{call.operation}: UnprocessedCount is not how many there are",
        )
        last = {value["pk"]: value for value in call.values}
        for value in call.values:
            fate = fates.get(id(value), "processed")
            key = value["pk"]
            new = last[key] if call.operation == "put" else None
            allowed = {
                "processed": [new],
                "unprocessed": [before.get(key)],
                "rejected": [before.get(key)],
                "unknown": [before.get(key), new],
            }[fate]
            report.expect(
                after.get(key) in allowed,
                f"{call.operation} {key}: {fate}, but the table holds {after.get(key)}",
            )


def _compare_reads(call: _Call, held: Contents, report: SoakReport) -> None:
    response = call.response
    found = {item["pk"]: item for item in response["Items"]}
    missing = [key["pk"] for key in response["MissingKeys"]]
    left = [key["pk"] for key in response["UnprocessedKeys"]]
    rejected = [one["item"]["pk"] for one in response.get("RejectedKeys", [])]
    report.entries.update(
        {"found": len(found), "missing": len(missing), "left": len(left), "rejected": len(rejected)}
    )
    report.expect(response["Count"] == len(response["Items"]) == len(found), "get: Count is wrong")
    report.expect(
        sorted([*found, *missing, *left, *rejected]) == sorted({v["pk"] for v in call.values}),
        "get: keys are lost or counted twice",
    )
    for key, item in found.items():
        report.expect(held.get(key) == item, f"get {key}: found what the table does not hold")
    for key in missing:
        report.expect(key not in held, f"get {key}: missing, but the table holds it")
