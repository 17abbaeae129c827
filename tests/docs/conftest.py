"""What the documentation's fragments find at hand."""

import ast
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import FunctionType
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from boto3.dynamodb.types import TypeSerializer  # type: ignore[import-untyped]

import aiobatch
from aiobatch import DynamoDB
from aiobatch.testing import FakeWire, Fault, FaultProxy
from tests.backends import servers
from tests.docs.blocks import Block

REGION = "eu-west-1"
# What stands for the endpoint in examples: DynamoDB Local's usual one.
USUAL_ENDPOINT = "http://127.0.0.1:8000"

Run = Callable[[Block], Awaitable[None]]


@pytest.fixture(scope="session")
def moto_url(_isolated_environment: None) -> Iterator[str]:
    """moto, whatever backends are selected: the documentation says that examples run on it."""
    with servers.moto() as backend:
        yield backend.endpoint_url


@pytest.fixture
def environment(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """AWS is moto, for this process and for those that it starts."""
    settings = {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return dict(os.environ)


@pytest.fixture(scope="session")
def raw(moto_url: str) -> Any:
    """A client of boto3's, to make tables with: making it takes longer than each test."""
    return boto3.client(
        "dynamodb",
        endpoint_url=moto_url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@pytest.fixture
def users(environment: dict[str, str], raw: Any) -> Iterator[str]:
    """The table `users`, with the keys `pk` and `sk`, and three users in it.

    And `users-copy` with the same keys, which is empty; and `orders`.
    """
    for name in ("users", "users-copy"):
        raw.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    raw.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    serialize = TypeSerializer().serialize
    for item in map(user, range(1, 4)):
        raw.put_item(TableName="users", Item={name: serialize(item[name]) for name in item})
    for number in ("7", "8"):
        raw.put_item(TableName="orders", Item={"id": {"N": number}})
    yield "users"
    for name in ("users", "users-copy", "orders"):
        raw.delete_table(TableName=name)


def user(number: int) -> dict[str, Any]:
    return {"pk": f"user#{number}", "sk": "profile", "name": f"User {number}", "age": 30 + number}


@pytest.fixture
async def prepared(users: str, moto_url: str) -> AsyncIterator[dict[str, Any]]:
    """The names that fragments may use without making them.

    `db`, an open client, in front of whose server stands `proxy`, a `FaultProxy`; `items`, 60
    items, and `keys`, the keys of the table's three and of two that are not there; what aiobatch
    and aiobatch.testing offer.
    """
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(moto_url))

        async def fault_proxy(endpoint_url: str, **settings: Any) -> FaultProxy:
            return await stack.enter_async_context(FaultProxy(endpoint_url, **settings))

        db = await stack.enter_async_context(DynamoDB(endpoint_url=proxy.endpoint_url))
        yield {
            "__name__": "__example__",
            **{name: getattr(aiobatch, name) for name in aiobatch.__all__},
            "Fault": Fault,
            "FaultProxy": FaultProxy,
            "FakeWire": FakeWire,
            "db": db,
            "proxy": proxy,
            "fault_proxy": fault_proxy,
            "endpoint_url": moto_url,
            "keys": [{"pk": f"user#{number}", "sk": "profile"} for number in range(1, 6)],
            "items": [user(number) for number in range(100, 160)],
        }


@pytest.fixture
def run(
    prepared: dict[str, Any], moto_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a fragment with the prepared names, and what it defines stays for the next one.

    Tests that it defines are called as pytest would call them, with fixtures by name.
    """

    # Files that fragments write are gone after the test.
    monkeypatch.chdir(tmp_path)

    async def run_block(block: Block) -> None:
        # As if the block stood alone in its file, so that a traceback points to the page.
        code = "\n" * (block.line - 1) + block.code.replace(USUAL_ENDPOINT, moto_url)
        before = set(prepared)
        compiled = compile(code, str(block.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ran = FunctionType(compiled, prepared)()
        if inspect.iscoroutine(ran):
            await ran
        for name in sorted(set(prepared) - before):
            function = prepared[name]
            if name.startswith("test_") and inspect.iscoroutinefunction(function):
                given = inspect.signature(function).parameters
                await function(**{fixture: prepared[fixture] for fixture in given})

    return run_block
