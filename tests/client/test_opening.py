"""Section 1 of the contract: what a client is made with, when it opens, and when it closes."""

import asyncio
import gc
import importlib.util
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.session
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.exceptions import NoRegionError, ProfileNotFound

from aiobatch import AccessDenied, BatchError, ClientClosed, DynamoDB, Retry
from aiobatch.wire.settings import ConnectionSettings
from tests.client.conftest import Connect
from tests.client.server import Asked, Reply, Server, ThreadedServer
from tests.conftest import REGION

KEYS = [{"pk": str(n)} for n in range(3)]


def settings(**given: Any) -> dict[str, Any]:
    return given


ONCE = {"total_max_attempts": 1, "mode": "standard"}


@pytest.fixture
async def open_client(server: Server, shared_session: AioSession) -> AsyncIterator[Any]:
    """The caller's own client."""
    async with shared_session.create_client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=server.url,
        config=AioConfig(retries=ONCE, max_pool_connections=2),
    ) as client:
        yield client


# --- what cannot be right ---


def _with_a_default_config() -> AioSession:
    session = AioSession()
    session.set_default_client_config(AioConfig(read_timeout=5))
    return session


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no concurrency": (settings(max_concurrency=0), ValueError, "max_concurrency"),
    "negative concurrency": (settings(max_concurrency=-1), ValueError, "max_concurrency"),
    "concurrency in text": (settings(max_concurrency="16"), TypeError, "max_concurrency"),
    "half a request": (settings(max_concurrency=1.5), TypeError, "max_concurrency"),
    "true concurrency": (settings(max_concurrency=True), TypeError, "max_concurrency"),
    "numbers": (settings(numbers="float"), ValueError, '"native", "decimal" or "strict"'),
    "wire": (settings(wire="copper"), ValueError, "wire must be"),
    "a wire that does not honour it": (
        settings(wire="direct", config=Config(user_agent_extra="mine/1")),
        ValueError,
        r'wire="direct" cannot be taken: config.user_agent_extra is set. Use wire="auto"',
    ),
    "a wire for a default config": (
        settings(wire="direct", session=_with_a_default_config()),
        ValueError,
        "default client config",
    ),
    "no read units": (settings(max_read_units=0), ValueError, "max_read_units"),
    "NaN units": (settings(max_write_units=float("nan")), ValueError, "max_write_units"),
    "negative units": (settings(max_write_units=-5), ValueError, "max_write_units"),
    "retry as a number": (settings(retry=5), TypeError, "aiobatch.Retry"),
    "retries of botocore": (
        settings(config=Config(retries={"max_attempts": 3})),
        ValueError,
        r"use retry=Retry\(...\)",
    ),
    "even no retries of botocore": (
        settings(config=AioConfig(retries=ONCE)),
        ValueError,
        "retry=",
    ),
    "a small pool": (
        settings(config=Config(max_pool_connections=10), max_concurrency=16),
        ValueError,
        "max_pool_connections=10 is smaller than max_concurrency=16",
    ),
    "config as a dict": (settings(config={"read_timeout": 1}), ValueError, "config="),
    "a session of another kind": (settings(session="default"), ValueError, "session="),
    "boto3's session": (settings(session=boto3.Session()), ValueError, "aioboto3"),
    "botocore's session": (
        settings(session=botocore.session.Session()),
        ValueError,
        "AioSession",
    ),
    "session and profile": (
        settings(session=AioSession(), profile_name="dev"),
        ValueError,
        "profile",
    ),
    "key names as text": (settings(key_names={"t": "pk"}), TypeError, r'\("pk",\)'),
    "no key names": (settings(key_names={"t": ()}), ValueError, "key attribute"),
    "three key names": (settings(key_names={"t": ("a", "b", "c")}), ValueError, "not 3"),
    "one name twice": (settings(key_names={"t": ("a", "a")}), ValueError, "different"),
    "an empty name": (settings(key_names={"t": ("",)}), ValueError, "empty"),
    "a name that is none": (settings(key_names={"t": (1,)}), TypeError, "string"),
    "an unknown word": (settings(table_name="users"), TypeError, "table_name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_cannot_be_right(case: str) -> None:
    given, kind, words = WRONG[case]
    with pytest.raises(kind, match=words):
        DynamoDB(**given)


def test_settings_are_keywords() -> None:
    with pytest.raises(TypeError):
        DynamoDB("eu-west-1")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "given",
    [
        settings(region_name="eu-west-1"),
        settings(endpoint_url="http://127.0.0.1:1"),
        settings(profile_name="dev"),
        settings(aws_access_key_id="a", aws_secret_access_key="b"),
        settings(aws_session_token="c"),
        settings(verify=False),
        settings(config=Config()),
        settings(session=AioSession()),
    ],
    ids=lambda given: next(iter(given)),
)
async def test_what_an_open_client_has_already(given: dict[str, Any], open_client: Any) -> None:
    with pytest.raises(ValueError, match=f"client= brings its own {next(iter(given))}"):
        DynamoDB(client=open_client, **given)


async def test_a_client_that_is_not_open(shared_session: AioSession) -> None:
    not_entered = shared_session.create_client("dynamodb", region_name=REGION)
    with pytest.raises(ValueError, match="async with"):
        DynamoDB(client=not_entered)
    async with not_entered:
        pass


def test_a_client_of_boto3() -> None:
    client = boto3.client("dynamodb", region_name=REGION)
    with pytest.raises(ValueError, match="aiobotocore or aioboto3"):
        DynamoDB(client=client)
    client.close()


# --- what botocore and boto3 would do with the same words ---


async def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    db = DynamoDB()
    with pytest.raises(NoRegionError):
        await db.batch_get_item(KEYS, "users")
    with pytest.raises(NoRegionError):
        async with db:
            raise AssertionError("not reached")
    # It can be opened once the region is there.
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    async with db:
        pass


async def test_an_unknown_profile() -> None:
    with pytest.raises(ProfileNotFound):
        await DynamoDB(profile_name="nobody").get(KEYS[0], "users")


async def test_no_credentials(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with DynamoDB(endpoint_url=server.url) as db:
        with pytest.raises(BatchError, match="NoCredentialsError") as caught:
            await db.batch_get_item(KEYS, "users")
        assert isinstance(caught.value.cause, AccessDenied)
        assert caught.value.cause.status == 0
        assert caught.value.response["UnprocessedKeys"] == KEYS
        with pytest.raises(BatchError) as caught:
            await db.batch_write_item(KEYS, "users", operation="delete")
        assert caught.value.response["UnprocessedItems"] == KEYS
        # Not KeyNamesUnknown: it is not the right to describe that is missing.
        with pytest.raises(BatchError) as caught:
            await db.batch_write_item(KEYS, "users")
        assert isinstance(caught.value.cause, AccessDenied)
        with pytest.raises(AccessDenied):
            await db.get(KEYS[0], "users")
    assert server.asked == []


async def test_half_of_the_credentials(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import PartialCredentialsError

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    db = DynamoDB(endpoint_url=server.url, aws_access_key_id="alone")
    with pytest.raises(PartialCredentialsError):
        await db.get(KEYS[0], "users")


def scope_of(asked: Asked) -> list[str]:
    """Key id, day, region, service."""
    credential = asked.headers["authorization"].split("Credential=")[1].split(",")[0]
    return credential.split("/")[:4]


async def test_explicit_credentials_and_region(server: Server) -> None:
    async with DynamoDB(
        region_name="eu-central-1",
        endpoint_url=server.url,
        aws_access_key_id="AKIDEXPLICIT",
        aws_secret_access_key="secret",
        aws_session_token="token",
    ) as db:
        await db.batch_get_item(KEYS, "users")
    (asked,) = server.asked
    key, _, region, service = scope_of(asked)
    assert (key, region, service) == ("AKIDEXPLICIT", "eu-central-1", "dynamodb")
    assert asked.headers["x-amz-security-token"] == "token"
    assert asked.headers["x-amz-target"] == "DynamoDB_20120810.BatchGetItem"
    assert asked.headers["content-type"] == "application/x-amz-json-1.0"
    # DynamoDB's checksum is that of the bytes it sends: compressed ones would need undoing first.
    assert asked.headers["accept-encoding"] == "identity"


async def test_a_profile(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    configuration = tmp_path / "config"
    configuration.write_text(
        "[profile dev]\nregion = ap-south-1\naws_access_key_id = AKIDPROFILE\n"
        f"aws_secret_access_key = b\nendpoint_url = {server.url}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(configuration))
    async with DynamoDB(profile_name="dev") as db:
        await db.get(KEYS[0], "users")
    assert scope_of(server.asked[0])[::2] == ["AKIDPROFILE", "ap-south-1"]


async def test_an_endpoint_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
    async with DynamoDB() as db:
        assert (await db.batch_get_item(KEYS, "users"))["Count"] == 3
    assert scope_of(server.asked[0])[2] == REGION


@pytest.mark.parametrize("kind", [Config, AioConfig])
def test_timeouts(kind: type[Config]) -> None:
    def timeouts(config: Config | None) -> tuple[float, float, int]:
        made: Any = ConnectionSettings(max_concurrency=7, config=config).client_arguments()
        assert made["config"].retries == ONCE
        made = made["config"]
        return made.connect_timeout, made.read_timeout, made.max_pool_connections

    assert timeouts(None) == (3.0, 10.0, 7)
    assert timeouts(kind()) == (3.0, 10.0, 7)
    assert timeouts(kind(read_timeout=60)) == (3.0, 60, 7)
    assert timeouts(kind(connect_timeout=60, max_pool_connections=50)) == (60, 10.0, 50)


async def test_a_read_timeout_of_the_callers(server: Server, connect: Connect) -> None:
    async def never(asked: Asked) -> Reply:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    server.script = never
    db = connect(config=Config(read_timeout=0.05), retry=Retry(max_retries=0))
    with pytest.raises(BatchError, match="no answer within the read timeout") as caught:
        await db.batch_get_item(KEYS, "users")
    assert caught.value.response["UnprocessedKeys"] == KEYS
    with pytest.raises(BatchError) as caught:
        await db.batch_write_item(KEYS, "users", operation="delete")
    # It may have been written.
    assert caught.value.response["UnknownItems"] == KEYS
    assert caught.value.response["UnprocessedItems"] == []


# --- sessions and clients of the caller's ---


class LikeAioboto3:
    """aioboto3 cannot be installed beside the newest aiobotocore; its session has `client`."""

    def __init__(self, region_name: str) -> None:
        self._session = AioSession()
        self._session.set_config_variable("region", region_name)

    def client(self, name: Any, **given: Any) -> Any:
        return self._session.create_client(name, **given)


async def test_a_session_of_aioboto3(server: Server) -> None:
    session: Any = LikeAioboto3("eu-west-3")
    if importlib.util.find_spec("aioboto3") is not None:
        import aioboto3

        session = aioboto3.Session(region_name="eu-west-3")
    async with DynamoDB(session=session, endpoint_url=server.url) as db:
        assert (await db.batch_get_item(KEYS, "users"))["Count"] == 3
    async with DynamoDB(session=session, endpoint_url=server.url, region_name="eu-west-2") as db:
        assert (await db.batch_get_item(KEYS, "users"))["Count"] == 3
    assert [scope_of(asked)[2] for asked in server.asked] == ["eu-west-3", "eu-west-2"]


async def test_hooks_of_a_session_stay_in_force(server: Server) -> None:
    session = AioSession()
    session.register(
        "before-call.dynamodb",
        lambda params, **_: params["headers"].update({"X-Mine": "yes"}),
    )
    async with DynamoDB(session=session, endpoint_url=server.url) as db:
        await db.batch_get_item(KEYS, "users")
        await db.save(KEYS[0], "users")
    assert [asked.headers["x-mine"] for asked in server.asked] == ["yes", "yes"]
    assert server.asked[0].parameters["RequestItems"]["users"]["Keys"] == [
        {"pk": {"S": key["pk"]}} for key in KEYS
    ]


async def test_a_client_of_the_callers(server: Server, open_client: Any) -> None:
    open_client.meta.events.register(
        "before-sign.dynamodb", lambda request, **_: request.headers.add_header("X-Mine", "yes")
    )

    async def own_call() -> None:
        answer = await open_client.batch_get_item(
            RequestItems={"own": {"Keys": [{"id": {"N": "1"}}]}}
        )
        assert answer["Responses"] == {"own": [{"id": {"N": "1"}}]}
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200

    async def our_call(db: DynamoDB) -> None:
        answer = await db.batch_get_item(KEYS, "users")
        assert answer["Items"] == KEYS

    async with DynamoDB(client=open_client) as db, DynamoDB(client=open_client) as other:
        await asyncio.gather(*(own_call() for _ in range(5)), our_call(db), our_call(other))
        await other.aclose()
        await our_call(db)
    await own_call()
    assert all(asked.headers["x-mine"] == "yes" for asked in server.asked)
    own = [asked for asked in server.asked if "own" in asked.parameters["RequestItems"]]
    assert len(own) == 6
    assert len(server.asked) == 9
    with pytest.raises(ClientClosed):
        await our_call(db)


async def test_a_call_of_the_callers_inside_a_hook(server: Server, open_client: Any) -> None:
    """A hook that reads something itself, on the same client, amid one of our requests."""
    inner: list[Any] = []

    async def look_up(request: Any, **_: Any) -> None:
        if not inner and b'"users"' in request.body:
            inner.append(None)
            inner[0] = await open_client.batch_get_item(
                RequestItems={"own": {"Keys": [{"id": {"N": "1"}}]}}
            )

    open_client.meta.events.register("before-sign.dynamodb", look_up)
    async with DynamoDB(client=open_client) as db:
        answer = await db.batch_get_item(KEYS, "users")
    assert answer["Items"] == KEYS
    assert inner[0]["Responses"] == {"own": [{"id": {"N": "1"}}]}
    assert [list(asked.parameters["RequestItems"]) for asked in server.asked] == [
        ["own"],
        ["users"],
    ]


async def test_an_answer_from_a_hook_instead_of_the_service(
    server: Server, open_client: Any
) -> None:
    class Http:
        status_code = 200
        headers: dict[str, str] = {}  # noqa: RUF012

    def stub(**_: Any) -> Any:
        found = {"users": [{"pk": {"S": "0"}, "blob": {"B": b"\x00\xff"}}]}
        return Http(), {"Responses": found, "UnprocessedKeys": {}}

    open_client.meta.events.register("before-call.dynamodb.BatchGetItem", stub)
    async with DynamoDB(client=open_client) as db:
        answer = await db.batch_get_item(KEYS[:2], "users")
    assert answer["Items"] == [{"pk": "0", "blob": b"\x00\xff"}]
    assert answer["MissingKeys"] == [KEYS[1]]
    assert server.asked == []


async def test_a_hook_that_fails(server: Server, open_client: Any) -> None:
    def broken(**_: Any) -> None:
        raise LookupError("a hook's own trouble")

    open_client.meta.events.register("before-sign.dynamodb", broken)
    async with DynamoDB(client=open_client) as db:
        with pytest.raises(BatchError, match="LookupError") as caught:
            await db.batch_get_item(KEYS, "users")
        assert isinstance(caught.value.cause, LookupError)
        assert caught.value.response["UnprocessedKeys"] == KEYS
        # Whether it was sent, nobody can tell of a hook's failure.
        with pytest.raises(BatchError) as caught:
            await db.batch_write_item(KEYS, "users", operation="delete")
        response = caught.value.response
        left = response["UnprocessedItems"] + response.get("UnknownItems", [])
        assert left == KEYS
        with pytest.raises(LookupError):
            await db.get(KEYS[0], "users")


class Crowd:
    """How many requests were being answered at once."""

    def __init__(self, together: int) -> None:
        self.most = 0
        self._now = 0
        self._together = together
        self._full = asyncio.Event()

    async def __call__(self, asked: Asked) -> None:
        self._now += 1
        self.most = max(self.most, self._now)
        if self._now >= self._together:
            self._full.set()
        await self._full.wait()
        self._now -= 1


async def test_concurrency_is_lowered_to_a_clients_pool(server: Server, open_client: Any) -> None:
    server.script = crowd = Crowd(together=2)
    async with DynamoDB(client=open_client, max_concurrency=16) as db:
        keys = [{"pk": str(n)} for n in range(1000)]
        assert (await db.batch_get_item(keys, "users"))["Count"] == 1000
    assert crowd.most == 2
    assert server.connections == 2


async def test_max_concurrency(server: Server, connect: Connect) -> None:
    server.script = crowd = Crowd(together=5)
    db = connect(max_concurrency=5)
    keys = [{"pk": str(n)} for n in range(500)]
    first, second = await asyncio.gather(
        db.batch_get_item(keys, "users"), db.batch_get_item(keys, "users")
    )
    assert first["Count"] == second["Count"] == 500
    # Over all calls.
    assert crowd.most == server.connections == 5


async def test_retries_left_on_in_a_client_are_warned_of_once(
    server: Server,
    shared_session: AioSession,
    open_client: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "aiobatch"):
        async with DynamoDB(client=open_client) as db:
            await db.batch_get_item(KEYS, "users")
        assert caplog.messages == []
        for retries in (None, {"mode": "adaptive"}, {"max_attempts": 2}):
            caplog.clear()
            config: Any = AioConfig(retries=retries) if retries else None
            async with shared_session.create_client(
                "dynamodb", region_name=REGION, endpoint_url=server.url, config=config
            ) as client:
                for size in (3, 4):
                    async with DynamoDB(client=client, max_concurrency=size) as db:
                        await db.batch_get_item(KEYS, "users")
            (message,) = caplog.messages
            assert "total_max_attempts" in message


# --- opening and closing ---


async def test_it_opens_at_the_first_call_and_closes_with_the_block(
    server: Server, shared_session: AioSession
) -> None:
    made = DynamoDB(session=shared_session, endpoint_url=server.url)
    assert server.connections == 0
    async with made as db:
        assert db is made
        await db.batch_get_item(KEYS, "users")
        assert server.open_connections == 1
    await server.closed_by_the_client()
    for _ in range(2):
        await db.aclose()


@pytest.mark.parametrize("used", [False, True])
async def test_a_closed_client_takes_no_call(used: bool, server: Server, connect: Connect) -> None:
    db = connect()
    if used:
        await db.batch_get_item(KEYS, "users")
    asked = len(server.asked)
    await db.aclose()
    for keys in (KEYS, []):
        with pytest.raises(ClientClosed, match="make a new DynamoDB"):
            await db.batch_get_item(keys, "users")
        with pytest.raises(ClientClosed):
            await db.batch_write_item(keys, "users")
    with pytest.raises(ClientClosed):
        await db.get(KEYS[0], "users")
    with pytest.raises(ClientClosed):
        await db.save(KEYS[0], "users")
    with pytest.raises(ClientClosed):
        await db.delete(KEYS[0], "users")
    query = db.query("users", "pk = :v", expression_attribute_values={":v": "a"})
    with pytest.raises(ClientClosed):
        await anext(query)
    with pytest.raises(ClientClosed):
        async with db:
            raise AssertionError("not reached")
    assert len(server.asked) == asked


async def test_a_block_that_raises_closes_as_well(server: Server, connect: Connect) -> None:
    db = connect()

    async def block() -> None:
        async with db:
            await db.get(KEYS[0], "users")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()
    await server.closed_by_the_client()
    with pytest.raises(ClientClosed):
        await db.get(KEYS[0], "users")


async def test_many_first_calls_at_once_open_once(server: Server, connect: Connect) -> None:
    db = connect(max_concurrency=1)
    answers = await asyncio.gather(*(db.get(KEYS[0], "users") for _ in range(20)))
    assert all(answer["Item"] == KEYS[0] for answer in answers)
    assert server.connections == 1


# --- sharing ---


async def test_equal_settings_share_one_pool(server: Server, connect: Connect) -> None:
    clients = [connect(config=Config(read_timeout=5)) for _ in range(4)]
    for db in clients:
        await db.batch_get_item(KEYS, "users")
    assert server.connections == 1
    for db in clients[:3]:
        await db.aclose()
    # The last owner goes on.
    await clients[3].batch_get_item(KEYS, "users")
    assert server.connections == server.open_connections == 1
    await clients[3].aclose()
    await server.closed_by_the_client()
    # And what comes later opens anew.
    await connect(config=Config(read_timeout=5)).get(KEYS[0], "users")
    assert server.connections == 2


async def test_what_no_pool_depends_on_does_not_part(server: Server, connect: Connect) -> None:
    for given in (
        settings(numbers="decimal"),
        settings(retry=Retry.patient()),
        settings(key_names={"users": ("pk",)}),
        settings(serialize=str),
    ):
        await connect(**given).get(KEYS[0], "users")
    assert server.connections == 1


@pytest.mark.parametrize(
    "other",
    [
        settings(max_concurrency=2),
        settings(region_name="eu-west-1"),
        settings(aws_access_key_id="x", aws_secret_access_key="y"),
        settings(config=Config(read_timeout=5)),
        settings(config=AioConfig(connector_args={"keepalive_timeout": 3})),
        settings(max_read_units=100),
        settings(verify=False),
        settings(session=AioSession()),
        settings(wire="aiobotocore"),
    ],
    ids=lambda given: next(iter(given)),
)
async def test_other_settings_get_a_pool_of_their_own(
    other: dict[str, Any], server: Server, connect: Connect
) -> None:
    first, second = connect(), connect(**other)
    for _ in range(2):
        await first.get(KEYS[0], "users")
        await second.get(KEYS[0], "users")
    assert server.connections == 2


async def test_credentials_of_the_environment_are_looked_at_anew(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with DynamoDB(endpoint_url=server.url) as first:
        await first.get(KEYS[0], "users")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER")
        async with DynamoDB(endpoint_url=server.url) as second:
            await second.get(KEYS[0], "users")
    assert [scope_of(asked)[0] for asked in server.asked] == ["testing", "AKIDOTHER"]


async def test_a_client_in_a_function_leaks_nothing(
    server: Server, shared_session: AioSession
) -> None:
    async def handler() -> int:
        db = DynamoDB(session=shared_session, region_name=REGION, endpoint_url=server.url)
        return (await db.batch_get_item(KEYS, "users"))["Count"]

    for _ in range(3):
        assert await handler() == 3
        gc.collect()
    await server.closed_by_the_client()


async def test_a_forgotten_owner_does_not_close_what_others_use(
    server: Server, connect: Connect
) -> None:
    kept = connect()
    await kept.get(KEYS[0], "users")
    forgotten: Any = DynamoDB(
        session=kept._settings.connection.session, region_name=REGION, endpoint_url=server.url
    )
    await forgotten.get(KEYS[0], "users")
    del forgotten
    gc.collect()
    for _ in range(3):
        await kept.get(KEYS[0], "users")
    assert server.connections == 1


# --- loops ---


def test_a_module_level_client_over_several_runs(
    threaded_server: ThreadedServer, shared_session: AioSession
) -> None:
    """As in AWS Lambda: one asyncio.run() for each invocation."""
    server = threaded_server.server
    db = DynamoDB(session=shared_session, region_name=REGION, endpoint_url=server.url)

    async def handler() -> int:
        await db.batch_write_item(KEYS, "users")
        return (await db.batch_get_item(KEYS, "users"))["Count"]

    for number in range(1, 4):
        assert asyncio.run(handler()) == 3
        # Nothing stays open behind the loop, and no ResourceWarning comes of it.
        threaded_server.run(server.closed_by_the_client())
        gc.collect()
        assert server.connections == number

    asyncio.run(db.aclose())
    with pytest.raises(ClientClosed):
        asyncio.run(handler())


def test_a_client_in_the_function_that_a_run_ends_with(
    threaded_server: ThreadedServer, shared_session: AioSession
) -> None:
    server = threaded_server.server

    async def handler() -> int:
        db = DynamoDB(session=shared_session, region_name=REGION, endpoint_url=server.url)
        return (await db.batch_get_item(KEYS, "users"))["Count"]

    for _ in range(3):
        assert asyncio.run(handler()) == 3
        gc.collect()
        threaded_server.run(server.closed_by_the_client())


def test_a_client_that_outlives_its_loop_may_be_forgotten(
    threaded_server: ThreadedServer, shared_session: AioSession
) -> None:
    server = threaded_server.server
    db = DynamoDB(session=shared_session, region_name=REGION, endpoint_url=server.url)
    asyncio.run(db.get(KEYS[0], "users"))
    del db
    gc.collect()
    threaded_server.run(server.closed_by_the_client())


def test_a_run_that_ends_amid_a_call(
    threaded_server: ThreadedServer, shared_session: AioSession
) -> None:
    server = threaded_server.server
    arrived = asyncio.run_coroutine_threadsafe(
        asyncio.sleep(0, asyncio.Event()), threaded_server.loop
    )
    event = arrived.result(5)

    async def never(asked: Asked) -> Reply:
        event.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    server.script = never
    db = DynamoDB(session=shared_session, region_name=REGION, endpoint_url=server.url)

    async def main() -> None:
        task = asyncio.create_task(db.batch_get_item(KEYS, "users"))
        await asyncio.to_thread(lambda: threaded_server.run(event.wait()))
        assert not task.done()

    asyncio.run(main())
    gc.collect()
    server.script = None
    assert asyncio.run(db.get(KEYS[0], "users"))["Item"] == KEYS[0]


async def test_a_second_live_loop_is_an_error(server: Server, connect: Connect) -> None:
    db = connect()
    await db.get(KEYS[0], "users")

    def elsewhere(call: Any) -> Any:
        return asyncio.run(call())

    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(elsewhere, lambda: db.get(KEYS[0], "users"))
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(elsewhere, lambda: db.batch_get_item(KEYS, "users"))
    # It goes on where it was.
    assert (await db.get(KEYS[0], "users"))["Item"] == KEYS[0]


async def test_closing_from_a_second_live_loop_is_an_error(
    server: Server, connect: Connect
) -> None:
    db = connect()
    await db.get(KEYS[0], "users")
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(db.aclose()))
    # Nothing was closed by it.
    assert (await db.get(KEYS[0], "users"))["Item"] == KEYS[0]
