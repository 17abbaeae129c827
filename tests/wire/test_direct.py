"""The direct wire sends what aiobotocore would send, under every setting that can be faked.

It cannot be tried on AWS here, so whole requests of both wires are held against each other at the
door of aiohttp: the method, the URL, the headers, the body, the proxy.
"""

import asyncio
import hashlib
import importlib.metadata
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, SSOProvider
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from botocore.loaders import create_loader

from aiobatch import AccessDenied, DynamoDB, Retry, WireError
from aiobatch.wire import settings
from aiobatch.wire.aiobotocore import AiobotocoreWire
from aiobatch.wire.clock import ServiceClock
from aiobatch.wire.direct import DirectWire, _user_agent
from aiobatch.wire.opening import open_wire
from aiobatch.wire.protocol import Request, Wire
from aiobatch.wire.settings import KEEPALIVE_TIMEOUT, ConnectionSettings
from tests.client.server import Asked, Reply, Server
from tests.conftest import REGION
from tests.wire.certificates import Authority

ACCOUNT = "123456789012"
ARN = "arn:aws:dynamodb:us-west-2:999988887777:table/users"
# Letters beyond ASCII, and something large enough for a stream.
BODIES = ('{"é":"漢字🙂"}'.encode(), b"{}", b'"' + b"x" * 1_200_000 + b'"')


@dataclass(frozen=True)
class Sent:
    """A request at the door of aiohttp."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    proxy: str | None
    proxy_headers: dict[str, str] = field(default_factory=dict)


class NotSent(aiohttp.ClientConnectionError):
    """The request was seen and goes no further."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sent]]:
    """What would go to DynamoDB. Requests for credentials go on to servers of the test's."""
    log: list[Sent] = []
    original: Callable[..., Any] = aiohttp.ClientSession._request

    async def request(self: Any, method: str, str_or_url: Any = None, **given: Any) -> Any:
        url = given.pop("url", str_or_url)
        headers = {name.lower(): value for name, value in given["headers"].items()}
        if "x-amz-target" not in headers:
            return await original(self, method, url, **given)
        data = given["data"]
        body = data if isinstance(data, bytes) else data.read()
        proxy = given.get("proxy")
        log.append(
            Sent(method.upper(), str(url), headers, body, proxy, given.get("proxy_headers") or {})
        )
        raise NotSent

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    # Both ways of the direct wire send the same: tests/wire/test_exchange.py.
    monkeypatch.setattr("aiobatch.wire.exchange._knows_this_aiohttp", lambda: False)
    yield log
    del log[:]


# What each wire says in its own way. Ours counts no attempts, and aiohttp adds the length.
OWN_WORDS = {
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "host",
    "user-agent",
    "x-amz-date",
}


def is_signed_by_botocore_too(sent: Sent, secret: str) -> bool:
    """Whether botocore, at the time that the request tells, signs the same headers the same."""
    authorization = sent.headers["authorization"]
    fields = dict(part.split("=", 1) for part in authorization.split(" ", 1)[1].split(", "))
    key, _, region, service, _ = fields["Credential"].split("/")
    token = sent.headers.get("x-amz-security-token")
    signed = fields["SignedHeaders"].split(";")
    request = AWSRequest(
        method=sent.method,
        url=sent.url,
        headers={name: sent.headers[name] for name in signed if name != "x-amz-security-token"},
        data=sent.body,
    )
    auth: Any = SigV4Auth(Credentials(key, secret, token), service, region)
    request.context["timestamp"] = sent.headers["x-amz-date"]
    auth._modify_request_before_signing(request)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))
    return bool(request.headers["Authorization"] == authorization)


def scope_of(sent: Sent) -> list[str]:
    """Key id, region, service: all but the day."""
    scope = sent.headers["authorization"].split("Credential=")[1].split(",")[0].split("/")
    return [scope[0], *scope[2:]]


# It keeps the service models that it has read, which take most of an opening.
LOADER = create_loader()


@asynccontextmanager
async def opened(profile_name: str | None = None, **given: Any) -> AsyncIterator[Wire]:
    if "session" not in given:
        given["session"] = AioSession(profile=profile_name)
        given["session"].register_component("data_loader", LOADER)
    wire = await open_wire(ConnectionSettings(max_concurrency=4, **given))
    try:
        yield wire
    finally:
        await wire.aclose()


async def held_against_each_other(
    sent: list[Sent], given: dict[str, Any], *requests: Request
) -> list[Sent]:
    """Send by both wires, compare, and return what the direct one sent."""
    by_wire: dict[str, list[Sent]] = {}
    for kind in ("auto", "aiobotocore"):
        async with opened(kind=kind, **given) as wire:
            assert isinstance(wire, DirectWire if kind == "auto" else AiobotocoreWire)
            for request in requests:
                with pytest.raises(WireError):
                    await wire.send(request)
        by_wire[kind] = sent[:]
        sent.clear()
    direct, theirs = by_wire["auto"], by_wire["aiobotocore"]
    assert len(direct) == len(theirs) == len(requests)
    for ours, other in zip(direct, theirs, strict=True):
        assert (ours.method, ours.url, ours.proxy) == (other.method, other.url, other.proxy)
        assert ours.body == other.body
        assert ours.proxy_headers == other.proxy_headers
        assert scope_of(ours) == scope_of(other)
        assert {k: v for k, v in ours.headers.items() if k not in OWN_WORDS} == {
            k: v for k, v in other.headers.items() if k not in OWN_WORDS
        }
        assert abs(stamp(ours) - stamp(other)) < timedelta(seconds=60)
    return direct


def stamp(sent: Sent) -> datetime:
    return datetime.strptime(sent.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def request(table: str = "users", operation: str = "BatchGetItem", body: bytes = b"{}") -> Request:
    return Request(operation, table, body)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No credentials and no region, in the environment or elsewhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def profiles(tmp_path: Path, clean: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(text: str) -> None:
        path = tmp_path / "config"
        path.write_text(text)
        clean.setenv("AWS_CONFIG_FILE", str(path))

    return write


# --- every operation and body ---


async def test_every_operation(sent: list[Sent]) -> None:
    operations = (
        *("BatchGetItem", "BatchWriteItem", "DescribeTable", "GetItem"),
        *("PutItem", "DeleteItem", "Query"),
    )
    requests = [
        request(operation=operation, body=body) for operation in operations for body in BODIES
    ]
    direct = await held_against_each_other(sent, {}, *requests)
    assert [one.body for one in direct] == [one.body for one in requests]
    for one in direct:
        assert is_signed_by_botocore_too(one, "testing")
        assert one.url == "https://dynamodb.us-east-1.amazonaws.com/"
        assert one.headers["user-agent"].startswith("aiobatch/")
        assert " aiobotocore/" in one.headers["user-agent"]


# --- endpoints ---

# The stubs of botocore do not know it.
ENDPOINTS_IGNORED = Config(ignore_configured_endpoint_urls=True)  # type: ignore[call-arg]
ENDPOINTS: dict[str, tuple[dict[str, str], dict[str, Any], str, str]] = {
    # The environment, the settings, the URL, the region of the signature.
    "a region": ({}, {"region_name": "eu-west-3"}, "https://dynamodb.eu-west-3.amazonaws.com/", ""),
    "China": (
        {},
        {"region_name": "cn-north-1"},
        "https://dynamodb.cn-north-1.amazonaws.com.cn/",
        "",
    ),
    "GovCloud": (
        {},
        {"region_name": "us-gov-west-1"},
        "https://dynamodb.us-gov-west-1.amazonaws.com/",
        "",
    ),
    "an unknown region": (
        {},
        {"region_name": "eu-west-77"},
        "https://dynamodb.eu-west-77.amazonaws.com/",
        "",
    ),
    "the region called local": (
        {},
        {"region_name": "local"},
        "http://localhost:8000/",
        "us-east-1",
    ),
    "a region of the config": (
        {},
        {"config": Config(region_name="eu-north-1")},
        "https://dynamodb.eu-north-1.amazonaws.com/",
        "eu-north-1",
    ),
    "FIPS": (
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {},
        "https://dynamodb-fips.us-east-1.amazonaws.com/",
        "us-east-1",
    ),
    "FIPS in the config": (
        {},
        {"config": Config(use_fips_endpoint=True)},
        "https://dynamodb-fips.us-east-1.amazonaws.com/",
        "us-east-1",
    ),
    "a FIPS region": (
        {},
        {"region_name": "fips-us-west-2"},
        "https://dynamodb-fips.us-west-2.amazonaws.com/",
        "us-west-2",
    ),
    "dual-stack": (
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {},
        "https://dynamodb.us-east-1.api.aws/",
        "us-east-1",
    ),
    "dual-stack in the config": (
        {},
        {"config": AioConfig(use_dualstack_endpoint=True)},
        "https://dynamodb.us-east-1.api.aws/",
        "us-east-1",
    ),
    "FIPS and dual-stack": (
        {},
        {"config": Config(use_fips_endpoint=True, use_dualstack_endpoint=True)},
        "https://dynamodb-fips.us-east-1.api.aws/",
        "us-east-1",
    ),
    "an endpoint": ({}, {"endpoint_url": "http://localhost:8000"}, "http://localhost:8000/", ""),
    "with a slash": ({}, {"endpoint_url": "https://Host.example/"}, "https://Host.example/", ""),
    "with the usual port": (
        {},
        {"endpoint_url": "https://host.example:443"},
        "https://host.example/",
        "",
    ),
    "IPv6": ({}, {"endpoint_url": "http://[::1]:8000"}, "http://[::1]:8000/", ""),
    "an endpoint of the environment": (
        {"AWS_ENDPOINT_URL": "http://everything.example:1"},
        {},
        "http://everything.example:1/",
        "",
    ),
    "DynamoDB's endpoint of the environment": (
        {
            "AWS_ENDPOINT_URL": "http://everything.example:1",
            "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example:2",
        },
        {},
        "https://dynamodb.example:2/",
        "",
    ),
    "an endpoint before the environment's": (
        {"AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example:2"},
        {"endpoint_url": "http://mine.example:3"},
        "http://mine.example:3/",
        "",
    ),
    "configured endpoints ignored": (
        {
            "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example:2",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        },
        {},
        "https://dynamodb.us-east-1.amazonaws.com/",
        "",
    ),
    "configured endpoints ignored by the config": (
        {"AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example:2"},
        {"config": ENDPOINTS_IGNORED},
        "https://dynamodb.us-east-1.amazonaws.com/",
        "",
    ),
    "an account": (
        {"AWS_ACCOUNT_ID": ACCOUNT},
        {},
        f"https://{ACCOUNT}.ddb.us-east-1.amazonaws.com/",
        "us-east-1",
    ),
    "an account, dual-stack": (
        {"AWS_ACCOUNT_ID": ACCOUNT, "AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {},
        f"https://{ACCOUNT}.ddb.us-east-1.api.aws/",
        "us-east-1",
    ),
    "an account that is required": (
        {"AWS_ACCOUNT_ID": ACCOUNT},
        {"config": Config(account_id_endpoint_mode="required")},
        f"https://{ACCOUNT}.ddb.us-east-1.amazonaws.com/",
        "us-east-1",
    ),
    "an account that is not asked for": (
        {"AWS_ACCOUNT_ID": ACCOUNT, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"},
        {},
        "https://dynamodb.us-east-1.amazonaws.com/",
        "us-east-1",
    ),
    "an account and an endpoint": (
        {"AWS_ACCOUNT_ID": ACCOUNT},
        {"endpoint_url": "http://localhost:8000"},
        "http://localhost:8000/",
        "us-east-1",
    ),
}


@pytest.mark.parametrize("case", ENDPOINTS)
async def test_endpoints(case: str, sent: list[Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    environment, given, url, region = ENDPOINTS[case]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours, to_an_arn = await held_against_each_other(sent, given, request(), request(ARN))
    assert ours.url == url
    assert scope_of(ours)[1] == (region or given.get("region_name", REGION))
    assert is_signed_by_botocore_too(ours, "testing")
    assert is_signed_by_botocore_too(to_an_arn, "testing")


async def test_the_account_of_a_tables_arn(
    sent: list[Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCOUNT_ID", ACCOUNT)
    direct = await held_against_each_other(
        sent,
        {"region_name": "us-west-2"},
        *(request(table, "GetItem") for table in ("users", ARN, "users", ARN)),
    )
    hosts = [one.url.removeprefix("https://").split(".")[0] for one in direct]
    assert hosts == [ACCOUNT, "999988887777"] * 2


async def test_an_account_that_is_required_and_unknown(sent: list[Sent]) -> None:
    given: dict[str, Any] = {"config": Config(account_id_endpoint_mode="required")}
    told = []
    for kind in ("direct", "aiobotocore"):
        async with opened(kind=kind, **given) as wire:
            with pytest.raises(Exception, match=r"(?i)account") as caught:
                await wire.send(request())
            told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]
    assert sent == []


async def test_many_arns_are_not_kept_for_ever(sent: list[Sent]) -> None:
    async with opened() as wire:
        assert isinstance(wire, DirectWire)
        for n in range(600):
            with pytest.raises(WireError):
                await wire.send(request(f"{ARN}{n}"))
        assert len(sent) == 600
        assert len(wire._destinations) <= 256


# --- profiles ---

PROFILES: dict[str, tuple[str, str, list[str]]] = {
    "credentials and region": (
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = AKIDDEV\n"
        "aws_secret_access_key = secret\n",
        "https://dynamodb.ap-south-1.amazonaws.com/",
        ["AKIDDEV", "ap-south-1"],
    ),
    "an endpoint": (
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = AKIDDEV\n"
        "aws_secret_access_key = secret\nendpoint_url = http://dev.example:1\n",
        "http://dev.example:1/",
        ["AKIDDEV", "ap-south-1"],
    ),
    "a services section": (
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = AKIDDEV\n"
        "aws_secret_access_key = secret\nservices = local\n"
        "[services local]\ndynamodb =\n  endpoint_url = http://local.example:8000\n",
        "http://local.example:8000/",
        ["AKIDDEV", "ap-south-1"],
    ),
    "a token, an account and FIPS": (
        "[profile dev]\nregion = us-east-2\naws_access_key_id = AKIDDEV\n"
        "aws_secret_access_key = secret\naws_session_token = token\n"
        f"aws_account_id = {ACCOUNT}\nuse_fips_endpoint = true\n",
        "https://dynamodb-fips.us-east-2.amazonaws.com/",
        ["AKIDDEV", "us-east-2"],
    ),
    "an account": (
        "[profile dev]\nregion = us-east-2\naws_access_key_id = AKIDDEV\n"
        f"aws_secret_access_key = secret\naws_account_id = {ACCOUNT}\n",
        f"https://{ACCOUNT}.ddb.us-east-2.amazonaws.com/",
        ["AKIDDEV", "us-east-2"],
    ),
}


@pytest.mark.parametrize("case", PROFILES)
async def test_profiles(case: str, sent: list[Sent], profiles: Callable[[str], None]) -> None:
    text, url, scope = PROFILES[case]
    profiles(text)
    (ours,) = await held_against_each_other(sent, {"profile_name": "dev"}, request())
    assert ours.url == url
    assert scope_of(ours)[:2] == scope
    assert is_signed_by_botocore_too(ours, "secret")


# --- credentials ---


async def test_a_token(sent: list[Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token+/=")
    (ours,) = await held_against_each_other(sent, {}, request())
    assert ours.headers["x-amz-security-token"] == "token+/="
    assert "x-amz-security-token" in ours.headers["authorization"]
    assert is_signed_by_botocore_too(ours, "testing")


async def test_explicit_credentials(sent: list[Sent]) -> None:
    given = {"aws_access_key_id": "AKIDMINE", "aws_secret_access_key": "é漢"}
    (ours,) = await held_against_each_other(sent, given, request())
    assert scope_of(ours)[0] == "AKIDMINE"
    assert is_signed_by_botocore_too(ours, "é漢")
    (ours,) = await held_against_each_other(sent, {**given, "aws_session_token": "mine"}, request())
    assert ours.headers["x-amz-security-token"] == "mine"


async def test_a_process(sent: list[Sent], profiles: Callable[[str], None], tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(
        json.dumps({"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "secret"})
    )
    profiles(
        "[profile dev]\nregion = us-east-1\n"
        f"credential_process = {sys.executable} -c "
        f"\"print(open('{answer}').read())\"\n"
    )
    (ours,) = await held_against_each_other(sent, {"profile_name": "dev"}, request())
    assert scope_of(ours)[0] == "AKIDPROCESS"
    assert is_signed_by_botocore_too(ours, "secret")


def expiring(key: str, **names: str) -> dict[str, str]:
    later = datetime.now(UTC) + timedelta(hours=1)
    return {
        "AccessKeyId": key,
        "SecretAccessKey": "secret",
        "Token": "token",
        "SessionToken": "token",
        "Expiration": later.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "AccountId": ACCOUNT,
        "Code": "Success",
        "Type": "AWS-HMAC",
        **names,
    }


async def test_a_container(sent: list[Sent], server: Server, clean: pytest.MonkeyPatch) -> None:
    server.script = lambda asked: Reply.json(expiring("AKIDCONTAINER"))
    clean.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/credentials")
    clean.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in")
    (ours,) = await held_against_each_other(sent, {"region_name": REGION}, request())
    assert {asked.headers["authorization"] for asked in server.asked} == {"let me in"}
    assert scope_of(ours)[0] == "AKIDCONTAINER"
    assert ours.url == f"https://{ACCOUNT}.ddb.us-east-1.amazonaws.com/"
    assert is_signed_by_botocore_too(ours, "secret")


async def test_the_instances_metadata(
    sent: list[Sent], server: Server, clean: pytest.MonkeyPatch
) -> None:
    def metadata(asked: Asked) -> Reply:
        path = asked.line.split()[1]
        if path == "/latest/api/token":
            return Reply(200, b"session")
        if path.endswith("/security-credentials/"):
            return Reply(200, b"role")
        return Reply.json(expiring("AKIDINSTANCE"))

    server.script = metadata
    clean.delenv("AWS_EC2_METADATA_DISABLED")
    clean.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{server.url}/")
    (ours,) = await held_against_each_other(sent, {"region_name": REGION}, request())
    assert scope_of(ours)[0] == "AKIDINSTANCE"
    assert is_signed_by_botocore_too(ours, "secret")


def sts(asked: Asked) -> Reply:
    action = dict(part.split("=") for part in asked.body.decode().split("&"))["Action"]
    fields = "".join(
        f"<{name}>{value}</{name}>"
        for name, value in expiring("AKIDROLE").items()
        if name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    )
    user = (
        "<AssumedRoleUser><AssumedRoleId>x:y</AssumedRoleId>"
        f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/r/s</Arn></AssumedRoleUser>"
    )
    body = (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        f"{user}<Credentials>{fields}</Credentials></{action}Result></{action}Response>"
    )
    return Reply(200, body.encode(), {"content-type": "text/xml"})


async def test_an_assumed_role(
    sent: list[Sent],
    server: Server,
    profiles: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.script = sts
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    profiles(
        "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = base\n"
        "[profile dev]\nregion = eu-west-1\nsource_profile = base\n"
        f"role_arn = arn:aws:iam::{ACCOUNT}:role/r\n"
    )
    ours, _ = await held_against_each_other(sent, {"profile_name": "dev"}, request(), request())
    assert scope_of(ours)[:2] == ["AKIDROLE", "eu-west-1"]
    assert ours.url == f"https://{ACCOUNT}.ddb.eu-west-1.amazonaws.com/"
    assert ours.headers["x-amz-security-token"] == "token"
    assert is_signed_by_botocore_too(ours, "secret")
    # Once for each wire: they are kept until they run out.
    assert len(server.asked) == 2


async def test_a_web_identity(
    sent: list[Sent], server: Server, clean: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.script = sts
    (tmp_path / "token").write_text("a token")
    clean.setenv("AWS_ENDPOINT_URL_STS", server.url)
    clean.setenv("AWS_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/r")
    clean.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    (ours,) = await held_against_each_other(sent, {"region_name": REGION}, request())
    assert scope_of(ours)[0] == "AKIDROLE"
    assert is_signed_by_botocore_too(ours, "secret")


async def test_single_sign_on(
    sent: list[Sent],
    server: Server,
    profiles: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    role = {
        "accessKeyId": "AKIDSSO",
        "secretAccessKey": "secret",
        "sessionToken": "token",
        "expiration": int(later.timestamp() * 1000),
    }
    server.script = lambda asked: Reply.json({"roleCredentials": role})
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", server.url)
    start = "https://start.example"
    profiles(
        f"[profile dev]\nregion = eu-west-1\nsso_start_url = {start}\nsso_region = us-east-1\n"
        f"sso_account_id = {ACCOUNT}\nsso_role_name = r\n"
    )
    cached = {"accessToken": "let me in", "expiresAt": later.isoformat(), "startUrl": start}
    name = hashlib.sha1(start.encode(), usedforsecurity=False).hexdigest()
    (tmp_path / f"{name}.json").write_text(json.dumps(cached))
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    (ours,) = await held_against_each_other(sent, {"profile_name": "dev"}, request())
    assert scope_of(ours)[:2] == ["AKIDSSO", "eu-west-1"]
    assert ours.url == f"https://{ACCOUNT}.ddb.eu-west-1.amazonaws.com/"
    assert is_signed_by_botocore_too(ours, "secret")
    assert {asked.headers["x-amz-sso_bearer_token"] for asked in server.asked} == {"let me in"}


async def test_a_role_that_is_denied(
    sent: list[Sent],
    server: Server,
    profiles: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    denied = (
        b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
        b"<Message>s3cr3t</Message></Error></ErrorResponse>"
    )
    server.script = lambda asked: Reply(403, denied, {"content-type": "text/xml"})
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    profiles(
        "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = base\n"
        "[profile dev]\nregion = eu-west-1\nsource_profile = base\n"
        f"role_arn = arn:aws:iam::{ACCOUNT}:role/r\n"
    )
    for kind in ("direct", "aiobotocore"):
        async with opened(kind=kind, profile_name="dev") as wire:
            with pytest.raises(AccessDenied) as caught:
                await wire.send(request())
            assert caught.value.code == "AccessDenied"
            assert "s3cr3t" not in str(caught.value)
    assert sent == []


@pytest.mark.parametrize("kind", ["direct", "aiobotocore"])
async def test_credentials_that_expire_between_two_requests(kind: Any, server: Server) -> None:
    issued = 0

    def fresh(lifetime: timedelta) -> dict[str, str]:
        nonlocal issued
        issued += 1
        return {
            "access_key": f"AKID{issued}",
            "secret_key": "secret",
            "token": f"token{issued}",
            "expiry_time": (datetime.now(UTC) + lifetime).isoformat(),
        }

    async def refresh() -> dict[str, str]:
        return fresh(timedelta(hours=1))

    session: Any = AioSession()
    # About to expire: within the time in which botocore must have new ones.
    session._credentials = AioRefreshableCredentials.create_from_metadata(
        fresh(timedelta(hours=1)), refresh_using=refresh, method="faked"
    )
    async with DynamoDB(session=session, endpoint_url=server.url, wire=kind) as db:
        for _ in range(2):
            await db.get({"pk": "a"}, "users")
        session._credentials._expiry_time = datetime.now(UTC) + timedelta(seconds=5)
        # Many at once refresh once.
        await asyncio.gather(*(db.get({"pk": "a"}, "users") for _ in range(5)))
    tokens = [asked.headers["x-amz-security-token"] for asked in server.asked]
    assert tokens == ["token1"] * 2 + ["token2"] * 5
    keys = [asked.headers["authorization"].split("Credential=")[1] for asked in server.asked]
    assert [key.split("/")[0] for key in keys] == ["AKID1"] * 2 + ["AKID2"] * 5
    assert issued == 2


@pytest.mark.parametrize(
    "failure",
    [
        aiohttp.ClientOSError("the identity provider is down"),
        EndpointConnectionError(endpoint_url="https://sts.example"),
        # Else a request of ours would be sent again at no cost.
        ConnectionClosedError(
            endpoint_url="https://sts.example", error=aiohttp.ServerDisconnectedError()
        ),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_refresh_that_fails_sent_nothing(failure: Exception, server: Server) -> None:
    async def refresh() -> dict[str, str]:
        raise failure

    session: Any = AioSession()
    session._credentials = AioRefreshableCredentials.create_from_metadata(
        {
            "access_key": "a",
            "secret_key": "b",
            "token": "c",
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=5)).isoformat(),
        },
        refresh_using=refresh,
        method="faked",
    )
    async with opened(session=session, endpoint_url=server.url) as wire:
        assert isinstance(wire, DirectWire)
        with pytest.raises(WireError) as caught:
            await wire.send(request())
    assert not caught.value.sent
    assert not caught.value.disconnected
    assert server.asked == []


# --- proxies and TLS ---


@pytest.mark.parametrize(
    ("environment", "config"),
    [
        ({"HTTPS_PROXY": "http://user:word@proxy.example:3128"}, None),
        ({"https_proxy": "http://proxy.example:3128", "NO_PROXY": "amazonaws.com"}, None),
        ({}, Config(proxies={"https": "proxy.example:3128"})),
        (
            {"HTTPS_PROXY": "http://other.example:1"},
            Config(proxies={"https": "http://p.example:2"}),
        ),
        ({}, AioConfig(proxies={"http": "http://only-http.example:3128"})),
        (
            {},
            Config(
                proxies={"https": "http://proxy.example:3128"},
                proxies_config={"proxy_use_forwarding_for_https": True},
            ),
        ),
    ],
)
async def test_proxies(
    environment: dict[str, str],
    config: Any,
    sent: list[Sent],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (ours,) = await held_against_each_other(sent, {"config": config}, request())
    through = "NO_PROXY" not in environment and "only-http" not in str(config and config.proxies)
    assert (ours.proxy is not None) is through


@pytest.mark.parametrize("kind", ["direct", "aiobotocore"])
async def test_a_proxy_carries_the_requests(kind: Any, server: Server) -> None:
    """The server is asked for the whole URL, as a proxy is; the host does not exist."""
    config = Config(proxies={"http": server.url})
    async with DynamoDB(endpoint_url="http://nowhere.invalid", config=config, wire=kind) as db:
        assert (await db.get({"pk": "a"}, "users"))["Item"] == {"pk": "a"}
    (asked,) = server.asked
    assert asked.line == "POST http://nowhere.invalid/ HTTP/1.1"
    assert asked.headers["host"] == "nowhere.invalid"


async def test_on_the_wire_itself(server: Server) -> None:
    """What reaches a server, byte for byte of the head, in both ways."""
    for kind in ("direct", "aiobotocore"):
        async with opened(kind=kind, endpoint_url=server.url) as wire:
            for body in BODIES:
                await wire.send(request(operation="DeleteItem", body=body))
    half = len(BODIES)
    for ours, theirs in zip(server.asked[:half], server.asked[half:], strict=True):
        assert ours.line == theirs.line == "POST / HTTP/1.1"
        assert ours.body == theirs.body
        own = OWN_WORDS - {"host", "content-length"}
        assert {k: v for k, v in ours.headers.items() if k not in own} == {
            k: v for k, v in theirs.headers.items() if k not in own
        }
        assert ours.headers["content-length"] == str(len(ours.body))
        assert ours.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("kind", ["direct", "aiobotocore"])
async def test_a_ca_bundle_that_is_not_there(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    async with opened(kind=kind, endpoint_url="https://127.0.0.1:1") as wire:
        with pytest.raises(WireError, match="FileNotFoundError"):
            await wire.send(request())


@pytest.mark.parametrize("kind", ["direct", "aiobotocore"])
@pytest.mark.parametrize("verify", [None, False])
async def test_a_server_without_tls(kind: Any, verify: bool | None) -> None:
    def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with opened(kind=kind, endpoint_url=url, verify=verify) as wire:
            with pytest.raises(WireError, match="could not connect") as caught:
                await wire.send(request())
    assert not caught.value.sent


async def test_the_pool_is_aiobotocores_own() -> None:
    """With its TLS, its limit and its timeouts, and an idle time that DynamoDB's is longer than."""
    config = Config(connect_timeout=1.5, read_timeout=2.5, max_pool_connections=20)
    for verify, mode in ((None, ssl.CERT_REQUIRED), (False, ssl.CERT_NONE)):
        async with opened(config=config, verify=verify) as wire:
            assert isinstance(wire, DirectWire)
            assert wire.max_concurrency == 20
            session = await wire._session_for(None)
            connector: Any = session.connector
            assert connector is (await wire._http._get_session(None)).connector
            assert connector.limit == 20
            assert connector._keepalive_timeout == KEEPALIVE_TIMEOUT
            context = connector._ssl
            if isinstance(context, ssl.SSLContext):
                assert context.verify_mode == mode
            else:
                assert (context, mode) == (False, ssl.CERT_NONE)
            assert (session.timeout.sock_connect, session.timeout.sock_read) == (1.5, 2.5)
            assert session.timeout.total is None
    assert connector.closed


async def test_a_keepalive_of_the_callers() -> None:
    config = AioConfig(connector_args={"keepalive_timeout": 1.5, "use_dns_cache": False})
    async with opened(config=config) as wire:
        assert isinstance(wire, DirectWire)
        connector: Any = (await wire._session_for(None)).connector
        assert connector._keepalive_timeout == 1.5
        assert not connector.use_dns_cache


@pytest.mark.parametrize("kind", ["direct", "aiobotocore"])
async def test_connections_that_were_idle_too_long_are_not_reused(
    kind: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for connections, idle in ((1, KEEPALIVE_TIMEOUT), (4, 0.0)):
        monkeypatch.setattr(settings, "KEEPALIVE_TIMEOUT", idle)
        async with opened(kind=kind, endpoint_url=server.url) as wire:
            for _ in range(3):
                await wire.send(request(operation="DeleteItem"))
        assert server.connections == connections


@pytest.mark.parametrize("kind", ["direct", "aiobotocore"])
@pytest.mark.parametrize("through", ["verify=", "AWS_CA_BUNDLE"])
async def test_a_ca_bundle_and_a_client_certificate(
    kind: Any, through: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that shows a private certificate and asks for one."""
    authority = Authority(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("127.0.0.1"))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(authority.certificate)
    mine = Config(client_cert=authority.issue("client"))
    async with Server(tls=tls) as server:
        given: dict[str, Any] = {"kind": kind, "endpoint_url": server.url}
        async with opened(config=mine, **given) as wire:
            with pytest.raises(WireError, match="could not connect") as caught:
                await wire.send(request(operation="DeleteItem"))
            assert not caught.value.sent
        if through == "verify=":
            given["verify"] = authority.certificate
        else:
            monkeypatch.setenv("AWS_CA_BUNDLE", authority.certificate)
        async with opened(config=mine, **given) as wire:
            await wire.send(request(operation="DeleteItem"))
        assert [asked.operation for asked in server.asked] == ["DeleteItem"]
        async with opened(**given) as wire:
            with pytest.raises(WireError):
                await wire.send(request(operation="DeleteItem"))
        assert len(server.asked) == 1


async def test_an_endpoint_that_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of a botocore to come, with a header or another signature: refused, with a way out."""
    async with opened(kind="direct") as wire:
        assert isinstance(wire, DirectWire)
        for headers, auth in (({"X-New": "1"}, "v4"), ({}, "v4a")):

            async def resolve(
                model: Any, params: Any, context: Any, headers: Any = headers, auth: str = auth
            ) -> Any:
                context["auth_type"] = auth
                return "https://127.0.0.1:1", headers, {}

            monkeypatch.setattr(wire._client, "_resolve_endpoint_ruleset", resolve)
            with pytest.raises(RuntimeError, match='wire="aiobotocore"'):
                await wire.send(request())


# --- what else a request has ---


@pytest.mark.parametrize("function", [None, "handler"])
async def test_the_trace_of_a_lambda_function(
    function: str | None, sent: list[Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=557 é"'
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    if function:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function)
    (ours,) = await held_against_each_other(sent, {}, request())
    assert ("x-amzn-trace-id" in ours.headers) is (function is not None)
    assert is_signed_by_botocore_too(ours, "testing")


async def test_a_redirect_is_not_followed(server: Server) -> None:
    server.script = lambda asked: Reply(307, b"", {"location": f"{server.url}/elsewhere"})
    async with opened(kind="direct", endpoint_url=server.url) as wire:
        with pytest.raises(WireError, match="HTTP 307"):
            await wire.send(request())
    assert len(server.asked) == 1


async def test_first_requests_at_once_share_one_pool(server: Server) -> None:
    async with opened(kind="direct", endpoint_url=server.url) as wire:
        assert isinstance(wire, DirectWire)
        await asyncio.gather(*(wire.send(request(operation="DeleteItem")) for _ in range(20)))
        assert len(wire._sessions) == 1
    assert server.connections <= 4
    await server.closed_by_the_client()


async def test_credentials_are_nowhere_to_be_read(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = lambda asked: Reply.error("AccessDeniedException")
    with caplog.at_level("DEBUG", "aiobatch"):
        db = DynamoDB(
            endpoint_url=server.url,
            aws_access_key_id="AKIDSECRET",
            aws_secret_access_key="s3cr3t",
            aws_session_token="t0ken",
            retry=Retry(max_retries=0),
        )
        async with db:
            with pytest.raises(AccessDenied) as caught:
                await db.get({"pk": "a"}, "users")
    for word in ("AKIDSECRET", "s3cr3t", "t0ken"):
        assert word not in caplog.text + str(caught.value) + repr(caught.value)


async def test_a_late_answer_of_a_cancelled_request_is_nobodys(server: Server) -> None:
    """Its connection goes with it, so the next request cannot read its answer."""
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked) -> Reply:
        arrived.set()
        await release.wait()
        return Reply.json({"late": True})

    server.script = slow
    async with opened(kind="direct", endpoint_url=server.url) as wire:
        task = asyncio.create_task(wire.send(request()))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.script = lambda asked: Reply.json({"late": False})
        release.set()
        assert await wire.send(request()) == b'{"late":false}'
    assert server.connections == 2


def test_time_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    clock = ServiceClock()
    assert clock.time() == 1000.0
    clock.skew = -30.0
    assert clock.time() == 970.0


@pytest.mark.parametrize(
    "told",
    [None, "", "yesterday", "Mon, 01 Jan 99999 00:00:00 GMT"],
)
def test_a_date_that_is_none_teaches_no_time(told: str | None) -> None:
    clock = ServiceClock()
    error = AccessDenied(
        "SignatureDoesNotMatch", "", operation="GetItem", status=403, retryable=False
    )
    clock.learn_from(error, {} if told is None else {"date": told}, 0.0)
    assert clock.skew == 0.0
    assert not error.retryable


def test_the_user_agent_of_a_copy_that_was_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a Lambda's archive without the package's metadata."""

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    assert "aiobatch/unknown" not in _user_agent()
    monkeypatch.setattr(importlib.metadata, "version", version)
    assert _user_agent.__wrapped__().startswith("aiobatch/unknown python/")
