"""The dispatcher over a fake DynamoDB, on virtual time: each rule of retries in one test."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Sequence
from typing import Any, Literal

import orjson
import pytest

from aiobatch import DynamoDB, Retry
from aiobatch.engine import dispatch
from aiobatch.engine.call import BatchCall
from aiobatch.engine.dispatch import Dispatcher, Turn, _settle_shares
from aiobatch.engine.ledger import Rejection, State
from aiobatch.engine.metrics import Meter
from aiobatch.engine.pressure import Governor
from aiobatch.errors import ServiceError, TableNotFound, Throttled, WireError
from aiobatch.events import (
    CallFinished,
    Event,
    RateChanged,
    RequestFailed,
    RequestFinished,
    RequestSent,
    RequestThrottled,
)
from aiobatch.testing import Entry, FakeWire, Fault
from aiobatch.wire.protocol import Request
from tests.engine.calls import delete_call, get_call, keys_of, put_call

pytestmark = pytest.mark.looptime

BATCH = "BatchWriteItem"


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire({"users": ("pk",)}, record_bodies=True)


async def run(wire: FakeWire, call: BatchCall, *, max_concurrency: int = 16) -> None:
    dispatcher = Dispatcher(wire, max_concurrency=max_concurrency)
    try:
        await dispatcher.run(call)
    finally:
        await dispatcher.aclose()


def counts(call: BatchCall) -> dict[State, int]:
    return {state: count for state, count in call.ledger.counts().items() if count}


def arrivals(wire: FakeWire) -> list[float]:
    first = wire.requests[0].arrived_at
    return [request.arrived_at - first for request in wire.requests]


async def test_the_default_schedule_is_exact(wire: FakeWire) -> None:
    wire.always(Fault.throttle())
    call = put_call("users", 1)
    await run(wire, call)
    due = [0.0, 0.1, 0.3, 0.7, 1.5, 3.1]
    # Each wait is rounded up to a tick of 10 ms, and the next begins when the answer is there.
    for n, (arrived, exact) in enumerate(zip(arrivals(wire), due, strict=True)):
        assert exact - 1e-6 <= arrived <= exact + 0.010 * n + 1e-6
    assert counts(call) == {State.UNPROCESSED: 1}
    assert not call.must_raise
    assert (call.meter.requests, call.meter.throttled, call.meter.retries) == (6, 6, 5)


async def test_a_call_of_one_request_needs_no_tasks(wire: FakeWire) -> None:
    one, two = put_call("users", 25), put_call("users", 26)
    ended: list[int] = []
    landed = one.landed

    def land(entries: Sequence[int]) -> None:
        ended.extend(entries)
        landed(entries)

    one.landed = land  # type: ignore[method-assign]
    await run(wire, one)
    await run(wire, two)
    assert counts(one) == {State.PROCESSED: 25}
    assert ended == list(range(25))
    assert one.pump is None
    assert two.pump is not None


async def test_no_retries_means_one_attempt(wire: FakeWire) -> None:
    wire.always(Fault.throttle())
    call = put_call("users", 30, Retry(max_retries=0))
    await run(wire, call)
    assert len(wire.requests) == 2
    assert counts(call) == {State.UNPROCESSED: 30}


async def test_leftovers_of_one_tick_are_repacked_into_full_requests(wire: FakeWire) -> None:
    wire.script([Fault.partial(0.5)] * 4, operation=BATCH)
    call = put_call("users", 100)
    await run(wire, call)
    sizes = [request.entries for request in wire.requests]
    assert sizes[:4] == [25] * 4
    left = 100 - len(wire.items("users")) if len(sizes) == 4 else sum(sizes[4:])
    assert sizes[4:] == [25] * (left // 25) + ([left % 25] if left % 25 else [])
    assert counts(call) == {State.PROCESSED: 100}


async def test_a_refund_costs_nothing_while_progress_is_made(wire: FakeWire) -> None:
    wire.script([Fault.partial(0.5)] * 4 + [Fault.none()], operation=BATCH)
    call = put_call("users", 25, Retry(max_retries=1, on_progress="refund"))
    await run(wire, call)
    assert counts(call) == {State.PROCESSED: 25}


@pytest.mark.parametrize("fault", [Fault.throttle(), Fault.internal_error()])
async def test_a_refund_is_for_progress_alone(wire: FakeWire, fault: Fault) -> None:
    wire.always(fault)
    call = get_call("users", 10, Retry(max_retries=1, on_progress="refund"))
    await run(wire, call)
    assert counts(call) == {State.UNPROCESSED: 10}
    assert len(wire.requests) == 2


async def test_a_spent_budget_returns_what_is_left(wire: FakeWire) -> None:
    wire.always(Fault.partial(0.5))
    call = put_call("users", 25, Retry(max_retries=2))
    await run(wire, call)
    left = counts(call)[State.UNPROCESSED]
    assert len(wire.items("users")) == 25 - left > 0
    assert len(wire.requests) == 3
    assert not call.must_raise


async def test_a_stall_ends_a_patient_call(wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    wire.always(Fault.throttle())
    began = loop.time()
    call = put_call("users", 25, Retry.patient())
    await run(wire, call)
    assert counts(call) == {State.UNPROCESSED: 25}
    # What waits for its turn when the time is over waits for five seconds at most.
    assert 280.0 <= loop.time() - began <= 306.0


async def test_a_stall_ends_a_long_call_whose_table_lets_nothing_through(wire: FakeWire) -> None:
    """What was never sent ends with it, instead of being tried at the slowest pace for hours."""
    loop = asyncio.get_running_loop()
    wire.always(Fault.throttle())
    began = loop.time()
    call = put_call("users", 10_000, Retry.patient())
    await run(wire, call)
    assert counts(call) == {State.UNPROCESSED: 10_000}
    assert 280.0 <= loop.time() - began <= 306.0
    assert not call.must_raise


async def test_progress_keeps_a_long_call_from_stalling(wire: FakeWire) -> None:
    wire.limit("users", write=10)
    call = put_call("users", 5_000, Retry.patient())
    await run(wire, call)
    assert counts(call) == {State.PROCESSED: 5_000}


async def test_a_budget_of_many_retries_ends_too(wire: FakeWire) -> None:
    call = put_call("users", 1, Retry(max_retries=70_000, base_delay=0.0))
    for _ in range(70_000):
        assert call.leave([0], now=0.0, draw=0.0, cause=None, progress=False)
    assert not call.leave([0], now=0.0, draw=0.0, cause=None, progress=False)
    assert counts(call) == {State.UNPROCESSED: 1}


@pytest.mark.parametrize(
    "fault", [Fault.internal_error(), Fault.unavailable(), Fault.truncated(), Fault.reset_after()]
)
async def test_a_write_without_a_clear_answer_is_unknown(wire: FakeWire, fault: Fault) -> None:
    wire.always(fault)
    call = put_call("users", 10, Retry(max_retries=1))
    await run(wire, call)
    assert counts(call) == {State.UNKNOWN: 10}
    assert call.must_raise
    assert isinstance(call.cause, ServiceError | WireError)


async def test_a_read_without_an_answer_is_unprocessed_and_an_error(wire: FakeWire) -> None:
    wire.always(Fault.internal_error())
    call = get_call("users", 10, Retry(max_retries=1))
    await run(wire, call)
    assert counts(call) == {State.UNPROCESSED: 10}
    assert call.must_raise


async def test_a_doubtful_write_that_then_succeeds_is_processed(wire: FakeWire) -> None:
    wire.script([Fault.truncated(), Fault.throttle(), Fault.none()], operation=BATCH)
    call = put_call("users", 10)
    await run(wire, call)
    assert counts(call) == {State.PROCESSED: 10}
    assert not call.must_raise


async def test_a_dropped_idle_connection_costs_no_retry(
    wire: FakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script([Fault.hang_up_before()], operation=BATCH)
    call = put_call("users", 10, Retry(max_retries=0))
    with caplog.at_level(logging.DEBUG, logger="aiobatch.engine"):
        await run(wire, call)
    # It is logged all the same.
    reason = "the connection was closed without an answer"
    assert caplog.messages == [f"{BATCH}: {reason}, sending it again"]
    assert counts(call) == {State.PROCESSED: 10}
    assert arrivals(wire) == [0.0, 0.0]


async def test_a_free_retry_that_is_refused_leaves_the_doubt(wire: FakeWire) -> None:
    wire.script([Fault.hang_up_after(), Fault.throttle()], operation=BATCH)
    call = put_call("users", 10, Retry(max_retries=0))
    await run(wire, call)
    assert counts(call) == {State.UNKNOWN: 10}
    assert call.must_raise
    # That is what is known of it.
    assert isinstance(call.cause, Throttled)


async def test_a_free_retry_that_leaves_some_over_leaves_their_doubt(wire: FakeWire) -> None:
    wire.script([Fault.hang_up_before(), Fault.partial(0.5)], operation=BATCH)
    call = put_call("users", 10, Retry(max_retries=0))
    await run(wire, call)
    assert counts(call) == {State.PROCESSED: 5, State.UNKNOWN: 5}


async def test_a_missing_table_stops_the_call_at_once(wire: FakeWire) -> None:
    call = put_call("nobody", 5_000)
    await run(wire, call, max_concurrency=2)
    assert len(wire.requests) <= 4
    assert counts(call) == {State.UNPROCESSED: 5_000}
    assert isinstance(call.cause, TableNotFound)


async def test_an_entry_at_fault_is_found_by_halving(wire: FakeWire) -> None:
    bad = {"0000007", "0000031"}

    def is_bad(entry: Entry) -> bool:
        return entry.value["pk"]["S"] in bad

    wire.always(Fault.validation("Item is no good"), entry=is_bad)
    call = put_call("users", 50)
    await run(wire, call)
    assert set(call.ledger.rejections) == {7, 31}
    assert call.ledger.rejections[7] == Rejection("ValidationException", "Item is no good")
    assert counts(call) == {State.PROCESSED: 48, State.REJECTED: 2}
    assert call.must_raise


async def test_a_request_that_is_wrong_itself_is_not_halved_to_the_end(wire: FakeWire) -> None:
    wire.always(Fault.validation("The request is no good"))
    call = get_call("users", 10_000)
    await run(wire, call, max_concurrency=1)
    assert counts(call) == {State.REJECTED: 3, State.UNPROCESSED: 9_997}
    assert isinstance(call.fatal, ServiceError)
    assert len(wire.requests) < 30


async def test_keys_learnt_are_forgotten_when_the_schema_says_otherwise(wire: FakeWire) -> None:
    dispatcher = Dispatcher(wire, max_concurrency=1)
    await dispatcher.run(get_call("users", 1))
    assert dispatcher.schemas.get("users") is not None
    wire.always(Fault.validation("The provided key element does not match the schema"))
    await dispatcher.run(get_call("users", 1))
    assert dispatcher.schemas.get("users") is None
    await dispatcher.aclose()


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.012, 0.104, 0.9])
async def test_a_cancelled_call_leaves_nothing_behind(wire: FakeWire, seconds: float) -> None:
    wire.always(Fault.latency(0.01))
    wire.randomly({Fault.throttle(): 0.3, Fault.partial(0.5): 0.4}, seed=3)
    dispatcher = Dispatcher(wire, max_concurrency=4)
    call = put_call("users", 1_000)
    task = asyncio.create_task(dispatcher.run(call))
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert sum(counts(call).values()) == 1_000
    stored = {item["pk"] for item in wire.items("users")}
    for entry in range(1_000):
        state = call.ledger.state(entry)
        assert state is State.UNKNOWN or (f"{entry:07}" in stored) == (state is State.PROCESSED)
    # The slots are free again: the client goes on.
    wire.clear()
    again = put_call("users", 1_000)
    await dispatcher.run(again)
    assert counts(again) == {State.PROCESSED: 1_000}
    await dispatcher.aclose()


async def test_an_error_that_is_not_ours_ends_the_call_with_its_account(wire: FakeWire) -> None:
    class Hooked(FakeWire):
        async def send(self, request: object) -> bytes:
            raise LookupError("in a hook of the caller's")

    call = put_call("users", 100)
    await run(Hooked({"users": ("pk",)}), call)
    assert isinstance(call.cause, LookupError)
    assert sum(counts(call).values()) == 100
    # Nobody knows whether it was before or after the request.
    call = put_call("users", 10)
    await run(Hooked({"users": ("pk",)}), call)
    assert counts(call) == {State.UNKNOWN: 10}


async def test_concurrency_is_bounded_over_all_calls(wire: FakeWire) -> None:
    wire.always(Fault.latency(0.01))
    dispatcher = Dispatcher(wire, max_concurrency=5)
    async with asyncio.TaskGroup() as group:
        for _ in range(7):
            group.create_task(dispatcher.run(get_call("users", 1_000)))
    assert wire.peak_in_flight == 5
    await dispatcher.aclose()


async def test_a_key_is_never_in_flight_twice(wire: FakeWire) -> None:
    wire.always(Fault.latency(0.01))
    wire.randomly({Fault.partial(0.5): 0.5, Fault.internal_error(): 0.2}, seed=5)
    call = delete_call("users", 500, Retry(max_retries=50))
    await run(wire, call)
    for request in wire.requests:
        body = request.body
        assert body is not None
        assert all(body.count(key) <= 1 for key in keys_of(500))
    assert counts(call) == {State.PROCESSED: 500}


async def test_a_call_that_is_over_is_gone_without_the_garbage_collector(wire: FakeWire) -> None:
    wire.script([Fault.partial(0.5)], operation=BATCH)
    gc.collect()
    gc.disable()
    try:
        call = put_call("users", 60)
        gone = weakref.ref(call)
        await run(wire, call)
        assert counts(call) == {State.PROCESSED: 60}
        del call
        # Else all that a call has read would stay until the collector comes by.
        assert gone() is None
    finally:
        gc.enable()


async def test_a_small_answer_to_a_projection_may_have_been_cut_by_size() -> None:
    """16 MB were read for it: leftovers go again at once, at no cost."""
    wire = FakeWire({"users": ("pk",)})
    wire.put("users", [{"pk": f"{n:03}", "v": "x" * 399_000} for n in range(100)])
    async with DynamoDB(wire=wire, retry=Retry(max_retries=0)) as db:
        began = asyncio.get_running_loop().time()
        answer = await db.batch_get_item(
            [{"pk": f"{n:03}"} for n in range(100)], "users", projection_expression="pk"
        )
        assert asyncio.get_running_loop().time() == pytest.approx(began, abs=0.001)
    assert answer["Count"] == 100
    assert answer["UnprocessedKeys"] == []
    assert "ConsumedCapacity" not in answer
    assert answer["Metrics"]["throttled"] == 0
    assert answer["Metrics"]["retries"] == 58
    # 42 fit into 16 MB.
    assert [request.entries for request in wire.requests] == [100, 42, 16]


async def test_a_small_answer_to_a_projection_that_read_little_was_not_cut() -> None:
    wire = FakeWire({"users": ("pk",)})
    wire.put("users", [{"pk": f"{n:03}", "v": "x" * 3_000} for n in range(100)])
    wire.script([Fault.partial(0.5)])
    async with DynamoDB(wire=wire, retry=Retry(max_retries=0)) as db:
        answer = await db.batch_get_item(
            [{"pk": f"{n:03}"} for n in range(100)], "users", projection_expression="pk"
        )
    assert len(answer["UnprocessedKeys"]) == 50


# ---------------------------------------------------------------------- what answers tell


class Answers:
    """A wire that gives these answers, one each, and the last one from then on."""

    max_concurrency = 16

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, int]] = []
        self.tables: list[str] = []
        self.bytes = 0

    async def send(self, request: Request) -> bytes:
        of = orjson.loads(request.body)["RequestItems"]
        self.asked.append({table: len(part["Keys"]) for table, part in of.items()})
        self.tables.append(request.table)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.bytes += len(request.body) + len(found)
        return found

    async def aclose(self) -> None:
        pass


def answer(
    found: dict[str, range], left: dict[str, range], capacity: Sequence[dict[str, Any]] = ()
) -> bytes:
    """An answer to a read: these keys came, and those are left over."""
    return orjson.dumps(
        {
            "Responses": {table: keys(numbers) for table, numbers in found.items()},
            "UnprocessedKeys": {table: {"Keys": keys(part)} for table, part in left.items()},
            "ConsumedCapacity": list(capacity),
        }
    )


def keys(numbers: range) -> list[dict[str, Any]]:
    return [{"pk": {"S": f"{n:07}"}} for n in numbers]


@pytest.mark.parametrize(("size", "again"), [(999_999, False), (1_000_000, True)])
async def test_from_which_size_on_an_answer_was_cut_by_it(size: int, again: bool) -> None:
    first = answer({"users": range(6)}, {"users": range(6, 10)}).ljust(size)
    second = answer({"users": range(6, 9)}, {"users": range(9, 10)}).ljust(size)
    wire = Answers(first, second, answer({"users": range(9, 10)}, {}))
    dispatcher = Dispatcher(wire, max_concurrency=1)
    call = get_call("users", 10, Retry(max_retries=0))
    await dispatcher.run(call)
    # One that was throttled may not go again.
    assert wire.asked == [{"users": 10}, {"users": 4}, {"users": 1}][: 3 if again else 1]
    assert set(wire.tables) == {"users"}
    assert call.meter.bytes == wire.bytes
    assert call.meter.retries == (4 + 1 if again else 0)
    assert counts(call).get(State.UNPROCESSED, 0) == (0 if again else 4)
    await dispatcher.aclose()


async def test_what_entries_consumed_is_charged_and_is_the_next_guess() -> None:
    told = {"TableName": "whatever it calls it", "CapacityUnits": 30.0}
    wire = Answers(answer({"users": range(6)}, {"users": range(6, 10)}, [told]))
    dispatcher = Dispatcher(wire, max_concurrency=1, max_read_units=10)
    await dispatcher.run(get_call("users", 10, Retry(max_retries=0)))
    budget = dispatcher.governor("users", "read").budget
    assert budget is not None
    now = asyncio.get_running_loop().time()
    # Ten were there at the start.
    assert 10.0 * budget.wait(now) == pytest.approx(20.0, abs=0.1)
    # Six cost five each, a fifth of which is believed at once.
    assert budget.spend(10, now) == pytest.approx(18.0)
    await dispatcher.aclose()


async def test_what_was_refused_is_charged_nothing(wire: FakeWire) -> None:
    wire.always(Fault.hot_key_range())
    dispatcher = Dispatcher(wire, max_concurrency=1, max_read_units=10)
    await dispatcher.run(get_call("users", 10, Retry(max_retries=0)))
    governor = dispatcher.governor("users", "read")
    assert governor.budget is not None
    now = asyncio.get_running_loop().time()
    governor.budget.spend(10, now)
    assert governor.budget.wait(now) == 0.0
    # A hot key range slows its own entries, and not the table.
    assert governor.pace.rate is None
    await dispatcher.aclose()


@pytest.mark.parametrize("ended", [0, 1])
async def test_one_entry_is_progress_and_none_is_not(ended: int) -> None:
    left = answer({"users": range(ended)}, {"users": range(ended, 3)})
    wire = Answers(left, answer({"users": range(ended, 3)}, {}))
    dispatcher = Dispatcher(wire, max_concurrency=1)
    call = get_call("users", 3, Retry(max_retries=0, on_progress="refund"))
    await dispatcher.run(call)
    assert counts(call) == ({State.PROCESSED: 3} if ended else {State.UNPROCESSED: 3})
    assert len(wire.asked) == 1 + ended
    await dispatcher.aclose()


async def test_a_malformed_answer_to_a_batch_names_its_operation() -> None:
    dispatcher = Dispatcher(Answers(b"[]"), max_concurrency=1)
    call = get_call("users", 3, Retry(max_retries=0))
    await dispatcher.run(call)
    assert counts(call) == {State.UNPROCESSED: 3}
    assert isinstance(call.cause, WireError)
    assert call.cause.reason.startswith("malformed answer: ")
    assert call.cause.operation == "BatchGetItem"
    await dispatcher.aclose()


async def test_what_is_still_under_way_when_a_call_stalls_may_go_on(wire: FakeWire) -> None:
    class OneIsSlow(FakeWire):
        async def send(self, request: Request) -> bytes:
            if not self.in_flight and not self.requests and not slow:
                slow.append(request)
                await asyncio.sleep(20.0)
                self.clear()
                self.script([Fault.partial(0.5)])
            return await super().send(request)

    slow: list[Request] = []
    wire = OneIsSlow({"users": ("pk",)})
    wire.always(Fault.throttle())
    call = put_call("users", 500, Retry(max_retries=1_000, max_stall=5.0))
    await run(wire, call)
    # Half of it came back when the others had been given up, and was sent again.
    assert counts(call) == {State.PROCESSED: 25, State.UNPROCESSED: 475}


# ---------------------------------------------------------------------- turns of the loop


class Clock:
    """In place of the clock of turns: says when one is over, and keeps what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, over: Literal["never", "later", "always"]):
        self.over = over
        self.waited: list[float] = []
        self.went_on: list[bool] = []
        monkeypatch.setattr(dispatch, "turn_is_over", self.turn_is_over)
        monkeypatch.setattr(dispatch, "next_turn", self.next_turn)

    def turn_is_over(self, ahead: float = 0.0) -> bool:
        if self.over == "later" and ahead:
            return ahead > 0.001
        return self.over != "never" or ahead > 0.001

    async def next_turn(self, ahead: float = 0.0, *, going_on: bool = False) -> None:
        self.waited.append(ahead)
        self.went_on.append(going_on)


class Untouched(asyncio.Lock):
    async def acquire(self) -> Literal[True]:
        raise AssertionError("it waited")


@pytest.mark.parametrize("first_is_cancelled", [False, True])
async def test_what_was_cut_first_leaves_first(
    monkeypatch: pytest.MonkeyPatch, wire: FakeWire, first_is_cancelled: bool
) -> None:
    """Though there is time left when the second comes: it may have come in a later turn."""
    turns = iter([True])
    waiting: list[asyncio.Future[None]] = []

    async def next_turn(ahead: float = 0.0, *, going_on: bool = False) -> None:
        assert going_on
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[-1]

    monkeypatch.setattr(dispatch, "turn_is_over", lambda ahead=0.0: next(turns, False))
    monkeypatch.setattr(dispatch, "next_turn", next_turn)
    dispatcher = Dispatcher(wire, max_concurrency=10)
    calls = [put_call("users", size) for size in (1, 2)]
    running = [asyncio.create_task(dispatcher.run(call)) for call in calls]
    await asyncio.sleep(0.1)
    assert len(waiting) == 2
    assert not wire.requests
    if first_is_cancelled:
        running[0].cancel()
    for turn in waiting:
        if not turn.done():
            turn.set_result(None)
    await asyncio.gather(*running, return_exceptions=True)
    sizes = [request.entries for request in wire.requests]
    assert sizes == ([2] if first_is_cancelled else [1, 2])
    # Nobody is leaving any more, and there is time: it is sent at once.
    await dispatcher.run(put_call("users", 3))
    assert len(waiting) == 2
    await dispatcher.aclose()


def found(length: int) -> bytes:
    """An answer with a hundred items that have so long a value."""
    items = [key | {"v": {"S": "x" * length}} for key in keys(range(100))]
    return orjson.dumps({"Responses": {"users": items}, "UnprocessedKeys": {}})


# Both are long enough for several slices.
FOUND = found(3_000)
FOUND_SOON = found(1_000)


async def test_an_answer_that_is_read_in_one_turn_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, "never")
    dispatcher = Dispatcher(Answers(FOUND_SOON), max_concurrency=1)
    dispatcher._decoding = Untouched()
    call = get_call("users", 100)
    await dispatcher.run(call)
    assert call.cause is None
    assert counts(call) == {State.PROCESSED: 100}
    assert clock.waited == []
    await dispatcher.aclose()


async def test_long_answers_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, "never")
    dispatcher = Dispatcher(Answers(FOUND), max_concurrency=1)
    call = get_call("users", 100)
    async with dispatcher._decoding:
        running = asyncio.create_task(dispatcher.run(call))
        await asyncio.sleep(1.0)
        assert not running.done()
    await running
    assert counts(call) == {State.PROCESSED: 100}
    await dispatcher.aclose()


async def test_a_long_answer_does_not_keep_others_waiting_that_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, "always")
    dispatcher = Dispatcher(Answers(FOUND_SOON), max_concurrency=1)
    call = get_call("users", 100)
    async with dispatcher._decoding:
        await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 100}
    # It is soon over, so it is gone on with before anything is begun.
    assert set(clock.went_on) == {True}
    await dispatcher.aclose()


async def test_an_answer_with_nothing_in_it_waits_for_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, "always")
    empty = b'{"Responses":{"users":[]},"UnprocessedKeys":{}}'
    dispatcher = Dispatcher(Answers(empty), max_concurrency=1)
    call = get_call("users", 25)
    await dispatcher.run(call)
    assert counts(call) == {State.MISSING: 25}
    # To be sent, and to go on after the first step: not for the first one.
    assert clock.waited == [0.0, 0.0]
    await dispatcher.aclose()


@pytest.mark.parametrize("begun", [False, True])
async def test_parsing_needs_time_but_once(monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    clock = Clock(monkeypatch, "later" if begun else "always")
    dispatcher = Dispatcher(Answers(FOUND), max_concurrency=1)
    call = get_call("users", 100)
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 100}
    # One turn to be sent in; then it is parsed, at 2 ns a byte; then it goes on in slices.
    sent, first, *others = clock.waited
    assert sent == 0.0
    assert first == (0.0 if begun else pytest.approx(len(FOUND) * 2e-9))
    assert len(others) > 0
    assert set(others) == {0.0}
    # Its sending was begun when it was cut. But others may begin while a long answer is decoded.
    assert clock.went_on == [True] + [False] * (len(clock.waited) - 1)
    await dispatcher.aclose()


# ---------------------------------------------------------------------- what hooks are told


async def test_what_is_told_of_a_table_that_is_throttled_and_recovers(wire: FakeWire) -> None:
    told: list[Event] = []
    dispatcher = Dispatcher(wire, max_concurrency=1)
    wire.script([Fault.throttle()])
    call = put_call("users", 10)
    call.meter.hooks = [told.append]
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 10}
    [throttled] = [event for event in told if isinstance(event, RequestThrottled)]
    assert throttled.tables == throttled.throttled_tables == ("users",)
    assert {event.tables for event in told} == {("users",)}
    assert [type(event) for event in told].count(RateChanged) >= 1
    # One that is not throttled is told at what pace it goes.
    wire.script([Fault.throttle()])
    dispatcher = Dispatcher(wire, max_concurrency=1)
    await dispatcher.run(put_call("users", 10))
    told.clear()
    call = put_call("users", 10)
    call.meter.hooks = [told.append]
    await dispatcher.run(call)
    assert [event.tables for event in told if isinstance(event, RateChanged)] == [("users",)]
    await dispatcher.aclose()


async def test_a_free_retry_is_told_like_any_request(wire: FakeWire) -> None:
    told: list[Event] = []
    wire.script([Fault.hang_up_before()])
    call = put_call("users", 10, Retry(max_retries=0))
    call.meter.hooks = [told.append]
    await run(wire, call)
    assert counts(call) == {State.PROCESSED: 10}
    assert {event.tables for event in told} == {("users",)}
    assert [event.entries for event in told if isinstance(event, RequestSent)] == [10, 10]


async def test_how_long_requests_took_is_told(wire: FakeWire) -> None:
    told: list[Event] = []
    wire.always(Fault.latency(2.0))
    wire.script([Fault.throttle()])
    await asyncio.sleep(100.0)
    call = put_call("users", 10)
    call.meter.hooks = [told.append]
    await run(wire, call)
    took = [event.seconds for event in told if isinstance(event, RequestFailed | RequestFinished)]
    assert took == pytest.approx([2.0, 2.0], abs=0.01)


async def test_what_is_left_over_for_throttling_is_told_as_no_error(wire: FakeWire) -> None:
    told: list[Event] = []
    wire.always(Fault.throttle())
    call = put_call("users", 10, Retry(max_retries=0))
    call.meter.hooks = [told.append]
    await run(wire, call)
    finished = told[-1]
    assert isinstance(finished, CallFinished)
    assert finished.counts == {"unprocessed": 10}
    assert finished.error_type is None


# ---------------------------------------------------------------------- one request, no batch


def spent(table: str, guess: float) -> Turn:
    """A turn at a ceiling of 10 units a second, of which none is left."""
    turn = Turn(table, Governor(10.0), 1, guess)
    turn.governor.spend(10, 50.0)
    return turn


def debt(turn: Turn) -> float:
    assert turn.governor.budget is not None
    return 10.0 * turn.governor.budget.wait(50.0)


def test_each_table_is_charged_for_what_it_consumed() -> None:
    users, orders, other = (spent(table, 4.0) for table in ("users", "orders", "other"))
    capacity = [
        "no account",
        {"TableName": "users", "CapacityUnits": 5.0},
        {"TableName": "nobody", "CapacityUnits": 100.0},
        {"TableName": "orders", "CapacityUnits": 6.0},
        {"TableName": "users", "CapacityUnits": 3.0},
    ]
    meter = Meter(50.0)
    _settle_shares([users, orders, other], capacity, meter)
    assert [debt(turn) for turn in (users, orders, other)] == pytest.approx([4.0, 2.0, 0.0])


def test_whatever_the_only_table_is_called_it_is_charged() -> None:
    users = spent("users", 4.0)
    _settle_shares([users], {"TableName": "of another name", "CapacityUnits": 7.0}, Meter(50.0))
    assert debt(users) == pytest.approx(3.0)
    # Nothing told, nothing charged.
    _settle_shares([users], None, Meter(50.0))
    assert debt(users) == pytest.approx(3.0)


async def test_a_malformed_answer_names_its_operation() -> None:
    class Odd(FakeWire):
        async def send(self, request: Request) -> bytes:
            return b"[]"

    dispatcher = Dispatcher(Odd({"users": ("pk",)}), max_concurrency=1)
    with pytest.raises(WireError, match="malformed answer: ") as caught:
        await dispatcher.single(
            Request("GetItem", "users", b"{}"),
            "read",
            lambda answer: answer,
            retry=Retry(max_retries=0),
            meter=Meter(0.0),
        )
    assert caught.value.operation == "GetItem"
    await dispatcher.aclose()


async def test_a_turn_keeps_the_pace_of_its_table(wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    dispatcher = Dispatcher(wire, max_concurrency=1, max_read_units=10, max_write_units=1_000)
    dispatcher.governor("users", "read").spend(20, loop.time())
    began = loop.time()
    turn = await dispatcher.turn("users", "read", 5)
    assert loop.time() - began == pytest.approx(1.0, abs=0.01)
    assert (turn.table, turn.entries, turn.guess) == ("users", 5, 5.0)
    assert turn.governor is dispatcher.governor("users", "read")
    # It has the only slot, and has been charged.
    call = get_call("users", 3)
    await dispatcher.run(call, turn)
    assert counts(call) == {State.MISSING: 3}
    assert debt_now(turn) == pytest.approx(3.0, abs=0.1)
    await dispatcher.run(put_call("users", 1))
    await dispatcher.aclose()


def debt_now(turn: Turn) -> float:
    assert turn.governor.budget is not None
    return 10.0 * turn.governor.budget.wait(asyncio.get_running_loop().time())
