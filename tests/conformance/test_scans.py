"""scan and scan_pages, over real servers."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from aiobatch import DynamoDB, ModelMismatch, TableNotFound
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory

COUNT = 12
HUGE = "x" * 380_000


@pytest.fixture
async def name(db: DynamoDB, table: TableFactory) -> str:
    """About 4.6 MB: a scan answers with 1 MB at a time."""
    name = await table("pk", "sk", sk="N")
    items = [{"pk": f"p{n}", "sk": n, "even": n % 2 == 0, "v": HUGE} for n in range(COUNT)]
    await db.batch_write_item(items, name)
    return name


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return sorted(item["sk"] for item in items)


async def test_all_pages(name: str, db: DynamoDB, sent: SentLog) -> None:
    sent.clear()
    found = [item async for item in db.scan(name)]
    assert numbers(found) == list(range(COUNT))
    assert all(item["v"] == HUGE for item in found)
    assert len(sent) >= 4


async def test_segments_share_the_table(name: str, db: DynamoDB) -> None:
    async def segment(number: int) -> list[dict[str, Any]]:
        return [item async for item in db.scan(name, segment=number, total_segments=4)]

    found = await asyncio.gather(*map(segment, range(4)))
    assert numbers([item for items in found for item in items]) == list(range(COUNT))


@pytest.mark.parametrize("limit", [1, 5, 12, 100])
async def test_limit(limit: int, name: str, db: DynamoDB) -> None:
    found = [item async for item in db.scan(name, limit=limit)]
    assert len({item["sk"] for item in found}) == len(found) == min(limit, COUNT)


async def test_limit_counts_what_passes_the_filter(name: str, db: DynamoDB) -> None:
    found = [
        item
        async for item in db.scan(
            name,
            filter_expression="#e = :yes",
            projection_expression="sk",
            expression_attribute_names={"#e": "even"},
            expression_attribute_values={":yes": True},
            limit=4,
        )
    ]
    assert len(found) == 4
    assert all(set(item) == {"sk"} and item["sk"] % 2 == 0 for item in found)


async def test_pages_tell_where_to_go_on(name: str, db: DynamoDB, connect: Connect) -> None:
    seen: list[dict[str, Any]] = []
    start = None
    async for page in db.scan_pages(name, page_size=5):
        assert page["Count"] == len(page["Items"]) <= 5
        assert page["Metrics"]["requests"] == 1
        seen += page["Items"]
        start = page.get("LastEvaluatedKey")
        break
    first = len(seen)
    assert start is not None
    assert isinstance(start["sk"], Decimal)
    # Somebody else goes on, as after a restart.
    other = connect()
    last = None
    async for page in other.scan_pages(name, exclusive_start_key=start):
        seen += page["Items"]
        last = page
    assert last is not None
    assert "LastEvaluatedKey" not in last
    assert numbers(seen) == list(range(COUNT))
    rest = [item async for item in other.scan(name, exclusive_start_key=start)]
    assert len(rest) == COUNT - first


async def test_a_page_the_filter_emptied_is_not_the_last(name: str, db: DynamoDB) -> None:
    pages = [
        page
        async for page in db.scan_pages(
            name,
            filter_expression="sk < :none",
            expression_attribute_values={":none": 0},
            page_size=4,
        )
    ]
    assert len(pages) >= 3
    assert [page["Count"] for page in pages] == [0] * len(pages)
    assert sum(page["ScannedCount"] for page in pages) == COUNT


async def test_leaving_early_sends_nothing_more(name: str, db: DynamoDB, sent: SentLog) -> None:
    sent.clear()
    found = db.scan(name)
    async for _ in found:
        break
    await found.aclose()
    assert len(sent) == 1


async def test_consistent(name: str, db: DynamoDB, sent: SentLog) -> None:
    assert len([item async for item in db.scan(name, consistent_read=True)]) == COUNT
    assert sent.operations[-1] == "Scan"


@dataclass
class Row:
    pk: str
    sk: int
    even: bool
    v: str


async def test_a_model(name: str, db: DynamoDB) -> None:
    assert {row.sk async for row in db.scan(name, model=Row)} == set(range(COUNT))
    await db.save({"pk": "odd one out", "sk": 99}, name)
    with pytest.raises(ModelMismatch) as caught:
        _ = [row async for row in db.scan(name, model=Row)]
    assert caught.value.response["Item"] == {"pk": "odd one out", "sk": 99}


async def test_a_missing_table(db: DynamoDB) -> None:
    with pytest.raises(TableNotFound) as caught:
        _ = [item async for item in db.scan("no-such-table")]
    assert caught.value.operation == "Scan"
