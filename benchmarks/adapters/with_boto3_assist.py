"""boto3-assist. It blocks, so each call runs in one of as many threads as there are tasks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, Item, Job, Operations
from benchmarks.items import ITEMS_A_PUT, keys, make_items, with_decimals

DISTRIBUTIONS = ("boto3-assist", "boto3")


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One client shared by the threads, with a pool that is large enough for them."""
    import boto3  # type: ignore[import-untyped]
    from boto3_assist.dynamodb.dynamodb import DynamoDB
    from botocore.config import Config

    db = DynamoDB(aws_region=REGION, aws_end_point_url=job.endpoint_url)
    # It has no way to say how large the pool is: 10 would make more threads wait.
    db.resource = boto3.resource(
        "dynamodb",
        endpoint_url=job.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(max_pool_connections=max(10, job.concurrency)),
    )
    table, asked = job.table, keys()
    written = [with_decimals(item) for item in make_items(job.shape, ITEMS_A_PUT)]
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(job.concurrency) as threads:

        async def get() -> list[Item]:
            answer = await loop.run_in_executor(threads, db.batch_get_item, asked, table)
            items: list[Item] = answer["Items"]
            return items

        async def put() -> int:
            answer = await loop.run_in_executor(threads, db.batch_write_item, written, table)
            count: int = answer["ProcessedCount"]
            return count

        yield Operations(get, put)
