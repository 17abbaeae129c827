"""The direct wire: aiohttp and a signer of our own, with all that aiobotocore has resolved.

An aiobotocore client is made as for the other wire, and asked: its endpoint rules say where a
request goes, its credentials sign, its connection pool (TLS, proxies, timeouts) carries. What is
left out are its steps of every request, which cost several times the exchange itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import os
import platform
import zlib
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import aiobotocore
import aiohttp
import botocore
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from yarl import URL

from aiobatch.errors import WireError
from aiobatch.wire.answers import body_of, error_from
from aiobatch.wire.clock import ServiceClock
from aiobatch.wire.exchange import (
    READ_BUFFER,
    AnswerReader,
    Crc32,
    Exchange,
    PooledExchange,
    SessionExchange,
)
from aiobatch.wire.failures import error_of_aiobotocore, error_of_aiohttp
from aiobatch.wire.placeholders import placeholder
from aiobatch.wire.sigv4 import CONTENT_TYPE, Signer

if TYPE_CHECKING:
    from aiobatch.wire.protocol import Request

__all__ = ["DirectWire"]

# Endpoints are few, unless a caller goes through the ARNs of many accounts.
_MOST_DESTINATIONS = 256


@cache
def _user_agent() -> str:
    """What requests call themselves. It reads files, once: not at import, which costs more."""
    try:
        version = importlib.metadata.version("aiobatch")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return (
        f"aiobatch/{version} python/{platform.python_version()} aiohttp/{aiohttp.__version__}"
        f" aiobotocore/{aiobotocore.__version__} botocore/{botocore.__version__}"
    )


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where requests go, and how they get there."""

    host: str
    signer: Signer
    usual: Exchange
    by_session: Exchange


class DirectWire:
    """Sends requests over aiohttp, as an aiobotocore client would.

    Args:
        client: the client to take endpoints, credentials and the pool from. It must be one that
            :func:`aiobatch.wire.choice.reason_in_client` has nothing against.
        stack: what to close with the wire; the client is in it.
        crc32: see :class:`aiobatch.wire.exchange.AnswerReader`.
    """

    def __init__(self, client: Any, stack: AsyncExitStack, *, crc32: Crc32 = zlib.crc32) -> None:
        self._client = client
        self._stack = stack
        self._http = client._endpoint.http_session
        self._credentials = client._request_signer._credentials
        self._prefix = client.meta.service_model.metadata["targetPrefix"]
        self._clock = ServiceClock()
        self._destinations: dict[object, _Destination] = {}
        self._sessions: dict[str | None, aiohttp.ClientSession] = {}
        self._reader = AnswerReader(crc32)
        self._is_in_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ

    @property
    def max_concurrency(self) -> int:
        """The size of the connection pool."""
        return int(self._client.meta.config.max_pool_connections)

    async def send(self, request: Request) -> bytes:
        """Send one request and return the bytes of its answer. See :class:`Wire`."""
        operation, body = request.operation, request.body
        large = len(body) > PooledExchange.MAX_BODY
        if large:
            body_hash = await asyncio.to_thread(_hash, body)
        else:
            body_hash = _hash(body)
        credentials, destination = await self._prepare(request)
        target = f"{self._prefix}.{operation}"
        skew = self._clock.skew
        signed = destination.signer.sign(
            credentials,
            self._clock.time(),
            host=destination.host,
            target=target,
            body_hash=body_hash,
        )
        headers = {
            "X-Amz-Target": target,
            "X-Amz-Date": signed.date,
            "Authorization": signed.authorization,
        }
        if credentials.token:
            headers["X-Amz-Security-Token"] = credentials.token
        if self._is_in_lambda and (trace := _lambda_trace()) is not None:
            headers["X-Amzn-Trace-Id"] = trace
        exchange = destination.by_session if large else destination.usual
        try:
            answer = await exchange.post(headers, body)
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
            raise error_of_aiohttp(operation, error) from error
        if answer.status < 300:
            return body_of(operation, answer.headers, answer.body, answer.crc32)
        refusal = error_from(operation, answer.status, answer.headers, answer.body)
        self._clock.learn_from(refusal, answer.headers, skew)
        raise refusal

    async def aclose(self) -> None:
        """Close the connections and the client that they came from."""
        for session in self._sessions.values():
            await session.close()
        await self._stack.aclose()

    async def _prepare(self, request: Request) -> tuple[Any, _Destination]:
        """The credentials of this moment, refreshed if need be, and where the request goes."""
        operation = request.operation
        try:
            if self._credentials is None:
                raise NoCredentialsError
            credentials = await self._credentials.get_frozen_credentials()
            # An account has endpoints of its own; an ARN tells another account's.
            key = (
                getattr(credentials, "account_id", None),
                (operation, request.table) if request.table.startswith("arn:") else None,
            )
            destination = self._destinations.get(key)
            if destination is None:
                destination = await self._resolve(request)
                if len(self._destinations) >= _MOST_DESTINATIONS:
                    self._destinations.clear()
                self._destinations[key] = destination
        except (BotoCoreError, ClientError, OSError) as error:
            failure = error_of_aiobotocore(operation, error)
            if isinstance(failure, WireError):
                # It was the credentials' own exchange that failed: ours has not begun.
                failure.sent = failure.disconnected = False
            elif isinstance(failure, OSError):
                # A CA bundle or client certificate that cannot be read.
                failure = WireError(
                    f"could not connect ({type(error).__name__})", operation=operation, sent=False
                )
            raise failure from error
        return credentials, destination

    async def _resolve(self, request: Request) -> _Destination:
        """Ask the client where it would send this request, and by what means."""
        client = self._client
        model = client.meta.service_model.operation_model(request.operation)
        context: dict[str, Any] = {}
        endpoint, headers, _ = await client._resolve_endpoint_ruleset(
            model, placeholder(request.operation, request.table), context
        )
        if headers or context.get("auth_type", "v4") != "v4":
            raise RuntimeError(
                "the endpoint asks for more than the direct wire can give:"
                ' use DynamoDB(wire="aiobotocore")'
            )
        signing = context.get("signing", {})
        signer = client._request_signer
        url = URL(endpoint.rstrip("/") + "/", encoded=True)
        proxy = self._http._proxy_config.proxy_url_for(str(url))
        host = host_of(endpoint)
        constant = {
            "Host": host,
            "Content-Type": CONTENT_TYPE,
            # DynamoDB's checksum is that of the bytes it sends: compressed ones would need undoing.
            "Accept-Encoding": "identity",
            "User-Agent": await asyncio.to_thread(_user_agent),
        }
        session = await self._session_for(proxy)
        by_session = SessionExchange(
            session,
            url,
            constant,
            self._reader,
            proxy=proxy,
            proxy_headers=self._http._proxy_config.proxy_headers_for(str(url)),
        )
        usual: Exchange = by_session
        connector, timeout = session.connector, session.timeout
        if (
            proxy is None
            and connector is not None
            and PooledExchange.is_possible(connector, timeout)
        ):
            usual = PooledExchange(session, connector, timeout, url, constant, self._reader)
        return _Destination(
            host,
            Signer(
                signing.get("region", signer.region_name),
                signing.get("signing_name", signer.signing_name),
            ),
            usual,
            by_session,
        )

    async def _session_for(self, proxy: str | None) -> aiohttp.ClientSession:
        if proxy not in self._sessions:
            theirs = await self._http._get_session(proxy)
            # Another request may have made it meanwhile.
            if proxy not in self._sessions:
                # Their connector with all its settings, without their session's cookies.
                self._sessions[proxy] = aiohttp.ClientSession(
                    connector=theirs.connector,
                    connector_owner=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=theirs.timeout,
                    auto_decompress=False,
                    read_bufsize=READ_BUFFER,
                )
        return self._sessions[proxy]


def host_of(url: str) -> str:
    """The value of ``Host``: lower case, and without the port that goes without saying."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _lambda_trace() -> str | None:
    """The header by which AWS Lambda notices functions that call each other in a circle."""
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    return quote(trace, safe="-=;:+&[]{}\"',") if trace else None
