"""Which wire a client gets: the direct one only where it honours every setting that is in force.

What is not known here to be honoured is a reason for aiobotocore's wire, new options and hooks of
future versions included. Each function returns the reason, or None.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiobotocore
from aiobotocore.client import AioBaseClient
from aiobotocore.config import AioConfig
from aiobotocore.endpoint import AioEndpoint
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.signers import AioRequestSigner
from botocore.config import Config
from botocore.hooks import HierarchicalEmitter

from aiobatch.wire.placeholders import OPERATIONS

if TYPE_CHECKING:
    from aiobatch.wire.settings import ConnectionSettings

__all__ = ["default_config_of", "options_of", "reason_in_client", "reason_in_settings"]

# What the direct wire takes from the client, ready made: where requests go and by whom they are
# signed, and the pool with its TLS, proxies and timeouts.
_HONOURED = frozenset(
    {
        "account_id_endpoint_mode",
        "client_cert",
        "connect_timeout",
        "connector_args",
        "defaults_mode",
        "ignore_configured_endpoint_urls",
        "max_pool_connections",
        "proxies",
        "proxies_config",
        "read_timeout",
        "region_name",
        "tcp_keepalive",
        "use_dualstack_endpoint",
        "use_fips_endpoint",
        "warm_up_loader_caches",
    }
)
# They change nothing in a request of ours, whichever wire: the engine retries, the codec checks,
# and no operation of DynamoDB's has a checksum of this kind.
_WITHOUT_EFFECT = frozenset(
    {
        "parameter_validation",
        "request_checksum_calculation",
        "response_checksum_validation",
        "retries",
        "s3",
        "s3_disable_express_session_auth",
    }
)
# Options whose values may also come from the environment or a profile.
_RESOLVED = ("auth_scheme_preference", "user_agent_appid")

_EVENTS = (
    "provide-client-params",
    "before-parameter-build",
    "before-endpoint-resolution",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "before-parse",
    "response-received",
    "needs-retry",
    "after-call",
    "after-call-error",
)
# The handlers of a client that nobody touched. What they do is done by the direct wire (the
# signature, X-Amzn-Trace-Id), replaced by it (the user agent, the headers that count attempts),
# or does not concern DynamoDB.
_KNOWN_HANDLERS = frozenset(
    {
        "aiobotocore.retries.standard.AioRetryHandler.needs_retry",
        "aiobotocore.signers.AioRequestSigner.handler",
        "botocore.discovery.block_endpoint_discovery_required_operations",
        "botocore.handlers._handle_request_validation_mode_member",
        "botocore.handlers._set_auth_scheme_preference_signer",
        "botocore.handlers.add_recursion_detection_header",
        "botocore.handlers.add_retry_headers",
        "botocore.handlers.generate_idempotent_uuid",
        "botocore.handlers.inject_api_version_header_if_needed",
        "botocore.handlers.set_operation_specific_signer",
        "botocore.retries.standard.RetryQuotaChecker.release_retry_quota",
        "botocore.useragent.UserAgentString.rebuild_and_replace_user_agent_handler",
    }
)
# An experiment of botocore's, which its HTTP session carries out.
_PROXY_HOST_HEADER = "BOTO_EXPERIMENTAL__ADD_PROXY_HOST_HEADER"
# Tracing and recording tools wrap these; they would see nothing of a direct request.
_WRAPPED_BY_TOOLS: tuple[tuple[type, str], ...] = (
    (AioBaseClient, "_make_api_call"),
    (AioBaseClient, "_make_request"),
    (AioEndpoint, "_send"),
    (AioEndpoint, "_send_request"),
    (AIOHTTPSession, "send"),
    (AioRequestSigner, "sign"),
)


def reason_in_settings(settings: ConnectionSettings) -> str | None:
    """Why what the caller passed keeps the direct wire from being taken."""
    if settings.client is not None:
        return "client= is used as it is, with its hooks"
    return (
        _reason_in_config("config", settings.config)
        or _reason_in_default_config(settings.session)
        or _reason_in_user_agent(settings.session)
    )


def reason_in_client(client: Any) -> str | None:
    """Why a client of ours, as it came out of its session, cannot give way to the direct wire."""
    try:
        http_session = type(client._endpoint.http_session)
        if http_session is not AIOHTTPSession:
            return f"its HTTP session is {http_session.__name__}"
        for name in _RESOLVED:
            if getattr(client.meta.config, name, None) is not None:
                return f"{name} is configured"
        version = client._request_signer.signature_version
        if version != "v4":
            return "signature version 4 is not the one in force"
        return (
            _reason_in_endpoint(client.meta.endpoint_url)
            or _reason_in_handlers(client.meta.events)
            or _reason_in_surroundings()
        )
    except AttributeError as error:
        return f"this version of aiobotocore is of another make ({error.name or error})"


def options_of(config: Config | None) -> dict[str, Any]:
    """What the caller set in a config, without botocore's defaults."""
    # botocore keeps what the caller set apart from its defaults here, and nowhere else.
    options: dict[str, Any] = dict(getattr(config, "_user_provided_options", None) or {})
    if isinstance(config, AioConfig):
        # aiobotocore 2 keeps its own options elsewhere, with their defaults.
        theirs: Any = config
        default: Any = AioConfig()
        given = {
            name: value
            for name, value in theirs.connector_args.items()
            if (name, value) not in default.connector_args.items()
        }
        if given:
            options.setdefault("connector_args", given)
        if theirs.http_session_cls is not default.http_session_cls:
            options.setdefault("http_session_cls", theirs.http_session_cls)
    if options.get("connector_args", ()) is None:
        del options["connector_args"]
    return options


def default_config_of(session: Any) -> Config | None:
    """The config that a session of the caller's gives to every client."""
    inner = getattr(session, "_session", session)
    if not hasattr(inner, "get_default_client_config"):
        return None
    config: Config | None = inner.get_default_client_config()
    return config


def _reason_in_config(name: str, config: Config | None) -> str | None:
    for option, value in options_of(config).items():
        if value is None or option in _HONOURED or option in _WITHOUT_EFFECT:
            continue
        if option == "http_session_cls" and value is AIOHTTPSession:
            continue
        if option == "signature_version" and value == "v4":
            continue
        return f"{name}.{option} is set"
    return None


def _reason_in_default_config(session: Any) -> str | None:
    # Not looked into: how it is merged with ours depends on the version of aiobotocore.
    return "session= has a default client config" if default_config_of(session) else None


def _reason_in_user_agent(session: Any) -> str | None:
    inner = getattr(session, "_session", session)
    name = getattr(inner, "user_agent_name", "aiobotocore")
    extra = getattr(inner, "user_agent_extra", "")
    # aiobotocore's own words, and what aioboto3 adds.
    own = all(part.lower().startswith("botocore/") for part in (extra or "").split())
    if name in ("aiobotocore", "Boto3") and own:
        return None
    return "session= has a user agent of its own"


def _reason_in_endpoint(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return "the endpoint URL has a path or a query"
    if "@" in parts.netloc or not url.isascii():
        return "the endpoint URL names a user, or a host beyond ASCII"
    return None


def _reason_in_handlers(events: Any) -> str | None:
    for handler in _handlers(events):
        # moto's handler is always there, and on while it mocks.
        if getattr(handler, "enabled", None) is False:
            continue
        module = getattr(handler, "__module__", None)
        name = f"{module}.{getattr(handler, '__qualname__', type(handler).__name__)}"
        if name not in _KNOWN_HANDLERS:
            return f"the event handler {name} is registered"
    return None


def _handlers(events: Any) -> Iterator[Any]:
    """The handlers that any call of ours would reach."""
    emitter = getattr(events, "_emitter", events)
    if not isinstance(emitter, HierarchicalEmitter):
        raise AttributeError(name=f"{type(emitter).__name__}.prefix_search")
    search = emitter._handlers.prefix_search  # type: ignore[attr-defined]
    for event in _EVENTS:
        for operation in OPERATIONS:
            yield from search(f"{event}.dynamodb.{operation}")


def _reason_in_surroundings() -> str | None:
    if os.environ.get(_PROXY_HOST_HEADER):
        return f"{_PROXY_HOST_HEADER} is set"
    for owner, name in _WRAPPED_BY_TOOLS:
        if not _is_aiobotocores_own(vars(owner).get(name)):
            return f"{owner.__name__}.{name} is wrapped, as tracing tools do"
    return None


_HOME = str(Path(aiobotocore.__file__).parent)


def _is_aiobotocores_own(method: object) -> bool:
    # functools.wraps copies __module__ and __qualname__, but not the file of the code.
    return isinstance(method, types.FunctionType) and method.__code__.co_filename.startswith(_HOME)
