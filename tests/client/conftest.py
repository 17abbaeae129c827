"""Clients of the server that the tests script."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiobotocore.session import AioSession

from aiobatch import DynamoDB
from tests.client.server import Server, ThreadedServer
from tests.conftest import REGION


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        yield running


@pytest.fixture
def threaded_server() -> Iterator[ThreadedServer]:
    with ThreadedServer() as running:
        yield running


@pytest.fixture(scope="session")
def shared_session(_isolated_environment: None) -> AioSession:
    """A session keeps the service models that it has read, which take most of an opening."""
    return AioSession()


Connect = Callable[..., DynamoDB]


@pytest.fixture
def wire() -> str:
    """What carries the requests of `connect`; modules that are about it run on every wire."""
    return "auto"


@pytest.fixture
async def connect(server: Server, shared_session: AioSession, wire: str) -> AsyncIterator[Connect]:
    """Makes clients of the server, with any settings, and closes them."""
    made: list[DynamoDB] = []

    def make(**settings: Any) -> DynamoDB:
        given: dict[str, Any] = {
            "session": shared_session,
            "region_name": REGION,
            "endpoint_url": server.url,
            "wire": wire,
        }
        if "client" in settings:
            given = {}
        db = DynamoDB(**{**given, **settings})
        made.append(db)
        return db

    yield make
    for db in made:
        await db.aclose()
