"""aiodynamo over aiohttp. Every number comes as a float, as it is made to."""

import contextlib
from collections.abc import AsyncIterator

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, Item, Job, Operations
from benchmarks.items import ITEMS_A_PUT, keys, make_items

DISTRIBUTIONS = ("aiodynamo", "aiohttp")


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One client with a pool for all tasks."""
    import aiohttp
    from aiodynamo.client import Client
    from aiodynamo.credentials import Key, StaticCredentials
    from aiodynamo.http.aiohttp import AIOHTTP
    from aiodynamo.models import BatchGetRequest, BatchWriteRequest
    from yarl import URL

    table, asked = job.table, keys()
    written = make_items(job.shape, ITEMS_A_PUT)
    connector = aiohttp.TCPConnector(limit=max(100, job.concurrency))
    async with aiohttp.ClientSession(connector=connector) as session:
        client = Client(
            AIOHTTP(session),
            StaticCredentials(Key(ACCESS_KEY, SECRET_KEY)),
            REGION,
            endpoint=URL(job.endpoint_url),
        )

        async def get() -> list[Item]:
            answer = await client.batch_get({table: BatchGetRequest(asked)})
            items: list[Item] = answer.items[table]
            return items

        async def put() -> int:
            left = await client.batch_write({table: BatchWriteRequest(items_to_put=written)})
            return len(written) - sum(len(result.unput_items) for result in left.values())

        yield Operations(get, put)
