"""The same failure of aiohttp is the same fact to the engine, whichever wire it met."""

import errno
import io
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiobotocore.httpsession import AIOHTTPSession
from aiohttp.client_reqrep import ConnectionKey
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from botocore.exceptions import BotoCoreError
from yarl import URL

from aiobatch.errors import WireError
from aiobatch.wire.failures import error_of_aiobotocore, error_of_aiohttp

KEY = ConnectionKey("127.0.0.1", 1, True, True, None, None, None)
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
INFO: Any = SimpleNamespace(real_url=URL("http://127.0.0.1:1/"), method="POST", headers={})

UNSENT = (False, False)
IN_DOUBT = (True, False)
DROPPED = (True, True)
# The failure, and what is certain of it: was it sent, was the connection closed without a word.
FAILURES: dict[str, tuple[Exception, tuple[bool, bool]]] = {
    "nobody listens": (aiohttp.ClientConnectorError(KEY, REFUSED), UNSENT),
    "no such host": (
        aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "unknown")),
        UNSENT,
    ),
    "TLS": (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")), UNSENT),
    "a certificate": (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "unknown")),
        UNSENT,
    ),
    "the proxy is down": (aiohttp.ClientProxyConnectionError(KEY, REFUSED), UNSENT),
    "the proxy refuses": (aiohttp.ClientHttpProxyError(INFO, (), status=407), UNSENT),
    "slow to connect": (aiohttp.ConnectionTimeoutError("Connection timeout to host x"), UNSENT),
    "slow to answer": (aiohttp.SocketTimeoutError("Timeout on reading data"), IN_DOUBT),
    "some timeout": (TimeoutError(), IN_DOUBT),
    "a server's timeout": (aiohttp.ServerTimeoutError("timeout"), IN_DOUBT),
    "hung up": (aiohttp.ServerDisconnectedError(), DROPPED),
    "a reset": (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), DROPPED),
    "a reset while writing": (aiohttp.ClientConnectionResetError("closing transport"), DROPPED),
    "connection closed": (aiohttp.ClientConnectionError("Connection closed"), DROPPED),
    "cut in the answer": (aiohttp.ClientPayloadError("not complete"), IN_DOUBT),
    "no HTTP": (aiohttp.http_exceptions.BadStatusLine("nonsense"), IN_DOUBT),
    "malformed HTTP": (aiohttp.ClientResponseError(INFO, (), status=400), IN_DOUBT),
    "a wrong URL": (aiohttp.InvalidURL("x"), IN_DOUBT),
    "a bare reset": (ConnectionResetError(errno.ECONNRESET, "reset"), IN_DOUBT),
    "TLS amid it": (ssl.SSLError(1, "bad record"), IN_DOUBT),
}


class Failing:
    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def request(self, *_: Any, **__: Any) -> Any:
        raise self._failure


async def through_aiobotocore(failure: Exception) -> Exception:
    session: Any = AIOHTTPSession()

    async def failing(_: Any) -> Any:
        return Failing(failure)

    session._get_session = failing
    request = AWSPreparedRequest(
        "POST", "http://127.0.0.1:1/", HTTPHeaders(), io.BytesIO(), stream_output=False
    )
    try:
        await session.send(request)
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def facts(error: Exception) -> tuple[str, str, bool, bool]:
    assert isinstance(error, WireError)
    return error.reason, error.operation, error.sent, error.disconnected


@pytest.mark.parametrize("name", FAILURES)
async def test_both_wires_tell_the_same(name: str) -> None:
    failure, (sent, disconnected) = FAILURES[name]
    ours = error_of_aiohttp("BatchWriteItem", failure)
    translated = await through_aiobotocore(failure)
    assert isinstance(translated, BotoCoreError)
    assert facts(ours) == facts(error_of_aiobotocore("BatchWriteItem", translated))
    assert (ours.sent, ours.disconnected) == (sent, disconnected)
    assert ours.ambiguous is sent


def test_every_error_of_aiohttp_has_its_case() -> None:
    def below(kind: type[BaseException]) -> set[type[BaseException]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    known = {base for failure, _ in FAILURES.values() for base in type(failure).__mro__}
    missing = {
        kind
        for kind in below(aiohttp.ClientError)
        if kind.__module__.startswith("aiohttp") and kind not in known
    }
    # WebSockets, Unix sockets, watched uploads and redirects are not ours; of the others, the base
    # decides.
    assert {kind.__name__ for kind in missing} <= {
        "ClientConnectorUnixError",
        "UnixClientConnectorError",
        "ContentTypeError",
        "InvalidUrlClientError",
        "InvalidUrlRedirectClientError",
        "NonHttpUrlClientError",
        "NonHttpUrlRedirectClientError",
        "RedirectClientError",
        "ServerFingerprintMismatch",
        "TooManyRedirects",
        "UploadAbortedError",
        "WSMessageTypeError",
        "WSServerHandshakeError",
    }
