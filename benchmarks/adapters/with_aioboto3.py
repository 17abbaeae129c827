"""aioboto3's resource, whose client translates boto3's types by itself.

Numbers stay Decimals, as with aiobotocore.
"""

import contextlib
from collections.abc import AsyncIterator

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, Item, Job, Operations
from benchmarks.items import ITEMS_A_PUT, keys, make_items, with_decimals

DISTRIBUTIONS = ("aioboto3", "aiobotocore", "boto3", "aiohttp")


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One resource with a pool for all tasks."""
    import aioboto3
    from aiobotocore.config import AioConfig

    table, asked = job.table, keys()
    written = [with_decimals(item) for item in make_items(job.shape, ITEMS_A_PUT)]
    async with aioboto3.Session().resource(
        "dynamodb",
        endpoint_url=job.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=AioConfig(max_pool_connections=max(10, job.concurrency)),
    ) as resource:

        async def get() -> list[Item]:
            answer = await resource.batch_get_item(RequestItems={table: {"Keys": asked}})
            items: list[Item] = answer["Responses"][table]
            return items

        async def put() -> int:
            requests = [{"PutRequest": {"Item": item}} for item in written]
            answer = await resource.batch_write_item(RequestItems={table: requests})
            return len(written) - len(answer["UnprocessedItems"].get(table, ()))

        yield Operations(get, put)
