"""The client under test, with an eye on what it sends."""

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiobotocore.session import AioSession

import aiobatch.sharing
from aiobatch import DynamoDB, Retry
from aiobatch.testing import Fault, FaultProxy
from aiobatch.wire.direct import DirectWire
from aiobatch.wire.exchange import Crc32
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

    async def open_watched(settings: ConnectionSettings, *, crc32: Crc32) -> Wire:
        wire = await open_wire(settings, crc32=crc32)
        assert isinstance(wire, DirectWire)
        return Watched(wire, log)

    monkeypatch.setattr(aiobatch.sharing, "open_wire", open_watched)
    return log


Connect = Callable[..., DynamoDB]

# What a caller never sees but in the count of requests. None slows the table down.
BEFORE: dict[Fault, float] = {
    Fault.hang_up_before(): 0.04,
    Fault.reset_before(): 0.04,
    Fault.unavailable(): 0.04,
}
AFTER: dict[Fault, float] = {
    Fault.hang_up_after(): 0.03,
    Fault.truncated(): 0.04,
    Fault.wrong_checksum(): 0.04,
    Fault.malformed("empty_object"): 0.02,
    Fault.answer_by_arn(): 0.20,
}
SOON = Retry(max_retries=40, base_delay=0.001, max_delay=0.001)


def _takes_no_retries(request: pytest.FixtureRequest) -> bool:
    """Whether the test looks at each request, or leaves none to spare."""
    return (
        "sent" in inspect.signature(request.function).parameters
        or request.node.get_closest_marker("takes_no_retries") is not None
    )


@pytest.fixture(params=["directly", "through a proxy"])
async def way(request: pytest.FixtureRequest, backend: Backend) -> AsyncIterator[dict[str, Any]]:
    """How clients reach the backend: the settings that lead there.

    On the way through the proxy, things go wrong that aiobatch mends. Tests that take no retries
    get a proxy through which everything passes, with answers by the table's ARN.
    """
    if request.param == "directly":
        yield {"endpoint_url": backend.endpoint_url}
        return
    async with FaultProxy(backend.endpoint_url, seed=1) as proxy:
        if _takes_no_retries(request):
            proxy.always(Fault.answer_by_arn())
            yield {"endpoint_url": proxy.endpoint_url}
        else:
            proxy.randomly(BEFORE, seed=1)
            # A single write that was done twice tells so: by its old values, by its condition.
            for operation in ("BatchGetItem", "BatchWriteItem", "GetItem", "Query"):
                proxy.randomly(AFTER, seed=2, operation=operation)
            yield {"endpoint_url": proxy.endpoint_url, "retry": SOON}


@pytest.fixture
async def connect(
    way: dict[str, Any], session: AioSession, sent: SentLog
) -> AsyncIterator[Connect]:
    """Makes clients of the backend, with any settings, and closes them."""
    made: list[DynamoDB] = []

    def make(**settings: Any) -> DynamoDB:
        given = {"session": session, "region_name": REGION}
        made.append(DynamoDB(**{**given, **way, **settings}))
        return made[-1]

    yield make
    for db in made:
        await db.aclose()


@pytest.fixture
def db(connect: Connect) -> DynamoDB:
    return connect()
