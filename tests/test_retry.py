"""The retry policy: the exact default schedule, its bounds, and what it refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch import Retry


def test_the_default_is_the_documented_schedule() -> None:
    retry = Retry()
    draws = [0.0, 0.2, 0.5, 0.7, 0.9]
    waits = [retry.delay(n, draw) for n, draw in enumerate(draws, start=1)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert [retry.allows(n) for n in (1, 5, 6)] == [True, True, False]


@given(
    st.integers(1, 100_000),
    st.floats(0.0, 1.0, exclude_max=True),
    st.floats(0.0, 10.0),
    st.floats(0.0, 60.0),
    st.floats(0.0, 1.0),
)
def test_a_wait_is_never_negative_nor_over_its_cap(
    n: int, draw: float, base: float, cap: float, jitter: float
) -> None:
    retry = Retry(base_delay=base, max_delay=cap, jitter=jitter)
    full = Retry(base_delay=base, max_delay=cap).delay(n, draw)
    assert full * (1 - jitter) * 0.999999 <= retry.delay(n, draw) <= full <= cap


def test_patient_ends_by_a_stall_and_by_no_number() -> None:
    retry = Retry.patient()
    assert (retry.jitter, retry.max_delay, retry.max_stall) == (1.0, 20.0, 300.0)
    assert retry.on_progress == "refund"
    assert retry.allows(1_000_000)
    assert retry.delay(1_000_000, 0.0) == 20.0


def test_a_wait_stops_doubling_before_it_overflows() -> None:
    retry = Retry(base_delay=2.0**-64, max_delay=10.0)
    assert [retry.delay(n, 0.0) for n in (64, 65, 66, 100_000)] == [0.5, 1.0, 1.0, 1.0]


def test_what_is_0_is_no_mistake() -> None:
    retry = Retry(max_retries=0, base_delay=0.0, max_delay=0.0, max_stall=0.0, jitter=0.0)
    assert not retry.allows(1)


RETRIES = "Retry: max_retries must be a whole number, 0 or more, or None"
JITTER = "Retry: jitter must be between 0.0 (none) and 1.0 (full)"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_retries": -1}, RETRIES),
        ({"max_retries": 1.5}, RETRIES),
        ({"max_retries": True}, RETRIES),
        ({"max_retries": None}, "Retry(max_retries=None) would never end: set max_stall"),
        ({"base_delay": -0.1}, "Retry: base_delay must be seconds, 0 or more"),
        ({"base_delay": math.nan}, "Retry: base_delay must be seconds, 0 or more"),
        ({"max_delay": math.inf}, "Retry: max_delay must be seconds, 0 or more"),
        ({"max_stall": -1.0}, "Retry: max_stall must be seconds, 0 or more"),
        ({"jitter": 1.1}, JITTER),
        ({"jitter": -0.1}, JITTER),
        ({"on_progress": "keep"}, 'Retry: on_progress must be "spend" or "refund"'),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match="Retry") as caught:
        Retry(**wrong)  # type: ignore[arg-type]
    assert str(caught.value) == told
