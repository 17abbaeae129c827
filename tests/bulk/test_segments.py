"""How much of a table is held at once while it is read in segments."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest

from aiobatch import DynamoDB
from aiobatch.bulk.segments import Progress, Scanned, Selection, read_segments
from tests.backends import Backend
from tests.bulk.test_kills import BACKEND
from tests.conftest import TableFactory


class Pages:
    """Stands for a client: each segment has some pages of so many items of four attributes."""

    def __init__(self, items: int) -> None:
        self.items = items

    async def _scan(self, _table: str, **_: Any) -> AsyncGenerator[dict[str, Any], None]:
        item = {name: {"S": "x"} for name in "abcd"}
        for last in (False, False, True):
            key = None if last else {"pk": {"S": "x"}}
            yield {"Items": [item] * self.items, "LastEvaluatedKey": key}


@pytest.mark.parametrize(("items", "most"), [(17_000, 2), (3_000, 8)])
async def test_fewer_pages_are_held_where_they_are_heavy(items: int, most: int) -> None:
    held = 0
    seen: list[int] = []
    total = 0

    async def take(page: Scanned) -> None:
        nonlocal held, total
        held += 1
        seen.append(held)
        for _ in range(20):
            await asyncio.sleep(0)
        held -= 1
        total += page.count

    db = cast("DynamoDB", Pages(items))
    await read_segments(db, "things", [Progress() for _ in range(8)], Selection(), take)
    assert total == 8 * 3 * items
    assert max(seen) == most


@pytest.mark.parametrize("backend", [BACKEND], indirect=True)
async def test_a_page_is_held_by_its_taker_alone(backend: Backend, table: TableFactory) -> None:
    name = await table()
    async with DynamoDB(endpoint_url=backend.endpoint_url) as db:
        await db.batch_write_item([{"pk": str(n)} for n in range(5)], name)
        await look_at_a_page(db, name)


async def look_at_a_page(db: DynamoDB, name: str) -> None:
    pages = db._scan(
        name,
        segment=None,
        total_segments=None,
        index_name=None,
        filter_expression=None,
        projection_expression=None,
        expression_attribute_names=None,
        expression_attribute_values=None,
        consistent_read=False,
        limit=None,
        page_size=2,
        exclusive_start_key=None,
        retry=None,
    )
    page = await anext(pages)
    # This name, and the argument.
    assert sys.getrefcount(page) == 2
    await pages.aclose()
