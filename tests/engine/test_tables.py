"""Several tables in one call: full requests, and a pace for each table, on virtual time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiobatch import DynamoDB, Get, Put, Retry
from aiobatch.engine.call import BatchCall
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.ledger import State
from aiobatch.engine.metrics import Meter
from aiobatch.engine.plan import Plan, TablesPlan
from aiobatch.engine.requests import BatchGet, BatchWrite, GetPart, WritePart
from aiobatch.engine.tables import TableNames, plain_name
from aiobatch.events import Event, LeftoversRequeued, RequestThrottled
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request
from tests.engine.calls import keys_of

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"
OTHER_ACCOUNT = "arn:aws:dynamodb:us-east-1:999999999999:table/"


# ---------------------------------------------------------------------- names


def test_tables_are_found_by_name_and_arn() -> None:
    names = TableNames(["users", f"{ARN}orders"])
    assert [names.find(name) for name in ("users", f"{ARN}users")] == [0, 0]
    assert [names.find(name) for name in ("orders", f"{ARN}orders")] == [1, 1]
    assert names.find(f"{ARN}orders/index/by_date") == 1
    assert names.find("strangers") is None


def test_tables_of_two_accounts_are_told_apart_by_their_arns_alone() -> None:
    names = TableNames([f"{ARN}users", f"{OTHER_ACCOUNT}users"])
    assert [names.find(f"{ARN}users"), names.find(f"{OTHER_ACCOUNT}users")] == [0, 1]
    assert names.find("users") is None


@pytest.mark.parametrize("given", ["users", f"{ARN}users"])
def test_the_only_table_is_found_by_name_and_arn(given: str) -> None:
    names = TableNames([given])
    for name in ("users", f"{ARN}users", f"{ARN}users/index/by_date"):
        assert names.find(name) == 0
    assert names.find("orders") is None


@pytest.mark.parametrize("table", ["users", f"{ARN}users", f"{ARN}users/index/by_date"])
def test_the_plain_name(table: str) -> None:
    assert plain_name(table) == "users"


def test_what_is_no_tables_arn_stays_as_it_is() -> None:
    for name in ("arn:aws:s3:::bucket", f"{ARN}", "table/users"):
        assert plain_name(name) == name


# ---------------------------------------------------------------------- the plan


def plan_of(counts: list[int], sizes: list[int], max_entries: int, max_bytes: int) -> TablesPlan:
    table_of = [table for table, count in enumerate(counts) for _ in range(count)]
    plans, first = [], 0
    for count in counts:
        order = range(first, first + count)
        plans.append(Plan(order, sizes.__getitem__, max_entries=max_entries))
        first += count
    return TablesPlan(plans, table_of, max_entries=max_entries, max_bytes=max_bytes)


def cut(plan: TablesPlan, allowed: Callable[[int], int] = lambda _: 25) -> dict[int, list[int]]:
    return {table: list(entries) for table, entries in plan.cut(allowed).items()}


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 12))
def test_requests_are_filled_over_tables(counts: list[int], max_entries: int) -> None:
    plan = plan_of(counts, [1] * sum(counts), max_entries, 1_000_000)
    requests = []
    while plan:
        requests.append(sum(map(len, plan.cut(lambda _: 100).values())))
    # No request but the last has room left.
    assert all(size == max_entries for size in requests[:-1])
    assert sum(requests) == sum(counts)


def test_a_table_that_may_not_leave_is_left_out() -> None:
    plan = plan_of([3, 3, 3], [1] * 9, 25, 1000)
    assert cut(plan, lambda table: 0 if table == 1 else 25) == {0: [0, 1, 2], 2: [6, 7, 8]}
    assert cut(plan, lambda table: 0 if table == 1 else 25) == {}
    assert cut(plan, lambda _: 2) == {1: [3, 4]}


def test_a_table_set_apart_shares_no_request() -> None:
    plan = plan_of([2, 2, 2], [1] * 6, 25, 1000)
    plan.apart.add(1)
    requests = []
    while plan:
        requests.append(cut(plan))
    assert sorted(map(sorted, requests)) == [[0, 2], [1]]


def test_a_table_set_apart_keeps_to_its_pace() -> None:
    plan = plan_of([9], [10] * 9, 25, 50)
    plan.apart.add(0)
    assert cut(plan, lambda _: 2) == {0: [0, 1]}
    assert cut(plan) == {0: [2, 3, 4, 5, 6]}


def test_tables_take_turns_in_being_the_first() -> None:
    plan = plan_of([9, 9, 9], [1] * 27, 25, 1000)
    orders = [list(cut(plan, lambda _: 2)) for _ in range(4)]
    assert orders == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


def test_what_a_refused_request_of_two_tables_is_split_into() -> None:
    plan = plan_of([2, 3], [1] * 5, 25, 1000)
    [*entries] = [entry for part in plan.cut(lambda _: 25).values() for entry in part]
    plan.split(entries)
    by_table = [cut(plan), cut(plan)]
    assert sorted(map(sorted, by_table)) == [[0], [1]]
    plan.split([2, 3, 4])
    assert [cut(plan), cut(plan)] == [{1: [2]}, {1: [3, 4]}]


def test_an_entry_is_added_to_its_table() -> None:
    plan = plan_of([1, 2], [1] * 3, 25, 1000)
    plan.clear()
    plan.add(2)
    plan.add(0)
    assert (len(plan), plan.fresh) == (2, 2)
    assert cut(plan) == {0: [0], 1: [2]}
    one = Plan((), lambda _: 1, max_entries=25)
    alone = TablesPlan([one], None, max_entries=25, max_bytes=1000)
    alone.add(7)
    assert cut(alone) == {0: [7]}
    # Or many at once.
    plan.extend([2, 0, 1])
    assert cut(plan) == {0: [0], 1: [2, 1]}
    alone.extend([8, 9])
    assert cut(alone) == {0: [8, 9]}


def test_requests_of_tables_shrink_to_one_entry_and_widen_again_together() -> None:
    plan = plan_of([1000, 1000], [1] * 2000, 100, 10_000)
    plan.shrink(0)
    assert plan.max_entries == 1
    assert sum(map(len, cut(plan, lambda _: 100).values())) == 1
    sizes = []
    for _ in range(30):
        plan.widen()
        sizes.append((plan.max_entries, plan.next_size(0), plan.next_size(1)))
    assert all(len({*size}) == 1 for size in sizes)
    widths = [size for size, _, _ in sizes]
    assert widths[:11] == [2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]
    assert widths[-1] == 100


class TablesPlanMachine(RuleBasedStateMachine):
    """Cut, hand back, split, set apart in any order: legal requests, nothing lost or doubled."""

    COUNTS = (13, 0, 40, 7)
    MAX_BYTES = 100

    def __init__(self) -> None:
        super().__init__()
        count = sum(self.COUNTS)
        self.sizes = [1 + (entry * 37) % 130 for entry in range(count)]
        self.table_of = [t for t, size in enumerate(self.COUNTS) for _ in range(size)]
        self.max_entries = 7
        self.plan = plan_of(list(self.COUNTS), self.sizes, self.max_entries, self.MAX_BYTES)
        self.in_flight: list[list[int]] = []
        self.ended: set[int] = set()

    @precondition(lambda self: bool(self.plan))
    @rule(allowed=st.lists(st.sampled_from([0, 1, 3, 100]), min_size=4, max_size=4))
    def cut(self, allowed: list[int]) -> None:
        groups = [plan.has_group for plan in self.plan._plans]
        request = self.plan.cut(allowed.__getitem__)
        entries = [entry for part in request.values() for entry in part]
        waiting = {t for t in range(4) if self.plan.next_size(t)} | set(request)
        assert bool(entries) == any(allowed[table] for table in waiting)
        assert len(set(entries)) == len(entries) <= self.max_entries
        assert len(entries) <= 1 or sum(self.sizes[e] for e in entries) <= self.MAX_BYTES
        for table, part in request.items():
            assert part
            assert all(self.table_of[entry] == table for entry in part)
            assert len(part) <= allowed[table] or groups[table]
        if self.plan.apart & request.keys():
            assert len(request) == 1
        if entries:
            self.in_flight.append(entries)

    @precondition(lambda self: bool(self.in_flight))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        request = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        left = data.draw(st.sets(st.sampled_from(request)))
        self.ended.update(set(request) - left)
        self.plan.requeue(sorted(left))

    @precondition(lambda self: any(len(request) > 1 for request in self.in_flight))
    @rule()
    def refuse(self) -> None:
        at = next(i for i, request in enumerate(self.in_flight) if len(request) > 1)
        self.plan.split(self.in_flight.pop(at))

    @rule(table=st.integers(0, 3), apart=st.booleans())
    def set_apart(self, table: int, apart: bool) -> None:
        (self.plan.apart.add if apart else self.plan.apart.discard)(table)

    @rule(entries=st.integers(0, 10))
    def shrink(self, entries: int) -> None:
        self.plan.shrink(entries)

    @rule()
    def widen(self) -> None:
        self.plan.widen()

    @invariant()
    def every_entry_is_in_one_place(self) -> None:
        flying = sum(map(len, self.in_flight))
        assert len(self.plan) + flying + len(self.ended) == sum(self.COUNTS)
        assert bool(self.plan) == (len(self.plan) > 0)


TestTablesPlanMachine = TablesPlanMachine.TestCase


# ---------------------------------------------------------------------- the dispatcher


def get_call(counts: Mapping[str, int], retry: Retry | None = None) -> BatchCall:
    parts = [
        GetPart(table=table, fragments=keys_of(count), names=("pk",))
        for table, count in counts.items()
    ]
    return _call(BatchGet(parts, numbers="native", capacity="NONE"), retry)


def delete_call(counts: Mapping[str, int], retry: Retry | None = None) -> BatchCall:
    parts = [
        WritePart(
            table=table,
            fragments=keys_of(count),
            identities=keys_of(count),
            deletes=True,
            names=("pk",),
        )
        for table, count in counts.items()
    ]
    return _call(BatchWrite(parts, capacity="NONE"), retry)


def _call(requests: BatchGet | BatchWrite, retry: Retry | None) -> BatchCall:
    meter = Meter(asyncio.get_running_loop().time())
    return BatchCall(requests, len(requests), retry=retry or Retry(), meter=meter)


TABLES = {"users": ("pk",), "orders": ("pk",), "third": ("pk",)}


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire(TABLES, record_bodies=True)


async def run(wire: FakeWire, call: BatchCall, **settings: Any) -> None:
    dispatcher = Dispatcher(wire, **{"max_concurrency": 16, **settings})
    try:
        await dispatcher.run(call)
    finally:
        await dispatcher.aclose()


def counts(call: BatchCall) -> dict[State, int]:
    return {state: count for state, count in call.ledger.counts().items() if count}


def asked(body: bytes | None) -> dict[str, int]:
    assert body is not None
    of = orjson.loads(body)["RequestItems"]
    return {t: len(part["Keys"] if isinstance(part, dict) else part) for t, part in of.items()}


@pytest.mark.looptime
@pytest.mark.parametrize("by_arn", [False, True])
async def test_equal_keys_of_two_tables_are_two_entries(wire: FakeWire, by_arn: bool) -> None:
    if by_arn:
        wire.always(Fault.answer_by_arn())
    wire.put("users", [{"pk": "0000001", "of": "users"}, {"pk": "0000002", "of": "users"}])
    wire.put("orders", [{"pk": "0000002", "of": "orders"}])
    call = get_call({"users": 3, "orders": 3})
    await run(wire, call)
    assert isinstance(call.requests, BatchGet)
    assert [[item and item["of"] for item in found] for found in call.requests.found] == [
        [None, "users", "users"],
        [None, None, "orders"],
    ]
    assert len(wire.requests) == 1
    assert counts(call) == {State.PROCESSED: 3, State.MISSING: 3}


@pytest.mark.looptime
async def test_leftovers_of_two_tables_go_again(wire: FakeWire) -> None:
    wire.randomly({Fault.partial(0.5): 0.7}, seed=2)
    call = delete_call({"users": 40, "orders": 35, "third": 1}, Retry(max_retries=50))
    await run(wire, call)
    assert counts(call) == {State.PROCESSED: 76}
    # Three are full; the fourth has the one entry that is left.
    assert [request.entries for request in wire.requests[:4]] == [25, 25, 25, 1]


@pytest.mark.looptime
async def test_a_throttled_table_slows_no_other(wire: FakeWire) -> None:
    """1,000 entries each: one table gives 100 a second, the other any number."""
    wire.limit("users", write=100)
    wire.always(Fault.latency(0.005))
    dispatcher = Dispatcher(wire, max_concurrency=16)
    loop = asyncio.get_running_loop()
    done: dict[str, float] = {}
    call = delete_call({"users": 1_000, "orders": 1_000}, Retry.patient())
    ended = call.ledger.ended

    def end(entries: Sequence[int], state: State) -> None:
        for entry in entries:
            done["users" if entry < 1_000 else "orders"] = loop.time()
        ended(entries, state)

    call.ledger.ended = end  # type: ignore[method-assign]
    began = loop.time()
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 2_000}
    assert done["orders"] - began < 1.0
    assert 8.0 < done["users"] - began < 20.0
    assert dispatcher.governor("orders", "write").is_open
    assert not dispatcher.governor("users", "write").is_open
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_a_paced_table_is_charged_for_its_own_entries(wire: FakeWire) -> None:
    """A ceiling of 100 units for each table; a delete of nothing is one unit."""
    loop = asyncio.get_running_loop()
    requests = delete_call({"users": 400, "orders": 20})
    began = loop.time()
    await run(wire, requests, max_write_units=100)
    # The first 100 pass at once, 25 more in debt.
    assert 2.0 < loop.time() - began < 4.0
    assert counts(requests) == {State.PROCESSED: 420}


@pytest.mark.looptime
async def test_tables_are_not_charged_for_what_never_left() -> None:
    """Calls that end while they wait for a slot give back what the governors let through."""
    loop = asyncio.get_running_loop()
    wire = FakeWire({**TABLES, "busy": ("pk",)})
    wire.always(Fault.latency(0.5), table="busy")
    dispatcher = Dispatcher(wire, max_concurrency=1, max_write_units=10)
    holder = asyncio.create_task(dispatcher.run(get_call({"busy": 1})))
    await asyncio.sleep(0.01)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await dispatcher.run(delete_call({"users": 15, "orders": 10}))
    await holder
    began = loop.time()
    await dispatcher.run(delete_call({"users": 15, "orders": 10}))
    assert loop.time() - began <= 0.001
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_what_found_no_room_in_a_request_is_given_back(wire: FakeWire) -> None:
    """An admission is for one request: the rest of it waits again, behind other calls."""
    dispatcher = Dispatcher(wire, max_concurrency=1, max_write_units=100)
    call = delete_call({"users": 20, "orders": 20})
    await dispatcher.run(call)
    assert [sum(asked(request.body).values()) for request in wire.requests] == [25, 15]
    for table in ("users", "orders"):
        budget = dispatcher.governor(table, "write").budget
        assert budget is not None
        # 100 were there at the start, and each delete of nothing costs one.
        assert budget.spend(0, asyncio.get_running_loop().time()) == 0.0
        assert budget._credit == pytest.approx(80.0, abs=1.0)
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_a_slow_table_has_a_small_part_of_a_request(wire: FakeWire) -> None:
    """As little as it gives in a fraction of a second, and it is given all of it."""
    loop = asyncio.get_running_loop()
    wire.limit("users", write=8)
    wire.always(Fault.latency(0.01))
    dispatcher = Dispatcher(wire, max_concurrency=4)
    call = delete_call({"users": 400, "orders": 400}, Retry.patient())
    began = loop.time()
    await dispatcher.run(call)
    seconds = loop.time() - began
    assert counts(call) == {State.PROCESSED: 800}
    assert 400 / seconds >= 0.8 * 8
    governor = dispatcher.governor("users", "write")
    assert governor.pace.most is not None
    late = [asked(request.body)["users"] for request in wire.requests[-50:]]
    assert max(late) <= 2 * governor.pace.most
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_a_stall_ends_a_long_call_on_tables(wire: FakeWire) -> None:
    """What was never sent ends with it, of all tables."""
    loop = asyncio.get_running_loop()
    wire.always(Fault.throttle())
    began = loop.time()
    call = delete_call({"users": 5_000, "orders": 5_000}, Retry.patient())
    await run(wire, call)
    assert counts(call) == {State.UNPROCESSED: 10_000}
    assert 280.0 <= loop.time() - began <= 306.0
    assert not call.must_raise


class Transactions:
    """A wire that consumes ten units a table and request, and tells it if it is asked to."""

    max_concurrency = 16

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def send(self, request: Request) -> bytes:
        content = orjson.loads(request.body)
        told = content.get("ReturnConsumedCapacity")
        self.asked.append(told)
        operations = [next(iter(one.values())) for one in content["TransactItems"]]
        capacity = [
            {"TableName": table, "CapacityUnits": 10.0}
            for table in {operation["TableName"] for operation in operations}
        ]
        answer: dict[str, Any] = {"Responses": [{}] * len(operations)}
        return orjson.dumps(answer | ({"ConsumedCapacity": capacity} if told else {}))

    async def aclose(self) -> None:
        pass


@pytest.mark.looptime
@pytest.mark.parametrize("reads", [True, False])
async def test_a_ceiling_counts_what_transactions_consume(reads: bool) -> None:
    loop = asyncio.get_running_loop()
    wire = Transactions()
    async with DynamoDB(wire=wire, max_read_units=10, max_write_units=10) as db:
        began = loop.time()
        for n in range(10):
            answer: Any
            if reads:
                key = {"pk": f"{n}"}
                answer = await db.transact_get_items([Get(key, "users"), Get(key, "orders")])
                assert answer["Items"] == [None, None]
            else:
                item = {"pk": f"{n}"}
                answer = await db.transact_write_items([Put(item, "users"), Put(item, "orders")])
            assert "ConsumedCapacity" not in answer
        # Ten units each of each table, of which the first ten are there at the start.
        assert 8.0 <= loop.time() - began <= 9.1
    assert wire.asked == ["TOTAL"] * 10
    async with DynamoDB(wire=wire) as db:
        put = Put({"pk": "a"}, "users")
        assert "ConsumedCapacity" not in await db.transact_write_items([put])
        told = await db.transact_write_items([put], return_consumed_capacity="TOTAL")
    assert told["ConsumedCapacity"] == [{"TableName": "users", "CapacityUnits": 10.0}]
    assert wire.asked[10:] == [None, "TOTAL"]


@pytest.mark.looptime
async def test_a_throttling_that_names_no_table_slows_the_one_that_it_was(wire: FakeWire) -> None:
    wire.always(Fault.throttle(reason=""), table="users")
    dispatcher = Dispatcher(wire, max_concurrency=16)
    call = delete_call({"users": 10, "orders": 10})
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 10, State.UNPROCESSED: 10}
    assert [call.ledger.state(entry) for entry in (0, 10)] == [
        State.UNPROCESSED,
        State.PROCESSED,
    ]
    assert dispatcher.governor("orders", "write").is_open
    assert not dispatcher.governor("users", "write").is_open
    assert not call.must_raise
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_an_entry_at_fault_is_found_in_its_table(wire: FakeWire) -> None:
    wire.always(
        Fault.validation("no good"),
        entry=lambda entry: entry.table == "orders" and entry.value["pk"]["S"] == "0000002",
    )
    call = delete_call({"users": 5, "orders": 5})
    await run(wire, call)
    assert list(call.ledger.rejections) == [7]
    assert counts(call) == {State.PROCESSED: 9, State.REJECTED: 1}


class HalfAnAnswer:
    """A wire that answers with the items of one table, and with nonsense about the other."""

    max_concurrency = 16

    async def send(self, request: Request) -> bytes:
        keys = orjson.loads(request.body)["RequestItems"]["users"]["Keys"]
        nonsense = [{"pk": {"S": 5}}]
        responses = {"users": keys, "orders": nonsense}
        return orjson.dumps({"Responses": responses, "UnprocessedKeys": {}})

    async def aclose(self) -> None:
        pass


@pytest.mark.looptime
async def test_what_an_answer_has_before_it_turns_out_malformed_is_progress_of_its_table() -> None:
    dispatcher = Dispatcher(HalfAnAnswer(), max_concurrency=16)
    call = get_call({"users": 3, "orders": 3}, Retry(max_retries=0))
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 3, State.UNPROCESSED: 3}
    assert [lane.has_progressed for lane in call.lanes] == [True, False]
    assert "malformed answer" in str(call.cause)
    await dispatcher.aclose()


class Answers:
    """A wire that gives these answers, one each, and keeps what was asked."""

    max_concurrency = 16

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, int]] = []

    async def send(self, request: Request) -> bytes:
        self.asked.append(asked(request.body))
        return orjson.dumps(self.answers.pop(0))

    async def aclose(self) -> None:
        pass


def keys(count: int) -> list[dict[str, Any]]:
    return [{"pk": {"S": f"{n:07}"}} for n in range(count)]


@pytest.mark.looptime
async def test_a_table_of_which_nothing_ended_is_set_apart_until_something_does() -> None:
    all_left = {"Responses": {"users": keys(3)}, "UnprocessedKeys": {"orders": {"Keys": keys(3)}}}
    wire = Answers(all_left)
    call = get_call({"users": 3, "orders": 3}, Retry(max_retries=0))
    dispatcher = Dispatcher(wire, max_concurrency=1)
    await dispatcher.run(call)
    assert call.plan.apart == {1}
    wire.answers = [all_left, {"Responses": {"orders": keys(3)}, "UnprocessedKeys": {}}]
    call = get_call({"users": 3, "orders": 3})
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 6}
    assert call.plan.apart == set()
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_tables_that_were_alone_in_a_request_are_not_set_apart(wire: FakeWire) -> None:
    scripted = Answers(
        {"Responses": {}, "UnprocessedKeys": {"users": {"Keys": keys(100)}}},
        {"Responses": {}, "UnprocessedKeys": {"orders": {"Keys": keys(3)}}},
    )
    call = get_call({"users": 100, "orders": 3}, Retry(max_retries=0))
    dispatcher = Dispatcher(scripted, max_concurrency=1)
    await dispatcher.run(call)
    assert scripted.asked == [{"users": 100}, {"orders": 3}]
    assert call.plan.apart == set()
    await dispatcher.aclose()
    wire.always(Fault.throttle())
    call = get_call({"users": 100, "orders": 3}, Retry(max_retries=0))
    await run(wire, call, max_concurrency=1)
    assert [asked(request.body) for request in wire.requests] == [{"users": 100}, {"orders": 3}]
    assert call.plan.apart == set()


@pytest.mark.looptime
async def test_each_table_of_a_batch_is_charged_for_what_it_consumed() -> None:
    told = [
        {"TableName": "users", "CapacityUnits": 20.0},
        {"TableName": "strangers", "CapacityUnits": 1e6},
        {"TableName": f"{ARN}orders", "CapacityUnits": 17.0},
        {"TableName": "users", "CapacityUnits": 15.0},
    ]
    responses = {"users": keys(3), "orders": keys(3)}
    wire = Answers({"Responses": responses, "UnprocessedKeys": {}, "ConsumedCapacity": told})
    dispatcher = Dispatcher(wire, max_concurrency=1, max_read_units=10)
    await dispatcher.run(get_call({"users": 3, "orders": 3}))
    for table, debt in (("users", 25.0), ("orders", 7.0)):
        budget = dispatcher.governor(table, "read").budget
        assert budget is not None
        now = asyncio.get_running_loop().time()
        assert 10.0 * budget.wait(now) == pytest.approx(debt, abs=0.1)
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_what_was_refused_for_another_table_goes_again_at_no_cost(wire: FakeWire) -> None:
    told: list[Event] = []
    # Its reasons name the first table of the request.
    wire.script([Fault.throttle()])
    call = get_call({"users": 10, "orders": 7}, Retry(max_retries=0))
    call.meter.hooks = [told.append]
    await run(wire, call, max_concurrency=1)
    assert counts(call) == {State.UNPROCESSED: 10, State.MISSING: 7}
    assert call.meter.retries == 7
    wire.script([Fault.throttle()])
    again = get_call({"users": 10, "orders": 7}, Retry(max_retries=1))
    again.meter.hooks = [told.append]
    await run(wire, again, max_concurrency=1)
    assert counts(again) == {State.MISSING: 17}
    assert again.meter.retries == 17
    throttled = [event for event in told if isinstance(event, RequestThrottled)]
    assert [(event.tables, event.throttled_tables) for event in throttled] == [
        (("users", "orders"), ("users",))
    ] * 2
    [requeued] = [event for event in told if isinstance(event, LeftoversRequeued)]
    assert (requeued.tables, requeued.entries) == (("users",), 10)


@pytest.mark.looptime
async def test_half_an_answer_is_progress() -> None:
    """What is left of it goes again at no cost, and the call has not stalled."""
    half = {"users": keys(3), "orders": [{"pk": {"S": 5}}]}
    wire = Answers(
        {"Responses": half, "UnprocessedKeys": {}},
        {"Responses": {"orders": keys(3)}, "UnprocessedKeys": {}},
    )
    dispatcher = Dispatcher(wire, max_concurrency=1)
    retry = Retry(max_retries=0, on_progress="refund", max_stall=10.0)
    call = get_call({"users": 3, "orders": 3}, retry)
    await asyncio.sleep(50.0)
    await dispatcher.run(call)
    assert counts(call) == {State.PROCESSED: 6}
    assert wire.asked == [{"users": 3, "orders": 3}, {"orders": 3}]
    await dispatcher.aclose()


@pytest.mark.looptime
@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.05, 0.7, 3.0])
async def test_a_cancelled_call_on_tables_leaves_nothing_behind(seconds: float) -> None:
    wire = FakeWire(TABLES)
    wire.limit("users", write=50)
    wire.always(Fault.latency(0.005))
    dispatcher = Dispatcher(wire, max_concurrency=4)
    call = delete_call({"users": 1_000, "orders": 1_000}, Retry.patient())
    task = asyncio.create_task(dispatcher.run(call))
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert sum(counts(call).values()) == 2_000
    await dispatcher.aclose()


@pytest.mark.looptime
async def test_a_missing_table_ends_the_call_on_all(wire: FakeWire) -> None:
    call = delete_call({"users": 2_000, "nobody": 1})
    await run(wire, call, max_concurrency=1)
    assert call.must_raise
    assert counts(call)[State.UNPROCESSED] > 1_000


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(st.booleans(), min_size=1)))
def test_bodies_have_each_operation_in_its_table(wanted: dict[str, list[bool]]) -> None:
    if not wanted:
        return
    parts = []
    for table, deletes in wanted.items():
        keys = keys_of(len(deletes))
        parts.append(
            WritePart(table=table, fragments=keys, identities=keys, deletes=deletes, names=("pk",))
        )
    requests = BatchWrite(parts, capacity="TOTAL")
    body = orjson.loads(requests.body(range(len(requests))))
    assert body.pop("ReturnConsumedCapacity") == "TOTAL"
    assert body == {
        "RequestItems": {
            table: [
                {"DeleteRequest": {"Key": {"pk": {"S": f"{n:07}"}}}}
                if delete
                else {"PutRequest": {"Item": {"pk": {"S": f"{n:07}"}}}}
                for n, delete in enumerate(deletes)
            ]
            for table, deletes in wanted.items()
        }
    }
