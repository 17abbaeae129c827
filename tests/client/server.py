"""A server of our own on a loopback port, for what HTTP can do wrong.

It answers like a DynamoDB in which every table has the key "pk" and nothing is ever missing, unless
a script says otherwise. It keeps what it was asked.
"""

import asyncio
import email.utils
import ssl
import threading
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    operation: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    # The first line: the method, and the path or (of a proxy) the URL.
    line: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back. `cut` bytes of the body are sent, if it is set, and then the end."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    # Close the connection, without an answer if `silent`.
    close: bool = False
    silent: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Self:
        return cls(
            status, orjson.dumps(value), {k.replace("_", "-"): v for k, v in headers.items()}
        )

    @classmethod
    def error(cls, code: str, message: str = "", status: int = 400, **more: Any) -> Self:
        kind = f"com.amazonaws.dynamodb.v20120810#{code}"
        return cls(status, orjson.dumps({"__type": kind, "message": message, **more}))


Script = Callable[[Asked], "Reply | Awaitable[Reply | None] | None"]


def obliging(asked: Asked) -> Reply:
    """Every key is there, every write is done."""
    parameters = asked.parameters
    match asked.operation:
        case "BatchGetItem":
            found = {table: wanted["Keys"] for table, wanted in parameters["RequestItems"].items()}
            return Reply.json({"Responses": found, "UnprocessedKeys": {}})
        case "BatchWriteItem":
            return Reply.json({"UnprocessedItems": {}})
        case "DescribeTable":
            table = {
                "TableName": parameters["TableName"],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            }
            return Reply.json({"Table": table})
        case "GetItem":
            return Reply.json({"Item": parameters["Key"]})
        case "Query":
            return Reply.json({"Items": [{"pk": {"S": "a"}}], "Count": 1})
        case _:
            return Reply.json({})


class Server:
    """Use it with `async with`. `script` may be set anew at any time."""

    def __init__(self, script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self._tls = tls
        self.asked: list[Asked] = []
        self.connections = 0
        self.url = ""
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    @property
    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]

    @property
    def open_connections(self) -> int:
        return len(self._open)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.drop_connections()
        await self._server.wait_closed()

    async def drop_connections(self) -> None:
        """Close every connection, idle or not."""
        serving = dict(self._open)
        for task, writer in serving.items():
            writer.close()
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def closed_by_the_client(self) -> None:
        """Wait until no connection is left open."""
        async with asyncio.timeout(5):
            while self._open:
                await asyncio.wait(self._open)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._open[task] = writer
        try:
            while await self._serve(reader, writer, self.connections):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            # By drop_connections(): asyncio's own callback would stumble over a cancelled task.
            pass
        finally:
            del self._open[task]
            writer.close()

    @staticmethod
    async def _unless_the_client_leaves(
        reply: Awaitable[Reply | None], reader: asyncio.StreamReader
    ) -> Reply | None:
        answering = asyncio.ensure_future(reply)
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise _Gone
            return await answering
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        operation = headers.get("x-amz-target", "").rsplit(".")[-1]
        asked = Asked(operation, headers, body, connection, head[0])
        self.asked.append(asked)
        reply = self.script(asked) if self.script is not None else None
        if isinstance(reply, Awaitable):
            reply = await self._unless_the_client_leaves(reply, reader)
        if reply is None:
            reply = obliging(asked)
        if reply.silent:
            return False
        told = {
            "content-type": "application/x-amz-json-1.0",
            "content-length": str(len(reply.body)),
            "date": email.utils.formatdate(usegmt=True),
            "x-amzn-requestid": f"REQUEST{len(self.asked)}",
            "x-amz-crc32": str(zlib.crc32(reply.body)),
            **reply.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode())
        writer.write(reply.body[: reply.cut])
        await writer.drain()
        return reply.cut is None and not reply.close


class _Gone(ConnectionError):
    """The client closed the connection before it had its answer."""


class ThreadedServer:
    """The same on a thread and loop of its own, for tests that open and close loops."""

    def __init__(self) -> None:
        self.server = Server()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.server.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.server.__aexit__())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)
