"""A call that is cut off at any step whatever: nothing of it is left, and the client goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiobatch import BatchError, ClientClosed, DynamoDB, Put, Retry
from aiobatch.testing import FakeWire, Fault

CONCURRENCY = 2
ITEMS = [{"pk": f"{n:03}"} for n in range(130)]
# Steps of the loop, more than any of the calls takes.
STEPS = 600


def trouble(wire: FakeWire) -> None:
    """A refusal, leftovers, a dropped connection, an entry at fault: every kind of wait."""
    wire.always(Fault.latency(0.002))
    wire.always(
        Fault.validation(), operation="BatchWriteItem", entry=lambda e: e.value["pk"]["S"] == "007"
    )
    wire.script(
        [Fault.throttle(), Fault.partial(0.5), Fault.hang_up_after(), Fault.internal_error()] * 2
    )


async def nothing_is_left(db: DynamoDB, wire: FakeWire) -> None:
    """No task, no request, no waiter, no slot; and the next call is whole."""
    # The coroutine of the backoff ends a turn after its last waiter.
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert wire.in_flight == 0
    engine = await db._engine()
    assert not engine.backoff._queue
    wire.clear()
    wire.always(Fault.latency(0.002))
    wire.peak_in_flight = 0
    answer = await db.batch_get_item([{"pk": str(n)} for n in range(500)], "other")
    assert len(answer["MissingKeys"]) == 500
    assert wire.peak_in_flight == CONCURRENCY


async def one_step() -> None:
    """Let the loop run what is ready, or go on to what is due next if nothing is."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0)
    if not loop._ready:
        due = [timer.when() for timer in loop._scheduled if not timer.cancelled()]
        if due:
            await asyncio.sleep(max(0.0, min(due) - loop.time()))


Calls = dict[str, Callable[[DynamoDB], Awaitable[Any]]]
RETRY = Retry(max_retries=3, base_delay=0.01)
CALLS: Calls = {
    "put": lambda db: db.batch_write_item(ITEMS, "users", retry=RETRY),
    "get": lambda db: db.batch_get_item(ITEMS * 3, "users", retry=RETRY),
    "tables": lambda db: db.batch_write(
        {"users": [Put(item) for item in ITEMS[:70]], "other": [Put(item) for item in ITEMS[:70]]},
        retry=RETRY,
    ),
    "save": lambda db: db.save(ITEMS[0], "users", fail_if_exists=True, retry=RETRY),
}


@pytest.mark.looptime(noop_cycles=0)
@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("ceiling", [None, 300.0])
async def test_cancelled_at_any_step(kind: str, ceiling: float | None) -> None:
    ended_by_itself = 0
    for step in range(STEPS):
        wire = FakeWire({"users": ("pk",), "other": ("pk",)})
        trouble(wire)
        async with DynamoDB(wire=wire, max_concurrency=CONCURRENCY, max_write_units=ceiling) as db:
            task = asyncio.ensure_future(CALLS[kind](db))
            for _ in range(step):
                await one_step()
                if task.done():
                    break
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, asyncio.CancelledError):
                ended_by_itself += 1
                assert isinstance(outcome, dict | BatchError)
            await nothing_is_left(db, wire)
        if ended_by_itself > 2:
            break
    assert ended_by_itself, "STEPS are too few to see the end of the call"


@pytest.mark.looptime(noop_cycles=0)
@pytest.mark.parametrize("kind", ["put", "get"])
@pytest.mark.parametrize("how", ["timeout", "aclose"])
async def test_cut_off_at_any_moment_with_its_account(kind: str, how: str) -> None:
    for millisecond in range(0, 130, 2):
        wire = FakeWire({"users": ("pk",), "other": ("pk",)})
        trouble(wire)
        at = millisecond / 1000
        db = DynamoDB(wire=wire, max_concurrency=CONCURRENCY, key_names={"users": ("pk",)})
        settings: dict[str, Any] = {"retry": RETRY}
        if how == "timeout":
            settings["timeout"] = at
        call = (
            db.batch_write_item(ITEMS, "users", **settings)
            if kind == "put"
            else db.batch_get_item(ITEMS, "users", **settings)
        )
        task = asyncio.ensure_future(call)
        if how == "aclose":
            await asyncio.sleep(at)
            await db.aclose()
            assert task.done()
        outcome: Any = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(outcome, BatchError | ClientClosed):
            answer: Any = outcome.response
        else:
            assert isinstance(outcome, dict)
            answer = outcome
        if answer is None:
            assert millisecond == 0, "closed before it began"
        elif kind == "put":
            ended = answer["UnprocessedItems"] + answer.get("UnknownItems", [])
            ended += [one["item"] for one in answer.get("RejectedItems", [])]
            assert answer["ProcessedCount"] + len(ended) == len(ITEMS)
            stored = {item["pk"] for item in wire.items("users")}
            left = {item["pk"] for item in answer["UnprocessedItems"]}
            assert not left & stored, "said to be unprocessed, and is there"
            known = {item["pk"] for item in ITEMS} - {item["pk"] for item in ended}
            assert known <= stored, "said to be processed, and is not there"
        else:
            count = answer["Count"] + len(answer["MissingKeys"]) + len(answer["UnprocessedKeys"])
            assert count == len(ITEMS)
        requests = len(wire.requests)
        if how == "timeout":
            await nothing_is_left(db, wire)
            await db.aclose()
        else:
            await asyncio.sleep(5.0)
            assert len(wire.requests) == requests, "sent after the client was closed"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert wire.in_flight == 0
