"""pydynox: a core in Rust with threads of its own."""

import contextlib
from collections.abc import AsyncIterator

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, Item, Job, Operations, table_of
from benchmarks.items import ITEMS_A_PUT, KEYS_A_GET, keys, make_items

DISTRIBUTIONS = ("pydynox",)


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One client."""
    from pydynox import DynamoDBClient

    client = DynamoDBClient(
        region=REGION,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        endpoint_url=job.endpoint_url,
    )
    requests = job.options.get("requests", 1)
    table, asked = table_of(job), keys(KEYS_A_GET * requests)
    written = make_items(job.shape, ITEMS_A_PUT * requests)

    async def get() -> list[Item]:
        items: list[Item] = await client.batch_get(table, asked)
        return items

    async def put() -> int:
        # It returns nothing: what is left over is an error.
        await client.batch_write(table, put_items=written)
        return len(written)

    yield Operations(get, put, requests=requests)
