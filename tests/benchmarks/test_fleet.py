"""The simulated fleet: small ones, and the arithmetic around them."""

import statistics
import time
from collections.abc import Iterator

import pytest

from aiobatch.engine import loop_time
from benchmarks.fleet import simulation
from benchmarks.fleet.__main__ import fleet_block, waves_block
from benchmarks.fleet.simulation import Fleet, simulate
from benchmarks.fleet.waves import rate_used
from benchmarks.virtual_time import on_virtual_time


def test_a_fleet_with_a_ceiling_is_not_refused() -> None:
    outcome = on_virtual_time(simulate(Fleet(10, 1000, 10.0, share=0.8)))
    assert outcome.entries == 10_000
    assert outcome.refused == 0
    # Whole, from the first request to the last answer: no burst at the beginning.
    assert outcome.of_the_ceiling == pytest.approx(1.0, abs=0.05)
    assert outcome.requests_by_least == pytest.approx(1.0, abs=0.05)


def test_a_fleet_without_one_is_refused_and_writes_all_the_same() -> None:
    rates = []
    for seed in range(1, 10):
        outcome = on_virtual_time(simulate(Fleet(10, 500, 6.0, seed=seed)))
        assert outcome.entries == 3_000
        assert outcome.refused > 0
        assert outcome.requests_by_least > 1.0
        rates.append(outcome.of_the_rate)
    # The same on every machine, and from 0.3 to 0.9: who is refused when is up to chance, and any
    # change of the engine's order draws others.
    assert 0.4 < statistics.median(rates) < 1.0


def test_a_busy_machine_has_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(4, 200, 1.5)
    idle = on_virtual_time(simulate(fleet))
    assert idle.refused > 0

    def slowly(first: int, end: int) -> Iterator[dict[str, str]]:
        for key in keys(first, end):
            # Longer than the time after which engines let the loop go.
            until = time.perf_counter() + 1.1 * loop_time.LOOP_SLICE
            while time.perf_counter() < until:
                pass
            yield key

    keys = simulation._keys
    monkeypatch.setattr(simulation, "_keys", slowly)
    assert on_virtual_time(simulate(fleet)) == idle
    # The engines have their clock back.
    assert vars(loop_time)["perf_counter"] is time.perf_counter


def test_equal_partitions_use_the_whole_rate() -> None:
    assert rate_used(10, 4, spread=0.0) == pytest.approx(1.0)


def test_more_and_smaller_partitions_use_more_of_it() -> None:
    used = [rate_used(100, tasks, spread=0.3) for tasks in (1, 8)]
    assert 0.5 < used[0] < used[1] < 1.0


def test_the_tables_are_whole() -> None:
    assert len(waves_block(slots=2)) == 6
    outcome = on_virtual_time(simulate(Fleet(2, 100, 1.0, share=0.5)))
    (head, _, row) = fleet_block([outcome])
    assert head.count("|") == row.count("|") == 10
