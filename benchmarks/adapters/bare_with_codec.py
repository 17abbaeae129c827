"""The bare exchange with aiobatch's codec at both ends: what its engine and its wire leave of it.

Keys and items are encoded for each request, and answers decoded, as aiobatch does. Nothing is
signed, checked, retried or accounted for.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.adapters import Job, Operations
from benchmarks.adapters.bare import headers
from benchmarks.adapters.with_aiobatch import use_codec
from benchmarks.items import ITEMS_A_PUT, keys, make_items

DISTRIBUTIONS = ("aiobatch", "aiobatch-native", "aiohttp", "orjson")


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One session with a pool for all tasks."""
    use_codec(job.options["codec"])
    import aiohttp

    from aiobatch import codec

    schema = codec.KeySchema.from_names(("pk",))
    asked, written = keys(), make_items(job.shape, ITEMS_A_PUT)
    get_headers, put_headers = headers("BatchGetItem"), headers("BatchWriteItem")
    table = job.table.encode()
    connector = aiohttp.TCPConnector(limit=max(100, job.concurrency))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def exchange(body: bytes, head: dict[str, str]) -> bytes:
            async with session.post(job.endpoint_url, data=body, headers=head) as answer:
                answer.raise_for_status()
                return await answer.read()

        async def get() -> list[dict[str, Any]]:
            fragments = [codec.encode_key(key, schema, None) for key in asked]
            body = b'{"RequestItems":{"%s":{"Keys":[%s]}}}' % (table, b",".join(fragments))
            answer = codec.read_answer(await exchange(body, get_headers), ("pk",), "native")
            return [item for _, item in answer.items]

        async def put() -> int:
            fragments = [codec.encode_item(item, schema, None)[0] for item in written]
            puts = b",".join([b'{"PutRequest":{"Item":%s}}' % fragment for fragment in fragments])
            body = b'{"RequestItems":{"%s":[%s]}}' % (table, puts)
            answer = codec.write_answer(await exchange(body, put_headers), ("pk",))
            return len(written) - len(answer.left)

        yield Operations(get, put)
