"""Processes that share a rate begin at their own times, and without the credit of a new client."""

import asyncio

import pytest

from aiobatch import DynamoDB
from aiobatch.partitions.pacing import begin
from aiobatch.testing import FakeWire

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize(
    ("units", "drawn", "waited"), [(5.0, 0.5, 2.5), (100.0, 1.0, 0.25), (0.5, 1.0, 20.0)]
)
async def test_a_share_of_a_rate(
    monkeypatch: pytest.MonkeyPatch, units: float, drawn: float, waited: float
) -> None:
    monkeypatch.setattr("random.random", lambda: drawn)
    clock = asyncio.get_running_loop().time
    wire = FakeWire({"things": ("pk",)})
    async with DynamoDB(wire=wire, max_write_units=units, key_names={"things": ("pk",)}) as db:
        begun = clock()
        await begin(db, "things")
        assert clock() - begun == pytest.approx(waited)
        begun = clock()
        items = [{"pk": f"{n}"} for n in range(25)]
        for _ in range(3):
            await db.batch_write_item(items, "things")
        # A client's first second is for nothing; here the first request is on credit, and what
        # follows has to be earned.
        assert clock() - begun == pytest.approx(50 / units, rel=0.1)


async def test_without_a_rate_nothing_is_waited_for() -> None:
    clock = asyncio.get_running_loop().time
    async with DynamoDB(wire=FakeWire({"things": ("pk",)})) as db:
        begun = clock()
        await begin(db, "things")
        assert clock() == begun
