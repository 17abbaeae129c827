"""A wire without sockets: a small DynamoDB in memory, with faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiobatch import codec
from aiobatch.codec import KeySchema, Numbers
from aiobatch.errors import WireError
from aiobatch.testing.database import Database, Refused, TableKeys
from aiobatch.testing.faults import Ending, ErrorAnswer
from aiobatch.testing.messages import Asked, Reply, error_reply, ok_reply
from aiobatch.testing.script import Faulty
from aiobatch.wire.answers import body_of, error_from
from aiobatch.wire.protocol import Request

__all__ = ["FakeWire"]

_UNLIMITED = 1_000_000


class FakeWire(Faulty):
    """A :class:`~aiobatch.wire.protocol.Wire` over a dict, for unit tests without sockets.

    Time is the running loop's, so a test on virtual time waits for nothing. It holds requests to
    DynamoDB's rules: one that breaks a rule is refused with a ValidationException, as a whole.
    Faults, limits and the record are those of :class:`FaultProxy`.

    Args:
        tables: the key names by table, the partition key first: ``{"users": ("pk", "sk")}`` for
            strings, ``{"users": {"pk": "S", "n": "N"}}`` for other types.
        max_concurrency: what it says of itself as a wire.
        read_timeout: seconds after which a request without an answer fails.
        clock: seconds, for limits and the record; by default the running loop's.
        sleep: how latencies pass; by default ``asyncio.sleep``.
        seed: for what is drawn, such as which entries a partial answer leaves over.
        record_bodies: keep the bodies of requests in ``requests``. They hold the items.

    Attributes:
        requests: what came in, in order.
        in_flight: requests being answered now.
        peak_in_flight: the most that there were at once.
        closed: whether it was closed.

    Example::

        wire = FakeWire({"users": ("pk",)})
        wire.script([Fault.throttle(), Fault.partial(0.5)])
        async with DynamoDB(wire=wire) as db:
            await db.batch_write_item([{"pk": f"user#{n}"} for n in range(60)], "users")
        assert len(wire.items("users")) == 60
        assert wire.unused == 0
    """

    def __init__(
        self,
        tables: Mapping[str, TableKeys],
        *,
        max_concurrency: int = _UNLIMITED,
        read_timeout: float = 10.0,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        seed: int = 0,
        record_bodies: bool = False,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep, seed=seed, record_bodies=record_bodies)
        self.closed = False
        self._max_concurrency = max_concurrency
        self._read_timeout = read_timeout
        self._database = Database(tables)

    # ------------------------------------------------------------------ the wire

    @property
    def max_concurrency(self) -> int:
        """How many requests can be under way at once."""
        return self._max_concurrency

    async def send(self, request: Request) -> bytes:
        """Answer one request. See :class:`~aiobatch.wire.protocol.Wire`."""
        if self.closed:
            raise RuntimeError("the wire is closed")
        operation = request.operation

        async def execute(body: bytes) -> Reply:
            try:
                return ok_reply(self._database.execute(operation, body))
            except Refused as refused:
                return error_reply(
                    ErrorAnswer(refused.code, refused.message),
                    Asked(operation, body),
                    refused.reasons,
                )

        try:
            async with asyncio.timeout(self._read_timeout):
                reply = await self._exchange(operation, request.body, execute, 0)
        except TimeoutError:
            raise WireError("no answer within the read timeout", operation=operation) from None
        match reply.ending:
            case Ending.RESET:
                raise WireError("the connection was reset", operation=operation, disconnected=True)
            case Ending.HANG_UP:
                raise WireError(
                    "the connection was closed without an answer",
                    operation=operation,
                    disconnected=True,
                )
            case Ending.CUT:
                raise WireError("the connection was closed in the answer", operation=operation)
            case Ending.SILENCE:
                raise WireError("no answer before the wire was closed", operation=operation)
        headers = {name.lower(): value for name, value in reply.headers.items()}
        if reply.status < 300:
            return body_of(operation, headers, reply.body)
        raise error_from(operation, reply.status, headers, reply.body)

    async def aclose(self) -> None:
        """Take no more requests."""
        self.closed = True
        self._release()

    # ------------------------------------------------------------------ what it holds

    def items(self, table: str, *, numbers: Numbers = "native") -> list[dict[str, Any]]:
        """What a table holds, as Python values."""
        stored = self._database.table(table).items.values()
        return [codec.decode_item(item, numbers) for item in stored]

    def put(self, table: str, items: Iterable[Any]) -> None:
        """Put items into a table, without a request.

        Raises:
            codec.Refusal: DynamoDB would refuse one.
        """
        found = self._database.table(table)
        schema = KeySchema(tuple(found.types), ordered=True, types=dict(found.types))
        for item in items:
            fragment, _ = codec.encode_item(item, schema, None)
            self._database.store(table, fragment)
