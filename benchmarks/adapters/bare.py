"""The limit: aiohttp carries the same bytes both ways; nothing is signed, encoded or decoded."""

import contextlib
import json
from collections.abc import AsyncIterator

from benchmarks.adapters import Job, Operations
from benchmarks.items import ITEMS_A_PUT, KEYS_A_GET, keys, make_items, to_attributes

DISTRIBUTIONS = ("aiohttp",)


def bodies(job: Job) -> tuple[bytes, bytes]:
    """The bodies of a get and of a put."""
    asking = {"RequestItems": {job.table: {"Keys": [to_attributes(key) for key in keys()]}}}
    items = make_items(job.shape, ITEMS_A_PUT)
    puts = [{"PutRequest": {"Item": to_attributes(item)}} for item in items]
    writing = {"RequestItems": {job.table: puts}}
    return (
        json.dumps(asking, separators=(",", ":"), ensure_ascii=False).encode(),
        json.dumps(writing, separators=(",", ":"), ensure_ascii=False).encode(),
    )


def headers(operation: str) -> dict[str, str]:
    """What DynamoDB needs, with a signature that is none."""
    return {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "Accept-Encoding": "identity",
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": (
            "AWS4-HMAC-SHA256 Credential=benchmark/20260101/us-east-1/dynamodb/aws4_request,"
            " SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64
        ),
    }


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One session with a pool for all tasks."""
    import aiohttp

    asking, writing = bodies(job)
    get_headers, put_headers = headers("BatchGetItem"), headers("BatchWriteItem")
    page: list[None] = [None] * KEYS_A_GET
    connector = aiohttp.TCPConnector(limit=max(100, job.concurrency))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def get() -> list[None]:
            async with session.post(job.endpoint_url, data=asking, headers=get_headers) as answer:
                await answer.read()
                answer.raise_for_status()
            return page

        async def put() -> int:
            async with session.post(job.endpoint_url, data=writing, headers=put_headers) as answer:
                await answer.read()
                answer.raise_for_status()
            return ITEMS_A_PUT

        yield Operations(get, put, exchange_only=True)
