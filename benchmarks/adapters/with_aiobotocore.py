"""aiobotocore's client with boto3's TypeSerializer and TypeDeserializer.

Numbers stay Decimals: to make native ones of them would cost more still.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, Job, Operations
from benchmarks.items import ITEMS_A_PUT, Item, keys, make_items, with_decimals

DISTRIBUTIONS = ("aiobotocore", "boto3", "aiohttp")


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One client with a pool for all tasks."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession
    from boto3.dynamodb.types import (  # type: ignore[import-untyped]
        TypeDeserializer,
        TypeSerializer,
    )

    serialize, deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize
    table, asked = job.table, keys()
    written = [with_decimals(item) for item in make_items(job.shape, ITEMS_A_PUT)]
    async with AioSession().create_client(
        "dynamodb",
        endpoint_url=job.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=AioConfig(max_pool_connections=max(10, job.concurrency)),
    ) as client:

        async def get() -> list[Item]:
            asking = [{name: serialize(value) for name, value in key.items()} for key in asked]
            answer = await client.batch_get_item(RequestItems={table: {"Keys": asking}})
            return [
                {name: deserialize(value) for name, value in item.items()}
                for item in answer["Responses"][table]
            ]

        async def put() -> int:
            requests: list[Any] = [
                {"PutRequest": {"Item": {name: serialize(value) for name, value in item.items()}}}
                for item in written
            ]
            answer = await client.batch_write_item(RequestItems={table: requests})
            return len(requests) - len(answer["UnprocessedItems"].get(table, ()))

        yield Operations(get, put)
