"""A table that lets so much through: as little work as possible, for there are many requests."""

import asyncio
from collections import Counter
from typing import Any

import orjson

from aiobatch.errors import Throttled
from aiobatch.wire.protocol import Request

_WRITE = b'"DeleteRequest"'


class Table:
    """A token bucket behind some latency, shared by all workers. An entry costs one unit.

    What it has no units for it leaves over; a request that it has none for at all it refuses, as
    DynamoDB does.

    Args:
        rate: units a second.
        burst: seconds of unused rate that it saves up, and has saved up at the beginning.
        latency: seconds that an answer takes.

    Attributes:
        requests: requests by the second in which they arrived.
        accepted: entries that were written.
    """

    def __init__(self, rate: float, burst: float, latency: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * burst)
        self._latency = latency
        self._level = self._most
        self._at: float | None = None
        self.requests: Counter[int] = Counter()
        self.accepted = 0

    async def answer(self, request: Request) -> bytes:
        """Answer one request, or raise ``Throttled``."""
        await asyncio.sleep(self._latency / 2)
        entries = request.body.count(_WRITE)
        accepted = self._take(entries, asyncio.get_running_loop().time())
        await asyncio.sleep(self._latency / 2)
        if accepted == 0:
            raise Throttled(
                "ProvisionedThroughputExceededException",
                operation=request.operation,
                throttling_reasons=[{"reason": "TableWriteProvisionedThroughputExceeded"}],
                retryable=True,
            )
        answer: dict[str, Any] = {"UnprocessedItems": {}}
        if accepted < entries:
            asked = orjson.loads(request.body)["RequestItems"]
            ((name, writes),) = asked.items()
            answer["UnprocessedItems"] = {name: writes[accepted:]}
        answer["ConsumedCapacity"] = [
            {"TableName": request.table, "CapacityUnits": float(accepted)}
        ]
        return orjson.dumps(answer)

    def _take(self, entries: int, now: float) -> int:
        if self._at is not None:
            self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        accepted = min(entries, int(self._level + 1e-9))
        self._level -= accepted
        self.accepted += accepted
        self.requests[int(now)] += 1
        return accepted


class WorkersWire:
    """One worker's way to the table: an engine of its own, as in a process of its own."""

    max_concurrency = 1_000

    def __init__(self, table: Table) -> None:
        self._table = table

    async def send(self, request: Request) -> bytes:
        """Send one request."""
        return await self._table.answer(request)

    async def aclose(self) -> None:
        """The table goes on."""
