"""One HTTP exchange: the bytes of a request out, the bytes of its answer in.

There are two ways. :class:`PooledExchange` takes a connection out of aiohttp's pool and speaks to
it through aiohttp's parser: a third of the time that a session takes for the same. It leaves out
what a POST to one URL never needs: redirects, cookies, middlewares, and objects for each request.
:class:`SessionExchange` goes through an aiohttp session. It takes everything else, and is the way
where this aiohttp's parts are not those that the other one knows.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from aiobatch.wire.answers import CRC32_HEADER

__all__ = [
    "READ_BUFFER",
    "Answer",
    "AnswerReader",
    "Crc32",
    "Exchange",
    "PooledExchange",
    "SessionExchange",
]

READ_BUFFER: Final = 64 * 1024
"""A socket that has more than twice so many bytes waiting is paused."""

Crc32 = Callable[[bytes, int], int]

# Larger ones are read in pieces of about the buffer, one a turn of the loop over all connections:
# sixteen that arrive together would otherwise all be copied, several times, within one turn.
_SMALL_ANSWER = 2 * READ_BUFFER


@dataclass(slots=True)  # not frozen: one is made for every request
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: by name, whatever its case.
        body: the bytes.
        crc32: the body's; None if the answer tells none to compare it with.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    crc32: int | None


class AnswerReader:
    """Reads the bodies of a wire's answers, large ones by turns.

    Args:
        crc32: makes the checksum of bytes that follow others, whose checksum it is given.
    """

    def __init__(self, crc32: Crc32 = zlib.crc32) -> None:
        self._crc32 = crc32
        self._turn = asyncio.Lock()

    async def read(
        self, headers: Mapping[str, str], content: aiohttp.StreamReader
    ) -> tuple[bytes, int | None]:
        """A body and, if the answer tells one to compare it with, its checksum."""
        is_told = CRC32_HEADER in headers
        length = headers.get("Content-Length")
        if length is not None and int(length) <= _SMALL_ANSWER:
            # As nearly all are: there as a whole by the time that their head is looked at.
            body = content.read_nowait() if content.is_eof() else await content.read()
            return body, self._crc32(body, 0) if is_told else None
        pieces, crc32 = [], 0
        while not content.at_eof():
            # Before it is taken: then the socket goes on, and the next piece comes.
            async with self._turn:
                await asyncio.sleep(0)
            piece = await content.readany()
            if is_told:
                crc32 = self._crc32(piece, crc32)
            pieces.append(piece)
        return b"".join(pieces), crc32 if is_told else None


class Exchange(Protocol):
    """Posts bodies to one URL."""

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request and wait for the whole answer.

        Args:
            headers: those of this request; what is the same for all is known.
            body: the bytes.

        Raises:
            aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError: as an aiohttp
                session raises them.
            ValueError: a header with a line break in it.
        """
        ...


class SessionExchange:
    """Through an aiohttp session.

    Args:
        session: whose connections are taken.
        url: where to.
        constant: the headers of all requests.
        reader: reads the answers.
        proxy: the proxy's URL, or None.
        proxy_headers: what the proxy is told.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        constant: Mapping[str, str],
        reader: AnswerReader,
        *,
        proxy: str | None,
        proxy_headers: Mapping[str, str],
    ) -> None:
        self._session = session
        self._url = url
        self._constant = constant
        self._reader = reader
        self._proxy = proxy
        self._proxy_headers = proxy_headers

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """See :class:`Exchange`."""
        async with self._session.post(
            self._url,
            # aiohttp warns of large bytes, which it would write in one go and so hold the loop.
            data=io.BytesIO(body) if len(body) > PooledExchange.MAX_BODY else body,
            headers={**self._constant, **headers},
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
            # DynamoDB never redirects, and a write is not to be sent elsewhere.
            allow_redirects=False,
        ) as response:
            try:
                answer, crc32 = await self._reader.read(response.headers, response.content)
            except BaseException:
                response.close()
                raise
        return Answer(response.status, response.headers, answer, crc32)


class PooledExchange:
    """Over connections of an aiohttp session's pool.

    Args:
        session: whose connections are taken.
        connector: the session's.
        timeout: the session's; of its sockets alone.
        url: where to.
        constant: the headers of all requests.
        reader: reads the answers.
    """

    MAX_BODY: Final = 1024 * 1024
    """What is larger would be written in one go, and so hold the loop."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: aiohttp.BaseConnector,
        timeout: aiohttp.ClientTimeout,
        url: URL,
        constant: Mapping[str, str],
        reader: AnswerReader,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._reader = reader
        # Tells the connector where to, and how; it is never sent.
        self._whither = aiohttp.ClientRequest(
            "POST",
            url,
            loop=asyncio.get_running_loop(),
            response_class=aiohttp.ClientResponse,
            session=session,
        )
        self._constant = f"POST {url.raw_path_qs} HTTP/1.1\r\n" + _lines(
            # As a session sends it.
            {"Accept": "*/*", **constant}
        )

    @classmethod
    def is_possible(cls, connector: aiohttp.BaseConnector, timeout: aiohttp.ClientTimeout) -> bool:
        """Whether these are such that this way does all that a session does."""
        is_plain = timeout.total is None and timeout.connect is None and not connector.force_close
        return is_plain and _knows_this_aiohttp()

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """See :class:`Exchange`."""
        head = f"{self._constant}{_lines(headers)}Content-Length: {len(body)}\r\n\r\n"
        try:
            connection = await self._connector.connect(self._whither, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ServerTimeoutError("Connection timeout") from error
        try:
            answer = await self._over(connection, head.encode() + body)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError) and not isinstance(
                error, aiohttp.ClientError | TimeoutError
            ):
                raise aiohttp.ClientOSError(*error.args) from error
            raise
        connection.release()
        return answer

    async def _over(self, connection: Connection, request: bytes) -> Answer:
        protocol = connection.protocol
        assert protocol is not None  # it was connected just now
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._timeout.sock_read,
            read_bufsize=READ_BUFFER,
        )
        transport = protocol.transport
        # As aiohttp's own requests do. The pool gave it out just now, and gives out none that ends.
        if transport is None or transport.is_closing():  # pragma: no cover
            raise aiohttp.ClientConnectionError("Cannot write to closing transport")
        transport.write(request)
        protocol.start_timeout()
        while True:
            message, content = await protocol.read()
            # Informational answers come before the one that counts.
            if not 100 <= message.code <= 199:
                break
        body, crc32 = await self._reader.read(message.headers, content)
        return Answer(message.code, message.headers, body, crc32)


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") + lines.count("\r") != 2 * len(headers):
        wrong = next(name for name, value in headers.items() if {*"\r\n"} & {*name, *value})
        raise ValueError(f"the header {wrong!r} has a line break in its name or value")
    return lines


@cache
def _knows_this_aiohttp() -> bool:
    """Whether the parts of aiohttp that a pooled exchange stands on are those that it knows."""
    wanted: dict[Callable[..., Any], set[str]] = {
        aiohttp.BaseConnector.connect: {"req", "traces", "timeout"},
        ResponseHandler.set_response_params: {
            "read_until_eof",
            "auto_decompress",
            "read_timeout",
            "read_bufsize",
        },
    }
    for function, names in wanted.items():
        if not names <= inspect.signature(function).parameters.keys():
            return False
    names_of = {
        Connection: ("protocol", "release", "close"),
        ResponseHandler: ("read", "start_timeout", "should_close"),
    }
    return all(hasattr(kind, name) for kind, names in names_of.items() for name in names)
