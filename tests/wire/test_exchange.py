"""The two ways of an exchange over aiohttp do the same, whatever the server does."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from aiobatch.wire import exchange
from aiobatch.wire.exchange import Answer, AnswerReader, Exchange, PooledExchange, SessionExchange
from aiobatch.wire.failures import error_of_aiohttp

CONSTANT = {"Host": "localhost", "Content-Type": "x/y", "Accept-Encoding": "identity"}
OWN = {"X-Amz-Target": "T.BatchGetItem", "Authorization": "none"}
LARGE = bytes(range(256)) * 2_000

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Answers each request with bytes as they are, and keeps the requests."""

    def __init__(self, *answers: bytes, wait_for: asyncio.Event | None = None) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.wait_for = wait_for
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                self.arrived.set()
                if self.wait_for is not None:
                    await self.wait_for.wait()
                answer = self.answers.pop(0)
                writer.write(answer)
                if b"!close" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.left.set()
            writer.close()


def answered(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[URL]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    finally:
        server.close()


@contextlib.asynccontextmanager
async def exchanges(
    way: str, url: URL, *, sock_read: float = 5.0, limit: int = 10
) -> AsyncIterator[Exchange]:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=sock_read)
    connector = aiohttp.TCPConnector(limit=limit)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        if way == "pooled":
            assert PooledExchange.is_possible(connector, timeout)
            yield PooledExchange(session, connector, timeout, url, CONSTANT, AnswerReader())
        else:
            yield SessionExchange(
                session, url, CONSTANT, AnswerReader(), proxy=None, proxy_headers={}
            )


WAYS = pytest.mark.parametrize("way", ["pooled", "session"])


async def test_both_send_the_same_request() -> None:
    server = RawServer(answered(b"{}"), answered(b"{}"))
    async with listening(server) as url:
        for way in ("pooled", "session"):
            async with exchanges(way, url) as one:
                await one.post(OWN, '{"é":1}'.encode())
    parts = [request.split(b"\r\n\r\n") for request in server.requests]
    lines = [head.split(b"\r\n") for head, _ in parts]
    assert lines[0][0] == lines[1][0] == b"POST / HTTP/1.1"
    told = [sorted(line.lower() for line in of if not line.startswith(b"User-")) for of in lines]
    assert told[0] == told[1]
    assert parts[0][1] == parts[1][1] == '{"é":1}'.encode()


@WAYS
async def test_a_checksum_is_made_where_the_answer_tells_one(way: str) -> None:
    server = RawServer(answered(b"abc"), answered(b"abc", "200 OK", "X-Amz-Crc32: 1"))
    async with listening(server) as url, exchanges(way, url) as one:
        assert (await one.post(OWN, b"{}")).crc32 is None
        assert (await one.post(OWN, b"{}")).crc32 == zlib.crc32(b"abc")


@WAYS
@pytest.mark.parametrize(
    ("raw", "status", "body"),
    {
        "usual": (answered(b"abc"), 200, b"abc"),
        "empty": (answered(b""), 200, b""),
        "refused": (answered(b"no", "400 Bad Request"), 400, b"no"),
        "a redirect is an answer": (answered(b"", "301 Moved", "Location: /x"), 301, b""),
        "a cookie": (answered(b"abc", "200 OK", "Set-Cookie: a=b"), 200, b"abc"),
        "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        "informed before": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + answered(b"abc"), 200, b"abc"),
        "in chunks": (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            200,
            b"abcde",
        ),
        "until the end": (b"HTTP/1.1 200 OK\r\nX: !close\r\n\r\nabc", 200, b"abc"),
        "large": (answered(LARGE), 200, LARGE),
    }.values(),
)
async def test_an_answer(way: str, raw: bytes, status: int, body: bytes) -> None:
    server = RawServer(raw, answered(b"next"))
    async with listening(server) as url, exchanges(way, url) as one:
        answer = await one.post(OWN, b"{}")
        assert (answer.status, answer.body) == (status, body)
        assert answer.crc32 in (None, zlib.crc32(body))
        assert (await one.post(OWN, b"{}")).body == b"next"
    assert server.connections == (2 if b"!close" in raw else 1)
    assert not [request for request in server.requests if b"Cookie" in request]


@WAYS
async def test_headers_are_found_whatever_their_case(way: str) -> None:
    server = RawServer(answered(b"abc", "200 OK", "X-Amz-CRC32: 7", "x-aMzn-requestid: R"))
    async with listening(server) as url, exchanges(way, url) as one:
        headers = (await one.post(OWN, b"{}")).headers
    assert (headers.get("x-amz-crc32"), headers.get("X-Amzn-RequestId")) == ("7", "R")


@WAYS
async def test_connections_that_the_server_wants_closed_are_not_used_again(way: str) -> None:
    server = RawServer(answered(b"a", "200 OK", "Connection: close"), answered(b"b"))
    async with listening(server) as url, exchanges(way, url) as one:
        assert (await one.post(OWN, b"{}")).body == b"a"
        assert (await one.post(OWN, b"{}")).body == b"b"
    assert server.connections == 2


class Hangup(RawServer):
    """Sends the beginning of an answer, or nothing, and closes."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(self.answers[0])
        await writer.drain()
        writer.close()


@pytest.mark.parametrize(
    "raw",
    {
        "in silence": b"",
        "in the head": b"HTTP/1.1 200 OK\r\nContent-",
        "in the body": answered(b"abcdef")[:-3],
        "in a large body": answered(LARGE)[:-3],
        "no HTTP": b"SSH-2.0 hello\r\n\r\n",
        "a wrong length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "a wrong chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    }.values(),
)
async def test_a_broken_answer_is_the_same_fact(raw: bytes) -> None:
    facts = []
    async with listening(Hangup(raw)) as url:
        for way in ("pooled", "session"):
            async with exchanges(way, url) as one:
                with pytest.raises(
                    (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError)
                ) as caught:
                    await one.post(OWN, b"{}")
            fact = error_of_aiohttp("BatchGetItem", caught.value)
            facts.append((fact.sent, fact.disconnected, fact.ambiguous))
    assert facts[0] == facts[1]


async def test_nobody_listens() -> None:
    async with listening(RawServer()) as url:
        pass
    for way in ("pooled", "session"):
        async with exchanges(way, url) as one:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await one.post(OWN, b"{}")
            assert not error_of_aiohttp("BatchGetItem", caught.value).sent


@WAYS
@pytest.mark.parametrize("begun", [b"", answered(LARGE)[:-3]], ids=["no answer", "half of one"])
async def test_a_read_timeout(way: str, begun: bytes) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(begun)
        # Until the client has had enough.
        with contextlib.suppress(ConnectionError):
            await reader.read()
        left.set()
        writer.close()

    async with listening(serve) as url, exchanges(way, url, sock_read=0.05) as one:
        with pytest.raises(aiohttp.ServerTimeoutError) as caught:
            await one.post(OWN, b"{}")
        await left.wait()
    fact = error_of_aiohttp("BatchGetItem", caught.value)
    assert fact.sent
    assert not fact.disconnected


@WAYS
async def test_a_connection_that_is_not_made_in_time(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(aiohttp.BaseConnector, "connect", connect)
    async with exchanges(way, URL("http://localhost/")) as one:
        with pytest.raises(aiohttp.ServerTimeoutError) as caught:
            await one.post(OWN, b"{}")
    assert not error_of_aiohttp("BatchGetItem", caught.value).sent


@WAYS
async def test_whoever_is_cancelled_leaves_no_connection_behind(way: str) -> None:
    server = RawServer(answered(b"a"), answered(b"b"), wait_for=asyncio.Event())
    async with listening(server) as url, exchanges(way, url, limit=1) as one:
        task = asyncio.create_task(one.post(OWN, b"{}"))
        await server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server_has_lost_one(server)
        server.wait_for = None
        assert (await one.post(OWN, b"{}")).status == 200
    assert server.connections == 2


async def server_has_lost_one(server: RawServer) -> None:
    assert server.wait_for is not None
    server.wait_for.set()
    await server.left.wait()


@WAYS
async def test_no_more_connections_than_the_pool_has(way: str) -> None:
    server = RawServer(*[answered(b"a")] * 20)
    async with listening(server) as url, exchanges(way, url, limit=2) as one:
        answers = await asyncio.gather(*(one.post(OWN, b"{}") for _ in range(20)))
    assert [answer.body for answer in answers] == [b"a"] * 20
    assert server.connections == 2


@WAYS
async def test_a_header_with_a_line_break_is_refused(way: str) -> None:
    server = RawServer(answered(b"a"))
    async with listening(server) as url, exchanges(way, url) as one:
        for secret in ("token\r\nX-Evil: 1", "token\n", "\rtoken"):
            with pytest.raises(ValueError, match=r"(?i)header") as caught:
                await one.post({**OWN, "X-Amz-Security-Token": secret}, b"{}")
            if way == "pooled":
                assert "X-Amz-Security-Token" in str(caught.value)
                assert "Evil" not in str(caught.value)
    assert server.requests == []


@WAYS
async def test_an_idle_connection_that_died_is_noticed(way: str) -> None:
    closing = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answered(b"a"))
        await closing.wait()
        writer.close()

    async with listening(serve) as url, exchanges(way, url) as one:
        assert (await one.post(OWN, b"{}")).body == b"a"
        closing.set()
        # Known to be closed or not: a new connection, or the fact that makes the engine resend.
        outcome = await asyncio.gather(one.post(OWN, b"{}"), return_exceptions=True)
    match outcome:
        case [Answer() as answer]:
            assert answer.body == b"a"
        case [Exception() as error]:
            assert error_of_aiohttp("BatchGetItem", error).disconnected


@pytest.mark.parametrize(
    "changed",
    {
        "a total timeout": {"total": 1.0},
        "a timeout for a place in the pool": {"connect": 1.0},
        "connections that are not kept": {"force_close": True},
        "another aiohttp": {"knows": False},
    }.values(),
)
async def test_what_only_a_session_does(
    changed: dict[str, bool | float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_knows_this_aiohttp", lambda: changed.get("knows", True))
    connector = aiohttp.TCPConnector(force_close=bool(changed.get("force_close")))
    timeout = aiohttp.ClientTimeout(total=changed.get("total"), connect=changed.get("connect"))
    assert not PooledExchange.is_possible(connector, timeout)
    await connector.close()


def test_an_aiohttp_with_other_parts_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_anew = exchange._knows_this_aiohttp.__wrapped__
    assert asked_anew()
    with monkeypatch.context() as patch:
        patch.setattr(aiohttp.BaseConnector, "connect", lambda self, request: None)
        assert not asked_anew()
    monkeypatch.delattr(ResponseHandler, "start_timeout")
    assert not asked_anew()


async def test_an_error_of_the_systems_own_is_one_of_aiohttps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """aiohttp wraps what its transports report; what else comes up is told in the same way."""

    async def read(_: ResponseHandler) -> object:
        raise OSError(5, "Input/output error")

    server = RawServer(answered(b"lost"), answered(b"a"))
    async with listening(server) as url, exchanges("pooled", url) as one:
        with monkeypatch.context() as patch:
            patch.setattr(ResponseHandler, "read", read)
            with pytest.raises(aiohttp.ClientOSError) as caught:
                await one.post(OWN, b"{}")
        assert caught.value.errno == 5
        # Its connection is not used again.
        assert (await one.post(OWN, b"{}")).body == b"a"
    assert server.connections == 2
