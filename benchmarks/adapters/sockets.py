"""The server's own ceiling: the same bytes without any HTTP client."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import urlsplit

from benchmarks.adapters import Job, Operations
from benchmarks.adapters.bare import bodies, headers
from benchmarks.items import ITEMS_A_PUT, KEYS_A_GET

DISTRIBUTIONS = ()
_LENGTH = re.compile(rb"Content-Length: (\d+)")


class _Connection(asyncio.Protocol):
    """Sends a request, and counts the bytes of its answer."""

    def __init__(self) -> None:
        self._left = 0
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        if not self._left:
            # The server sends head and body at once: the head is never cut.
            end = data.index(b"\r\n\r\n") + 4
            length = _LENGTH.search(data)
            assert length is not None
            assert data.startswith(b"HTTP/1.1 200 "), data[:200]
            self._left = int(length[1]) + end
        self._left -= len(data)
        if not self._left and self._answered is not None:
            self._answered.set_result(None)

    async def exchange(self, whole: bytes) -> None:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(whole)
        await self._answered

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _whole(operation: str, body: bytes) -> bytes:
    lines = {**headers(operation), "Host": "127.0.0.1", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """A connection for each task."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(job.endpoint_url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    asking, writing = bodies(job)
    get_whole, put_whole = _whole("BatchGetItem", asking), _whole("BatchWriteItem", writing)
    page: list[None] = [None] * KEYS_A_GET
    free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
    for _ in range(job.concurrency):
        _, connection = await loop.create_connection(_Connection, host, port)
        free.put_nowait(connection)

    async def exchange(whole: bytes) -> None:
        connection = await free.get()
        await connection.exchange(whole)
        free.put_nowait(connection)

    async def get() -> list[None]:
        await exchange(get_whole)
        return page

    async def put() -> int:
        await exchange(put_whole)
        return ITEMS_A_PUT

    try:
        yield Operations(get, put, exchange_only=True)
    finally:
        while not free.empty():
            free.get_nowait().close()
