"""The library works on any loop: reads, writes, leftovers and their backoff on uvloop."""

import asyncio
from typing import Any

import pytest
import uvloop

from aiobatch import DynamoDB, Retry
from tests.client.server import Asked, Reply, Server


def leaving_some() -> Any:
    """A script that leaves half of each first request over."""
    seen = 0

    def script(asked: Asked) -> Reply | None:
        nonlocal seen
        if asked.operation != "BatchWriteItem":
            return None
        seen += 1
        ((table, puts),) = asked.parameters["RequestItems"].items()
        left = {table: puts[len(puts) // 2 :]} if seen == 1 else {}
        return Reply.json({"UnprocessedItems": left})

    return script


async def written_and_read() -> None:
    async with (
        Server(leaving_some()) as server,
        DynamoDB(endpoint_url=server.url, retry=Retry(base_delay=0.001)) as db,
    ):
        items = [{"pk": f"item {number}", "n": number} for number in range(60)]
        written = await db.batch_write_item(items, "table")
        assert written["ProcessedCount"] == 60
        read = await db.batch_get_item([{"pk": item["pk"]} for item in items], "table")
        assert read["Count"] == 60
        assert (await db.get({"pk": "one"}, "table"))["Item"] == {"pk": "one"}
        assert server.operations.count("BatchWriteItem") == 4


@pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.SelectorEventLoop])
def test_reading_and_writing(factory: Any) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(written_and_read())
