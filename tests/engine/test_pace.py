"""Pace, ceilings and turns step by step, with exact figures. What they are good for together is
tested in test_pressure.py, on throttled tables."""

import asyncio

import pytest

from aiobatch.engine.pressure import (
    Governor,
    Pace,
    Slots,
    UnitBudget,
    _Peak,
    _seconds_to_earn,
    _Window,
)

exactly = pytest.approx


def refused(*, asked: int, through: int = 0) -> Pace:
    """A pace that was refused at 100.5; half a second before that, so many entries left, and
    after half of it, so many went through."""
    pace = Pace()
    pace.spend(asked, 100.0)
    if through:
        pace.passed(through, 100.25, 100.0, whole=True)
    pace.throttled(100.5, sent_at=100.0)
    return pace


def one_refused() -> Pace:
    """The same of single entries, of which one went through, a second before."""
    pace = Pace()
    pace.spend(1, 99.5)
    pace.passed(1, 99.5, 99.5, whole=True)
    pace.throttled(100.5, sent_at=99.5)
    return pace


def rate(pace: Pace) -> float | None:
    return pace.rate


def most(pace: Pace) -> int | None:
    return pace.most


# ---------------------------------------------------------------------- what a refusal leaves


@pytest.mark.parametrize(
    ("asked", "through", "left"),
    [
        # Half of what was asked for, if less went through.
        (50, 0, 50.0),
        (50, 10, 50.0),
        # 0.95 of what went through, if that is more.
        (50, 20, 0.95 * 80.0),
        # It falls in any case.
        (50, 30, 0.95 * 100.0),
        # Never below half an entry a second.
        (0, 0, 0.5),
    ],
)
def test_the_first_refusal_sets_the_rate(asked: int, through: int, left: float) -> None:
    assert rate(refused(asked=asked, through=through)) == exactly(left)


def test_a_refusal_is_one_from_the_very_beginning() -> None:
    pace = Pace()
    pace.spend(25, 0.0)
    pace.throttled(0.5, sent_at=0.0)
    assert pace.rate == 25.0


def test_without_a_refusal_nothing_is_counted_but_what_leaves_and_goes_through() -> None:
    pace = Pace()
    assert pace.wait(0.0) == 0.0
    pace.spend(1_000_000, 0.0)
    pace.take_back(10)
    pace.passed(10, 0.0, 0.0, whole=False)
    assert (pace.wait(0.0), pace.rate, pace.most) == (0.0, None, None)


def test_the_next_refusal_takes_from_the_rate_that_was_tried() -> None:
    # Nothing went through since: half of what left lately, if that was less than allowed.
    pace = refused(asked=50)
    pace.spend(15, 101.0)
    pace.throttled(101.5, sent_at=101.0)
    assert rate(pace) == exactly(15.0)
    # And half of what was allowed, where more left.
    pace = refused(asked=50)
    pace.spend(40, 101.25)
    pace.throttled(101.5, sent_at=101.25)
    assert rate(pace) == exactly(25.0)


def test_one_decrease_a_round_trip() -> None:
    pace = refused(asked=50)
    pace.spend(100, 100.75)
    pace.throttled(101.0, sent_at=100.49)
    assert rate(pace) == 50.0
    pace.throttled(101.0, sent_at=100.5)
    assert rate(pace) == exactly(25.0)
    # The one that lowered nothing counts as no decrease.
    pace.throttled(101.25, sent_at=100.99)
    assert rate(pace) == exactly(25.0)
    pace.throttled(101.25, sent_at=101.0)
    assert rate(pace) == exactly(12.5)


# ---------------------------------------------------------------------- credit and debts


def test_who_leaves_in_debt_lets_the_next_one_wait() -> None:
    pace = refused(asked=50)
    assert pace.wait(100.5) == 0.0
    pace.spend(25, 100.5)
    assert pace.wait(100.5) == exactly(0.5)
    assert pace.wait(100.75) == exactly(0.25)
    pace.spend(25, 100.75)
    assert pace.wait(100.75) == exactly(0.75)
    assert pace.wait(101.5) == 0.0
    # 0.02 seconds of the rate may be saved up.
    assert pace.wait(110.0) == 0.0
    pace.spend(6, 110.0)
    assert pace.wait(110.0) == exactly(0.1)


def test_no_request_makes_the_next_one_wait_for_more_than_five_seconds() -> None:
    pace = refused(asked=50)
    pace.spend(1_000, 100.5)
    assert pace.wait(100.5) == exactly(5.0)


def test_what_stays_behind_is_given_back() -> None:
    pace = refused(asked=50)
    pace.spend(25, 100.5)
    pace.take_back(15)
    assert pace.wait(100.5) == exactly(0.2)
    pace.take_back(25)
    assert pace.wait(100.5) == 0.0
    pace.spend(6, 100.5)
    assert pace.wait(100.5) == exactly(0.1)


def test_a_refusal_leaves_debts_and_no_credit() -> None:
    pace = refused(asked=50)
    pace.spend(50, 100.5)
    # Half of it is earned, at the old rate.
    pace.throttled(101.0, sent_at=100.5)
    assert rate(pace) == exactly(25.0)
    assert pace.wait(101.0) == exactly(1.0)
    # At the new rate, it is five seconds again.
    pace.spend(1_000, 102.0)
    pace.throttled(102.0, sent_at=102.0)
    assert rate(pace) == exactly(12.5)
    assert pace.wait(102.0) == exactly(5.0)
    pace = refused(asked=50)
    pace.spend(50, 109.5)
    pace.take_back(50)
    pace.throttled(110.0, sent_at=109.5)
    assert rate(pace) == exactly(25.0)
    pace.spend(25, 110.0)
    assert pace.wait(110.0) == exactly(1.0)


def test_how_long_a_debt_takes() -> None:
    assert _seconds_to_earn(5.0, 10.0) == 0.5
    assert _seconds_to_earn(0.5, 10.0) == 0.05
    assert _seconds_to_earn(0.0, 10.0) == _seconds_to_earn(-1.0, 10.0) == 0.0
    assert _seconds_to_earn(0.001, 10.0) == _seconds_to_earn(1e-12, 10.0) == 0.001


# ---------------------------------------------------------------------- growth


def test_a_rate_that_was_lowered_is_back_after_a_second_of_success() -> None:
    # From 76 to 80.
    pace = refused(asked=50, through=20)
    pace.passed(19, 100.75, 100.5, whole=True)
    assert rate(pace) == exactly(76.0 + 4.0 * 0.25)
    # What took a tenth of a second at most counts for that.
    pace.passed(1, 101.0, 100.75, whole=True)
    assert rate(pace) == exactly(77.0 + 4.0 * 0.1)
    # More than the time that has passed counts for nobody.
    pace.passed(1_000, 101.5, 101.0, whole=True)
    assert rate(pace) == exactly(77.4 + 4.0 * 0.5)


def test_past_the_rate_that_was_refused_it_grows_faster_with_time() -> None:
    # From 50; nothing went through.
    pace = refused(asked=50)
    pace.passed(100, 102.5, 102.0, whole=True)
    assert rate(pace) == exactly(50.0 * (1.0 + 0.06 * 2.0))
    pace.passed(28, 110.5, 110.0, whole=True)
    assert rate(pace) == exactly(56.0 * (1.0 + 0.22 * 0.5))
    # At most, it doubles in a second of success.
    pace.passed(1_000, 200.5, 200.0, whole=True)
    assert rate(pace) == exactly(62.16 + 1_000)


def test_at_the_rate_that_was_refused_it_grows_as_past_it() -> None:
    pace = refused(asked=50, through=20)
    pace.passed(1_000, 101.5, 101.0, whole=True)
    assert rate(pace) == exactly(80.0)
    pace._rate = 80.0
    pace.passed(40, 101.75, 101.5, whole=True)
    assert rate(pace) == exactly(80.0 * (1.0 + 0.02 * 2.25 * 0.25))


def test_a_very_low_rate_is_back_after_a_second_too() -> None:
    pace = one_refused()
    pace.passed(1, 101.0, 100.75, whole=True)
    assert rate(pace) == exactly(0.95 + 0.05 * 0.5)


def test_how_soon_it_is_back_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "RECOVERY", 4.0)
    pace = refused(asked=50, through=20)
    pace.passed(19, 100.75, 100.5, whole=True)
    assert rate(pace) == exactly(76.0 + 1.0 * 0.25)


def test_a_partial_answer_ends_the_quiet() -> None:
    pace = refused(asked=50)
    pace.passed(100, 102.5, 102.0, whole=False)
    assert rate(pace) == 50.0
    pace.passed(25, 104.5, 104.0, whole=True)
    assert rate(pace) == exactly(50.0 * (1.0 + 0.06 * 0.5))
    # No more than the time since then is success.
    pace = refused(asked=50)
    pace.passed(100, 102.5, 102.0, whole=False)
    pace.passed(100, 103.0, 102.5, whole=True)
    assert rate(pace) == exactly(50.0 * (1.0 + 0.03 * 0.5))


def test_a_refusal_begins_the_growth_anew() -> None:
    pace = refused(asked=50)
    pace.passed(100, 102.5, 102.0, whole=True)
    pace.spend(40, 109.5)
    pace.throttled(110.0, sent_at=109.5)
    assert rate(pace) == exactly(28.0)
    # Not from the first rate that was refused, nor from the first refusal.
    pace.passed(100, 112.0, 111.0, whole=True)
    assert rate(pace) == exactly(28.0 * (1.0 + 0.06 * 2.0))


def test_beside_strays_it_grows_no_further_than_a_little_above_what_goes_through() -> None:
    pace = refused(asked=1_000, through=100)
    assert rate(pace) == 1_000.0
    # 675 in 0.75 seconds; without the refusal half a second ago it would be 1,015.
    pace.passed(575, 101.0, 100.5, whole=True)
    assert rate(pace) == exactly(1.125 * 900.0)
    # The rate does not fall for that.
    pace = refused(asked=1_000, through=100)
    pace.passed(1, 101.0, 100.5, whole=True)
    assert rate(pace) == 1_000.0
    # The most that went through lately counts, and not the last.
    pace = refused(asked=1_000, through=100)
    pace.passed(575, 101.0, 100.5, whole=True)
    pace.passed(1, 101.25, 101.0, whole=True)
    assert rate(pace) == exactly(1.125 * 900.0)


# ---------------------------------------------------------------------- partial answers


@pytest.mark.parametrize(
    ("entries", "left"),
    [
        # A little above what goes through.
        (250, 1.02 * 700.0),
        # Not below half of what it was.
        (1, 500.0),
        # It does not rise for them.
        (1_000, 1_000.0),
    ],
)
def test_a_partial_answer_lowers_the_rate_to_what_goes_through(entries: int, left: float) -> None:
    pace = refused(asked=1_000, through=100)
    pace.passed(entries, 100.75, 100.5, whole=False)
    assert rate(pace) == exactly(left)


def test_a_partial_answer_lowers_once_a_round_trip() -> None:
    pace = refused(asked=1_000, through=100)
    pace.passed(1, 100.75, 100.49, whole=False)
    assert rate(pace) == 1_000.0
    pace.passed(1, 100.75, 100.5, whole=False)
    assert rate(pace) == 500.0
    pace.passed(1, 100.875, 100.74, whole=False)
    assert rate(pace) == 500.0
    pace.passed(1, 100.875, 100.75, whole=False)
    assert rate(pace) == 250.0


def test_a_partial_answer_that_lowers_nothing_is_no_decrease() -> None:
    pace = refused(asked=1_000, through=100)
    pace._rate = 1.02 * 700.0
    pace.passed(250, 100.75, 100.5, whole=False)
    assert rate(pace) == 1.02 * 700.0
    pace.throttled(101.0, sent_at=100.625)
    assert pace._rate < 700.0


def test_partial_answers_leave_half_an_entry_a_second() -> None:
    pace = one_refused()
    assert rate(pace) == exactly(0.95)
    # Two in more than four seconds.
    pace.passed(1, 103.6875, 101.0, whole=False)
    assert rate(pace) == 0.5


def test_a_table_that_answers_in_part_has_a_quarter_of_a_second_in_a_request() -> None:
    pace = refused(asked=50)
    assert most(pace) is None
    pace.passed(25, 100.75, 100.5, whole=True)
    assert most(pace) is None
    pace._rate = 50.0
    pace.passed(25, 100.75, 100.5, whole=False)
    assert most(pace) == 12
    pace.passed(25, 100.75, 100.5, whole=True)
    assert most(pace) == 12
    pace._rate = 0.5
    assert most(pace) == 1


# ---------------------------------------------------------------------- strays


def answers(whole: int, refusals: int, *, in_part: int = 0) -> list[bool]:
    """Whether each of so many refusals lowered the rate, after so many whole answers."""
    pace = refused(asked=50)
    for _ in range(in_part):
        pace.passed(25, 102.0, 101.9, whole=False)
    for _ in range(whole):
        pace.passed(25, 102.0, 101.9, whole=True)
    lowered = []
    for number in range(refusals):
        pace._rate = 50.0
        now = 102.25 + number / 16
        pace.throttled(now, sent_at=now)
        lowered.append(pace._rate < 50.0)
    return lowered


@pytest.mark.parametrize(
    ("whole", "lowered"),
    [
        # One of nine: too few to tell. Two of ten: a fifth.
        (8, [True, False]),
        (9, [False, False, True]),
        (7, [True, True, True]),
        (13, [False, False, False, True]),
    ],
)
def test_refusals_among_many_that_go_through_lower_nothing(whole: int, lowered: list[bool]) -> None:
    assert answers(whole, len(lowered)) == lowered


def test_beside_a_partial_answer_no_refusal_is_a_stray() -> None:
    assert answers(20, 2, in_part=1) == [True, True]


def test_what_is_long_ago_tells_nothing_of_strays() -> None:
    pace = refused(asked=50)
    # One in part, at 102.0, is forgotten when the refusal comes, and the refusals before it.
    pace.passed(25, 102.0, 101.9, whole=False)
    for _ in range(2):
        pace.throttled(102.0, sent_at=99.0)
    for _ in range(9):
        pace.passed(25, 103.0, 102.9, whole=True)
    pace._rate = 50.0
    pace.throttled(103.5, sent_at=103.5)
    assert rate(pace) == 50.0
    # The whole ones are, too.
    pace.throttled(104.25, sent_at=104.25)
    assert pace._rate < 50.0


def test_a_slow_pace_is_counted_over_longer() -> None:
    # Four entries may leave in eight seconds.
    pace = refused(asked=0)
    assert rate(pace) == 0.5
    for number in range(9):
        pace.passed(1, 101.0 + number / 2, 100.75, whole=True)
        pace._rate = 0.5
    pace.throttled(108.0, sent_at=107.0)
    assert rate(pace) == 0.5
    assert pace._refused.count(108.0, 8.0) == 2


# ---------------------------------------------------------------------- windows and peaks


def test_a_window_slides() -> None:
    window = _Window()
    assert (window.count(1.0, 1.0), window.rate(1.0, 1.0)) == (0, 0.0)
    window.add(3, 1.0, 1.0)
    # A burst is taken to last for a hundredth of a second.
    assert (window.count(1.0, 1.0), window.rate(1.0, 1.0)) == (3, 300.0)
    window.add(2, 1.5, 1.0)
    assert (window.count(1.5, 1.0), window.rate(1.5, 1.0)) == (5, 10.0)
    # What happened a second ago belongs to the last second.
    assert (window.count(2.0, 1.0), window.rate(2.0, 1.0)) == (5, 5.0)
    assert window.count(2.25, 1.0) == 2
    assert window.rate(2.25, 1.0) == exactly(2 / 0.75)
    assert window.rate(2.75, 1.0) == 0.0
    assert window.count(2.75, 1.0) == 0


def test_a_window_forgets_what_is_old_when_something_is_added() -> None:
    window = _Window()
    for now in (1.0, 1.25, 2.0, 2.125):
        window.add(1, now, 1.0)
    # Else nothing ever would, of what is counted by nobody.
    assert list(window._events) == [(1.25, 1), (2.0, 1), (2.125, 1)]
    assert window._sum == 3


def test_a_window_may_become_longer_and_shorter() -> None:
    window = _Window()
    for now in (1.0, 2.0, 3.0, 4.0):
        window.add(1, now, 8.0)
    assert window.count(4.0, 3.0) == 4
    assert window.rate(4.0, 2.0) == 1.5
    assert window.count(4.0, 3.0) == 3


def test_a_peak_lasts_for_a_while() -> None:
    peak = _Peak(5.0)
    assert peak.value == 0.0
    peak.see(7.0, 4.0)
    peak.see(3.0, 4.75)
    assert peak.value == 7.0
    # Half of what is kept is forgotten after five seconds, all of it after a pause of ten.
    peak.see(2.0, 5.0)
    assert (peak._before, peak.value) == (7.0, 7.0)
    peak.see(1.0, 9.75)
    assert peak.value == 7.0
    peak.see(1.0, 10.0)
    assert peak.value == 2.0
    peak.see(0.5, 19.75)
    assert peak.value == 1.0
    peak.see(0.25, 29.75)
    assert peak.value == 0.25


# ---------------------------------------------------------------------- ceilings


def test_a_ceiling_has_a_second_at_the_start() -> None:
    budget = UnitBudget(10.0)
    assert budget.rate == 10.0
    assert budget.wait(50.0) == 0.0
    # An entry is taken to cost one unit, until it is known.
    assert budget.spend(10, 50.0) == 10.0
    assert budget.wait(50.0) == 0.0
    assert budget.spend(5, 50.0) == 5.0
    assert budget.wait(50.0) == 0.5
    assert budget.wait(50.25) == 0.25
    # Units are saved up for a second.
    assert budget.wait(60.0) == 0.0
    budget.spend(15, 60.0)
    assert budget.wait(60.0) == 0.5


def test_units_are_earned_whenever_something_leaves() -> None:
    budget = UnitBudget(10.0)
    budget.spend(20, 50.0)
    budget.spend(5, 51.0)
    assert budget.wait(51.0) == 0.5


def test_the_real_cost_takes_the_place_of_the_guess() -> None:
    budget = UnitBudget(10.0)
    guess = budget.spend(10, 50.0)
    budget.settle(guess, 14.0)
    assert budget.wait(50.0) == exactly(0.4)
    budget.settle(0.0, -4.0)
    # Without a number of entries, it teaches nothing of what one costs.
    assert budget.spend(10, 50.0) == 10.0
    budget.settle(10.0, 60.0, 10)
    assert budget.wait(50.0) == exactly(6.0)
    assert budget.spend(10, 60.0) == exactly(20.0)
    budget.settle(20.0, 10.0, 10)
    assert budget.spend(10, 60.0) == exactly(18.0)


def test_a_ceiling_may_change() -> None:
    budget = UnitBudget(10.0)
    budget.spend(30, 50.0)
    # What was earned till then was earned at the old one.
    budget.change(5.0, 51.0)
    assert budget.rate == 5.0
    assert budget.wait(51.0) == 2.0
    # What was saved up is no more than the new one allows, and a higher one gives none.
    budget = UnitBudget(10.0)
    budget.change(5.0, 50.0)
    budget.change(100.0, 50.0)
    budget.spend(15, 50.0)
    assert budget.wait(50.0) == 0.1


def test_savings_may_be_forgotten_and_debts_not() -> None:
    budget = UnitBudget(10.0)
    budget.forget_savings(50.0)
    budget.spend(5, 50.0)
    assert budget.wait(50.0) == 0.5
    budget.forget_savings(50.25)
    assert budget.wait(50.25) == 0.25
    budget.forget_savings(60.0)
    budget.spend(5, 60.0)
    assert budget.wait(60.0) == 0.5


# ---------------------------------------------------------------------- governors and slots


def test_what_is_told_of_a_pace() -> None:
    governor = Governor()
    told = []
    for rate in (None, 10.0, 10.0, 10.99, 11.0, 11.0, 12.0, 10.99, 11.5):
        governor.pace._rate = rate
        told.append(governor.rate_to_tell())
    assert told == [None, 10.0, None, None, 1.1 * 10.0, None, None, 10.99, None]


def test_a_governor_is_open_until_something_slows_it() -> None:
    governor = Governor()
    assert governor.budget is None
    assert governor.spend(5, 100.0) == 0.0
    open_before = governor.is_open
    governor.pace.throttled(100.5, sent_at=100.0)
    assert (open_before, governor.is_open) == (True, False)
    # What was spent was counted.
    assert governor.pace.rate == 5.0
    assert not Governor(1.0).is_open


@pytest.mark.looptime
async def test_who_may_leave_at_once_is_counted() -> None:
    loop = asyncio.get_running_loop()
    governor = Governor()
    began = loop.time()
    assert await governor.admit(25) == 0.0
    assert loop.time() == began
    await asyncio.sleep(0.5)
    governor.pace.throttled(loop.time(), sent_at=began)
    assert governor.pace.rate == exactly(25.0)
    began = loop.time()
    waits = []
    for entries in (25, 5, 1):
        assert await governor.admit(entries) == 0.0
        waits.append(loop.time() - began)
    assert waits == exactly([0.0, 1.0, 1.2], abs=3e-3)


@pytest.mark.looptime
async def test_the_longer_wait_counts() -> None:
    loop = asyncio.get_running_loop()
    for units, paced, seconds in ((10.0, 100, 2.0), (100.0, 5, 6.0)):
        governor = Governor(units)
        governor.pace.spend(paced, loop.time() - 0.5)
        governor.pace.throttled(loop.time(), sent_at=loop.time())
        assert await governor.admit(30) == 30.0
        began = loop.time()
        assert await governor.admit(1) == 1.0
        assert loop.time() - began == exactly(min(seconds, 5.0), abs=2e-3)


@pytest.mark.looptime
async def test_a_higher_ceiling_is_noticed_by_who_waits() -> None:
    loop = asyncio.get_running_loop()
    governor = Governor(1.0)
    await governor.admit(101)
    began = loop.time()
    waiting = asyncio.create_task(governor.admit(1))
    await asyncio.sleep(0.25)
    assert governor.budget is not None
    governor.budget.change(1_000.0, loop.time())
    await waiting
    # It looks once a second.
    assert loop.time() - began == exactly(1.0, abs=1e-3)


@pytest.mark.looptime
async def test_a_request_that_leaves_with_others_is_charged_anew() -> None:
    now = asyncio.get_running_loop().time()
    governor = Governor()
    governor.pace.spend(50, now - 0.5)
    governor.pace.throttled(now, sent_at=now)
    assert governor.pace.rate == exactly(50.0)
    governor.spend(25, now)
    assert governor.amend(25, 25, 7.0, now) == 7.0
    assert governor.pace.wait(now) == exactly(0.5)
    assert governor.amend(25, 35, 7.0, now) == 7.0
    assert governor.pace.wait(now) == exactly(0.7)
    assert governor.amend(35, 20, 7.0, now) == 7.0
    assert governor.pace.wait(now) == exactly(0.4)
    assert governor.amend(20, 0, 7.0, now) == 7.0
    assert governor.pace.wait(now) == 0.0


@pytest.mark.looptime
async def test_so_is_it_in_units() -> None:
    now = asyncio.get_running_loop().time()
    governor = Governor(10.0)
    assert governor.budget is not None
    guess = governor.spend(20, now)
    assert guess == 20.0
    assert governor.budget.wait(now) == exactly(1.0)
    # What an entry costs is known better by now.
    governor.budget.settle(0.0, 0.0, 10)
    assert governor.amend(20, 20, guess, now) == 20.0
    guess = governor.amend(20, 25, guess, now)
    assert guess == exactly(20.0)
    assert governor.budget.wait(now) == exactly(1.0)
    assert governor.amend(25, 15, guess, now) == exactly(12.0)
    assert governor.budget.wait(now) == exactly(0.2)


@pytest.mark.looptime
async def test_as_many_requests_as_there_are_slots() -> None:
    slots = Slots(2)
    tasks = [asyncio.create_task(slots.acquire()) for _ in range(4)]
    await asyncio.sleep(1.0)
    assert [task.done() for task in tasks] == [True, True, False, False]
    slots.release()
    await asyncio.sleep(1.0)
    assert [task.done() for task in tasks] == [True, True, True, False]
    slots.release()
    await tasks[3]
