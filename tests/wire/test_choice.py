"""Which wire a client gets, and why: the direct one only where it honours all that is in force."""

import functools
import importlib.util
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiobotocore.client
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.config import Config
from botocore.handlers import disable_signing
from botocore.loaders import create_loader

from aiobatch import DynamoDB
from aiobatch.wire.aiobotocore import AiobotocoreWire
from aiobatch.wire.choice import options_of, reason_in_client, reason_in_settings
from aiobatch.wire.direct import DirectWire
from aiobatch.wire.opening import open_wire
from aiobatch.wire.settings import ConnectionSettings
from tests.client.server import Server

LOADER = create_loader()
ONCE: Any = {"total_max_attempts": 1, "mode": "standard"}


def new_session(**given: Any) -> Any:
    session = AioSession(**given)
    session.register_component("data_loader", LOADER)
    return session


class OtherHttp(AIOHTTPSession):
    """A caller's own."""


class Stub:
    """Like the handler that moto registers for good."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, **_: Any) -> None: ...


def hooked(event: str, handler: Any = lambda **_: None) -> Callable[[Any], None]:
    return lambda session: session.register(event, handler)


def attribute(name: str, value: Any) -> Callable[[Any], None]:
    return lambda session: setattr(session, name, value)


def default_config(config: Config) -> Callable[[Any], None]:
    return lambda session: session.set_default_client_config(config)


def config(**given: Any) -> dict[str, Any]:
    return {"config": AioConfig(**given)}


NOTHING: Callable[[Any], None] = lambda session: None  # noqa: E731

# The settings, the environment, what is done to the session; and a word of the reason, or None
# where the direct wire is taken.
CASES: dict[str, tuple[dict[str, Any], dict[str, str], Callable[[Any], None], str | None]] = {
    "nothing": ({}, {}, NOTHING, None),
    "a region": ({"region_name": "eu-west-1"}, {}, NOTHING, None),
    "an endpoint": ({"endpoint_url": "http://127.0.0.1:1"}, {}, NOTHING, None),
    "no verification": ({"verify": False}, {}, NOTHING, None),
    "a CA bundle": ({"verify": "/ca.pem"}, {}, NOTHING, None),
    "an account": ({}, {"AWS_ACCOUNT_ID": "123456789012"}, NOTHING, None),
    "timeouts": (config(connect_timeout=1, read_timeout=2), {}, NOTHING, None),
    "a pool": (config(max_pool_connections=50), {}, NOTHING, None),
    "proxies": (config(proxies={"https": "http://p:1"}), {}, NOTHING, None),
    "a proxy's certificate": (
        config(proxies_config={"proxy_ca_bundle": "/ca.pem"}),
        {},
        NOTHING,
        None,
    ),
    "a client certificate": (config(client_cert=("/c.pem", "/k.pem")), {}, NOTHING, None),
    "FIPS and dual-stack": (
        config(use_fips_endpoint=True, use_dualstack_endpoint=True),
        {},
        NOTHING,
        None,
    ),
    "connector_args": (config(connector_args={"use_dns_cache": False}), {}, NOTHING, None),
    "aiohttp by name": (config(http_session_cls=AIOHTTPSession), {}, NOTHING, None),
    "version 4 by name": (config(signature_version="v4"), {}, NOTHING, None),
    "validation": (config(parameter_validation=False), {}, NOTHING, None),
    "S3's options": (config(s3={"addressing_style": "path"}), {}, NOTHING, None),
    "an option without a value": (config(user_agent_extra=None), {}, NOTHING, None),
    "a botocore Config": ({"config": Config(read_timeout=3)}, {}, NOTHING, None),
    "S3's hooks": ({}, {}, hooked("before-call.s3"), None),
    "hooks of another operation": ({}, {}, hooked("before-call.dynamodb.ListTables"), None),
    "moto, not mocking": (
        {},
        {},
        hooked("before-send", Stub(enabled=False)),
        None,
    ),
    # --- not honoured ---
    "another HTTP session": (
        config(http_session_cls=OtherHttp),
        {},
        NOTHING,
        "config.http_session_cls",
    ),
    "no signature": (config(signature_version=UNSIGNED), {}, NOTHING, "config.signature_version"),
    "another signature": (config(signature_version="v3"), {}, NOTHING, "config.signature_version"),
    "an auth scheme": (
        config(auth_scheme_preference="sigv4a"),
        {},
        NOTHING,
        "config.auth_scheme_preference",
    ),
    "an auth scheme of the environment": (
        {},
        {"AWS_AUTH_SCHEME_PREFERENCE": "sigv4a"},
        NOTHING,
        "auth_scheme_preference is configured",
    ),
    "a user agent": (config(user_agent="mine/1"), {}, NOTHING, "config.user_agent is"),
    "more of a user agent": (config(user_agent_extra="mine/1"), {}, NOTHING, "user_agent_extra"),
    "an application's id": (config(user_agent_appid="mine"), {}, NOTHING, "user_agent_appid"),
    "an application's id of the environment": (
        {},
        {"AWS_SDK_UA_APP_ID": "mine"},
        NOTHING,
        "user_agent_appid is configured",
    ),
    "a session's user agent": ({}, {}, attribute("user_agent_name", "Mine"), "user agent"),
    "more of a session's user agent": (
        {},
        {},
        attribute("user_agent_extra", "botocore/1 mine/1"),
        "user agent",
    ),
    "host prefixes": (config(inject_host_prefix=False), {}, NOTHING, "inject_host_prefix"),
    "compression": (config(disable_request_compression=True), {}, NOTHING, "compression"),
    "endpoint parameters": (
        config(client_context_params={"x": "y"}),
        {},
        NOTHING,
        "client_context_params",
    ),
    "endpoint discovery": (
        config(endpoint_discovery_enabled=True),
        {},
        NOTHING,
        "endpoint_discovery_enabled",
    ),
    "endpoint discovery of the environment": (
        {},
        {"AWS_ENDPOINT_DISCOVERY_ENABLED": "true"},
        NOTHING,
        "EndpointDiscoveryHandler",
    ),
    "a default config": ({}, {}, default_config(Config(read_timeout=3)), "default client config"),
    "a path": ({"endpoint_url": "http://127.0.0.1:1/dynamodb"}, {}, NOTHING, "a path"),
    "a path of the environment": (
        {},
        {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1/dynamodb"},
        NOTHING,
        "a path",
    ),
    "a query": ({"endpoint_url": "http://127.0.0.1:1/?x=y"}, {}, NOTHING, "a query"),
    "a user": ({"endpoint_url": "http://me:s3cr3t@127.0.0.1:1"}, {}, NOTHING, "names a user"),
    "an experiment of botocore's": (
        {},
        {"BOTO_EXPERIMENTAL__ADD_PROXY_HOST_HEADER": "true"},
        NOTHING,
        "EXPERIMENTAL",
    ),
    "a disabled signature": (
        {},
        {},
        hooked("choose-signer.dynamodb", disable_signing),
        "botocore.handlers.disable_signing",
    ),
    "moto, mocking": (
        {},
        {},
        hooked("before-send", Stub(enabled=True)),
        "Stub",
    ),
    "a partial": ({}, {}, hooked("before-call", functools.partial(lambda **_: None)), "partial"),
    **{
        f"a hook of {event}": ({}, {}, hooked(event), "event handler")
        for event in (
            "*",
            "before-call",
            "before-call.dynamodb",
            "before-call.dynamodb.BatchGetItem",
            "before-call.*.DescribeTable",
            "provide-client-params.dynamodb",
            "before-parameter-build.dynamodb",
            "before-endpoint-resolution.dynamodb",
            "request-created.dynamodb",
            "before-sign.dynamodb",
            "before-send",
            "before-parse.dynamodb",
            "response-received.dynamodb",
            "needs-retry.dynamodb.Query",
            "after-call.dynamodb",
            "after-call-error.dynamodb.PutItem",
        )
    },
}


@pytest.fixture
def debug() -> Iterator[list[str]]:
    """What the wire's logger says."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, handler = logging.getLogger("aiobatch.wire"), Handler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield messages
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("case", CASES)
async def test_the_choice(case: str, monkeypatch: pytest.MonkeyPatch, debug: list[str]) -> None:
    given, environment, prepare, words = CASES[case]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    session = new_session()
    prepare(session)
    settings: dict[str, Any] = {"max_concurrency": 2, "session": session, **given}
    wire = await open_wire(ConnectionSettings(**settings))
    await wire.aclose()
    if words is None:
        assert isinstance(wire, DirectWire), debug
        assert debug == []
        await (await open_wire(ConnectionSettings(**settings, kind="direct"))).aclose()
        return
    assert isinstance(wire, AiobotocoreWire)
    (message,) = debug
    assert message.startswith("requests go through an aiobotocore client: ")
    assert words in message
    assert "s3cr3t" not in message

    async def insist() -> None:
        await open_wire(ConnectionSettings(**settings, kind="direct"))

    with pytest.raises(ValueError, match='wire="direct" cannot be taken') as caught:
        await insist()
    assert words in str(caught.value)
    assert 'wire="auto"' in str(caught.value)


async def test_aiobotocore_where_it_is_asked_for(server: Server, debug: list[str]) -> None:
    async with DynamoDB(session=new_session(), endpoint_url=server.url, wire="aiobotocore") as db:
        await db.get({"pk": "a"}, "users")
    assert server.asked[0].headers["user-agent"].startswith("aiobotocore/")
    assert debug == []


async def test_users_get_the_direct_wire(server: Server, debug: list[str]) -> None:
    async with DynamoDB(endpoint_url=server.url) as db:
        await db.get({"pk": "a"}, "users")
    assert server.asked[0].headers["user-agent"].startswith("aiobatch/")
    assert debug == []


class LikeAioboto3:
    """aioboto3 cannot be installed beside the newest aiobotocore; its session has `client`."""

    def __init__(self) -> None:
        self._session = new_session()

    def client(self, name: Any, **given: Any) -> Any:
        return self._session.create_client(name, **given)


async def test_sessions_of_aioboto3(server: Server, debug: list[str]) -> None:
    session: Any = LikeAioboto3()
    if importlib.util.find_spec("aioboto3") is not None:
        import aioboto3

        session = aioboto3.Session()
    settings: dict[str, Any] = {"session": session, "endpoint_url": server.url}
    async with DynamoDB(**settings) as db:
        await db.get({"pk": "a"}, "users")
    assert server.asked[0].headers["user-agent"].startswith("aiobatch/")
    assert debug == []
    session._session.register("before-sign.dynamodb", lambda **_: None)
    async with DynamoDB(**settings) as db:
        await db.get({"pk": "a"}, "users")
    assert server.asked[1].headers["user-agent"].startswith("aiobotocore/")
    assert "event handler" in debug[0]


async def test_a_client_of_the_callers(server: Server, debug: list[str]) -> None:
    async with new_session().create_client(
        "dynamodb", endpoint_url=server.url, config=AioConfig(retries=ONCE)
    ) as client:
        async with DynamoDB(client=client) as db:
            await db.get({"pk": "a"}, "users")
        with pytest.raises(ValueError, match="client= is used as it is"):
            DynamoDB(client=client, wire="direct")
    assert server.asked[0].headers["user-agent"].startswith("aiobotocore/")
    (message,) = debug
    assert "client=" in message


def test_what_the_settings_tell_is_told_at_once() -> None:
    """Before anything is opened."""
    with pytest.raises(ValueError, match=r"config\.user_agent_extra is set"):
        DynamoDB(config=Config(user_agent_extra="mine/1"), wire="direct")
    session = AioSession()
    session.set_default_client_config(Config())
    with pytest.raises(ValueError, match="default client config"):
        DynamoDB(session=session, wire="direct")


async def test_what_only_the_opening_tells_is_told_by_the_first_call(server: Server) -> None:
    session = new_session()
    session.register("before-sign.dynamodb", lambda **_: None)
    db = DynamoDB(session=session, endpoint_url=server.url, wire="direct")
    for _ in range(2):
        with pytest.raises(ValueError, match="event handler"):
            await db.get({"pk": "a"}, "users")
    await db.aclose()
    assert server.asked == []


# What tracing tools replace, by the name under which the class has it.
WRAPPED = (
    (aiobotocore.client.AioBaseClient, "_make_api_call"),
    (aiobotocore.httpsession.AIOHTTPSession, "send"),
)


@pytest.mark.parametrize(("owner", "name"), WRAPPED)
async def test_tools_that_wrap_aiobotocore_see_the_requests(
    owner: type, name: str, server: Server, monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    original = getattr(owner, name)
    seen = []

    @functools.wraps(original)
    async def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(name)
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, traced)
    async with DynamoDB(session=new_session(), endpoint_url=server.url) as db:
        await db.get({"pk": "a"}, "users")
    assert seen == [name]
    assert f"{owner.__name__}.{name} is wrapped" in debug[0]


async def test_another_make_of_aiobotocore(server: Server) -> None:
    """A later version may have its parts elsewhere: then its client carries the requests."""

    class Client:
        pass

    assert "another make" in (reason_in_client(Client()) or "")

    async with new_session().create_client(
        "dynamodb", endpoint_url=server.url, config=AioConfig(retries=ONCE)
    ) as client:
        assert reason_in_client(client) is None
        client.meta.events._emitter = object()
        assert "another make" in (reason_in_client(client) or "")


async def test_the_signature_of_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\ndynamodb =\n    signature_version = v4a\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    wire = await open_wire(ConnectionSettings(max_concurrency=1, session=new_session()))
    await wire.aclose()
    assert isinstance(wire, AiobotocoreWire)
    assert "signature version 4 is not" in debug[0]


class WithOtherHttp(LikeAioboto3):
    """A session that gives its clients an HTTP session of its own making."""

    @asynccontextmanager
    async def client(self, name: Any, **given: Any) -> AsyncIterator[Any]:
        async with super().client(name, **given) as client:
            client._endpoint.http_session = OtherHttp()
            yield client


async def test_the_http_session_of_a_sessions_clients(debug: list[str]) -> None:
    wire = await open_wire(ConnectionSettings(max_concurrency=1, session=WithOtherHttp()))
    await wire.aclose()
    assert isinstance(wire, AiobotocoreWire)
    assert "its HTTP session is OtherHttp" in debug[0]


def test_options_are_what_the_caller_set() -> None:
    assert options_of(None) == options_of(Config()) == options_of(AioConfig()) == {}
    assert options_of(AioConfig(connector_args=None)) == {}
    assert options_of(AioConfig(connector_args={"ttl_dns_cache": 5})) == {
        "connector_args": {"ttl_dns_cache": 5}
    }
    assert options_of(AioConfig(read_timeout=5, http_session_cls=OtherHttp)) == {
        "read_timeout": 5,
        "http_session_cls": OtherHttp,
    }


def test_no_setting_at_all_is_no_reason() -> None:
    assert reason_in_settings(ConnectionSettings(max_concurrency=1)) is None
