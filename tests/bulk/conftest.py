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
