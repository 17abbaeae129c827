"""A fake DynamoDB, a client of it, and files."""

from collections.abc import AsyncIterator

import pytest

from aiobatch import DynamoDB
from aiobatch.testing import FakeWire


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire({"things": ("pk",)}, record_bodies=True)


@pytest.fixture
async def db(wire: FakeWire) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(wire=wire) as db:
        yield db


@pytest.fixture
def told_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """``on_progress`` of a load is called whenever it may be, however fast the load is."""
    monkeypatch.setattr("aiobatch.bulk.run._PROGRESS_EVERY", 0)
