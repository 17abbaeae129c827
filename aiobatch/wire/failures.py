"""From an exchange without an answer to one typed error; the same facts from every wire."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from aiobatch.errors import AccessDenied, WireError
from aiobatch.wire.answers import error_from

__all__ = ["error_of_aiobotocore", "error_of_aiohttp"]

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
)


def error_of_aiohttp(operation: str, failure: Exception) -> WireError:
    """What a failure of aiohttp means to the engine.

    aiobotocore translates the same failures into botocore's errors first; a test holds this to
    what :func:`error_of_aiobotocore` makes of those.
    """
    match failure:
        case aiohttp.ClientSSLError():
            return _not_connected(operation, SSLError)
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return _not_connected(operation, ProxyConnectionError)
        case aiohttp.ServerDisconnectedError():
            return _closed(operation, silent=True)
        case aiohttp.ClientPayloadError() | aiohttp.http_exceptions.BadStatusLine():
            return _closed(operation, silent=False)
        case aiohttp.ServerTimeoutError() if str(failure).lower().startswith("connect"):
            # The class that says so is younger than the oldest aiohttp that aiobotocore takes.
            return _not_connected(operation, ConnectTimeoutError)
        case aiohttp.ServerTimeoutError():
            return _read_timeout(operation)
        case aiohttp.ClientConnectionError():
            return _broken(operation, failure)
        case TimeoutError():
            return _read_timeout(operation)
        case _:
            return _failed(operation, failure)


def error_of_aiobotocore(operation: str, failure: Exception) -> Exception:
    """What a failure inside an aiobotocore client means to the engine."""
    if isinstance(failure, ClientError):
        fields = failure.response.get("Error", {})
        meta = failure.response.get("ResponseMetadata", {})
        body = orjson.dumps(
            {
                **{k: v for k, v in failure.response.items() if k.endswith("hrottlingReasons")},
                "__type": fields.get("Code"),
                "message": fields.get("Message", ""),
            }
        )
        headers = {"x-amzn-requestid": meta["RequestId"]} if meta.get("RequestId") else {}
        return error_from(operation, meta.get("HTTPStatusCode", 400), headers, body)
    if isinstance(failure, _NO_CREDENTIALS):
        return AccessDenied(
            type(failure).__name__,
            str(failure),
            operation=operation,
            status=0,
            retryable=False,
        )
    source = getattr(failure, "kwargs", {}).get("error")
    if isinstance(failure, EndpointConnectionError):
        return _broken(operation, source)
    if isinstance(failure, ConnectTimeoutError | ProxyConnectionError | SSLError):
        return _not_connected(operation, type(failure))
    if isinstance(failure, ReadTimeoutError):
        return _read_timeout(operation)
    if isinstance(failure, ConnectionClosedError):
        return _closed(operation, silent=isinstance(source, aiohttp.ServerDisconnectedError))
    if isinstance(failure, HTTPClientError):
        return _failed(operation, source)
    return failure


def _not_connected(operation: str, kind: type[Exception]) -> WireError:
    return WireError(f"could not connect ({kind.__name__})", operation=operation, sent=False)


def _closed(operation: str, *, silent: bool) -> WireError:
    reason = "the connection was closed " + ("without an answer" if silent else "in the answer")
    return WireError(reason, operation=operation, disconnected=silent)


def _read_timeout(operation: str) -> WireError:
    return WireError("no answer within the read timeout", operation=operation)


def _broken(operation: str, source: Any) -> WireError:
    # aiohttp names a reset in the middle of an exchange like a failure to connect.
    unsent = isinstance(source, aiohttp.ClientConnectorError | OSError) and not isinstance(
        source, aiohttp.ClientOSError | ConnectionResetError
    )
    unsent = unsent or isinstance(source, aiohttp.ClientConnectorError)
    reason = "could not connect" if unsent else "the connection was reset"
    return WireError(reason, operation=operation, sent=not unsent, disconnected=not unsent)


def _failed(operation: str, source: Any) -> WireError:
    return WireError(f"the exchange failed ({type(source).__name__})", operation=operation)
