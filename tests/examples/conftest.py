"""The stage for a script: a table with what it expects, and an independent look at it after."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.types import TypeDeserializer  # type: ignore[import-untyped]

from aiobatch import DynamoDB, Retry
from aiobatch.testing import FaultProxy
from tests.conftest import REGION, TableFactory

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

Seeded = Callable[[Iterable[Any]], Awaitable[str]]
Held = Callable[[str], Awaitable[dict[tuple[str, str], dict[str, Any]]]]
Troubled = Callable[..., Awaitable[tuple[DynamoDB, FaultProxy]]]


@pytest.fixture
async def db(endpoint_url: str) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=endpoint_url, region_name=REGION) as db:
        yield db


@pytest.fixture
def seeded(db: DynamoDB, table: TableFactory) -> Seeded:
    """Makes a table that holds these items, and returns its name."""

    async def make(items: Iterable[Any]) -> str:
        name = await table("pk", "sk")
        items = list(items)
        answer = await db.batch_write_item(items, name)
        assert answer["ProcessedCount"] == len(items)
        return name

    return make


@pytest.fixture
def held(raw_client: "DynamoDBClient") -> Held:
    """What a table holds, by key, read without aiobatch."""
    plain = TypeDeserializer().deserialize

    async def read(name: str) -> dict[tuple[str, str], dict[str, Any]]:
        pages = raw_client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
        items = [
            {attribute: plain(value) for attribute, value in item.items()}
            async for page in pages
            for item in page["Items"]
        ]
        return {(item["pk"], item["sk"]): item for item in items}

    return read


@pytest.fixture
async def troubled(endpoint_url: str) -> AsyncIterator[Troubled]:
    """Makes a client behind a proxy, which a script's `trouble` arranges."""
    opened: list[DynamoDB | FaultProxy] = []

    async def make(
        trouble: Callable[[FaultProxy], None] | None = None, retry: Retry | None = None
    ) -> tuple[DynamoDB, FaultProxy]:
        proxy = await FaultProxy(endpoint_url, record_bodies=True).__aenter__()
        opened.append(proxy)
        if trouble is not None:
            trouble(proxy)
        db = DynamoDB(endpoint_url=proxy.endpoint_url, region_name=REGION, retry=retry)
        opened.append(db)
        return db, proxy

    yield make
    for one in reversed(opened):
        await one.aclose()
