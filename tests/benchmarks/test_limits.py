"""Where a call's time goes: what the command makes of its measurements."""

import asyncio

import pytest

from benchmarks import limits
from benchmarks.canned import ROOT
from benchmarks.markdown import check_place


def test_the_parts_are_what_each_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    # CPU milliseconds a request.
    took = {
        "call": 10.0,
        "sockets": 1.0,
        "exchange": 2.0,
        "session": 6.0,
        "wire": 4.0,
        "engine": 5.0,
        "signing": 0.5,
        "codec": 3.0,
    }

    async def cpu_of(work: limits.Work, requests: int) -> float:
        milliseconds = await work()
        assert isinstance(milliseconds, float)
        return milliseconds / 1e3

    def work(milliseconds: float) -> limits.Work:
        async def done() -> float:
            return milliseconds

        return done

    monkeypatch.setattr(limits, "cpu_of", cpu_of)
    works = {name: work(milliseconds) for name, milliseconds in took.items()}
    found = asyncio.run(limits.parts(works, items=10, requests=1, rounds=3))
    per_item = {name: value / 100 for name, value in found.items()}
    wanted = {
        "call": 10,
        "sockets": 1,
        "exchange": 1,
        "session": 5,
        "wire": 2,
        "signing": 0.5,
        "codec": 3,
        "engine": 2,
        "caches": 1,
    }
    assert per_item == pytest.approx(wanted)
    assert found.keys() == limits.PARTS.keys()


async def test_cpu_time_is_a_requests() -> None:
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1
        sum(range(10_000))

    assert 0 < await limits.cpu_of(work, 40) < 1
    assert done == 40


def test_the_table_has_every_part_and_its_place() -> None:
    parts = dict.fromkeys([*limits.PARTS], 1.234)
    lines = limits.table_of({"native": {"get": parts, "put": parts}}, rounds=3)
    for told in limits.PARTS.values():
        assert any(line.startswith(f"| {told}") and "1.23" in line for line in lines)
    check_place(ROOT / "docs" / "design" / "speed-limits.md", "limits")
