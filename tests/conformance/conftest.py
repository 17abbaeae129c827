"""The client under test, with an eye on what it sends."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiobotocore.session import AioSession

import aiobatch.sharing
from aiobatch import DynamoDB
from aiobatch.wire.direct import DirectWire
from aiobatch.wire.opening import open_wire
from aiobatch.wire.protocol import Request, Wire
from aiobatch.wire.settings import ConnectionSettings
from tests.backends import Backend
from tests.conftest import REGION


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that the client gave to its wire, which sends each exactly once."""

    operation: str
    body: bytes

    @property
    def parameters(self) -> dict[str, Any]:
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed


class SentLog(list[Sent]):
    """What was sent since the last `clear()`."""

    @property
    def operations(self) -> list[str]:
        return [sent.operation for sent in self]


class Watched:
    """A wire as it was opened, and a note of each request."""

    def __init__(self, wire: Wire, log: SentLog) -> None:
        self._wire = wire
        self._log = log

    @property
    def max_concurrency(self) -> int:
        return self._wire.max_concurrency

    async def send(self, request: Request) -> bytes:
        self._log.append(Sent(request.operation, request.body))
        return await self._wire.send(request)

    async def aclose(self) -> None:
        await self._wire.aclose()


@pytest.fixture(scope="session")
def session(_isolated_environment: None) -> AioSession:
    # One for all tests: a session keeps the service models that it has read.
    return AioSession()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> SentLog:
    """Every request that `db` and what `connect()` makes have sent, over the wire of users."""
    log = SentLog()

    async def open_watched(settings: ConnectionSettings) -> Wire:
        wire = await open_wire(settings)
        assert isinstance(wire, DirectWire)
        return Watched(wire, log)

    monkeypatch.setattr(aiobatch.sharing, "open_wire", open_watched)
    return log


Connect = Callable[..., DynamoDB]


@pytest.fixture
async def connect(backend: Backend, session: AioSession, sent: SentLog) -> AsyncIterator[Connect]:
    """Makes clients of the backend, with any settings, and closes them."""
    made: list[DynamoDB] = []

    def make(**settings: Any) -> DynamoDB:
        given = {"session": session, "region_name": REGION}
        made.append(DynamoDB(**{**given, "endpoint_url": backend.endpoint_url, **settings}))
        return made[-1]

    yield make
    for db in made:
        await db.aclose()


@pytest.fixture
def db(connect: Connect) -> DynamoDB:
    return connect()
