"""Where a call's time goes: what the command makes of its measurements."""

import asyncio
import time

from benchmarks import limits
from benchmarks.canned import ROOT
from benchmarks.markdown import check_place


def burn(milliseconds: float) -> limits.Work:
    """Work of so much CPU time."""

    async def work() -> None:
        until = time.process_time() + milliseconds / 1e3
        while time.process_time() < until:
            pass

    return work


def test_the_parts_are_what_each_adds() -> None:
    works = {
        "call": burn(10),
        "sockets": burn(1),
        "aiohttp": burn(2),
        "wire": burn(4),
        "engine": burn(5),
        "signing": burn(0.5),
        "codec": burn(3),
    }
    found = asyncio.run(limits.parts(works, items=10, requests=1, rounds=3))
    per_item = {name: value / 100 for name, value in found.items()}
    wanted = {"call": 10, "sockets": 1, "aiohttp": 1, "wire": 2, "engine": 2, "caches": 1}
    for name, milliseconds in wanted.items():
        assert abs(per_item[name] - milliseconds) < 0.5, (name, per_item)


def test_the_table_has_every_part_and_its_place() -> None:
    parts = dict.fromkeys([*limits.PARTS], 1.234)
    lines = limits.table_of({"native": {"get": parts, "put": parts}}, rounds=3)
    for told in limits.PARTS.values():
        assert any(line.startswith(f"| {told}") and "1.23" in line for line in lines)
    check_place(ROOT / "docs" / "design" / "speed-limits.md", "limits")
