"""Medians, spreads, ratios, growth, and how figures are told."""

import pytest

from benchmarks.figures import (
    Spread,
    find,
    growth,
    number,
    per_cpu_second,
    per_second,
    ratios,
    spread,
    times,
)
from tests.benchmarks.results import row, run


def test_a_spread_is_a_median_and_its_range() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)
    assert spread([3.0, 1.0, 2.0]).text(number) == "2.00 (1.00-3.00)"
    assert spread([2.0, 2.001]).text(number) == "2.00"


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_rates_are_of_cpu_time_and_of_time() -> None:
    measured = run(1_000, cpu=0.5, seconds=2.0)
    assert per_cpu_second(measured) == 2_000
    assert per_second(measured) == 500
    assert per_second(run(5, seconds=0.0)) == 0


def test_ratios_are_taken_pair_by_pair() -> None:
    # The machine was half as fast in the second round: each ratio is 3 all the same.
    one = row("canned", "get", "wide", "a", run(300), run(150), run(400))
    other = row("canned", "get", "wide", "b", run(100), run(50), run(100))
    assert ratios(one, other, per_cpu_second) == Spread(3.0, 3.0, 4.0)


def test_a_round_without_its_other_half_counts_in_no_ratio() -> None:
    one = row("canned", "get", "wide", "a", run(300), run(9))
    other = row("canned", "get", "wide", "b", run(100))
    assert ratios(one, other, per_cpu_second).median == 3.0


def test_rows_are_found_by_their_values() -> None:
    rows = [row("canned", op, "wide", "a") for op in ("get", "put")]
    assert find(rows, op="put", variant="a") is rows[1]
    assert find(rows, op="put", variant="b") is None


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_growth_is_the_exponent(power: float) -> None:
    assert growth([(n, 7 * n**power) for n in (10, 30, 100, 300)]) == pytest.approx(power)


@pytest.mark.parametrize("points", [[], [(1.0, 1.0)], [(1.0, 1.0), (2.0, 0.0)]])
def test_growth_needs_points(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="growth needs"):
        growth(points)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.123, "0.12"), (9.87, "9.87"), (12.34, "12.3"), (456.7, "457")),
        *((1_234, "1,230"), (45_678, "45,700"), (1_234_567, "1,230,000")),
    ],
)
def test_three_digits_count(value: float, text: str) -> None:
    assert number(value) == text


def test_ratios_are_told_shortly() -> None:
    assert [times(value) for value in (0.5, 3.26, 25.04, 123.4)] == [
        "0.5x",
        "3.3x",
        "25.0x",
        "123x",
    ]
