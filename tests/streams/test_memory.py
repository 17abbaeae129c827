"""Memory stays bounded, however long the source is."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from aiobatch import DynamoDB
from aiobatch.testing import FakeWire, Fault
from tests.streams.checks import assert_ended

pytestmark = pytest.mark.looptime

MANY = 200_000


class _Counted(dict[str, Any]):
    """An item or a key that is counted for as long as it lives."""

    __slots__ = ("__weakref__",)


class _Counter:
    """Makes counted items, and knows the most that were alive at once."""

    def __init__(self) -> None:
        self.alive = self.peak = 0

    def __call__(self, **attributes: Any) -> _Counted:
        made = _Counted(attributes)
        self.alive += 1
        self.peak = max(self.peak, self.alive)
        weakref.finalize(made, self._gone).atexit = False
        return made

    def _gone(self) -> None:
        self.alive -= 1


async def test_writing(wire: FakeWire, db: DynamoDB) -> None:
    """200,000 items, of which no more than two requests a slot live at once."""
    wire._record_bodies = False
    counter = _Counter()

    def source() -> Iterator[Any]:
        for number in range(MANY):
            # The same keys again and again: the table is not what is measured.
            yield counter(pk=f"key-{number % 5000}", n=number)

    wire.always(Fault.latency(0.01))
    report = await db.bulk_write(source(), "things")
    assert report.processed == MANY
    assert_ended(report)
    # One more in the hand of the source, one of the feeder, and later writes of keys under way.
    assert counter.peak <= 2 * (2 * 16 * 25) + 2
    assert counter.alive <= 1


async def test_reading(wire: FakeWire, db: DynamoDB) -> None:
    """200,000 keys, with a consumer that is slow at times."""
    wire._record_bodies = False
    wire.put("things", [{"pk": f"key-{number}"} for number in range(0, MANY, 2)])
    counter = _Counter()
    keys = (counter(pk=f"key-{number}") for number in range(MANY))
    async with db.iter_get(keys, "things") as items:
        count = most = 0
        async for _ in items:
            count += 1
            if count % 1000 == 0:
                most = max(most, items.report.pending)
                await asyncio.sleep(0.1)
    assert count == MANY // 2
    assert items.report.missing == MANY // 2
    assert_ended(items.report)
    assert most <= 2 * 16 * 100 + 1
    assert counter.peak <= 2 * 16 * 100 + 3
    gc.collect()
    assert counter.alive == 0


async def test_overwriting_one_key(wire: FakeWire, db: DynamoDB) -> None:
    """A key under way holds no more than the last write to it."""
    counter = _Counter()
    wire.always(Fault.latency(5.0))
    async with db.batch_writer("things", max_wait=0.0) as writer:
        for number in range(2000):
            await writer.put(counter(pk="key", n=number))
            if number == 0:
                await asyncio.sleep(1.0)
    assert counter.peak <= 4
    assert writer.report.processed == 2000
    assert wire.items("things") == [{"pk": "key", "n": 1999}]
