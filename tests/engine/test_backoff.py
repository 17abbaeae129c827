"""The shared backoff: no wait is cut short, none lasts more than a tick too long."""

import asyncio
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aiobatch.engine.backoff import _TURNS_TO_SPARE, TICK, Backoff, BackoffQueue

waits = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 999), st.floats(0.0, 30.0)), max_size=50
)


@given(waits, st.floats(0.0, 1e6))
def test_nobody_is_woken_early_or_late(pushed: list[tuple[int, int, float]], start: float) -> None:
    owners = [object() for _ in range(4)]
    queue: BackoffQueue[object] = BackoffQueue()
    due: dict[tuple[int, int], list[float]] = {}
    for owner, entry, wait in pushed:
        queue.push(owners[owner], [entry], start + wait)
        due.setdefault((owner, entry), []).append(start + wait)
    woken = 0
    while (now := queue.next_due()) is not None:
        seen: list[object] = []
        for woken_owner, entries in queue.pop_due(now):
            assert woken_owner not in seen, "an owner's leftovers of one tick come back as one list"
            seen.append(woken_owner)
            for entry in entries:
                waited = due[owners.index(woken_owner), entry]
                match = [at for at in waited if at <= now <= at + TICK * 1.0001]
                assert match, "early, or more than a tick late"
                waited.remove(match[0])
                woken += 1
    assert woken == len(pushed)


@given(waits)
def test_a_dropped_owner_is_never_woken(pushed: list[tuple[int, int, float]]) -> None:
    owners = [object() for _ in range(4)]
    queue: BackoffQueue[object] = BackoffQueue()
    for owner, entry, wait in pushed:
        queue.push(owners[owner], [entry], wait)
    queue.drop(owners[0])
    left = [(owner, entry) for owner, entries in queue.pop_due(100.0) for entry in entries]
    assert len(left) == sum(owner != 0 for owner, _, _ in pushed)
    assert all(owner is not owners[0] for owner, _ in left)
    assert not queue


def test_an_owner_can_come_back_after_it_was_dropped() -> None:
    queue: BackoffQueue[str] = BackoffQueue()
    queue.push("call", [1], 1.0)
    queue.drop("call")
    queue.push("call", [2], 2.0)
    assert list(queue.pop_due(2.0)) == [("call", [2])]


def test_a_whole_number_of_ticks_stays_in_its_tick() -> None:
    """0.07 / 0.01 is a hair more than 7, and is tick 7 all the same."""
    for tick in range(2000):
        queue: BackoffQueue[str] = BackoffQueue()
        queue.push("a", [0], tick * TICK)
        assert queue.next_due() == tick * TICK


def test_a_hair_more_than_a_whole_number_of_ticks_is_the_next_tick() -> None:
    """Divided by the tick, it is a whole number, and would be woken too early."""
    for tick in range(1, 2000):
        due = math.nextafter(tick * TICK, math.inf)
        queue: BackoffQueue[str] = BackoffQueue()
        queue.push("a", [0], due)
        assert queue.next_due() == (tick + 1) * TICK


def test_dropped_turns_do_not_pile_up() -> None:
    """Calls that end while they wait leave turns behind: they are cleared, and no other is."""
    queue: BackoffQueue[tuple[int]] = BackoffQueue()
    owners = [(number,) for number in range(1000)]
    for owner in owners:
        queue.push(owner, [owner[0]], (1000 - owner[0]) * TICK)
    # Those that stay are due last, so that no turn comes up and is cleared by that.
    waiting = len(owners)
    for owner in reversed(owners[100:]):
        queue.drop(owner)
        waiting -= 1
        assert waiting <= len(queue._heap) <= 2 * waiting + _TURNS_TO_SPARE
    woken = list(queue.pop_due(1000 * TICK))
    assert woken == [((number,), [number]) for number in reversed(range(100))]
    assert not queue


def test_who_came_first_in_a_tick_goes_first() -> None:
    queue: BackoffQueue[str] = BackoffQueue()
    queue.push("early", [1], 1.0)
    assert list(queue.pop_due(1.0)) == [("early", [1])]
    queue.push("late", [2], 2.0)
    queue.push("early", [3], 2.0)
    queue.push("late", [4], 2.0)
    assert list(queue.pop_due(2.0)) == [("late", [2, 4]), ("early", [3])]


@pytest.mark.looptime
async def test_the_coroutine_wakes_each_within_its_tick() -> None:
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    woken: list[tuple[float, list[int]]] = []

    def wake(entries: list[int]) -> None:
        woken.append((loop.time(), entries))

    began = loop.time()
    backoff.wait(wake, [1], 0.4)
    backoff.wait(wake, [2], 0.1)
    backoff.wait(wake, [3], 0.1)
    await asyncio.sleep(1.0)
    assert [entries for _, entries in woken] == [[2, 3], [1]]
    for (at, _), wait in zip(woken, (0.1, 0.4), strict=True):
        assert wait <= at - began <= wait + TICK * 1.0001


@pytest.mark.looptime
async def test_an_earlier_waiter_is_not_held_up_by_a_later_one() -> None:
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    began = loop.time()
    late = asyncio.create_task(backoff.sleep(5.0))
    await asyncio.sleep(0.001)
    await backoff.sleep(0.1)
    assert 0.1 <= loop.time() - began <= 0.12
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)


@pytest.mark.looptime
async def test_one_coroutine_serves_all_and_ends_with_the_last() -> None:
    backoff = Backoff()

    def running() -> list[asyncio.Task[object]]:
        return [task for task in asyncio.all_tasks() if task.get_name() == "aiobatch-backoff"]

    assert running() == []
    sleepers = [asyncio.create_task(backoff.sleep(n / 10)) for n in range(1, 20)]
    await asyncio.sleep(0.01)
    assert len(running()) == 1
    await asyncio.gather(*sleepers)
    await asyncio.sleep(0.01)
    assert running() == []


@pytest.mark.looptime
async def test_a_cancelled_sleeper_leaves_nothing_behind() -> None:
    backoff = Backoff()
    sleeper = asyncio.create_task(backoff.sleep(60.0))
    await asyncio.sleep(0.01)
    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.looptime
async def test_it_sleeps_until_somebody_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes later, or leaves, does not wake it."""
    backoff = Backoff()
    looks = 0
    pop_due = backoff._queue.pop_due

    def counted(now: float) -> Iterator[object]:
        nonlocal looks
        looks += 1
        return pop_due(now)

    monkeypatch.setattr(backoff._queue, "pop_due", counted)
    first = asyncio.create_task(backoff.sleep(1.0))
    await asyncio.sleep(0.001)
    for _ in range(5):
        later = asyncio.create_task(backoff.sleep(5.0))
        await asyncio.sleep(0.001)
        later.cancel()
        await asyncio.gather(later, return_exceptions=True)
        await asyncio.sleep(0.001)
    assert looks == 0
    await first
    assert looks == 1


@pytest.mark.looptime
async def test_a_closed_backoff_wakes_nobody_and_leaves_no_task() -> None:
    backoff = Backoff()
    await backoff.aclose()
    woken: list[list[int]] = []
    backoff.wait(woken.append, [1], 0.1)
    await asyncio.sleep(0.01)
    await backoff.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await asyncio.sleep(1.0)
    assert woken == []


def first_tick(due: float) -> int:
    """The first tick that is not before a due time: a division would round."""
    tick = int(due / TICK) - 1
    while tick * TICK < due:
        tick += 1
    return tick


class BackoffMachine(RuleBasedStateMachine):
    """Against a model: who waits with what until when, and who came first in a tick."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: BackoffQueue[str] = BackoffQueue()
        self.now = 1000.0
        self.count = 0
        self.model: list[tuple[float, str, int]] = []

    @rule(owner=st.sampled_from("abcd"), wait=st.floats(0.0, 0.2), entries=st.integers(1, 3))
    def push(self, owner: str, wait: float, entries: int) -> None:
        new = range(self.count, self.count + entries)
        self.count += entries
        self.queue.push(owner, new, self.now + wait)
        self.model += [(self.now + wait, owner, entry) for entry in new]

    @rule(owner=st.sampled_from("abcd"))
    def drop(self, owner: str) -> None:
        self.queue.drop(owner)
        self.model = [waiter for waiter in self.model if waiter[1] != owner]

    @rule(seconds=st.floats(0.0, 0.1))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        woken = list(self.queue.pop_due(self.now))
        entries = [entry for _, of_owner in woken for entry in of_owner]
        waiting = {entry: (due, owner) for due, owner, entry in self.model}
        for owner, of_owner in woken:
            assert of_owner == sorted(of_owner), "an owner's leftovers changed places"
            for entry in of_owner:
                assert waiting[entry][1] == owner
                assert waiting[entry][0] <= self.now, "a wait was cut short"
        late = [entry for entry, (due, _) in waiting.items() if due + 1.001 * TICK <= self.now]
        assert set(late) <= set(entries), "more than a tick late"
        # Of what was due at one time, who came first goes first.
        firsts = [of_owner[0] for _, of_owner in woken]
        ticks = [first_tick(waiting[first][0]) for first in firsts]
        for one in range(1, len(woken)):
            if ticks[one] == ticks[one - 1]:
                assert firsts[one - 1] < firsts[one]
        self.model = [waiter for waiter in self.model if waiter[2] not in set(entries)]

    @invariant()
    def it_knows_who_waits(self) -> None:
        assert bool(self.queue) == bool(self.model)
        due = self.queue.next_due()
        assert (due is not None) == bool(self.model)
        if due is not None:
            first = min(self.model)[0]
            assert first <= due <= first + 1.001 * TICK
        # No owner is remembered who does not wait: another object may get the same id.
        assert len(self.queue._turns) == len({owner for _, owner, _ in self.model})


TestBackoffMachine = BackoffMachine.TestCase


@pytest.mark.looptime
@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_in_the_turn_of_its_waking_harms_nobody(turns: int) -> None:
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    cancelled, other = [asyncio.create_task(backoff.sleep(1.0)) for _ in range(2)]
    await asyncio.sleep(0)
    due = backoff._queue.next_due()
    assert due is not None

    def cancel(turns: int) -> None:
        # Its future is cancelled, and it has not run since, when the backoff comes to wake it.
        if turns:
            loop.call_soon(cancel, turns - 1)
        else:
            cancelled.cancel()

    loop.call_at(due, cancel, turns)
    await asyncio.wait([cancelled, other])
    assert cancelled.done()
    assert other.exception() is None
    await backoff.aclose()
