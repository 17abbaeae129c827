"""An HTTP proxy that makes things go wrong, in front of any server that speaks DynamoDB."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from aiobatch.testing.faults import Ending
from aiobatch.testing.messages import Reply
from aiobatch.testing.script import Faulty

__all__ = ["FaultProxy"]

_log = logging.getLogger("aiobatch.testing")

_TARGET = "DynamoDB_20120810."
# RFC 9110, 7.6.1: what is about one connection. The length and the host are set anew.
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Servers close idle connections after some seconds; one that is closed while it is being reused
# would be a fault that nobody asked for.
_KEEP_ALIVE = 2.0
_LARGE_BODY = 1024 * 1024
_SECONDS_TO_END = 5.0


class FaultProxy(Faulty):
    """Stands in front of a DynamoDB endpoint and lets chosen requests go wrong.

    Partial answers are true ones: what is refused is not sent on, and comes back exactly as it was
    sent. Everything else passes byte for byte. Requests are changed on their way, so signatures no
    longer hold: use it in front of servers that check none, as moto, dynalite, DynamoDB Local and
    their like do.

    Args:
        endpoint_url: the server behind it.
        clock: seconds, for limits and the record; by default the running loop's.
        sleep: how latencies pass; by default ``asyncio.sleep``.
        seed: for what is drawn, such as which entries a partial answer leaves over.
        record_bodies: keep the bodies of requests in ``requests``. They hold the items.

    Attributes:
        requests: what came in, in order.
        in_flight: requests being answered now.
        peak_in_flight: the most that there were at once.

    Example::

        async with FaultProxy("http://127.0.0.1:8000") as proxy:
            proxy.script([Fault.partial(0.5), Fault.reset_after()], operation="BatchWriteItem")
            async with DynamoDB(endpoint_url=proxy.endpoint_url) as db:
                answer = await db.batch_write_item(items, "users")
            assert proxy.unused == 0
            assert answer["UnprocessedCount"] == 0
    """

    def __init__(
        self,
        endpoint_url: str,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        seed: int = 0,
        record_bodies: bool = False,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep, seed=seed, record_bodies=record_bodies)
        self._behind = URL(endpoint_url)
        if self._behind.scheme not in ("http", "https") or not self._behind.host:
            raise ValueError("endpoint_url must be a URL such as http://127.0.0.1:8000")
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._endpoint_url: str | None = None

    @property
    def endpoint_url(self) -> str:
        """Where the proxy listens: the ``endpoint_url`` for the client under test."""
        if self._endpoint_url is None:
            raise RuntimeError("the proxy is not running: use it in `async with`")
        return self._endpoint_url

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise RuntimeError("the proxy is running already")
        self._released = asyncio.Event()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None), shutdown_timeout=_SECONDS_TO_END
        )
        try:
            await self._runner.setup()
            # Port 0: the system chooses one that is free.
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        except BaseException:
            await self.aclose()
            raise
        port = self._runner.addresses[0][1]
        self._endpoint_url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop listening. Requests under way end first; silent ones are given up."""
        self._release()
        runner, self._runner = self._runner, None
        session, self._session = self._session, None
        self._endpoint_url = None
        if runner is not None:
            await runner.cleanup()
        if session is not None:
            await session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            # request.read() would refuse more than 1 MB.
            body = await request.content.read()
        except ConnectionError:
            # The client was killed, or gave up: its request never arrived.
            return _nobody_sees()
        target = request.headers.get("X-Amz-Target", "")
        operation = target.removeprefix(_TARGET) if target.startswith(_TARGET) else ""
        transport = request.transport
        peer = transport.get_extra_info("peername") if transport is not None else None

        async def execute(body: bytes) -> Reply:
            return await self._send_on(request, operation, body)

        reply = await self._exchange(operation, body, execute, peer[1] if peer else 0)
        return await self._answer(request, reply)

    async def _send_on(self, request: web.BaseRequest, operation: str, body: bytes) -> Reply:
        # What is compressed could not be altered.
        dropped = _OF_THE_CONNECTION | ({"accept-encoding"} if operation else set())
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower() not in dropped
        ]
        if operation:
            headers.append(("Accept-Encoding", "identity"))
        path = request.raw_path if request.raw_path.startswith("/") else "/"
        url = URL(str(self._behind).rstrip("/") + path, encoded=True)
        assert self._session is not None
        # aiohttp warns of large bytes, which it would write in one go and so hold the loop.
        data = io.BytesIO(body) if len(body) > _LARGE_BODY else body
        try:
            async with self._session.request(
                request.method, url, data=data or None, headers=headers, allow_redirects=False
            ) as answer:
                kept = {
                    name: value
                    for name, value in answer.headers.items()
                    if name.lower() not in _OF_THE_CONNECTION
                }
                return Reply(answer.status, kept, await answer.read())
        except aiohttp.ClientError as error:
            # No fault of the script's: the test is told by the status, and the reader by the log.
            _log.warning("the server behind the proxy did not answer: %s", type(error).__name__)
            text = f"the server behind the proxy did not answer: {type(error).__name__}"
            return Reply(502, {"Content-Type": "text/plain"}, text.encode())

    async def _answer(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        transport = request.transport
        if reply.ending is Ending.ANSWER:
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
        if transport is None or transport.is_closing():
            # The client has given up.
            return _nobody_sees()
        if reply.ending is Ending.CUT:
            cut = web.StreamResponse(status=reply.status, headers=reply.headers)
            cut.content_length = len(reply.body)
            # The client may have gone meanwhile.
            with suppress(ConnectionError):
                await cut.prepare(request)
                await cut.write(reply.body[: len(reply.body) // 2])
            transport.close()
            return cut
        if reply.ending is Ending.RESET:
            _reset(transport)
        else:
            transport.close()
        return _nobody_sees()


def _nobody_sees() -> web.StreamResponse:
    """What a handler must return though there is no connection to send it on."""
    return web.Response(status=500)


def _reset(transport: asyncio.Transport) -> None:
    """Close a connection such that the other side sees a reset and not an end."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
