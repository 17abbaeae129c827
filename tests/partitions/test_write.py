"""`write_partition`: from a thread of an engine into a table, with a ledger."""

import asyncio
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from aiobatch import Retry
from aiobatch.partitions import Ledger, Problem, WriteFailed, write_batches, write_partition
from aiobatch.testing import Fault, FaultProxy
from tests.conftest import TableFactory

QUICK = Retry(max_retries=2, base_delay=0.001)
Write = Callable[..., Ledger]


@pytest.fixture
def write(endpoint_url: str) -> Write:
    """A task of an engine: a plain thread that blocks."""

    def run(rows: Any, table: str, **settings: Any) -> Ledger:
        return write_partition(rows, table, **{"endpoint_url": endpoint_url, **settings})

    return run


async def in_task(write: Write, *arguments: Any, **settings: Any) -> Ledger:
    return await asyncio.to_thread(write, *arguments, **settings)


def rows(count: int, start: int = 0) -> Iterator[dict[str, Any]]:
    return ({"pk": f"{n:05}", "n": n} for n in range(start, start + count))


async def count(client: Any, table: str) -> int:
    found = 0
    start: dict[str, Any] = {}
    while True:
        page = await client.scan(TableName=table, Select="COUNT", **start)
        found += int(page["Count"])
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


async def test_a_partition_is_written(write: Write, table: TableFactory, raw_client: Any) -> None:
    name = await table()
    ledger = await in_task(write, rows(1234), name, partition=7, attempt=2)
    assert ledger.check() is ledger
    assert (ledger.accepted, ledger.processed, ledger.left) == (1234, 1234, 0)
    assert (ledger.table_name, ledger.partition, ledger.attempt) == (name, 7, 2)
    assert ledger.requests >= 50
    assert ledger.seconds > 0
    assert await count(raw_client, name) == 1234
    # Once more, as an engine does with a task whose worker was lost.
    assert (await in_task(write, rows(1234), name)).processed == 1234
    assert await count(raw_client, name) == 1234


async def test_keys_are_deleted(write: Write, table: TableFactory, raw_client: Any) -> None:
    name = await table()
    await in_task(write, rows(60), name)
    keys = [{"pk": f"{n:05}"} for n in range(50)]
    assert (await in_task(write, keys, name, operation="delete")).processed == 50
    assert await count(raw_client, name) == 10


async def test_a_faulty_row_ends_the_partition(
    write: Write, table: TableFactory, raw_client: Any
) -> None:
    name = await table()
    faulty = [*rows(700), {"n": 1, "secret": "x"}, *rows(700, 700)]
    ledger = await in_task(write, faulty, name, partition=3)
    assert ledger.problems == (
        Problem(3, 700, "pk", "is a key attribute of the table, and missing"),
    )
    assert (ledger.processed, ledger.invalid, ledger.accepted) == (700, 1, 701)
    assert not ledger.may_succeed
    assert await count(raw_client, name) == 700
    with pytest.raises(WriteFailed, match="partition 3, row 700, attribute pk: is a key") as caught:
        ledger.check()
    assert "secret" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).ledger == ledger


async def test_faulty_rows_are_collected(write: Write, table: TableFactory) -> None:
    name = await table()
    mixed = [{"pk": f"{n}", "n": float("nan") if n % 2 else 1.5} for n in range(1000)]
    ledger = await in_task(write, mixed, name, on_invalid="collect")
    assert (ledger.processed, ledger.invalid, ledger.failure) == (500, 500, None)
    assert len(ledger.problems) == 100
    assert ledger.problems[0].row == 1
    assert ledger.check(allow_invalid=True) is ledger
    with pytest.raises(WriteFailed, match="and 495 more"):
        ledger.check()


async def test_a_missing_table_is_a_lasting_failure(write: Write) -> None:
    ledger = await in_task(write, rows(2000), "there-is-none", partition=0)
    assert ledger.processed == 0
    assert ledger.left == ledger.accepted > 0
    assert ledger.failure is not None
    assert "ResourceNotFoundException" in ledger.failure
    assert not ledger.may_succeed


async def test_a_table_missing_while_its_keys_are_known(write: Write) -> None:
    ledger = await in_task(write, rows(2000), "there-is-none", key_names=("pk",))
    assert ledger.processed == 0
    assert ledger.left == ledger.accepted > 0
    assert "ResourceNotFoundException" in str(ledger.failure)
    assert not ledger.may_succeed


async def test_throttling_that_does_not_end_may_end_later(
    table: TableFactory, endpoint_url: str
) -> None:
    name = await table()
    async with FaultProxy(endpoint_url) as proxy:
        proxy.always(Fault.throttle(), operation="BatchWriteItem")
        ledger = await asyncio.to_thread(
            write_partition, rows(50), name, endpoint_url=proxy.endpoint_url, retry=QUICK
        )
    assert ledger.unprocessed == 50
    assert ledger.may_succeed
    assert ledger.failure is not None


async def test_leftovers_without_an_error_are_told_of(
    table: TableFactory, endpoint_url: str
) -> None:
    name = await table()
    async with FaultProxy(endpoint_url) as proxy:
        proxy.always(Fault.partial(1.0), operation="BatchWriteItem")
        # Once: a leftover that is sent alone would be refused, which is an error to tell.
        retry = Retry(max_retries=0)
        ledger = await asyncio.to_thread(
            write_partition, rows(50), name, endpoint_url=proxy.endpoint_url, retry=retry
        )
    # Each answer lets at least one row through.
    assert ledger.unprocessed == ledger.left > 0
    assert ledger.may_succeed
    assert ledger.failure == "rows were left over when the retries were spent"
    with pytest.raises(WriteFailed, match=r"unprocessed\. cause: rows were left over"):
        ledger.check()


async def test_settings_that_no_client_takes(write: Write) -> None:
    ended: list[Ledger] = []
    with pytest.raises(ValueError, match="max_concurrency") as caught:
        await in_task(write, rows(5), "users", max_concurrency=0, on_end=ended.append)
    assert ended == [Ledger(table_name="users", partitions=1)]
    assert "of 0 rows taken, none ended" in caught.value.__notes__[0]


async def test_record_batches_are_written(
    table: TableFactory, endpoint_url: str, raw_client: Any
) -> None:
    name = await table()
    batches = [
        pa.RecordBatch.from_pylist([{"pk": f"{n}", "tags": ["b", "a"], "none": None}])
        for n in range(3)
    ]

    def run(**settings: Any) -> Ledger:
        return write_batches(batches, name, endpoint_url=endpoint_url, **settings)

    assert (await asyncio.to_thread(run, sets=["tags"])).check().processed == 3
    stored = await raw_client.get_item(TableName=name, Key={"pk": {"S": "2"}})
    assert sorted(stored["Item"].pop("tags")["SS"]) == ["a", "b"]
    assert stored["Item"] == {"pk": {"S": "2"}}
    deleted = await asyncio.to_thread(run, columns=["pk"], operation="delete")
    assert (deleted.processed, await count(raw_client, name)) == (3, 0)


async def test_faults_on_the_way(table: TableFactory, endpoint_url: str, raw_client: Any) -> None:
    name = await table()
    async with FaultProxy(endpoint_url, seed=3) as proxy:
        proxy.randomly(
            {Fault.partial(0.5): 0.2, Fault.reset_after(): 0.05, Fault.throttle(): 0.1},
            operation="BatchWriteItem",
        )
        retry = Retry(max_retries=50, base_delay=0.001, max_delay=0.01, jitter=1.0)
        ledger = await asyncio.to_thread(
            write_partition, rows(1000), name, endpoint_url=proxy.endpoint_url, retry=retry
        )
    assert ledger.check().processed == 1000
    assert await count(raw_client, name) == 1000


async def test_a_source_that_fails(write: Write, table: TableFactory, raw_client: Any) -> None:
    name = await table()

    def source() -> Iterator[dict[str, Any]]:
        yield from rows(600)
        raise OSError("the file is gone")

    ended: list[Ledger] = []
    with pytest.raises(OSError, match="the file is gone") as caught:
        await in_task(write, source(), name, on_end=ended.append)
    assert [ledger.processed for ledger in ended] == [600]
    assert "600 processed" in caught.value.__notes__[0]
    assert await count(raw_client, name) == 600


async def test_a_source_that_fails_while_rows_are_left(
    table: TableFactory, endpoint_url: str
) -> None:
    name = await table()

    def source() -> Iterator[dict[str, Any]]:
        yield from rows(30)
        raise OSError("secret.csv is gone")

    async with FaultProxy(endpoint_url) as proxy:
        proxy.always(Fault.throttle(), operation="BatchWriteItem")
        ledger = await asyncio.to_thread(
            write_partition, source(), name, endpoint_url=proxy.endpoint_url, retry=QUICK
        )
    # What others say may quote an item.
    assert (ledger.unprocessed, ledger.failure) == (30, "OSError")
    assert ledger.may_succeed


async def test_rows_are_read_in_the_thread_of_the_task(write: Write, table: TableFactory) -> None:
    name = await table()
    threads = set()

    def source() -> Iterator[dict[str, Any]]:
        for row in rows(600):
            threads.add(threading.current_thread())
            yield row

    def task() -> threading.Thread:
        write(source(), name)
        return threading.current_thread()

    assert threads == {await asyncio.to_thread(task)}


async def test_one_loop_serves_all_tasks_of_a_process(
    write: Write, table: TableFactory, raw_client: Any
) -> None:
    name = await table()
    with ThreadPoolExecutor(4) as pool:
        loop = asyncio.get_running_loop()
        ledgers = await asyncio.gather(
            *(loop.run_in_executor(pool, write, rows(300, at * 300), name) for at in range(8))
        )
    assert [thread.name for thread in threading.enumerate()].count("aiobatch-loop") == 1
    total = Ledger.sum(ledgers)
    assert (total.processed, total.partitions) == (2400, 8)
    assert await count(raw_client, name) == 2400


@pytest.mark.parametrize("rows", [5, "text", b"bytes"])
def test_what_is_no_rows(rows: Any) -> None:
    with pytest.raises(TypeError, match="rows must be an iterable"):
        write_partition(rows, "users")


def test_an_operation_that_is_none() -> None:
    with pytest.raises(ValueError, match="Must be 'put' or 'delete'"):
        write_partition([], "users", operation="upsert")  # type: ignore[arg-type]


def test_ledgers_add_up_and_travel() -> None:
    first = Ledger(
        table_name="t",
        partition=0,
        accepted=5,
        processed=3,
        invalid=2,
        seconds=2.0,
        problems=(Problem(0, 1, "a[0].b", "is NaN"), Problem(0, 2, "", "is empty")),
        partitions=1,
    )
    second = Ledger(
        table_name="t", partition=1, accepted=2, unprocessed=2, failure="late", partitions=1
    )
    total = Ledger.sum([first, second])
    assert (total.accepted, total.left, total.partitions, total.seconds) == (7, 4, 2, 2.0)
    assert total.failure == "partition 1: late"
    assert not total.ok
    assert Ledger.from_dict(json.loads(json.dumps(total.as_dict()))) == total
    assert pickle.loads(pickle.dumps(total)) == total
    assert str(first.problems[0]) == "partition 0, row 1, attribute a[0].b: is NaN"
    assert str(Problem(None, 2, "", "is empty")) == "row 2: is empty"
    with pytest.raises(TypeError):
        _ = first + 5  # type: ignore[operator]


def test_a_failure_without_a_cause_of_its_own() -> None:
    left = Ledger(table_name="t", accepted=3, processed=1, unprocessed=2)
    with pytest.raises(WriteFailed) as caught:
        left.check()
    told = str(caught.value)
    assert "of 3 rows taken, 1 processed, 2 unprocessed" in told
    assert "cause" not in told
    assert "at fault" not in told
