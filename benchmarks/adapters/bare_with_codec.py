"""The exchange of aiobatch's wire with its codec at both ends: what engine and wire leave of it.

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
    from yarl import URL

    from aiobatch.wire.exchange import AnswerReader, PooledExchange
    from benchmarks import codec_alone

    asked, written = keys(), make_items(job.shape, ITEMS_A_PUT)
    get_headers, put_headers = headers("BatchGetItem"), headers("BatchWriteItem")
    table = job.table.encode()
    connector = aiohttp.TCPConnector(limit=max(100, job.concurrency))
    url, timeout = URL(job.endpoint_url), aiohttp.ClientTimeout(total=None, sock_read=60)
    async with aiohttp.ClientSession(connector=connector) as session:
        pooled = PooledExchange(
            session, connector, timeout, url, {"Host": url.authority}, AnswerReader()
        )

        async def exchange(body: bytes, head: dict[str, str]) -> bytes:
            answer = await pooled.post(head, body)
            if answer.status != 200:
                raise RuntimeError(f"HTTP status {answer.status}")
            return answer.body

        async def get() -> list[dict[str, Any]]:
            fragments = codec_alone.encoded_keys(asked)
            body = b'{"RequestItems":{"%s":{"Keys":[%s]}}}' % (table, b",".join(fragments))
            return codec_alone.decoded(await exchange(body, get_headers), fragments)

        async def put() -> int:
            fragments = codec_alone.encoded_items(written)
            puts = b",".join([b'{"PutRequest":{"Item":%s}}' % fragment for fragment in fragments])
            body = b'{"RequestItems":{"%s":[%s]}}' % (table, puts)
            return len(written) - codec_alone.left_of(await exchange(body, put_headers))

        yield Operations(get, put)
