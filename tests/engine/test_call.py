"""What a call decides, step by step: its plan, its budgets, whom it blames. Nothing is sent."""

import asyncio
from collections.abc import Sequence

import pytest

from aiobatch import Retry, limits
from aiobatch.engine.call import BatchCall, Lane
from aiobatch.engine.ledger import Rejection, State
from aiobatch.engine.metrics import Meter
from aiobatch.engine.pressure import Governor
from aiobatch.engine.requests import BatchGet, BatchWrite, GetPart, WritePart
from tests.engine.calls import keys_of

pytestmark = pytest.mark.looptime

BEGAN = 1000.0
# What stands around the entries of a request has 64 KB.
ROOM = limits.REQUEST_MAX_BYTES - 65_536


def call_of(requests: BatchGet | BatchWrite, retry: Retry | None = None) -> BatchCall:
    meter = Meter(BEGAN)
    call = BatchCall(requests, len(requests), retry=retry or Retry(), meter=meter)
    assert call.meter is meter
    for lane in call.lanes:
        lane.governor = Governor()
    return call


def reads(*keys: Sequence[bytes], retry: Retry | None = None) -> BatchCall:
    """A read of these keys, a table each."""
    parts = [
        GetPart(table=f"table-{number}", fragments=of_table, names=("pk",))
        for number, of_table in enumerate(keys)
    ]
    return call_of(BatchGet(parts, numbers="native", capacity="NONE"), retry)


def deletes(*counts: int, retry: Retry | None = None) -> BatchCall:
    """Deletes of so many items, a table each."""
    parts = [
        WritePart(
            table=f"table-{number}",
            fragments=keys_of(count),
            identities=keys_of(count),
            deletes=True,
            names=("pk",),
        )
        for number, count in enumerate(counts)
    ]
    return call_of(BatchWrite(parts, capacity="NONE"), retry)


def cut(call: BatchCall) -> dict[int, list[int]]:
    return {portion.lane.number: list(portion.entries) for portion in call.cut()}


def charge(
    call: BatchCall,
    *entries: int,
    now: float = BEGAN,
    draw: float = 0.0,
    cause: Exception | None = None,
    progress: bool = False,
) -> dict[float, list[int]]:
    return call.leave(entries, now=now, draw=draw, cause=cause, progress=progress)


def admission(lane: Lane) -> tuple[int, float, asyncio.Task[None] | None]:
    return lane.admitted, lane.guess, lane.gate


def states(call: BatchCall) -> list[State]:
    return [call.ledger.state(entry) for entry in range(len(call.ledger))]


# ---------------------------------------------------------------------- its requests


async def test_at_first_nothing_has_happened() -> None:
    call = deletes(3)
    assert not call.is_over
    assert call.can_send
    assert call.is_one_request
    assert call.entries == 3
    assert (call.waiting, call.in_flight, call.progressed_at) == (0, 0, BEGAN)
    assert (call.observer, call.pump, call.fatal) == (None, None, None)
    assert (call.failure, call.last_error, call.cause) == (None, None, None)
    assert not call.must_raise
    assert not call.wake.is_set()
    [lane] = call.lanes
    assert (lane.number, lane.table) == (0, "table-0")


async def test_writes_lie_far_apart_and_reads_do_not() -> None:
    call = deletes(75)
    assert [cut(call)[0] for _ in range(3)] == [list(range(start, 75, 3)) for start in range(3)]
    assert call.is_over
    call = reads(keys_of(250))
    assert [cut(call)[0] for _ in range(3)] == [
        list(range(100)),
        list(range(100, 200)),
        list(range(200, 250)),
    ]
    assert call.is_over


async def test_whether_a_write_may_have_been_done_without_an_answer() -> None:
    for call, state in ((deletes(1), State.UNKNOWN), (reads(keys_of(1)), State.UNPROCESSED)):
        call.ledger.depart([0])
        call.ledger.close()
        assert states(call) == [state]


async def test_tables_fill_requests_together() -> None:
    call = reads(keys_of(60), keys_of(60))
    assert cut(call) == {0: list(range(60)), 1: list(range(60, 100))}
    assert cut(call) == {1: list(range(100, 120))}
    call = deletes(30, 28)
    # Those of a table lie far apart, too, and stay within their table.
    assert cut(call) == {0: [*range(0, 30, 2), *range(1, 20, 2)]}
    assert cut(call) == {1: [*range(30, 58, 2), *range(31, 53, 2)]}
    assert cut(call) == {0: list(range(21, 30, 2))} | {1: [53, 55, 57]}
    assert call.is_over
    assert cut(deletes(2, 1, 2)) == {0: [0, 1], 1: [2], 2: [3, 4]}


@pytest.mark.parametrize("tables", [1, 2])
@pytest.mark.parametrize("too_much", [0, 1])
async def test_room_is_left_for_what_stands_around_the_entries(tables: int, too_much: int) -> None:
    # A key has a comma.
    first, second = b"x" * (ROOM // 2 - 1), b"x" * (ROOM // 2 - 1 + too_much)
    call = reads([first, second]) if tables == 1 else reads([first], [second])
    assert sum(map(len, cut(call).values())) == 2 - too_much
    assert call.is_over is not bool(too_much)


async def test_which_tables_entries_are_of() -> None:
    call = deletes(2, 1, 2)
    assert call.tables == ("table-0", "table-1", "table-2")
    assert call.tables_of([4, 0, 3]) == ("table-2", "table-0")
    assert call.by_lane([4, 0, 3]) == {2: [4, 3], 0: [0]}
    assert deletes(2).tables_of([1]) == ("table-0",)


# ---------------------------------------------------------------------- its paces


async def test_a_lane_waits_and_leaves() -> None:
    call = deletes(60, 2)
    lane, other = call.lanes
    lane.governor = other.governor = governor = Governor(100.0)
    assert (lane.may_leave, call.cut()) == (0, [])
    lane.gate = asyncio.create_task(asyncio.sleep(0))
    await lane.wait(25)
    assert admission(lane) == (25, 25.0, None)
    assert lane.may_leave == lane.most == 100
    [portion] = call.cut()
    assert portion.lane is lane
    assert list(portion.entries) == [*range(0, 60, 3), *range(1, 14, 3)]
    assert portion.guess == 25.0
    assert admission(lane) == (0, 0.0, None)
    assert lane.may_leave == 0
    # It was let through for more than there are.
    await other.wait(10)
    [portion] = call.cut()
    assert portion.lane is other
    assert portion.guess == 2.0
    assert governor.budget is not None
    now = asyncio.get_running_loop().time()
    governor.budget.spend(73, now)
    assert governor.budget.wait(now) == 0.0
    governor.budget.spend(1, now)
    assert governor.budget.wait(now) == pytest.approx(0.01)


async def test_a_lane_that_closes_gives_back_what_stayed() -> None:
    lane = Lane(0, "users")
    lane.governor = Governor(100.0)
    await lane.wait(50)
    # Whose turn has come is no more let through.
    gate = lane.gate = asyncio.create_task(asyncio.sleep(3600))
    lane.close()
    await asyncio.sleep(0)
    assert gate.cancelled()
    assert admission(lane) == (0, 0.0, None)
    assert lane.governor.budget is not None
    now = asyncio.get_running_loop().time()
    lane.governor.budget.spend(100, now)
    assert lane.governor.budget.wait(now) == 0.0
    lane.governor.budget.spend(1, now)
    assert lane.governor.budget.wait(now) > 0.0


# ---------------------------------------------------------------------- leftovers


async def test_each_leftover_has_a_budget_of_its_own() -> None:
    call = deletes(3, retry=Retry(max_retries=2))
    assert charge(call, 0, 1) == {0.1: [0, 1]}
    assert charge(call, 1, 2) == {0.2: [1], 0.1: [2]}
    assert charge(call, 1, 0, 2) == {0.2: [0, 2]}
    assert states(call) == [State.PENDING, State.UNPROCESSED, State.PENDING]
    # Throttling is no failure.
    assert not call.must_raise
    assert call.failure is None


async def test_who_takes_the_place_of_an_entry_has_a_whole_budget() -> None:
    call = deletes(2, retry=Retry(max_retries=2))
    charge(call, 0, 1)
    charge(call, 0, 1)
    call.renew(1)
    assert charge(call, 0, 1) == {0.1: [1]}
    assert charge(call, 1) == {0.2: [1]}
    assert charge(call, 1) == {}


async def test_a_wait_is_drawn() -> None:
    call = deletes(1, retry=Retry(jitter=1.0))
    assert charge(call, 0, draw=0.5) == {0.05: [0]}


@pytest.mark.parametrize("refund", [False, True])
@pytest.mark.parametrize("progress", [False, True])
async def test_progress_is_free_where_it_is_refunded(refund: bool, progress: bool) -> None:
    retry = Retry(max_retries=1, on_progress="refund" if refund else "spend")
    call = deletes(1, retry=retry)
    assert charge(call, 0, progress=progress) == {0.1: [0]}
    again = charge(call, 0, progress=progress)
    assert again == ({0.1: [0]} if refund and progress else {})
    # What was free is not charged later.
    assert charge(deletes(1, retry=retry), 0) == {0.1: [0]}


@pytest.mark.parametrize("progress", [False, True])
async def test_no_leftover_waits_past_a_stall(progress: bool) -> None:
    retry = Retry(base_delay=0.5, max_stall=2.0, on_progress="refund")
    call = deletes(2, retry=retry)
    # From the last progress to the end of the wait.
    assert charge(call, 0, now=BEGAN + 1.5, progress=progress) == {0.5: [0]}
    assert charge(call, 1, now=BEGAN + 1.625, progress=progress) == {}
    call.progressed(call.lanes[0], BEGAN + 1.0)
    assert call.progressed_at == BEGAN + 1.0
    assert charge(call, 0, now=BEGAN + 2.0, progress=True)


async def test_the_first_cause_is_told() -> None:
    call = deletes(3, retry=Retry(max_retries=0))
    first = ValueError("first")
    last = call.last_error = LookupError("last")
    causes: list[Exception | None] = []
    for entry, cause in enumerate([None, first, ValueError("second")]):
        charge(call, entry, cause=cause)
        causes.append(call.cause)
    assert causes == [last, first, first]
    assert call.failure is first
    assert call.must_raise


async def test_a_call_that_has_stalled_gives_up_what_was_never_sent() -> None:
    call = deletes(30, retry=Retry(max_stall=2.0))
    first, late = cut(call)[0], BEGAN + 2.25
    # Nothing was left over yet: the first answer may just take long.
    assert not call.gives_up(late)
    charge(call, *first)
    tried = [(call.gives_up(now), call.can_send) for now in (BEGAN + 2.0, late)]
    assert tried == [(False, True), (True, False)]
    given_up = {entry for entry in range(30) if states(call)[entry] is State.UNPROCESSED}
    assert given_up == set(range(30)) - set(first)
    assert not call.gives_up(late)


async def test_a_call_without_a_stall_never_gives_up() -> None:
    call = deletes(30)
    charge(call, *cut(call)[0])
    assert not call.gives_up(BEGAN + 1e9)


async def test_leftovers_go_again_when_their_wait_is_over() -> None:
    call = deletes(50)
    first = cut(call)[0]
    call.waiting = 7
    call.on_due(first[:3])
    assert call.waiting == 4
    assert call.wake.is_set()
    assert cut(call)[0][:3] == first[:3]


async def test_leftovers_go_again_with_their_table() -> None:
    call = deletes(2, 2)
    assert cut(call) == {0: [0, 1], 1: [2, 3]}
    call.on_due([3, 0])
    assert cut(call) == {0: [0], 1: [3]}


async def test_a_request_that_is_over_wakes_the_call() -> None:
    call = deletes(1)
    entries = cut(call)[0]
    call.in_flight = 2
    call.landed(entries)
    assert (call.in_flight, call.is_over) == (1, False)
    assert call.wake.is_set()
    call.landed(entries)
    assert (call.in_flight, call.is_over) == (0, True)


# ---------------------------------------------------------------------- what is refused


async def test_a_refused_request_is_halved() -> None:
    call = deletes(4)
    assert call.blame(cut(call)[0], "ValidationException", "no good")
    assert [cut(call)[0] for _ in range(2)] == [[0, 1], [2, 3]]
    assert states(call) == [State.PENDING] * 4
    call = deletes(1, 1)
    assert call.blame([0, 1], "ValidationException", "no good")
    assert [cut(call) for _ in range(2)] == [{0: [0]}, {1: [1]}]


async def test_a_lone_entry_that_is_refused_is_rejected() -> None:
    call = deletes(2)
    assert call.blame([1], "ValidationException", "no good")
    assert states(call) == [State.PENDING, State.REJECTED]
    assert call.ledger.rejections == {1: Rejection("ValidationException", "no good")}
    assert call.must_raise


async def test_three_in_the_same_words_and_it_is_the_request() -> None:
    call = deletes(5)
    assert call.blame([0], "ValidationException", "no good")
    assert call.blame([1], "ValidationException", "other words")
    assert call.blame([2], "ValidationException", "no good")
    assert not call.blame([3], "ValidationException", "no good")
    assert call.blame([4], "ValidationException", "other words")


async def test_what_a_message_quotes_is_no_part_of_its_words() -> None:
    call = deletes(3)
    faults = [
        call.blame([entry], "ValidationException", f"1 error: Value '{{{entry}\n}}' at 'x' is bad")
        for entry in range(3)
    ]
    assert faults == [True, True, False]
    # What stands around the quotation is.
    assert call.lanes[0].lone_faults == {"1 error: Value at 'x' is bad": 3}


async def test_faults_are_counted_by_table_and_until_something_goes_through() -> None:
    call = deletes(4, 4)
    for entry in (0, 1, 4, 5):
        assert call.blame([entry], "ValidationException", "no good")
    call.progressed(call.lanes[0], BEGAN + 1.0)
    assert [lane.has_progressed for lane in call.lanes] == [True, False]
    assert call.blame([2], "ValidationException", "no good")
    assert call.blame([3], "ValidationException", "no good")
    assert not call.blame([6], "ValidationException", "no good")


async def test_a_call_that_is_stopped_sends_nothing_more() -> None:
    call = deletes(60)
    pump = call.pump = asyncio.create_task(asyncio.sleep(3600))
    entries = cut(call)[0]
    call.waiting, call.in_flight = 5, 1
    first = ValueError("first")
    call.stop(first)
    call.stop(ValueError("second"))
    assert call.fatal is call.cause is first
    assert call.must_raise
    assert (call.can_send, call.waiting, call.is_over) == (False, 0, False)
    await asyncio.sleep(0)
    assert pump.cancelled()
    # What becomes due in spite of it is not sent again, either.
    call.on_due(entries)
    assert (call.can_send, call.waiting) == (False, 0)
    assert not call.wake.is_set()
    # What is in flight may still end well.
    call.landed(entries)
    assert call.is_over


async def test_a_call_may_be_stopped_before_it_runs() -> None:
    call = deletes(1)
    call.stop(ValueError("no"))
    assert call.is_over
