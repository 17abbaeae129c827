"""Reads of DynamoDB from memory, each answered after a given latency.

Every item is JSON before the first request comes, so an answer costs some microseconds a key, a
small part of what it costs the application to ask. Requests are held to DynamoDB's rules for reads.

Run it as ``python -m benchmarks.dashboard.service PORT MILLISECONDS``. ``GET /stats`` tells the
requests by operation, the keys, and the CPU seconds of this process.
"""

import asyncio
import contextlib
import re
import sys
import time
import zlib
from typing import Any, cast

import orjson

from benchmarks.dashboard.data import TABLE, USERS, items_of
from benchmarks.dashboard.loops import run

MAX_KEYS = 100
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)


def attribute(value: Any) -> dict[str, Any]:
    """A value as DynamoDB writes it."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": repr(value)}
        case list():
            return {"L": [attribute(one) for one in value]}
    raise TypeError(f"no attribute for {type(value).__name__}")


def with_head(body: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer, with DynamoDB's checksum of its body."""
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: %d\r\n"
        b"x-amzn-requestid: MEMORY\r\nx-amz-crc32: %d\r\n\r\n%s"
    ) % (status, len(body), zlib.crc32(body), body)


def refusal(text: str) -> bytes:
    """What DynamoDB says to a request that breaks a rule."""
    error = {"__type": "com.amazon.coral.validate#ValidationException", "message": text}
    return with_head(orjson.dumps(error), b"400 Bad Request")


class Items:
    """What there is, and what was asked."""

    def __init__(self) -> None:
        self.operations: dict[str, int] = {}
        self.keys = 0
        self._items = {
            (item["pk"], item["sk"]): orjson.dumps(
                {name: attribute(value) for name, value in item.items()}
            )
            for number in range(USERS)
            for item in items_of(number)
        }

    def answer(self, operation: str, body: bytes) -> bytes:
        """The whole answer to a request."""
        self.operations[operation] = self.operations.get(operation, 0) + 1
        asked = orjson.loads(body)
        if operation == "GetItem":
            return self._get_item(asked)
        if operation == "BatchGetItem":
            return self._batch_get_item(asked)
        return refusal(f"{operation} is not for this server")

    def _get_item(self, asked: dict[str, Any]) -> bytes:
        self.keys += 1
        item = self._items.get(_identity(asked["Key"]))
        return with_head(b"{}" if item is None else b'{"Item":%s}' % item)

    def _batch_get_item(self, asked: dict[str, Any]) -> bytes:
        keys = [_identity(key) for key in asked["RequestItems"][TABLE]["Keys"]]
        if not 1 <= len(keys) <= MAX_KEYS:
            return refusal("1 to 100 keys a request")
        if len(set(keys)) < len(keys):
            return refusal("Provided list of item keys contains duplicates")
        self.keys += len(keys)
        found = [item for key in keys if (item := self._items.get(key)) is not None]
        return with_head(
            b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (TABLE.encode(), b",".join(found))
        )

    def stats(self) -> bytes:
        """What was asked so far."""
        told = {"operations": self.operations, "keys": self.keys, "cpu": time.process_time()}
        return with_head(orjson.dumps(told))


def _identity(key: dict[str, Any]) -> tuple[str, str]:
    return key["pk"]["S"], key["sk"]["S"]


class Connection(asyncio.Protocol):
    """One connection. Requests are told apart by their length."""

    def __init__(self, items: Items, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self._items = items
        self._seconds = seconds
        self._loop = loop
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            target = _TARGET.search(head)
            if target is None:
                self._send(self._items.stats())
            else:
                answer = self._items.answer(target[1].decode(), body)
                self._loop.call_later(self._seconds, self._send, answer)

    def _send(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


async def serve(port: int, seconds: float) -> None:
    """Serve until the process ends."""
    loop = asyncio.get_running_loop()
    items = Items()
    server = await loop.create_server(
        lambda: Connection(items, seconds, loop), "127.0.0.1", port, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
