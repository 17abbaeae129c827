"""The wire over an aiobotocore client, ours or the caller's.

The client goes through all its own steps, so endpoint rules, credentials, proxies and every hook
stay in force. Two of its events are used: before a call, our body takes the place of the one made
from placeholder parameters; before the answer is parsed, its bytes are taken. A context variable
tells our calls from the caller's own calls on the same client, which are never touched.
"""

from __future__ import annotations

import base64
import datetime
import io
import logging
import weakref
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore
import orjson
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.exceptions import BotoCoreError, ClientError

from aiobatch.errors import ServiceError, WireError
from aiobatch.wire.answers import body_of, error_from
from aiobatch.wire.clock import ServiceClock
from aiobatch.wire.failures import error_of_aiobotocore
from aiobatch.wire.placeholders import method_of, placeholder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiobatch.wire.protocol import Request

__all__ = ["AiobotocoreWire"]

_log = logging.getLogger("aiobatch.wire")

_UNIQUE_ID = "aiobatch"
_LARGE_BODY = 1024 * 1024


@dataclass(slots=True)
class _Exchange:
    """One of our calls on its way through the client."""

    operation: str
    body: bytes
    spare_parsing: bool
    skew: float
    taken: bool = False
    parsed: bool = False
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""


_current: ContextVar[_Exchange | None] = ContextVar("aiobatch_exchange", default=None)


def _before_call(model: Any, params: dict[str, Any], **_: Any) -> None:
    exchange = _current.get()
    # `taken`: a hook of the caller's that calls DynamoDB itself, inside our call, is not ours.
    if exchange is not None and not exchange.taken and model.name == exchange.operation:
        exchange.taken = True
        # aiohttp warns of large bytes, which it would write in one go and so hold the loop.
        large = len(exchange.body) > _LARGE_BODY
        params["body"] = io.BytesIO(exchange.body) if large else exchange.body


def _before_send(**_: Any) -> None:
    exchange = _current.get()
    if exchange is not None:
        # A client with retries of its own: what an earlier attempt brought is not the answer.
        exchange.status, exchange.parsed = 0, False


def _response_received(**_: Any) -> None:
    exchange = _current.get()
    if exchange is not None:
        exchange.parsed = True


def _before_parse(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    exchange = _current.get()
    if exchange is None or operation_model.name != exchange.operation:
        return
    exchange.status = response_dict["status_code"]
    exchange.headers = {k.lower(): v for k, v in response_dict["headers"].items()}
    exchange.answer = response_dict["body"]
    if exchange.spare_parsing and exchange.status < 300:
        response_dict["body"] = b"{}"


def _choose_signer(**_: Any) -> Any:
    exchange = _current.get()
    return botocore.UNSIGNED if exchange is not None and exchange.skew else None


async def _before_sign(
    request: Any, signing_name: str, region_name: str, request_signer: Any, **_: Any
) -> None:
    exchange = _current.get()
    if exchange is None or not exchange.skew:
        return
    auth = await request_signer.get_auth_instance(signing_name, region_name, "v4")
    _ShiftedSigV4(auth.credentials, signing_name, region_name, exchange.skew).add_auth(request)


class _ShiftedSigV4(SigV4Auth):
    """SigV4 by the service's clock, for a machine whose own clock is wrong."""

    def __init__(self, credentials: Any, service: str, region: str, skew: float) -> None:
        super().__init__(credentials, service, region)
        self._skew = datetime.timedelta(seconds=skew)

    def add_auth(self, request: Any) -> None:
        now = datetime.datetime.now(datetime.UTC) + self._skew
        request.context["timestamp"] = now.strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)  # type: ignore[attr-defined]
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        signature = self.signature(to_sign, request)
        self._inject_signature_to_request(request, signature)  # type: ignore[attr-defined]


_HANDLERS = (
    ("before-call.dynamodb", _before_call),
    ("before-send.dynamodb", _before_send),
    ("before-parse.dynamodb", _before_parse),
    ("response-received.dynamodb", _response_received),
    ("choose-signer.dynamodb", _choose_signer),
    ("before-sign.dynamodb", _before_sign),
)


class AiobotocoreWire:
    """Sends requests through an aiobotocore client.

    Args:
        client: the client, ours or the caller's.
        stack: what to close with the wire; the client is in it if it is ours.
        owned: whether it is ours.
    """

    def __init__(self, client: Any, stack: AsyncExitStack, *, owned: bool) -> None:
        self._client = client
        self._stack = stack
        self._owned = owned
        self._clock = ServiceClock()
        if not owned:
            _warn_of_retries(client)
        for event, handler in _HANDLERS:
            # Counted: several wires may share one client of the caller's.
            client.meta.events.register(
                event,
                handler,
                unique_id=f"{_UNIQUE_ID}-{event}",
                unique_id_uses_count=True,
            )

    @property
    def max_concurrency(self) -> int:
        """The size of the client's connection pool."""
        return int(self._client.meta.config.max_pool_connections)

    async def send(self, request: Request) -> bytes:
        """Send one request and return the bytes of its answer. See :class:`Wire`."""
        operation = request.operation
        exchange = _Exchange(operation, request.body, self._owned, self._clock.skew)
        call = getattr(self._client, method_of(operation))
        token = _current.set(exchange)
        parsed: dict[str, Any] = {}
        failure: Exception | None = None
        try:
            parsed = await call(**placeholder(operation, request.table))
        except (ClientError, BotoCoreError, UnicodeDecodeError) as error:
            failure = error
        except Exception as error:
            # Of an answer that is not DynamoDB's, botocore's parser raises whatever comes to hand.
            if exchange.status == 0 or exchange.parsed:
                raise
            failure = error
        finally:
            _current.reset(token)
        if exchange.status == 0:
            if failure is None:
                # A hook of the caller's (a stub, a cache) answered in place of the service.
                return _unparse(parsed)
            raise error_of_aiobotocore(operation, failure) from failure
        if exchange.status < 300:
            return body_of(operation, exchange.headers, exchange.answer)
        raise self._error_of(exchange) from None

    async def aclose(self) -> None:
        """Close the client if it is ours; the caller's is only freed of our hooks."""
        for event, handler in _HANDLERS:
            self._client.meta.events.unregister(
                event,
                handler,
                unique_id=f"{_UNIQUE_ID}-{event}",
                unique_id_uses_count=True,
            )
        await self._stack.aclose()

    def _error_of(self, exchange: _Exchange) -> ServiceError | WireError:
        error = error_from(exchange.operation, exchange.status, exchange.headers, exchange.answer)
        self._clock.learn_from(error, exchange.headers, exchange.skew)
        return error


def _unparse(parsed: dict[str, Any]) -> bytes:
    """An answer that a hook gave as botocore's dict, back in DynamoDB's JSON."""
    answer = {key: value for key, value in parsed.items() if key != "ResponseMetadata"}
    return orjson.dumps(answer, default=lambda value: base64.b64encode(value).decode())


_warned_of: weakref.WeakSet[Any] = weakref.WeakSet()


def _warn_of_retries(client: Any) -> None:
    retries = client.meta.config.retries or {}
    # Neither is there by default; then the mode decides, and no mode makes just one attempt.
    once = retries.get("total_max_attempts") == 1 or retries.get("max_attempts") == 0
    if once or client in _warned_of:
        return
    _warned_of.add(client)
    _log.warning(
        "the client passed as client= retries on its own, inside each retry of aiobatch: make it"
        ' with Config(retries={"total_max_attempts": 1, "mode": "standard"})'
    )
