"""`scan_segment` and its like: a part of a table, read in a thread of an engine."""

import asyncio
import threading
from contextlib import closing
from decimal import Decimal
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest

from aiobatch import DynamoDB, Retry, TableNotFound
from aiobatch.partitions import query_partition, scan_batches, scan_segment, write_partition
from aiobatch.partitions.arrow import Mismatch
from aiobatch.partitions.read import as_batches
from aiobatch.testing import Fault, FaultProxy
from tests.conftest import TableFactory


@pytest.fixture
async def filled(table: TableFactory, endpoint_url: str) -> str:
    """A table with 20 partition keys of 30 items each."""
    name = await table("pk", "sk", sk="N")
    async with DynamoDB(endpoint_url=endpoint_url) as db:
        await db.bulk_write(
            (
                {"pk": f"user#{pk:02}", "sk": sk, "price": Decimal("1.50"), "a.b": "dotted"}
                for pk in range(20)
                for sk in range(30)
            ),
            name,
        )
    return name


async def test_the_segments_are_the_whole_table(filled: str, endpoint_url: str) -> None:
    def read(segment: int) -> list[dict[str, Any]]:
        return list(scan_segment(segment, 4, filled, endpoint_url=endpoint_url))

    parts = await asyncio.gather(*(asyncio.to_thread(read, segment) for segment in range(4)))
    keys = [(item["pk"], item["sk"]) for part in parts for item in part]
    assert len(keys) == 600
    assert len(set(keys)) == 600


async def test_columns_and_numbers(filled: str, endpoint_url: str) -> None:
    def read() -> list[dict[str, Any]]:
        return list(
            scan_segment(
                0, 1, filled, columns=["a.b", "price"], numbers="decimal", endpoint_url=endpoint_url
            )
        )

    items = await asyncio.to_thread(read)
    assert items == [{"a.b": "dotted", "price": Decimal("1.5")}] * 600


async def test_a_scan_that_is_left_reads_no_more(filled: str, endpoint_url: str) -> None:
    async with FaultProxy(endpoint_url) as proxy:

        def read() -> int:
            items = scan_segment(0, 1, filled, endpoint_url=proxy.endpoint_url)
            with closing(items):
                return len(list(islice(items, 10)))

        assert await asyncio.to_thread(read) == 10
        before = len(proxy.requests)
        assert before <= 3


async def test_pages_that_fail_are_read_again(filled: str, endpoint_url: str) -> None:
    retry = Retry(max_retries=20, base_delay=0.001, max_delay=0.01)
    async with FaultProxy(endpoint_url) as proxy:
        proxy.script([Fault.throttle(), Fault.reset_after(), Fault.truncated()], operation="Scan")

        def read() -> int:
            items = scan_segment(0, 1, filled, endpoint_url=proxy.endpoint_url, retry=retry)
            return sum(1 for _ in items)

        assert await asyncio.to_thread(read) == 600
        assert proxy.unused == 0


async def test_one_partition_key(filled: str, endpoint_url: str) -> None:
    def read() -> list[dict[str, Any]]:
        return list(
            query_partition(
                filled,
                "#key = :pk AND sk >= :least",
                expression_attribute_names={"#key": "pk"},
                expression_attribute_values={":pk": "user#07", ":least": 20},
                columns=["sk"],
                endpoint_url=endpoint_url,
            )
        )

    assert await asyncio.to_thread(read) == [{"sk": sk} for sk in range(20, 30)]


async def test_record_batches(filled: str, endpoint_url: str) -> None:
    schema = pa.schema([("sk", pa.int32()), ("price", pa.decimal128(5, 2)), ("none", pa.string())])

    def read() -> pa.Table:
        batches = scan_batches(0, 1, filled, schema, endpoint_url=endpoint_url)
        return pa.Table.from_batches(batches, schema)

    found = await asyncio.to_thread(read)
    assert found.num_rows == 600
    assert sorted(found["sk"].to_pylist()) == sorted(list(range(30)) * 20)
    assert set(found["price"].to_pylist()) == {Decimal("1.50")}
    assert found["none"].null_count == 600


async def test_rows_without_columns_are_counted(filled: str, endpoint_url: str) -> None:
    def read() -> tuple[int, int]:
        batches = list(scan_batches(0, 1, filled, pa.schema([]), endpoint_url=endpoint_url))
        return sum(batch.num_rows for batch in batches), batches[0].num_columns

    assert await asyncio.to_thread(read) == (600, 0)


@pytest.mark.parametrize("count", [0, 3, 10, 12])
def test_batches_have_a_size(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("aiobatch.partitions.read._BATCH", 5)
    schema = pa.schema([("n", pa.int64())])
    batches = list(as_batches([{"n": Decimal(n)} for n in range(count)], schema))
    assert [row["n"] for batch in batches for row in batch.to_pylist()] == list(range(count))
    assert [batch.num_rows for batch in batches] == [
        min(5, count - at) for at in range(0, count, 5)
    ]


async def test_a_value_that_does_not_fit(filled: str, endpoint_url: str) -> None:
    schema = pa.schema([("price", pa.int64())])

    def read() -> list[Any]:
        return list(scan_batches(0, 1, filled, schema, endpoint_url=endpoint_url))

    with pytest.raises(Mismatch, match="item 0, attribute price: is a number with a fraction"):
        await asyncio.to_thread(read)


async def test_a_table_that_is_not_there(endpoint_url: str) -> None:
    with pytest.raises(TableNotFound):
        await asyncio.to_thread(
            list, scan_segment(0, 1, "there-is-none", endpoint_url=endpoint_url)
        )


def test_a_segment_that_is_none() -> None:
    with pytest.raises(ValueError, match="segment"):
        list(scan_segment(4, 4, "users", endpoint_url="http://127.0.0.1:1"))
    with pytest.raises(TypeError, match="columns takes a list"):
        list(scan_segment(0, 1, "users", columns="pk"))


async def test_reads_and_writes_share_the_loop(filled: str, endpoint_url: str) -> None:
    def task() -> int:
        items = scan_segment(0, 2, filled, endpoint_url=endpoint_url)
        copies = ({**item, "copy": True} for item in items)
        return write_partition(copies, filled, endpoint_url=endpoint_url).check().processed

    assert await asyncio.to_thread(task) > 0
    assert [thread.name for thread in threading.enumerate()].count("aiobatch-loop") == 1
