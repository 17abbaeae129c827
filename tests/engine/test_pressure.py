"""Slots, pace and unit budgets; how much a throttled table is asked for, on virtual time."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiobatch import DynamoDB, Retry
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.ledger import State
from aiobatch.engine.pressure import Governor, Pace, Slots, UnitBudget, _Peak
from aiobatch.testing import FakeWire, Fault
from benchmarks.throttled import LEAST_GOODPUT, MOST_REQUESTS, STRAYS, throttled
from tests.engine.calls import delete_call, get_call

LATENCY = 0.005


# ---------------------------------------------------------------------- the pace

events = st.lists(
    st.tuples(
        st.sampled_from(["send", "whole", "partial", "refused"]),
        st.floats(0.0, 0.5),
        st.integers(1, 100),
    ),
    max_size=60,
)


@given(events)
def test_the_pace_stays_positive_and_is_unlimited_before_the_first_refusal(
    happened: list[tuple[str, float, int]],
) -> None:
    pace, now, refused = Pace(), 1000.0, False
    for kind, seconds, entries in happened:
        now += seconds
        before = pace.rate
        if kind == "send":
            pace.spend(entries, now)
        elif kind == "refused":
            pace.throttled(now, sent_at=now - 0.001)
            refused = True
        else:
            pace.passed(entries, now, now - 0.001, whole=kind == "whole")
        assert (pace.rate is not None) == refused
        if pace.rate is not None:
            assert pace.rate >= Pace.MINIMUM
            assert pace.wait(now) >= 0.0
            if before is not None and kind in ("refused", "partial"):
                assert pace.rate <= max(before, Pace.MINIMUM)
            if before is not None and kind == "whole":
                assert pace.rate >= before


def test_the_rate_falls_once_a_round_trip() -> None:
    pace = Pace()
    for n in range(16):
        pace.spend(25, n / 1000)
    pace.throttled(0.020, sent_at=0.001)
    once = pace.rate
    for n in range(2, 16):
        pace.throttled(0.020 + n / 1000, sent_at=n / 1000)
    assert pace.rate == once
    pace.throttled(0.060, sent_at=0.040)
    assert pace.rate is not None
    assert once is not None
    assert pace.rate < once


def test_a_partial_answer_alone_is_no_throttling() -> None:
    pace = Pace()
    pace.spend(25, 0.0)
    pace.passed(5, 0.1, 0.0, whole=False)
    assert pace.rate is None


def test_a_pause_is_no_success() -> None:
    pace = Pace()
    pace.spend(25, 0.0)
    pace.throttled(0.01, sent_at=0.0)
    before = pace.rate
    pace.passed(25, 3600.0, 3599.9, whole=True)
    assert before is not None
    assert pace.rate is not None
    assert pace.rate <= before * 1.2 + 10


def paced(rate: float, now: float) -> Pace:
    """A pace of about this rate, with some seconds of success behind it."""
    pace = Pace()
    pace.spend(25, now - 10.0)
    pace.throttled(now - 10.0, sent_at=now - 10.0)
    pace._rate = pace._refused_rate = rate
    seconds = 0.0
    while seconds < 2.0:
        pace.spend(25, now - 2.0 + seconds)
        pace.passed(25, now - 2.0 + seconds, now - 2.0 + seconds, whole=True)
        pace._rate = rate
        seconds += 25 / rate
    return pace


@settings(deadline=None)
@given(st.floats(400.0, 20_000.0), st.floats(0.0, 0.15), st.randoms(use_true_random=False))
def test_strays_lower_no_rate(rate: float, share: float, random: Random) -> None:
    now = 1000.0
    pace = paced(rate, now)
    refused = 0
    for count in range(1, 400):
        before = pace.rate
        assert before is not None
        now += 25 / before
        pace.spend(25, now)
        if refused < share * count and random.random() < 0.5:
            refused += 1
            pace.throttled(now + 0.005, sent_at=now)
            assert pace.rate == before
        else:
            pace.passed(25, now + 0.005, now, whole=True)
    assert pace.rate is not None
    assert pace.rate >= rate


def test_a_refusal_among_partial_answers_is_no_stray() -> None:
    pace = paced(1000.0, 100.0)
    pace.spend(25, 100.0)
    pace.passed(20, 100.005, 100.0, whole=False)
    before = pace.rate
    pace.throttled(100.01, sent_at=100.006)
    assert before is not None
    assert pace.rate is not None
    assert pace.rate <= Pace.KEPT * before + 1e-9


def test_many_refusals_are_no_strays() -> None:
    pace = paced(1000.0, 100.0)
    for n in range(40):
        pace.spend(25, 100.0 + n / 1000)
        pace.throttled(100.005 + n / 1000, sent_at=100.0 + n / 1000)
    assert pace.rate is not None
    assert pace.rate <= Pace.KEPT * 1000.0


def test_under_strays_the_rate_stays_near_what_goes_through() -> None:
    """Where a table lets 1,000 a second through, one by one, whatever it is asked for."""
    now, pace, credit = 100.0, paced(1000.0, 100.0), 0.0
    refused = 0
    for _ in range(30_000):
        assert pace.rate is not None
        seconds = 1 / pace.rate
        now += seconds
        credit = min(credit + 1000.0 * seconds, 100.0)
        pace.spend(1, now)
        if credit >= 1.0 - 1e-9:
            credit -= 1.0
            pace.passed(1, now, now, whole=True)
        else:
            refused += 1
            pace.throttled(now, sent_at=now)
        assert pace.rate <= 1.5 * 1000.0
    assert refused <= 0.2 * 30_000
    assert 30_000 - refused >= LEAST_GOODPUT * 1000.0 * (now - 100.0)


@given(st.lists(st.tuples(st.floats(0.0, 8.0), st.floats(0.0, 100.0)), min_size=1, max_size=50))
def test_a_peak_is_that_of_the_last_seconds(seen: list[tuple[float, float]]) -> None:
    peak, now, values = _Peak(5.0), 1000.0, []
    for pause, value in seen:
        now += pause
        values.append((now, value))
        peak.see(value, now)
        assert peak.value >= max(one for at, one in values if at > now - 5.0)
        assert peak.value <= max(one for at, one in values if at >= now - 15.0 - 1e-6)


# ---------------------------------------------------------------------- unit budgets


@given(st.lists(st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 200.0)), min_size=1, max_size=60))
def test_a_unit_budget_never_consumes_more_than_its_rate_and_one_debt(
    asked: list[tuple[float, float]],
) -> None:
    rate, now = 100.0, 0.0
    budget = UnitBudget(rate)
    consumed, largest = 0.0, 0.0
    for pause, units in asked:
        now += pause
        while (wait := budget.wait(now)) > 0.0:
            now += wait
        guess = budget.spend(25, now)
        budget.settle(guess, units, 25)
        consumed += units
        largest = max(largest, units)
        assert consumed <= rate * (now + 1.0) + largest + 1e-6


# ---------------------------------------------------------------------- slots and turns


@pytest.mark.looptime
async def test_slots_are_first_come_first_served() -> None:
    slots = Slots(1)
    await slots.acquire()
    served: list[int] = []

    async def wait(n: int) -> None:
        await slots.acquire()
        served.append(n)
        slots.release()

    waiters = [asyncio.create_task(wait(n)) for n in range(5)]
    await asyncio.sleep(0)
    waiters[2].cancel()
    slots.release()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert served == [0, 1, 3, 4]


@pytest.mark.looptime
async def test_a_small_call_waits_no_longer_than_two_round_trips_beside_a_bulk_load() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",)})
    wire.always(Fault.latency(LATENCY))
    dispatcher = Dispatcher(wire, max_concurrency=16)
    bulk = asyncio.create_task(dispatcher.run(delete_call("users", 100_000)))
    await asyncio.sleep(LATENCY * 3)
    began = loop.time()
    await dispatcher.run(get_call("users", 10))
    assert loop.time() - began <= 2 * LATENCY + 0.001
    bulk.cancel()
    await asyncio.gather(bulk, return_exceptions=True)
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_a_slow_table_slows_no_other() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"slow": ("pk",), "fast": ("pk",)})
    wire.always(Fault.latency(LATENCY))
    wire.limit("slow", write=100, burst=0.1)
    dispatcher = Dispatcher(wire, max_concurrency=4)
    slow = asyncio.create_task(dispatcher.run(delete_call("slow", 5_000, Retry.patient())))
    await asyncio.sleep(5.0)
    began = loop.time()
    await dispatcher.run(delete_call("fast", 1_000))
    assert loop.time() - began <= (1_000 / 25 / 4 + 2) * LATENCY
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_who_waits_for_the_pace_goes_in_turn() -> None:
    governor = Governor()
    governor.pace.spend(100, 0.0)
    governor.pace.throttled(0.01, sent_at=0.0)
    order: list[int] = []

    async def ask(n: int, entries: int) -> None:
        await governor.admit(entries)
        order.append(n)

    # The large one is not passed over for the small ones behind it.
    async with asyncio.TaskGroup() as group:
        for n, entries in enumerate([100, 5000, 1, 1, 1]):
            group.create_task(ask(n, entries))
    assert order == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------------- throttled tables


@pytest.mark.looptime(noop_cycles=0)
@pytest.mark.parametrize(
    ("rate", "seconds", "burst"),
    # `make throttled` has 30 seconds of the last one, too.
    [(500, 30.0, 0.1), (500, 30.0, 1.0), (2_000, 30.0, 1.0), (10_000, 5.0, 1.0)],
)
async def test_a_throttled_table_is_neither_starved_nor_hammered(
    rate: int, seconds: float, burst: float
) -> None:
    run = await throttled(rate, seconds, burst=burst)
    assert run.goodput >= LEAST_GOODPUT
    assert run.requests_by_least <= MOST_REQUESTS


@pytest.mark.looptime(noop_cycles=0)
@pytest.mark.parametrize("strays", STRAYS)
@pytest.mark.parametrize(("rate", "seconds"), [(500, 30.0), (2_000, 10.0)])
@pytest.mark.parametrize("seed", [1, 2])
async def test_refusals_that_have_nothing_to_do_with_the_rate_cost_little(
    strays: float, rate: int, seconds: float, seed: int
) -> None:
    run = await throttled(rate, seconds, strays=strays, seed=seed)
    assert run.goodput >= STRAYS[strays]
    assert run.requests_by_least <= MOST_REQUESTS


@pytest.mark.looptime(noop_cycles=0)
@pytest.mark.parametrize("strays", [0.0, 0.05])
async def test_single_items_find_the_pace_without_partial_answers(strays: float) -> None:
    """Each is done or refused: strays and a rate that is too high look alike, one by one."""
    rate, seconds = 200.0, 20.0
    wire = FakeWire({"users": ("pk",)})
    wire.always(Fault.latency(LATENCY))
    wire.limit("users", write=rate)
    if strays:
        wire.randomly({Fault.throttle(): strays}, seed=3)
    retry = Retry(max_retries=1_000, base_delay=0.05, max_delay=1.0)

    async def work(worker: int) -> None:
        for number in range(10**6):
            await db.delete({"pk": f"{worker}-{number}"}, "users")

    async with DynamoDB(wire=wire, retry=retry) as db:
        work_of_all = asyncio.gather(*[work(worker) for worker in range(32)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work_of_all, seconds)
    taken = wire.taken("users", "write")
    assert taken >= LEAST_GOODPUT * rate * seconds
    assert len(wire.requests) <= 1.3 * taken


@pytest.mark.looptime(noop_cycles=0)
@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("rate", [2, 5, 20, 100])
async def test_a_very_slow_table_is_neither_starved_nor_hammered(rate: int, reads: bool) -> None:
    run = await throttled(rate, 120.0 if rate < 100 else 30.0, reads=reads)
    assert run.goodput >= LEAST_GOODPUT
    # It never has a full request's worth, so what counts is how often it is asked.
    assert run.requests <= 8.0 * run.seconds


@pytest.mark.looptime
async def test_a_ceiling_in_capacity_units_holds() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",)})
    wire.always(Fault.latency(LATENCY))
    async with DynamoDB(wire=wire, max_write_units=200) as db:
        items = [{"pk": str(n)} for n in range(2_000)]
        began = loop.time()
        answer = await db.batch_write_item(items, "users")
    seconds = loop.time() - began
    assert answer["ProcessedCount"] == 2_000
    assert "ConsumedCapacity" not in answer
    # 2,000 units at 200 a second, less the 200 that are there at the start and the debt of the
    # last request.
    assert 1_775 / 200 <= seconds <= 1_775 / 200 + 0.1


@pytest.mark.looptime
async def test_a_ceiling_is_not_charged_for_what_was_refused() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",)})
    wire.script([Fault.hot_key_range()] * 4)
    async with DynamoDB(wire=wire, max_write_units=25) as db:
        began = loop.time()
        answer = await db.batch_write_item(
            [{"pk": str(n)} for n in range(25)], "users", operation="delete"
        )
    assert answer["ProcessedCount"] == 25
    # The waits of the schedule; four seconds more if each refusal had cost 25 units.
    assert 1.5 <= loop.time() - began <= 1.6


@pytest.mark.looptime
async def test_a_ceiling_is_not_charged_for_what_never_left() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",), "busy": ("pk",)})
    wire.always(Fault.latency(0.5), table="busy")
    dispatcher = Dispatcher(wire, max_concurrency=1, max_write_units=10)
    holder = asyncio.create_task(dispatcher.run(get_call("busy", 1)))
    await asyncio.sleep(0.01)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await dispatcher.run(delete_call("users", 25))
    await holder
    began = loop.time()
    await dispatcher.run(delete_call("users", 25))
    assert loop.time() - began <= 0.001
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_leftovers_that_join_a_request_late_are_charged_too() -> None:
    governor = Governor(100.0)
    guess = await governor.admit(1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert governor.amend(1, 300, guess, began) == 300.0
    await governor.admit(1)
    assert loop.time() - began == pytest.approx(2.0, abs=0.01)


@pytest.mark.looptime
async def test_a_ceiling_counts_what_single_items_consume() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",)}, record_bodies=True)
    wire.put("users", [{"pk": "large", "v": "x" * 39_000}])
    async with DynamoDB(wire=wire, max_read_units=10, max_write_units=10) as db:
        for direction in ("read", "write"):
            began = loop.time()
            for _ in range(10):
                if direction == "read":
                    answer = await db.get({"pk": "large"}, "users", consistent_read=True)
                else:
                    await db.save({"pk": "other", "v": "x" * 9_900}, "users")
            assert "ConsumedCapacity" not in answer
            # Ten units each, of which the first ten are there at the start.
            assert 8.0 <= loop.time() - began <= 9.1


@pytest.mark.looptime
async def test_a_ceiling_counts_what_the_pages_of_a_query_consume() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk", "sk")})
    wire.put("users", [{"pk": "p", "sk": f"{n:03}", "v": "x" * 40_000} for n in range(100)])
    began = loop.time()
    async with DynamoDB(wire=wire, max_read_units=100) as db:
        values = {":p": "p"}
        read = [
            item
            async for item in db.query(
                "users", "pk = :p", expression_attribute_values=values, consistent_read=True
            )
        ]
        await db.get({"pk": "p", "sk": "000"}, "users")
    assert len(read) == 100
    # 1,000 units at 100 a second, and what was there at the start.
    assert 8.5 <= loop.time() - began <= 9.6


@pytest.mark.looptime
async def test_describing_a_table_leaves_its_pace_alone() -> None:
    wire = FakeWire({"users": ("pk",)})
    wire.script([Fault.throttle("ThrottlingException")] * 3, operation="DescribeTable")
    async with DynamoDB(wire=wire) as db:
        await db.save({"pk": "a"}, "users", fail_if_exists=True)
        engine = await db._engine()
        assert engine.governor("users", "read").pace.rate is None
        assert engine.governor("users", "write").pace.rate is None


@pytest.mark.looptime
async def test_a_hot_key_range_leaves_the_tables_rate_alone() -> None:
    wire = FakeWire({"users": ("pk",)})
    wire.script([Fault.throttle(reason="TableWriteKeyRangeThroughputExceeded")])
    dispatcher = Dispatcher(wire, max_concurrency=16)
    await dispatcher.run(delete_call("users", 25))
    assert dispatcher.governor("users", "write").pace.rate is None
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_a_small_call_has_its_turn_on_a_throttled_table() -> None:
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",)})
    wire.always(Fault.latency(LATENCY))
    wire.limit("users", write=500)
    dispatcher = Dispatcher(wire, max_concurrency=16)
    bulk = asyncio.create_task(dispatcher.run(delete_call("users", 100_000, Retry.patient())))
    await asyncio.sleep(20.0)
    for _ in range(20):
        began = loop.time()
        call = delete_call("users", 10, Retry(base_delay=0.01))
        await dispatcher.run(call)
        assert call.ledger.counts()[State.PROCESSED] == 10
        # Its turn comes after one request of the load, which takes the table 50 ms; a leftover of
        # its own waits a little more.
        assert loop.time() - began <= 0.4
    bulk.cancel()
    await asyncio.gather(bulk, return_exceptions=True)
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_turns_hold_when_the_pace_appears_while_requests_wait() -> None:
    wire = FakeWire({"users": ("pk",)}, record_bodies=True)
    wire.always(Fault.latency(LATENCY))
    wire.limit("users", write=100, burst=0.3)
    dispatcher = Dispatcher(wire, max_concurrency=2)
    ended: list[int] = []

    async def run(number: int) -> None:
        await dispatcher.run(delete_call("users", 100, Retry.patient()))
        ended.append(number)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(run(number))
    assert sorted(ended) == [0, 1, 2, 3]
    await dispatcher.aclose()


# ---------------------------------------------------------------------- in any order


class GovernorMachine(RuleBasedStateMachine):
    """Pace and budget, driven as the dispatcher does: send, then any answer to any request."""

    UNITS = 50.0

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.pace = Pace()
        self.budget = UnitBudget(self.UNITS)
        self.under_way: list[tuple[float, int, float]] = []
        self.lowered_at: float | None = None
        self.consumed = 0.0
        self.largest = 0.0
        self.began = self.now

    @rule(seconds=st.floats(0.0, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(entries=st.integers(1, 100))
    def send(self, entries: int) -> None:
        for _ in range(20):
            wait = max(self.pace.wait(self.now), self.budget.wait(self.now))
            if wait <= 0.0:
                break
            assert wait <= 3600.0
            self.now += wait
        else:
            raise AssertionError("the wait never ends")
        if self.pace.most is not None:
            entries = min(entries, self.pace.most)
        self.pace.spend(entries, self.now)
        guess = self.budget.spend(entries, self.now)
        self.under_way.append((self.now, entries, guess))

    def _answer(self, data: st.DataObject) -> tuple[float, int, float]:
        at = data.draw(st.integers(0, len(self.under_way) - 1))
        return self.under_way.pop(at)

    @precondition(lambda self: bool(self.under_way))
    @rule(data=st.data(), units=st.floats(0.0, 400.0))
    def whole(self, data: st.DataObject, units: float) -> None:
        sent_at, entries, guess = self._answer(data)
        before = self.pace.rate
        self.pace.passed(entries, self.now, sent_at, whole=True)
        self.budget.settle(guess, units, entries)
        self.consumed += units
        self.largest = max(self.largest, units)
        assert before is None or (self.pace.rate or 0.0) >= before, "success lowered the rate"

    @precondition(lambda self: any(entries > 1 for _, entries, _ in self.under_way))
    @rule(data=st.data())
    def partial(self, data: st.DataObject) -> None:
        sent_at, entries, guess = self._answer(data)
        before = self.pace.rate
        if entries == 1:
            self.pace.passed(1, self.now, sent_at, whole=True)
        else:
            self.pace.passed(entries // 2, self.now, sent_at, whole=False)
            assert (self.pace.rate is None) == (before is None), "no throttling by itself"
            self._lowered(before, sent_at)
        self.budget.settle(guess, 0.0)

    @precondition(lambda self: bool(self.under_way))
    @rule(data=st.data())
    def refused(self, data: st.DataObject) -> None:
        sent_at, _, guess = self._answer(data)
        before = self.pace.rate
        self.pace.throttled(self.now, sent_at)
        assert self.pace.rate is not None
        self._lowered(before, sent_at)
        self.budget.settle(guess, 0.0)

    @precondition(lambda self: bool(self.under_way))
    @rule(data=st.data())
    def stays_behind(self, data: st.DataObject) -> None:
        _, entries, guess = self._answer(data)
        self.pace.take_back(entries)
        self.budget.settle(guess, 0.0)

    def _lowered(self, before: float | None, sent_at: float) -> None:
        after = self.pace.rate
        if before is None and after is not None:
            self.lowered_at = self.now
        if before is None or after is None or after >= before:
            return
        assert self.lowered_at is not None
        assert sent_at >= self.lowered_at, "two decreases in one round trip"
        self.lowered_at = self.now

    @invariant()
    def it_is_sane(self) -> None:
        if self.pace.rate is not None:
            assert self.pace.rate >= Pace.MINIMUM
        assert self.pace.most is None or self.pace.most >= 1
        assert self.pace.wait(self.now) >= 0.0
        assert self.budget.wait(self.now) >= 0.0
        # What is under way was let go before its cost was known.
        debts = (len(self.under_way) + 1) * 400.0
        assert self.consumed <= self.UNITS * (self.now - self.began + 1.0) + self.largest + debts


TestGovernorMachine = GovernorMachine.TestCase
