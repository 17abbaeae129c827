"""Backends, tables, credentials that lead nowhere, and the guards around every test."""

import asyncio
import importlib.metadata
import inspect
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from aiobatch.codec import CODEC, implementations
from tests.backends import Backend, BackendPool, BackendUnavailable, Selection, read_selection
from tests.guards import LoopErrors, leaked_tasks, no_blocking_calls

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

REGION = "us-east-1"
KeyType = Literal["S", "N", "B"]


class TableFactory(Protocol):
    """Makes a table of its own for a test, and returns its name."""

    def __call__(
        self, partition: str = "pk", sort: str | None = None, **types: KeyType
    ) -> Awaitable[str]:
        """Key attributes are strings unless `types` says otherwise: `table("id", id="N")`."""


def pytest_configure(config: pytest.Config) -> None:
    # looptime asks for the current loop even in sync tests, and Python before 3.14 would make one
    # that nobody closes; once a loop was set to none, it makes none.
    asyncio.set_event_loop(None)
    try:
        read_selection(os.environ)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    wanted = set(filter(None, os.environ.get("AIOBATCH_TEST_CODECS", "").split(",")))
    missing = wanted - implementations().keys()
    if missing:
        raise pytest.UsageError(f"AIOBATCH_TEST_CODECS wants what is not there: {missing}")


def pytest_report_header() -> list[str]:
    found = [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("aiobotocore", "botocore", "aioboto3", "aiohttp", "orjson")
        if any(importlib.metadata.distributions(name=name))
    ]
    codecs = ", ".join(implementations())
    return [
        f"runs with: {', '.join(found)}",
        f"codec: {CODEC.name} (there are: {codecs})",
        read_selection(os.environ).describe(),
    ]


def _selection() -> Selection:
    try:
        return read_selection(os.environ)
    except ValueError:  # reported by pytest_configure
        return Selection(selected=(), left_out=(), endpoint=None)


@pytest.fixture(scope="session", autouse=True)
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Credentials that lead nowhere, and nothing of the developer's own configuration."""
    nowhere = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_") or name.lower() in {
                "http_proxy",
                "https_proxy",
                "all_proxy",
            }:
                patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_REGION", REGION)
        patch.setenv("AWS_CONFIG_FILE", str(nowhere / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_blocks(_isolated_environment: None) -> Iterator[None]:
    with no_blocking_calls():
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a task behind, or an error that only the loop's log tells of."""
    with LoopErrors() as errors:
        function = getattr(request.node, "obj", None)
        if inspect.iscoroutinefunction(function):
            request.getfixturevalue("_no_task_is_left")
        yield
    if errors.messages:
        pytest.fail("the event loop logged: " + "; ".join(errors.messages))


@pytest.fixture
async def _no_task_is_left() -> AsyncIterator[None]:
    # Autouse fixtures come first and end last: what the test's own fixtures close is closed by now.
    before = asyncio.all_tasks()
    yield
    leaked = await leaked_tasks(before)
    if leaked:
        pytest.fail("tasks left behind: " + "; ".join(leaked))


@pytest.fixture(scope="session")
def _backends(_isolated_environment: None) -> Iterator[BackendPool]:
    with BackendPool() as pool:
        yield pool


@pytest.fixture(scope="session", params=_selection().selected)
def backend(request: pytest.FixtureRequest, _backends: BackendPool) -> Backend:
    """Each selected backend in turn. One that does not start is an error, never a skip."""
    try:
        return _backends.get(request.param)
    except BackendUnavailable as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture
def endpoint_url(backend: Backend) -> str:
    return backend.endpoint_url


@pytest.fixture(scope="session")
def _raw_session(_isolated_environment: None) -> AioSession:
    # Shared, because a session keeps the service models that it has read.
    return AioSession()


@pytest.fixture
async def raw_client(backend: Backend, _raw_session: AioSession) -> "AsyncIterator[DynamoDBClient]":
    """aiobotocore's own client, to arrange and to check what the package did."""
    config = AioConfig(retries={"total_max_attempts": 3, "mode": "standard"})
    async with _raw_session.create_client(
        "dynamodb", region_name=REGION, endpoint_url=backend.endpoint_url, config=config
    ) as client:
        yield client


@pytest.fixture
async def table(raw_client: "DynamoDBClient") -> AsyncIterator[TableFactory]:
    """Makes tables with unique names, and deletes them after the test."""
    made: list[str] = []

    async def make(partition: str = "pk", sort: str | None = None, **types: KeyType) -> str:
        name = f"aiobatch-{secrets.token_hex(6)}"
        keys = [partition] if sort is None else [partition, sort]
        await raw_client.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": "RANGE" if position else "HASH"}
                for position, key in enumerate(keys)
            ],
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": types.get(key, "S")} for key in keys
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        made.append(name)
        await raw_client.get_waiter("table_exists").wait(
            TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        return name

    yield make
    for name in made:
        await raw_client.delete_table(TableName=name)
