"""What times a client: the ticker, the check of equal work, and the loop that it runs on."""

import time
from typing import Any

import pytest

from benchmarks.adapters import Job, Operations
from benchmarks.items import Item, UnequalWork, make_items
from benchmarks.loops import loop_factory, loop_name
from benchmarks.worker import Stalls, check, measure, memory, peak_memory

JOB = Job("http://127.0.0.1:9", "bench-small", "small", 2)


def operations(page: list[Any], written: int = 25) -> Operations:
    async def get() -> list[Any]:
        return page

    async def put() -> int:
        return written

    return Operations(get, put)


async def test_a_busy_loop_is_a_stall() -> None:
    stalls = Stalls()
    until = time.perf_counter() + 0.02
    async with stalls.watching():
        while time.perf_counter() < until:
            pass
    assert stalls.longest > 0.018
    assert 0 < stalls.held <= stalls.longest


async def test_every_item_is_counted() -> None:
    done = await measure(operations(make_items("small", 100)), "get", 0.0, 3, None)
    assert done["items"] == 0  # no time, no work
    done = await measure(operations([1, 2, 3]), "get", 0.05, 1, Stalls())
    assert done["items"] % 3 == 0
    assert done["items"] > 0
    assert done["seconds"] >= 0.05


async def test_equal_work_passes() -> None:
    await check(operations(make_items("small", 100)), JOB, canned=False)


@pytest.mark.parametrize(
    ("page", "written", "told"),
    [
        (make_items("small", 99), 25, "get: 99 items where 100 belong"),
        (make_items("small", 100), 24, "put: 24 items where 25 belong"),
        (make_items("wide", 100), 25, "get: k000000000 has"),
    ],
)
async def test_less_work_is_refused(page: list[Item], written: int, told: str) -> None:
    with pytest.raises(UnequalWork, match=told):
        await check(operations(page, written), JOB, canned=False)


def test_memory_is_told_in_megabytes() -> None:
    assert 1 < memory() <= peak_memory() < 100_000


def test_the_loop_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop_name() == "uvloop"
    monkeypatch.setenv("BENCH_LOOP", "asyncio")
    assert loop_factory() is None
    assert loop_name() == "asyncio"
