"""``batch_writer`` over a fake DynamoDB, on virtual time."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from random import Random
from typing import Any

import orjson
import pytest

from aiobatch import (
    BatchError,
    BatchWriter,
    ClientClosed,
    DynamoDB,
    InvalidItem,
    KeyNamesUnknown,
    Retry,
    ServiceError,
    TableNotFound,
    Throttled,
)
from aiobatch.streams.stream import end
from aiobatch.testing import Entry, FakeWire, Fault
from tests.streams.checks import assert_adds_up, assert_ended, held, sizes

pytestmark = pytest.mark.looptime

WRITE = "BatchWriteItem"


def item(number: int, version: int = 0) -> dict[str, Any]:
    return {"pk": f"key-{number}", "version": version}


def key(number: int) -> dict[str, str]:
    return {"pk": f"key-{number}"}


def is_key(number: int) -> Any:
    def matches(entry: Entry) -> bool:
        return bool(entry.value["pk"] == {"S": f"key-{number}"})

    return matches


def written(wire: FakeWire) -> list[list[tuple[str, str, int | None]]]:
    """Each request's operations: which, on which key, with which version."""
    requests = []
    for request in wire.requests:
        if request.operation != WRITE:
            continue
        operations = []
        for one in orjson.loads(request.body or b"")["RequestItems"]["things"]:
            [(name, inner)] = one.items()
            attributes = inner["Item" if name == "PutRequest" else "Key"]
            version = attributes.get("version")
            operations.append(
                (name[:3].lower(), attributes["pk"]["S"], int(version["N"]) if version else None)
            )
        requests.append(operations)
    return requests


# --- requests ---


async def test_single_puts_leave_in_full_requests(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(0.01))
    async with db.batch_writer("things") as writer:
        for number in range(1010):
            await writer.put(item(number))
            if number % 7 == 0:
                assert_adds_up(writer.report)
    assert sizes(wire) == [25] * 40 + [10]
    assert_ended(writer.report)
    assert writer.report.processed == 1010
    assert len(held(wire)) == 1010
    assert writer.report.metrics["requests"] == 41


async def test_puts_and_deletes_share_requests(db: DynamoDB, wire: FakeWire) -> None:
    wire.put("things", [item(number) for number in range(100, 110)])
    async with db.batch_writer("things") as writer:
        for number in range(15):
            await writer.put(item(number))
        for number in range(100, 110):
            await writer.delete(key(number))
    assert sizes(wire) == [25]
    assert held(wire) == {f"key-{number}": item(number) for number in range(15)}


async def test_leftovers_are_repacked_with_fresh_ones(db: DynamoDB, wire: FakeWire) -> None:
    wire.script([Fault.partial(0.4)] * 4, operation=WRITE)
    wire.always(Fault.latency(0.5))
    async with db.batch_writer("things", max_wait=10.0) as writer:
        for number in range(1000):
            await writer.put(item(number))
    left = 1000 + sum(request.refused for request in wire.requests)
    assert sum(sizes(wire)) == left
    assert [size for size in sizes(wire)[:-2] if size != 25] == []
    assert len(held(wire)) == 1000


async def test_a_slow_trickle_is_not_kept(db: DynamoDB, wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    async with db.batch_writer("things", max_wait=0.2) as writer:
        began = loop.time()
        for number in range(10):
            await writer.put(item(number))
            await asyncio.sleep(0.15)
        # Each request left when its first write had waited for 0.2 s.
        at = [request.arrived_at - began for request in wire.requests]
        assert at == pytest.approx([0.2, 0.5, 0.8, 1.1, 1.4], abs=0.02)
        assert sizes(wire) == [2] * 5
    assert len(held(wire)) == 10


async def test_a_timer_of_what_has_left_hurries_nobody(db: DynamoDB, wire: FakeWire) -> None:
    async with db.batch_writer("things", max_wait=1.0) as writer:
        for number in range(24):
            await writer.put(item(number))
        await asyncio.sleep(0.9)
        for number in range(24, 30):
            await writer.put(item(number))
        await asyncio.sleep(0.5)
        assert sizes(wire) == [25]
        await asyncio.sleep(0.6)
        assert sizes(wire) == [25, 5]


async def test_flush(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    async with db.batch_writer("things", max_wait=60.0) as writer:
        await writer.flush()
        for number in range(30):
            await writer.put(item(number))
        await writer.flush()
        assert writer.report.processed == 30
        assert writer.report.pending == 0
        await writer.put(item(30))
        assert writer.report.pending == 1
        await writer.flush()
        assert writer.report.processed == 31
    assert sizes(wire) == [25, 5, 1]


async def test_back_pressure(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    most = 0
    async with db.batch_writer("things", max_pending=60) as writer:
        for number in range(1000):
            await writer.put(item(number))
            most = max(most, writer.report.pending)
    assert most == 60
    assert len(held(wire)) == 1000


async def test_bytes_are_bounded_too(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    most = 0
    async with db.batch_writer("things", max_wait=3600.0) as writer:
        for number in range(300):
            await writer.put({**item(number), "blob": "x" * 390_000})
            most = max(most, writer.report.pending)
    assert most <= 64 * 1024 * 1024 // 390_000
    assert writer.report.processed == 300


async def test_a_room_smaller_than_a_request(db: DynamoDB, wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with db.batch_writer("things", max_pending=3, max_wait=3600.0) as writer:
        for number in range(10):
            await writer.put(item(number))
    assert sizes(wire) == [3, 3, 3, 1]
    assert loop.time() - began < 1.0


async def test_a_small_room_that_many_wait_for(db: DynamoDB, wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with (
        db.batch_writer("things", max_pending=10, max_wait=3600.0) as writer,
        asyncio.TaskGroup() as group,
    ):
        for number in range(40):
            group.create_task(writer.put(item(number)))
    assert sizes(wire) == [10] * 4
    assert loop.time() - began < 1.0


async def test_a_stream_takes_one_calls_turns(db: DynamoDB, wire: FakeWire) -> None:
    """Ten keys do not stand behind a load, whatever it has in hand."""
    wire.always(Fault.latency(0.1))
    async with db.batch_writer("things") as writer:
        loading = asyncio.create_task(_put_all(writer, range(5000)))
        await asyncio.sleep(0.35)
        before = len(wire.requests)
        await db.batch_get_item([key(0)], "things")
        # It waited for one slot: a round of requests, not for those that were waiting.
        assert len(wire.requests) - before <= 2 * 16 + 1
        await loading
    assert writer.report.processed == 5000


async def _put_all(writer: BatchWriter, numbers: Iterable[int]) -> None:
    for number in numbers:
        await writer.put(item(number))


async def _fill(writer: BatchWriter, numbers: Iterable[int]) -> None:
    async with writer:
        await _put_all(writer, numbers)


# --- shared ---


async def test_fifty_tasks_lose_nothing(db: DynamoDB, wire: FakeWire) -> None:
    random = Random(1)
    wire.randomly({Fault.latency(0.05): 0.3, Fault.partial(0.3): 0.2, Fault.reset_after(): 0.05})

    async def work(worker: int) -> None:
        for number in range(200):
            await writer.put(item(worker * 1000 + number, worker))
            if random.random() < 0.1:
                await asyncio.sleep(random.random())

    async with db.batch_writer("things") as writer, asyncio.TaskGroup() as group:
        for worker in range(50):
            group.create_task(work(worker))
    assert_ended(writer.report)
    assert writer.report.processed == 10_000
    assert held(wire) == {
        f"key-{worker * 1000 + number}": item(worker * 1000 + number, worker)
        for worker in range(50)
        for number in range(200)
    }


async def test_a_cancelled_put_takes_nothing(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    async with db.batch_writer("things", max_pending=25) as writer:
        puts = [asyncio.create_task(writer.put(item(number))) for number in range(100)]
        await asyncio.sleep(0.5)
        done = {number for number, put in enumerate(puts) if put.done()}
        assert len(done) == 25
        for put in puts[:50]:
            put.cancel()
        await asyncio.gather(*puts, return_exceptions=True)
    kept = done | {number for number in range(100) if number >= 50}
    assert held(wire).keys() == {f"key-{number}" for number in kept}
    assert writer.report.accepted == len(kept)
    assert_ended(writer.report)


# --- order per key ---


@pytest.mark.parametrize("seed", range(8))
async def test_the_last_write_of_a_key_wins(db: DynamoDB, seed: int) -> None:
    """Over many flushes, with leftovers, lost and late answers; never two at once."""
    random = Random(seed)
    wire = _WatchingWire({"things": ("pk",)}, seed=seed)
    wire.randomly(
        {Fault.partial(0.4): 0.2, Fault.hot_key_range(): 0.1, Fault.reset_after(): 0.1}, seed=seed
    )
    wire.randomly({Fault.latency(0.05): 0.3, Fault.latency(0.3): 0.2}, seed=seed + 1)
    last: dict[str, dict[str, Any] | None] = {}
    async with (
        DynamoDB(wire=wire, key_names={"things": ("pk",)}) as db,
        db.batch_writer("things", max_pending=random.choice((7, 60, None))) as writer,
    ):
        for version in range(3000):
            number = int(random.paretovariate(0.5)) % 200
            if random.random() < 0.3:
                await writer.delete(key(number))
                last[f"key-{number}"] = None
            else:
                await writer.put(item(number, version))
                last[f"key-{number}"] = item(number, version)
            if random.random() < 0.02:
                await asyncio.sleep(random.random() * 0.3)
            assert_adds_up(writer.report)
    assert held(wire) == {pk: value for pk, value in last.items() if value is not None}
    assert_ended(writer.report)
    assert writer.report.processed == 3000
    assert wire.at_once == 1


class _WatchingWire(FakeWire):
    """Sees how many requests with one key are under way at once."""

    at_once = 0

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._keys: dict[str, int] = {}

    async def send(self, request: Any) -> bytes:
        operations = orjson.loads(request.body)["RequestItems"]["things"]
        keys = [next(iter(next(iter(one.values())).values()))["pk"]["S"] for one in operations]
        assert len(set(keys)) == len(keys)
        for one in keys:
            self._keys[one] = self._keys.get(one, 0) + 1
            self.at_once = max(self.at_once, self._keys[one])
        try:
            return await super().send(request)
        finally:
            for one in keys:
                self._keys[one] -= 1


async def test_a_write_waits_for_the_one_under_way(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    async with db.batch_writer("things", max_wait=0.0) as writer:
        await writer.put(item(1, 1))
        await asyncio.sleep(0.5)
        # Of these the last wins; the others share its fate.
        await writer.put(item(1, 2))
        await writer.delete(key(1))
        await writer.put(item(1, 3))
        assert writer.report.pending == 4
        assert len(wire.requests) == 1
    assert written(wire) == [[("put", "key-1", 1)], [("put", "key-1", 3)]]
    assert writer.report.processed == 4
    assert wire.requests[1].arrived_at >= (wire.requests[0].answered_at or 0.0)


@pytest.mark.parametrize("others", range(23, 28))
async def test_a_write_that_had_to_wait_is_not_left_behind_by_full_requests(
    others: int, wire: FakeWire
) -> None:
    """It joins what waits for the only slot, whose full requests may leave it as the last one."""
    wire.always(Fault.latency(1.0))
    async with (
        DynamoDB(wire=wire, key_names={"things": ("pk",)}, max_concurrency=1) as db,
        db.batch_writer("things", max_wait=0.25, max_pending=100) as writer,
        asyncio.timeout(60),
    ):
        for number in range(25):
            await writer.put(item(number))
        await asyncio.sleep(0.1)
        for number in range(25, 25 + others):
            await writer.put(item(number))
        # The timer of those is over before the first request is.
        await asyncio.sleep(0.5)
        await writer.put(item(0, 1))
        await writer.flush()
        assert writer.report.processed == 26 + others


async def test_a_write_replaces_one_that_was_not_sent(db: DynamoDB, wire: FakeWire) -> None:
    async with db.batch_writer("things") as writer:
        await writer.put(item(1, 1))
        await writer.delete(key(1))
    assert written(wire) == [[("del", "key-1", None)]]
    assert writer.report.processed == 2


async def test_a_leftover_is_superseded_by_a_later_write(db: DynamoDB, wire: FakeWire) -> None:
    """It is not sent again, so that it can never be written after its successor."""
    wire.script([Fault.hot_key_range()])
    async with db.batch_writer(
        "things", max_wait=0.0, retry=Retry(max_retries=1, base_delay=1.0)
    ) as writer:
        await writer.put(item(1, 1))
        await asyncio.sleep(0.5)
        await writer.put(item(1, 2))
    assert written(wire) == [[("put", "key-1", 1)], [("put", "key-1", 2)]]
    assert writer.report.processed == 2


async def test_a_successor_has_a_whole_budget(db: DynamoDB, wire: FakeWire) -> None:
    wire.script([Fault.hot_key_range()] * 2)
    async with db.batch_writer(
        "things", max_wait=0.0, retry=Retry(max_retries=1, base_delay=1.0)
    ) as writer:
        await writer.put(item(1, 1))
        await asyncio.sleep(0.5)
        await writer.put(item(1, 2))
    assert len(wire.requests) == 3
    assert writer.report.processed == 2


async def test_a_write_that_waited_for_one_in_doubt_stays_in_doubt(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.latency(1.0))
    wire.script([Fault.truncated(), Fault.hot_key_range()])
    writer = db.batch_writer("things", max_wait=0.0, retry=Retry(max_retries=0))

    async def work() -> None:
        async with writer:
            await writer.put(item(1, 1))
            await asyncio.sleep(0.5)
            await writer.put(item(1, 2))

    with pytest.raises(BatchError):
        await work()
    assert held(wire) == {"key-1": item(1, 1)}
    assert writer.report.unknown == 2
    assert writer.report.unknown_items == [item(1, 2)]


async def test_what_was_given_up_is_superseded_too(db: DynamoDB, wire: FakeWire) -> None:
    """Else it would be among the leftovers, and overwrite its successor when passed back."""
    wire.script([Fault.hot_key_range(), Fault.internal_error(), Fault.none()])
    async with db.batch_writer("things", max_wait=0.0, retry=Retry(max_retries=0)) as writer:
        await writer.put(item(1, 1))
        await asyncio.sleep(0.5)
        assert writer.report.unprocessed_items == [item(1, 1)]
        await writer.put(item(1, 2))
        assert (writer.report.pending, writer.report.unprocessed) == (2, 0)
        await asyncio.sleep(0.5)
        assert writer.report.unknown == 2
        assert writer.report.unknown_items == [item(1, 2)]
        await writer.put(item(1, 3))
    assert writer.report.processed == 3
    assert held(wire) == {"key-1": item(1, 3)}


async def test_an_unknown_write_stays_in_doubt_under_its_successor(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.script([Fault.reset_after(), Fault.reset_after(), Fault.hot_key_range()])
    writer = db.batch_writer("things", max_wait=0.0, retry=Retry(max_retries=0))

    async def work() -> None:
        async with writer:
            await writer.put(item(1, 1))
            await writer.flush()
            await writer.put(item(1, 2))

    with pytest.raises(BatchError):
        await work()
    # The second was refused, but the first may be what the table holds.
    assert writer.report.unknown == 2
    assert writer.report.unknown_items == [item(1, 2)]
    assert held(wire) == {"key-1": item(1, 1)}


# --- errors ---


async def test_an_item_that_is_none_harms_its_caller_alone(db: DynamoDB, wire: FakeWire) -> None:
    async with db.batch_writer("things") as writer:
        await writer.put(item(1))
        for wrong in ({"pk": "a", "n": float("nan")}, {"other": 1}, "text", {"pk": ""}):
            with pytest.raises(InvalidItem) as caught:
                await writer.put(wrong)
            assert caught.value.index is None
        with pytest.raises(InvalidItem, match="key"):
            await writer.delete({"pk": "a", "more": 1})
        await writer.put(item(2))
    assert held(wire).keys() == {"key-1", "key-2"}
    assert writer.report.accepted == 2


async def test_rejected_items_raise_at_the_end(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.validation(), operation=WRITE, entry=is_key(7))
    writer = db.batch_writer("things")
    with pytest.raises(BatchError) as caught:
        await _fill(writer, range(100))
    [rejected] = caught.value.response["RejectedItems"]
    assert rejected["item"] == item(7)
    assert rejected["index"] == 7
    assert caught.value.response["ProcessedCount"] == 99
    assert "key-7" not in str(caught.value)
    assert_ended(writer.report)


async def test_leftovers_raise_at_the_end(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.partial(entry=is_key(3)), operation=WRITE)

    async def work() -> None:
        async with db.batch_writer("things", retry=Retry(max_retries=2)) as writer:
            await _put_all(writer, range(30))
            await writer.delete(key(3))

    with pytest.raises(BatchError) as caught:
        await work()
    assert caught.value.response["ProcessedCount"] == 29
    # Two writes of one key; the last stands for both.
    assert caught.value.response["UnprocessedCount"] == 2
    assert caught.value.response["UnprocessedItems"] == []
    assert caught.value.response["UnprocessedKeys"] == [key(3)]


async def test_what_was_taken_is_not_held_against_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.partial(entry=is_key(3)), operation=WRITE)
    async with db.batch_writer("things", retry=Retry(max_retries=0)) as writer:
        for number in range(30):
            await writer.put(item(number))
        await writer.flush()
        assert writer.report.take()["UnprocessedItems"] == [item(3)]
    assert writer.report.unprocessed == 1
    assert writer.report.unprocessed_items == []
    assert_ended(writer.report)


async def test_a_missing_table_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.table_not_found())
    writer = db.batch_writer("things")
    with pytest.raises(BatchError) as caught:
        await _fill(writer, range(100_000))
    assert isinstance(caught.value.cause, TableNotFound)
    assert writer.report.unprocessed == writer.report.accepted < 2000
    assert_ended(writer.report)


async def test_a_stall_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.throttle())
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer = db.batch_writer("things")
    with pytest.raises(BatchError) as caught:
        await _fill(writer, range(100_000))
    assert isinstance(caught.value.cause, Throttled)
    # The pace is down to one write a second by now: the last request waits for its turn.
    assert 270 <= loop.time() - began <= 400
    assert writer.report.unprocessed == writer.report.accepted < 1000
    assert_ended(writer.report)


async def test_an_idle_writer_does_not_stall(db: DynamoDB, wire: FakeWire) -> None:
    async with db.batch_writer("things") as writer:
        await writer.put(item(1))
        await asyncio.sleep(1000)
        wire.script([Fault.throttle()] * 3)
        await writer.put(item(2))
    assert writer.report.processed == 2


async def test_closing_the_client_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.silence())
    writer = db.batch_writer("things", max_pending=50)

    async def work() -> None:
        async with writer:
            await _put_all(writer, range(50))
            waiting = asyncio.create_task(writer.put(item(50)))
            await asyncio.sleep(0.1)
            await db.aclose()
            with pytest.raises(ClientClosed):
                await waiting
            await writer.put(item(51))

    with pytest.raises(ClientClosed) as caught:
        await work()
    assert caught.value.response is not None
    assert writer.report.unknown == 50
    assert_ended(writer.report)
    with pytest.raises(ClientClosed):
        async with db.batch_writer("things"):
            pass


# --- the end of the block ---


class _Own(Exception):
    pass


@pytest.mark.parametrize("puts", [0, 3, 25, 60, 700])
async def test_a_block_that_raised_flushes_nothing_more(
    db: DynamoDB, wire: FakeWire, puts: int
) -> None:
    wire.always(Fault.latency(0.1))
    writer = db.batch_writer("things")
    sent = 0

    async def work() -> None:
        nonlocal sent
        async with writer:
            await _put_all(writer, range(puts))
            await asyncio.sleep(0.05)
            sent = len(wire.requests)
            raise _Own

    with pytest.raises(_Own):
        await work()
    assert len(wire.requests) == sent
    # What was under way still got its answer: nothing is in doubt.
    assert_ended(writer.report)
    assert writer.report.accepted == puts
    assert writer.report.unknown == 0
    assert writer.report.processed == len(held(wire)) == sum(sizes(wire))
    left = {one["pk"] for one in writer.report.unprocessed_items}
    assert left == {f"key-{number}" for number in range(puts)} - held(wire).keys()
    assert wire.in_flight == 0


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15, 0.25, 0.35, 1.0])
@pytest.mark.parametrize("where", ["putting", "leaving"])
async def test_a_cancelled_block_leaves_nothing_behind(
    db: DynamoDB, wire: FakeWire, delay: float, where: str
) -> None:
    wire.always(Fault.latency(0.1))
    wire.randomly({Fault.partial(0.5): 0.5})
    writers = []

    async def work() -> None:
        async with db.batch_writer("things", max_pending=100) as writer:
            writers.append(writer)
            for number in range(500 if where == "putting" else 90):
                await writer.put(item(number))

    before = asyncio.all_tasks()
    task = asyncio.create_task(work())
    await asyncio.sleep(delay)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await task
    sent = len(wire.requests)
    await asyncio.sleep(100)
    assert len(wire.requests) == sent
    assert asyncio.all_tasks() <= before
    assert wire.in_flight == 0
    for writer in writers:
        report = writer.report
        assert_ended(report)
        sure = {one["pk"] for one in report.unprocessed_items}
        assert not sure & held(wire).keys()
        unknown = {one["pk"] for one in report.unknown_items}
        assert report.processed <= len(held(wire)) <= report.processed + len(unknown)


async def test_outside_of_its_block(db: DynamoDB, wire: FakeWire) -> None:
    writer = db.batch_writer("things")
    with pytest.raises(RuntimeError, match="not entered"):
        await writer.put(item(1))
    async with writer:
        pass
    for late in (writer.put(item(1)), writer.delete(key(1)), writer.flush()):
        with pytest.raises(RuntimeError, match="left"):
            await late
    with pytest.raises(RuntimeError, match="before"):
        async with writer:
            pass
    assert wire.requests == []


async def test_a_put_that_waits_when_the_block_is_left(db: DynamoDB, wire: FakeWire) -> None:
    """It is told so: nothing is lost without a word."""
    wire.always(Fault.latency(1.0))
    async with db.batch_writer("things", max_pending=25) as writer:
        puts = [asyncio.create_task(writer.put(item(number))) for number in range(40)]
        await asyncio.sleep(0.5)
    refused = [error for error in await asyncio.gather(*puts, return_exceptions=True) if error]
    assert len(refused) == 15
    assert all(isinstance(error, RuntimeError) for error in refused)
    assert len(held(wire)) == 25


# --- key names ---


async def test_key_names_are_learnt_once(wire: FakeWire) -> None:
    async with (
        DynamoDB(wire=wire) as db,
        db.batch_writer("things") as writer,
        asyncio.TaskGroup() as group,
    ):
        for number in range(10):
            group.create_task(writer.put(item(number)))
        group.create_task(writer.delete(key(99)))
    operations = [request.operation for request in wire.requests]
    assert operations == ["DescribeTable", WRITE]


async def test_without_key_names_nothing_is_put(wire: FakeWire) -> None:
    wire.always(Fault.access_denied(), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db, db.batch_writer("things") as writer:
        with pytest.raises(KeyNamesUnknown):
            await writer.put(item(1))
        assert writer.report.accepted == 0
        # A delete tells them itself.
        await writer.delete(key(1))
        await writer.put(item(1, 5))
    assert written(wire) == [[("put", "key-1", 5)]]


async def test_describe_fails(wire: FakeWire) -> None:
    wire.always(Fault.table_not_found(), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db, db.batch_writer("things") as writer:
        with pytest.raises(ServiceError):
            await writer.put(item(1))


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"max_pending": 0}, ValueError),
        ({"max_pending": True}, ValueError),
        ({"max_wait": -1}, ValueError),
        ({"retry": 5}, TypeError),
    ],
)
async def test_settings_that_cannot_be_right(
    db: DynamoDB, settings: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        db.batch_writer("things", **settings)
    with pytest.raises(error):
        db.iter_get([], "things", **settings)


async def test_a_write_that_comes_while_an_answer_is_being_read_is_written(
    wire: FakeWire, db: DynamoDB
) -> None:
    """The key has ended in the ledger, and its request is not over yet: it cannot be replaced."""
    async with db.batch_writer("things", max_wait=0.0) as writer:
        await writer.delete(key(1))
        call = writer._call
        assert call is not None
        [entry] = writer._in_hand.values()
        while call.ledger.is_pending(entry.place):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not call.ledger.is_in_flight(entry.place)
        assert writer._in_hand
        await writer.put(item(1, 7))
    assert written(wire) == [[("del", "key-1", None)], [("put", "key-1", 7)]]
    assert held(wire) == {"key-1": item(1, 7)}
    assert writer.report.processed == 2


# --- what ends while others wait ---


async def test_two_that_wait_for_room_with_one_key_are_one_write(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.latency(1.0))
    async with db.batch_writer("things", max_pending=2, max_wait=0.0) as writer:
        await writer.put(item(1))
        await writer.put(item(2))
        # Both wait; the first that gets room takes the key in hand, the second joins it.
        waiting = [asyncio.create_task(writer.put(item(3, version))) for version in (1, 2)]
        await asyncio.gather(*waiting)
        await writer.put(item(4))
    assert held(wire)["key-3"] == item(3, 2)
    assert len(held(wire)) == 4
    assert writer.report.processed == 5
    assert_ended(writer.report)


async def test_key_names_are_learnt_once_by_tasks_that_begin_together(wire: FakeWire) -> None:
    wire.always(Fault.latency(0.5), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db, db.batch_writer("things") as writer:
        await asyncio.gather(*[writer.put(item(number)) for number in range(10)])
    operations = [request.operation for request in wire.requests]
    assert operations == ["DescribeTable", WRITE]
    assert writer.report.processed == 10


async def test_a_flush_of_a_writer_that_ended_tells_so(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.table_not_found())
    writer = db.batch_writer("things")

    async def work() -> None:
        async with writer:
            await writer.put(item(1))
            with pytest.raises(BatchError) as flushed:
                await writer.flush()
            assert isinstance(flushed.value.cause, TableNotFound)
            assert flushed.value.response["UnprocessedItems"] == [item(1)]

    with pytest.raises(BatchError):
        await work()
    assert_ended(writer.report)


@pytest.mark.parametrize(
    ("fault", "left", "items"),
    [
        # The first may have been written; the later one, which never left, is what is left.
        (Fault.truncated(), "unknown", "UnknownItems"),
        (Fault.access_denied(), "unprocessed", "UnprocessedItems"),
        (Fault.none(), "unprocessed", "UnprocessedItems"),
    ],
    ids=str,
)
async def test_a_write_that_waited_ends_with_its_writer(
    fault: Fault, left: str, items: str, db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.latency(1.0))
    wire.script([fault], entry=is_key(1))
    wire.script([Fault.access_denied()], entry=is_key(2))
    writer = db.batch_writer("things", max_wait=0.0, retry=Retry(max_retries=0))

    async def work() -> None:
        async with writer:
            # What ends the whole stream, just before the other one lands.
            await writer.put(item(2))
            await asyncio.sleep(0.4)
            await writer.put(item(1, 1))
            await asyncio.sleep(0.1)
            await writer.put(item(1, 2))
            await asyncio.sleep(10)

    with pytest.raises(BatchError) as caught:
        await work()
    assert getattr(writer.report, left) >= 2
    assert item(1, 2) in caught.value.response[items]
    assert item(1, 1) not in caught.value.response[items]
    assert_ended(writer.report)


async def test_a_writer_whose_table_lets_nothing_through_ends(db: DynamoDB, wire: FakeWire) -> None:
    """What was taken and never sent ends with the stall, too."""
    wire.always(Fault.throttle())
    loop = asyncio.get_running_loop()
    began = loop.time()
    retry = Retry(max_retries=1000, base_delay=60.0, max_delay=60.0, max_stall=100.0)
    writer = db.batch_writer("things", retry=retry)
    with pytest.raises(BatchError) as caught:
        await _fill(writer, range(1000))
    assert isinstance(caught.value.cause, Throttled)
    assert loop.time() - began <= 200
    assert writer.report.unprocessed == writer.report.accepted
    assert held(wire) == {}
    assert_ended(writer.report)


async def test_requests_are_bounded_by_their_bytes(db: DynamoDB, wire: FakeWire) -> None:
    """A control character takes six bytes in JSON: 25 large items may be more than 16 MB."""
    large = "\0" * 390_000
    async with db.batch_writer("things") as writer:
        for number in range(12):
            await writer.put({**key(number), "a": large})
    assert len(held(wire)) == 12
    assert sum(sizes(wire)) == 12
    assert max(len(request.body or b"") for request in wire.requests) <= 16 * 1024 * 1024
    assert max(sizes(wire)) == 7


class _NotOurs(BaseException):
    """Such as what ``pytest.fail()`` raises."""


async def test_what_is_no_exception_ends_it_as_it_is(
    db: DynamoDB, wire: FakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(_: object) -> bytes:
        raise _NotOurs

    monkeypatch.setattr(wire, "send", send)
    writer = db.batch_writer("things")

    async def work() -> None:
        async with writer:
            await writer.put(item(1))

    with pytest.raises(BaseExceptionGroup) as caught:
        await work()
    assert caught.group_contains(_NotOurs)
    assert writer.report.unknown_items == [item(1)]
    assert_ended(writer.report)


async def test_tasks_are_ended_even_if_the_waiting_is_cancelled() -> None:
    go_on = asyncio.Event()

    async def stubborn() -> None:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await go_on.wait()

    task = asyncio.create_task(stubborn())
    ending = asyncio.create_task(end([None, task]))
    await asyncio.sleep(1)
    ending.cancel()
    await asyncio.sleep(1)
    assert not ending.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.done()


async def test_a_stall_that_ends_at_the_pace_of_the_table_ends_it(
    db: DynamoDB, wire: FakeWire
) -> None:
    """Nothing is in flight then: all of it waits for its turn at a table that has slowed down."""
    wire.always(Fault.throttle())
    loop = asyncio.get_running_loop()
    began = loop.time()
    retry = Retry(max_retries=1000, base_delay=0.1, max_delay=0.1, max_stall=3.0)
    writer = db.batch_writer("things", retry=retry)
    with pytest.raises(BatchError) as caught:
        await _fill(writer, range(25))
    assert isinstance(caught.value.cause, Throttled)
    # No request makes the next one wait for longer than five seconds.
    assert 3.0 <= loop.time() - began <= 8.1
    assert writer.report.unprocessed == 25
    assert_ended(writer.report)


async def test_leftovers_that_are_due_after_the_end_stay_left(db: DynamoDB, wire: FakeWire) -> None:
    wire.script([Fault.hot_key_range()], entry=is_key(1))
    wire.script([Fault.late_answer(10.0)], entry=is_key(2))
    wire.script([Fault.hot_key_range()], entry=is_key(3))
    retry = Retry(max_retries=100, base_delay=0.9, max_delay=0.9, max_stall=1.5)
    writer = db.batch_writer("things", max_wait=0.0, retry=retry)

    async def work() -> None:
        async with writer:
            await writer.put(item(1))
            await asyncio.sleep(0.1)
            await writer.put(item(2))
            await asyncio.sleep(0.6)
            # Its next attempt would be too late: that ends the stream, before the first's is due.
            await writer.put(item(3))
            await asyncio.sleep(20)

    with pytest.raises(BatchError):
        await work()
    # What was in flight ended well, and nothing was sent after the end.
    assert held(wire) == {"key-2": item(2)}
    assert len(wire.requests) == 3
    assert writer.report.unprocessed_items == [item(3), item(1)]
    assert_ended(writer.report)
