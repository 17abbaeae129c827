"""The plan: every entry leaves in a legal request, and in no other way."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiobatch.engine import plan
from aiobatch.engine.plan import Plan, distinct, folding, strided

identities = st.lists(st.binary(min_size=1, max_size=2), max_size=60)


@given(identities, st.sampled_from(["first", "last"]))
def test_distinct_folds_equal_identities(given_identities: list[bytes], keep: str) -> None:
    positions, entries = distinct(given_identities, keep=keep)
    assert len(positions) == len(set(given_identities))
    for position, entry in enumerate(entries):
        assert given_identities[positions[entry]] == given_identities[position]
    for entry, position in enumerate(positions):
        same = [at for at, other in enumerate(entries) if other == entry]
        assert position == (same[0] if keep == "first" else same[-1])


@given(identities, st.sampled_from(["first", "last"]))
def test_distinct_is_the_same_in_small_steps(given_identities: list[bytes], keep: str) -> None:
    whole = [list(part) for part in distinct(given_identities, keep=keep)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_FOLDED_A_STEP", 3)

        def folded() -> Iterator[Any]:
            yield (yield from folding(given_identities, keep=keep))

        *turns, last = folded()
    assert [list(part) for part in last] == whole
    assert len(turns) >= (len(given_identities) - 1) // 3


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 13])
@pytest.mark.parametrize("twice", [False, True])
def test_folding_takes_no_more_steps_than_it_has_to(
    count: int, twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One turn of the loop between steps; none to make lists where all keys are distinct."""
    monkeypatch.setattr(plan, "_FOLDED_A_STEP", 3)
    given_identities = [bytes((n,)) for n in range(count)]
    if twice:
        given_identities.append(bytes((0,)))
        given_identities[0] = bytes((0,))

    def folded() -> Iterator[Any]:
        yield (yield from folding(given_identities, keep="first"))

    *turns, (positions, entries) = folded()
    steps = -(-len(given_identities) // 3)
    if len(set(given_identities)) < len(given_identities):
        assert len(turns) == (steps - 1) + steps
    else:
        assert len(turns) == max(steps - 1, 0)
        assert positions == entries == range(len(given_identities))


@given(st.integers(0, 2000), st.integers(1, 100))
def test_a_stride_visits_every_entry_once(count: int, size: int) -> None:
    requests = list(strided(range(3, 3 + count), size))
    assert sorted(chain(*requests)) == list(range(3, 3 + count))
    assert all(1 <= len(request) <= size for request in requests)


def test_a_stride_spreads_each_request_over_the_list() -> None:
    for request in strided(range(1000), 25):
        assert all(b - a == 40 for a, b in pairwise(request))


def cut(plan: Plan) -> Sequence[int]:
    """The next request of one table, of 100 bytes at most."""
    return plan.take_group() if plan.has_group else plan.take(100, 100)[0]


def test_a_plan_that_is_added_to_knows_when_a_request_is_full() -> None:
    plan = Plan((), lambda _: 1, max_entries=3)
    for entry in range(2):
        plan.add(entry)
        assert not plan.fills_a_request
    plan.add(2)
    assert plan.fills_a_request
    assert (plan.fresh, cut(plan), plan.fresh) == (3, [0, 1, 2], 0)
    # Leftovers wait for nobody, and take along what is there.
    plan.add(3)
    plan.requeue([1])
    assert plan.fills_a_request
    assert cut(plan) == [1, 3]
    plan.split([0, 2])
    assert plan.fills_a_request
    assert [cut(plan), cut(plan)] == [[0], [2]]


def test_many_are_added_together() -> None:
    plan = Plan((), lambda _: 1, max_entries=3)
    plan.add(7)
    plan.extend([4, 5])
    assert plan.fills_a_request
    assert (plan.fresh, cut(plan), plan.fresh) == (3, [7, 4, 5], 0)


def test_a_shrunk_plan_widens_again_and_no_further() -> None:
    plan = Plan(range(1000), lambda _: 1, max_entries=100)
    plan.shrink(10)
    sizes = []
    for _ in range(30):
        plan.widen()
        sizes.append(plan.next_size)
    # One more each time, and an eighth.
    assert sizes[:8] == [12, 14, 16, 19, 22, 25, 29, 33]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 100


def filled() -> Plan:
    """A plan with entries in each place where they wait."""
    plan = Plan([range(4, 6), range(6, 7)], lambda _: 1, max_entries=2)
    plan.add(7)
    plan.requeue([2, 3])
    plan.split([0, 1])
    return plan


def test_a_plan_tells_what_waits_in_the_order_in_which_it_leaves() -> None:
    plan = filled()
    waiting = list(plan)
    assert waiting == list(range(8))
    assert len(plan) == 8
    left: list[int] = []
    while plan:
        left.extend(cut(plan))
    assert left == waiting
    assert list(plan) == []


def test_a_plan_that_was_cleared_sends_nothing() -> None:
    plan = filled()
    plan.clear()
    assert (bool(plan), len(plan), plan.fresh, list(plan)) == (False, 0, 0, [])
    plan.add(9)
    assert (len(plan), list(cut(plan))) == (1, [9])


def test_what_was_never_sent_is_cut_in_ranges() -> None:
    """They are joined and settled in slices, which is what makes large calls cheap."""
    plan = Plan(strided(range(6), 2), lambda _: 1, max_entries=2)
    assert [cut(plan) for _ in range(3)] == [range(0, 6, 3), range(1, 6, 3), range(2, 6, 3)]


def test_an_entry_larger_than_a_request_goes_alone() -> None:
    sizes = [10, 500, 10, 10]
    plan = Plan(range(4), sizes.__getitem__, max_entries=25)
    assert [list(cut(plan)) for _ in range(3)] == [[0], [1], [2, 3]]
    assert not plan


def test_leftovers_leave_before_what_was_never_sent() -> None:
    plan = Plan(range(6), lambda _: 1, max_entries=2)
    first = cut(plan)
    plan.requeue(first)
    assert list(cut(plan)) == list(first)
    assert list(cut(plan)) == [2, 3]


def test_leftovers_and_fresh_entries_fill_one_request() -> None:
    plan = Plan(range(4), lambda _: 1, max_entries=4)
    plan.requeue([9])
    assert plan.next_size == 4
    assert cut(plan) == [9, 0, 1, 2]


def test_halves_are_requests_of_their_own() -> None:
    plan = Plan(range(4), lambda _: 1, max_entries=25)
    entries = cut(plan)
    plan.requeue([7])
    plan.split(entries)
    assert plan.next_size == 2
    assert [list(cut(plan)) for _ in range(3)] == [[0, 1], [2, 3], [7]]


def test_shrinking_never_grows_and_never_reaches_zero() -> None:
    plan = Plan(range(10), lambda _: 1, max_entries=5)
    plan.shrink(9)
    assert plan.next_size == 5
    plan.shrink(0)
    assert list(cut(plan)) == [0]


class PlanMachine(RuleBasedStateMachine):
    """Cut, hand back, halve and shrink in any order: nothing is lost and nothing is doubled."""

    COUNT = 60
    MAX_BYTES = 100

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [1 + (entry * 37) % 130 for entry in range(self.COUNT)]
        self.max_entries = 7
        self.plan = Plan(
            strided(range(self.COUNT), self.max_entries),
            self.sizes.__getitem__,
            max_entries=self.max_entries,
        )
        self.in_flight: list[Sequence[int]] = []
        self.ended: set[int] = set()

    @precondition(lambda self: bool(self.plan))
    @rule()
    def cut(self) -> None:
        promised = self.plan.next_size
        request = cut(self.plan)
        assert 1 <= len(request) <= promised
        assert len(set(request)) == len(request)
        assert len(request) == 1 or sum(self.sizes[e] for e in request) <= self.MAX_BYTES
        self.in_flight.append(request)

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

    @rule(entries=st.integers(0, 10))
    def shrink(self, entries: int) -> None:
        self.plan.shrink(entries)

    @rule()
    def widen(self) -> None:
        self.plan.widen()

    @invariant()
    def every_entry_is_in_one_place(self) -> None:
        flying = sum(map(len, self.in_flight))
        assert len(self.plan) + flying + len(self.ended) == self.COUNT
        assert bool(self.plan) == (len(self.plan) > 0)


TestPlanMachine = PlanMachine.TestCase
