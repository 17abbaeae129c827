"""The client under test, with an eye on what it sends."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiobotocore.session import AioSession

from aiobatch import DynamoDB
from tests.backends import Backend
from tests.conftest import REGION


@dataclass(frozen=True, slots=True)
class Sent:
    """One HTTP request that left the client."""

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

    def record(self, request: Any, **_: Any) -> None:
        body = request.body
        self.append(
            Sent(
                request.headers["X-Amz-Target"].decode().rsplit(".")[-1],
                body if isinstance(body, bytes) else body.getvalue(),
            )
        )


@pytest.fixture(scope="session")
def _watched(_isolated_environment: None) -> tuple[AioSession, SentLog]:
    # One for all tests: a session keeps the service models that it has read.
    session, log = AioSession(), SentLog()
    session.register("before-send.dynamodb", log.record)
    return session, log


@pytest.fixture
def sent(_watched: tuple[AioSession, SentLog]) -> Iterator[SentLog]:
    """Every request that `db` and what `connect()` makes have sent."""
    _, log = _watched
    log.clear()
    yield log
    log.clear()


Connect = Callable[..., DynamoDB]


@pytest.fixture
async def connect(
    backend: Backend, _watched: tuple[AioSession, SentLog], sent: SentLog
) -> AsyncIterator[Connect]:
    """Makes clients of the backend, with any settings, and closes them."""
    made: list[DynamoDB] = []

    def make(**settings: Any) -> DynamoDB:
        given = {"session": _watched[0], "region_name": REGION}
        made.append(DynamoDB(**{**given, "endpoint_url": backend.endpoint_url, **settings}))
        return made[-1]

    yield make
    for db in made:
        await db.aclose()


@pytest.fixture
def db(connect: Connect) -> DynamoDB:
    return connect()
