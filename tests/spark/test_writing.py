"""`df.write.format("dynamodb")` in one process: what is written, and how it fails."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions

from aiobatch.integrations.spark import interleave, read_report
from aiobatch.testing import Fault, FaultProxy
from tests.conftest import TableFactory
from tests.spark.conftest import LOCAL, in_spark

Save = Callable[..., None]


@pytest.fixture(scope="module")
def spark(start: Any) -> Any:
    return start(LOCAL)


@pytest.fixture
def frame(spark: Any) -> Any:
    """2,000 rows in two partitions."""
    return spark.range(0, 2000, 1, 2).select(
        functions.format_string("%05d", "id").alias("pk"), functions.col("id").alias("n")
    )


async def scan(client: Any, table: str) -> dict[str, Any]:
    found = {}
    async for page in client.get_paginator("scan").paginate(TableName=table):
        found.update({item["pk"]["S"]: item for item in page["Items"]})
    return found


async def test_a_frame_is_written_and_deleted(
    save: Save, frame: Any, table: TableFactory, raw_client: Any, tmp_path: Path
) -> None:
    name = await table()
    report = str(tmp_path / "report")
    await in_spark(save, frame, name, report=report)
    found = await scan(raw_client, name)
    assert len(found) == 2000
    assert found["00007"] == {"pk": {"S": "00007"}, "n": {"N": "7"}}
    total, attempts = read_report(report)
    assert (total.processed, total.partitions, total.left) == (2000, 2, 0)
    assert sum(ledger.processed for ledger in attempts.values()) == 2000
    # All columns but the key are left out of a delete.
    some = frame.where("n < 1990")
    await in_spark(save, some, name, operation="delete")
    assert len(await scan(raw_client, name)) == 10


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            ["if(n = 1700, null, pk) as pk", "'secret' as s"],
            "attribute pk: is a key attribute of the table, and missing",
        ),
        pytest.param(
            ["pk", "if(n = 1700, double('nan'), 0.5) as d", "'secret' as s"],
            "attribute d: is NaN",
            marks=pytest.mark.spark_long,
        ),
        pytest.param(
            ["pk", "if(n = 1700, repeat('secret', 70000), '') as s"],
            "an item has at most 409600 (400 KB)",
            marks=pytest.mark.spark_long,
        ),
    ],
    ids=["no key", "NaN", "large"],
)
async def test_a_faulty_row_fails_the_job(
    save: Save,
    frame: Any,
    table: TableFactory,
    raw_client: Any,
    tmp_path: Path,
    columns: list[str],
    reason: str,
) -> None:
    name = await table()
    report = str(tmp_path / "report")
    with pytest.raises(PySparkException) as caught:
        await in_spark(save, frame.selectExpr(*columns), name, report=report)
    told = str(caught.value)
    assert (
        "of 1701 rows taken, 1700 processed, 1 invalid. rows at fault: partition 1, row 700" in told
    )
    assert reason in told
    assert "secret" not in told
    total, attempts = read_report(report)
    assert (total.processed, total.invalid, len(attempts)) == (1700, 1, 2)
    assert (total.problems[0].partition, total.problems[0].row) == (1, 700)
    assert len(await scan(raw_client, name)) == 1700


@pytest.mark.spark_long
async def test_faulty_rows_are_skipped_if_asked(
    save: Save, frame: Any, table: TableFactory, raw_client: Any, tmp_path: Path
) -> None:
    name = await table()
    report = str(tmp_path / "report")
    faulty = frame.selectExpr("pk", "if(n % 2 = 0, double('nan'), double(n)) as d")
    await in_spark(save, faulty, name, onInvalid="skip", report=report)
    total, _ = read_report(report)
    assert (total.processed, total.invalid) == (1000, 1000)
    assert (total.problems[0].row, total.problems[0].path) == (0, "d")
    assert len(await scan(raw_client, name)) == 1000


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("current_date() as day", "column day is date, and DynamoDB has no such type"),
        ("named_struct('at', current_timestamp()) as s", "column s.at is timestamp"),
        ("map(1, 'a') as m", "column m is a map with keys of int"),
    ],
)
@pytest.mark.spark_long
async def test_a_type_that_dynamodb_has_none_for(
    save: Save, frame: Any, table: TableFactory, expression: str, reason: str
) -> None:
    name = await table()
    with pytest.raises(PySparkException, match=re.escape(reason)):
        await in_spark(save, frame.selectExpr("pk", expression), name)


async def test_what_is_refused_before_anything_is_written(
    save: Save, frame: Any, table: TableFactory
) -> None:
    name = await table("id")
    with pytest.raises(PySparkException, match="no column 'id', a key attribute of table"):
        await in_spark(save, frame, name)
    with pytest.raises(PySparkException, match="ResourceNotFoundException"):
        await in_spark(save, frame, "there-is-none")
    with pytest.raises(PySparkException, match="unknown option 'tabel'"):
        await in_spark(save, frame, name, tabel="x")
    overwrite = frame.write.format("dynamodb").option("table", name).mode("overwrite")
    with pytest.raises(PySparkException, match="a put replaces the item with its key"):
        await in_spark(overwrite.save)


async def test_a_table_that_is_not_there_when_the_tasks_come(
    save: Save, frame: Any, tmp_path: Path
) -> None:
    """Nobody asks for the table where its keys are given: the tasks find out."""
    report = str(tmp_path / "report")
    with pytest.raises(PySparkException, match="ResourceNotFoundException"):
        await in_spark(save, frame, "there-is-none", keys="pk", report=report)
    total, attempts = read_report(report)
    assert total.processed == 0
    assert total.failure is not None
    # Not tried again: it would be missing then, too.
    assert len(attempts) == 2


async def test_rows_are_interleaved_by_their_keys(frame: Any) -> None:
    def spread(partitions: int | None) -> Any:
        twice = interleave(frame.union(frame), "pk", partitions=partitions)
        return twice.withColumn("at", functions.spark_partition_id()).collect()

    for partitions in (3, None):
        rows = await in_spark(spread, partitions)
        assert sorted(row.pk for row in rows) == sorted([f"{n:05}" for n in range(2000)] * 2)
        # Rows of one key are together, and no run of keys is.
        assert len({(row.pk, row.at) for row in rows}) == 2000
        # Without a number, Spark chooses one by the size of the rows.
        assert partitions is None or len({row.at for row in rows}) == partitions
        pairs = pairwise(rows)
        assert sum(int(after.pk) - int(before.pk) == 1 for before, after in pairs) < 100
        assert rows[0].asDict().keys() == {"pk", "n", "at"}


async def test_a_table_that_goes_away_meanwhile(
    save: Save, frame: Any, table: TableFactory, raw_client: Any, endpoint_url: str, tmp_path: Path
) -> None:
    """The account tells what was written before, and the job is not tried again."""
    name = await table()
    report = str(tmp_path / "report")
    async with FaultProxy(endpoint_url) as proxy:
        proxy.script([Fault.none()] * 30, operation="BatchWriteItem")
        proxy.always(Fault.table_not_found(), operation="BatchWriteItem")
        more = {"endpointUrl": proxy.endpoint_url, "maxConcurrency": "1"}
        with pytest.raises(PySparkException, match="ResourceNotFoundException"):
            await in_spark(save, frame, name, report=report, **more)
    total, attempts = read_report(report)
    assert total.failure is not None
    assert total.processed == len(await scan(raw_client, name)) == 30 * 25
    assert len(attempts) == 2
