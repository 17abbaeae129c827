"""A server that does no work: every answer was made before the first request came.

Tables are called ``bench-SHAPE``: their answers hold the first 100 items of the shape, whatever was
asked, so that clients have to ask for those. ``bench-keyed-SHAPE`` answers the keys that were
asked, for lists of any length; that costs it some microseconds a key.

Run it as ``python -m benchmarks.canned PORT``. Beside DynamoDB's operations it has ``GET /stats``
(what it was asked and the CPU time it used), ``GET /last/OPERATION`` (the body of the last request)
and ``GET /latency/MS`` (from now on, every answer leaves so many milliseconds late).
"""

import asyncio
import contextlib
import email.utils
import json
import os
import re
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from benchmarks.items import (
    KEYED_TABLE,
    KEYS_A_GET,
    SHAPES,
    TABLE,
    answer_to_get,
    key_of,
    make_item,
    make_items,
)

ROOT = Path(__file__).resolve().parents[1]
_KEY = re.compile(rb'"(k\d{9})"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)
_ASKED_FOR = re.compile(rb"^GET (\S+)")
_WRITTEN = b'{"UnprocessedItems":{}}'


def with_head(body: bytes, status: str = "200 OK") -> bytes:
    """A whole answer. DynamoDB's checksum is of the body."""
    return (
        f"HTTP/1.1 {status}\r\n"
        "Server: Server\r\n"
        f"Date: {email.utils.formatdate(usegmt=True)}\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: keep-alive\r\n"
        "x-amzn-RequestId: CANNEDCANNEDCANNEDCANNEDCANNEDCANNEDCANNEDCANNEDCANN\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n"
        "\r\n"
    ).encode() + body


class Answers:
    """What is answered, and what was asked."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.requests = 0
        self.last: dict[bytes, bytes] = {}
        self._gets = {
            TABLE.format(shape=shape).encode(): answer_to_get(
                TABLE.format(shape=shape), make_items(shape, KEYS_A_GET)
            )
            for shape in SHAPES
        }
        self._keyed = {
            KEYED_TABLE.format(shape=shape).encode(): _around_the_key(shape) for shape in SHAPES
        }
        self._ready: dict[bytes, bytes] = {}
        self.refresh()

    def refresh(self) -> None:
        """Write the heads anew: a client may hold its clock to their date."""
        self._ready = {table: with_head(body) for table, body in self._gets.items()}
        self._written = with_head(_WRITTEN)

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """The whole answer to one of DynamoDB's operations."""
        self.requests += 1
        self.last[operation] = body
        begin = body.find(b'"bench-') + 1
        table = body[begin : body.find(b'"', begin)]
        if operation == b"BatchGetItem":
            ready = self._ready.get(table)
            if ready is not None:
                return ready
            around = self._keyed.get(table)
            if around is not None:
                return with_head(_keyed(table, *around, _KEY.findall(body)))
        elif operation == b"BatchWriteItem" and (table in self._gets or table in self._keyed):
            return self._written
        elif operation == b"DescribeTable":
            return with_head(_description(table.decode()))
        told = f"nothing is prepared for {operation.decode()} on {table.decode(errors='replace')!r}"
        error = {"__type": "com.amazon.coral.validate#ValidationException", "message": told}
        return with_head(json.dumps(error).encode(), "400 Bad Request")

    def control(self, path: str) -> bytes:
        """The whole answer to what is not DynamoDB's."""
        name, _, argument = path.strip("/").partition("/")
        if name == "latency":
            self.latency = float(argument) / 1000
        if name == "last":
            return with_head(self.last.get(argument.encode(), b""))
        stats = {"requests": self.requests, "cpu": time.process_time(), "latency": self.latency}
        return with_head(json.dumps(stats).encode())


def _around_the_key(shape: str) -> tuple[bytes, bytes]:
    """The JSON of an item before and after its key."""
    body = answer_to_get("t", [make_item(shape, 0)])
    item = body[body.index(b"[") + 1 : body.rindex(b"]")]
    before, after = item.split(key_of(0).encode())
    return before, after


def _keyed(table: bytes, before: bytes, after: bytes, keys: list[bytes]) -> bytes:
    items = b",".join([before + key + after for key in keys])
    return b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (table, items)


def _description(table: str) -> bytes:
    description = {
        "TableName": table,
        "TableStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
    }
    return json.dumps({"Table": description}).encode()


class Connection(asyncio.Protocol):
    """One connection. Requests are told apart by their length, and answered in order."""

    def __init__(self, answers: Answers, loop: asyncio.AbstractEventLoop) -> None:
        self._answers = answers
        self._loop = loop
        self._buffer = bytearray()
        self._head = b""
        self._needed = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while True:
            if not self._head:
                end = buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                self._head = bytes(buffer[: end + 2])
                length = _LENGTH.search(self._head)
                del buffer[: end + 4]
                self._needed = int(length[1]) if length else 0
            if len(buffer) < self._needed:
                return
            body = bytes(buffer[: self._needed])
            del buffer[: self._needed]
            head, self._head = self._head, b""
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        operation = _TARGET.search(head)
        if operation is not None:
            whole = self._answers.answer(operation[1], body)
            if self._answers.latency:
                self._loop.call_later(self._answers.latency, self._send, whole)
            else:
                self._send(whole)
            return
        asked = _ASKED_FOR.match(head)
        self._send(self._answers.control(asked[1].decode() if asked else "/"))

    def _send(self, whole: bytes) -> None:
        if self._transport is not None:
            self._transport.write(whole)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    loop = asyncio.get_running_loop()
    answers = Answers()

    def refresh() -> None:
        answers.refresh()
        loop.call_later(30, refresh)

    refresh()
    server = await loop.create_server(
        lambda: Connection(answers, loop), "127.0.0.1", port, backlog=1024
    )
    async with server:
        await server.serve_forever()


# ---------------------------------------------------- for those who started one


@contextlib.contextmanager
def canned_server(python: str = sys.executable) -> Iterator[str]:
    """Run the server in a process of its own until the block ends, and yield its address."""
    from tests.backends.process import running_server

    with running_server(
        "canned",
        lambda port: [python, "-m", "benchmarks.canned", str(port)],
        lambda port: {"PYTHONPATH": os.fspath(ROOT)},
    ) as url:
        yield url


def _fetch(url: str) -> bytes:
    # No proxy of the user's comes between us and the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def stats(url: str) -> dict[str, Any]:
    """How many requests the server has had, and its CPU time in seconds."""
    told: dict[str, Any] = json.loads(_fetch(f"{url}/stats"))
    return told


def last_request(url: str, operation: str) -> dict[str, Any]:
    """The last request of an operation."""
    told: dict[str, Any] = json.loads(_fetch(f"{url}/last/{operation}"))
    return told


def set_latency(url: str, milliseconds: float) -> None:
    """Let every answer leave so much later."""
    _fetch(f"{url}/latency/{milliseconds:g}")


def main(arguments: list[str]) -> int:
    """Serve on the port named, on uvloop where it is installed."""
    from benchmarks.loops import run

    with contextlib.suppress(KeyboardInterrupt):
        run(serve(int(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
