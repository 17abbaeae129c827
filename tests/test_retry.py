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


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"max_retries": None},
        {"base_delay": -0.1},
        {"base_delay": math.nan},
        {"max_delay": math.inf},
        {"max_stall": -1.0},
        {"jitter": 1.1},
        {"jitter": -0.1},
        {"on_progress": "keep"},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Retry"):
        Retry(**wrong)  # type: ignore[arg-type]
