"""Answers and requests too large for one exchange."""

import asyncio
from typing import Any

import pytest

from aiobatch import DynamoDB, Retry
from tests.backends import Backend, Quirk
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory

MIB = 1024 * 1024
# Each wait of the default schedule is 100 ms or more; partial answers by size must cost none.
QUICKLY = 8.0


def large(count: int, size: int = 390_000) -> list[dict[str, Any]]:
    return [{"pk": f"{n:03}", "v": chr(97 + n % 26) * size} for n in range(count)]


async def test_answers_cut_by_size_are_completed(
    backend: Backend, db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    """More than 16 MB of items: DynamoDB leaves keys unprocessed, again and again."""
    name, items = await table(), large(48)
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 48
    sent.clear()
    async with asyncio.timeout(QUICKLY):
        answer = await db.batch_get_item([{"pk": item["pk"]} for item in items], name)
    assert answer["Items"] == items
    assert answer["UnprocessedKeys"] == answer["MissingKeys"] == []
    metrics = answer["Metrics"]
    assert metrics["throttled"] == 0
    if Quirk.READS_NEVER_CUT in backend.quirks:
        assert len(sent) == 1  # the server answers 18 MB at once
    elif Quirk.READS_CUT_EARLY in backend.quirks:
        assert len(sent) > 10  # a few items each
    else:
        assert 2 <= len(sent) <= 3
    assert metrics["requests"] == len(sent)
    # Leftovers of an answer cut by size go again at once: no wait of the schedule was due.
    assert (metrics["retries"] > 0) == (Quirk.READS_NEVER_CUT not in backend.quirks)


async def test_a_projection_holds_for_what_was_left_over(
    backend: Backend, db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    """Some lose it in UnprocessedKeys (Quirk.LEFTOVER_PROJECTION_LOST): ours is sent anew."""
    name = await table()
    items = [{**item, "extra": "unwanted", "status": "s"} for item in large(46)]
    await db.batch_write_item(items, name)
    answer = await db.batch_get_item(
        [{"pk": item["pk"]} for item in items],
        name,
        projection_expression="v, status",
        consistent_read=True,
    )
    assert answer["Items"] == [{"v": item["v"], "status": "s"} for item in items]
    reads = [request for request in sent if request.operation == "BatchGetItem"]
    for request in reads:
        (asked,) = request.parameters["RequestItems"].values()
        assert asked["ConsistentRead"] is True
        assert "ProjectionExpression" in asked


@pytest.mark.takes_no_retries
async def test_the_budget_is_not_spent_on_answers_cut_by_size(
    db: DynamoDB, table: TableFactory
) -> None:
    name, items = await table(), large(24)
    await db.batch_write_item(items, name)
    keys = [{"pk": item["pk"]} for item in items]
    answer = await db.batch_get_item(keys, name, retry=Retry(max_retries=0))
    assert answer["Items"] == items


@pytest.mark.takes_no_retries
async def test_nor_where_a_projection_leaves_little_of_them(
    backend: Backend, db: DynamoDB, table: TableFactory
) -> None:
    """The size of the answer does not tell: the capacity consumed does."""
    if Quirk.READ_CAPACITY_UNTOLD in backend.quirks and Quirk.READS_NEVER_CUT not in backend.quirks:
        pytest.skip(Quirk.READ_CAPACITY_UNTOLD.value)
    name, items = await table(), large(48)
    await db.batch_write_item(items, name)
    answer = await db.batch_get_item(
        [{"pk": item["pk"]} for item in items],
        name,
        projection_expression="pk",
        retry=Retry(max_retries=0),
    )
    assert answer["Items"] == [{"pk": item["pk"]} for item in items]
    assert "ConsumedCapacity" not in answer


async def test_25_large_items_are_split_under_16_mb(
    connect: Connect, table: TableFactory, sent: SentLog
) -> None:
    """390 KB each, which JSON's escapes make 780 KB: 25 of them are more than a request takes."""
    name = await table()
    db = connect(key_names={name: ("pk",)})
    items = [{"pk": f"{n:03}", "v": '"' * 390_000} for n in range(25)]
    answer = await db.batch_write_item(items, name)
    assert (answer["ProcessedCount"], answer["UnprocessedCount"]) == (25, 0)
    assert [len(request.body) < 16 * MIB for request in sent] == [True, True]
    keys = [{"pk": item["pk"]} for item in items]
    assert (await db.batch_get_item(keys, name))["Items"] == items


async def test_items_of_400_kb(connect: Connect, backend: Backend, table: TableFactory) -> None:
    """As DynamoDB counts: names and values, binary as it is and not as base64."""
    name = await table()
    db = connect(key_names={name: ("pk",)})
    room = 400 * 1024 - len("pk") - len("a") - len("v")
    if Quirk.LARGEST_ITEMS_REFUSED in backend.quirks:
        room = room * 7 // 10
    items: list[dict[str, Any]] = [
        {"pk": "a", "v": "x" * room},
        {"pk": "b", "v": b"\xff" * room},
        {"pk": "c", "v": "é" * (room // 2)},
    ]
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 3
    keys = [{"pk": item["pk"]} for item in items]
    assert (await db.batch_get_item(keys, name))["Items"] == items


async def test_long_keys(connect: Connect, table: TableFactory) -> None:
    name = await table("pk", "sk")
    db = connect(key_names={name: ("pk", "sk")})
    items = [{"pk": "é" * 1024, "sk": "s" * 1024}, {"pk": "p" * 2048, "sk": "é" * 512}]
    assert (await db.batch_write_item(items, name))["ProcessedCount"] == 2
    assert (await db.batch_get_item(items, name))["Items"] == items


@pytest.mark.parametrize("operation", ["put", "delete"])
async def test_a_call_of_many_requests(
    operation: Any, connect: Connect, table: TableFactory
) -> None:
    name = await table("pk", "sk", sk="N")
    db = connect(max_concurrency=4)
    items = [{"pk": f"p{n // 100}", "sk": n} for n in range(1000)]
    answer = await db.batch_write_item(items, name)
    assert answer["ProcessedCount"] == 1000
    if operation == "delete":
        answer = await db.batch_write_item(items, name, operation="delete")
        assert answer["ProcessedCount"] == 1000
        assert (await db.batch_get_item(items, name))["MissingKeys"] == items
    else:
        assert (await db.batch_get_item(items, name))["Items"] == items
