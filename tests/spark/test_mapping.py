"""`mapInArrow` over `write_batches`: what runs on every Spark, 3.5 included."""

import functools
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from aiobatch.integrations.spark import ledgers, map_in_arrow
from aiobatch.partitions import WriteFailed
from tests.conftest import REGION, TableFactory
from tests.spark.airports import as_attributes, scan, write_parquet
from tests.spark.blocks import BLOCKS, compiled, is_for_every_spark
from tests.spark.conftest import CLUSTER, in_spark
from tests.spark.killing import killing_function


@pytest.fixture(scope="module")
def spark(start: Any) -> Any:
    return start(CLUSTER)


@pytest.fixture
def connection(endpoint_url: str) -> dict[str, Any]:
    return {"endpoint_url": endpoint_url, "region_name": REGION}


@pytest.fixture
def frame(spark: Any) -> Any:
    """2,000 rows in two partitions."""
    return spark.range(0, 2000, 1, 2).selectExpr("format_string('%05d', id) as pk", "id as n")


async def test_the_airports_there_and_back(
    spark: Any,
    connection: dict[str, Any],
    table: TableFactory,
    raw_client: Any,
    tmp_path: Path,
) -> None:
    """With a worker that is killed in the middle."""
    airports = write_parquet(tmp_path / "airports.parquet")
    assert len(airports) == 28_298
    name = await table("icao")
    marker = tmp_path / "killed"

    def save() -> Any:
        frame = spark.read.parquet(str(tmp_path / "airports.parquet")).repartition(4)
        write = killing_function(marker, name, **connection)
        return ledgers(frame.mapInArrow(write, "ledger string"))

    total = await in_spark(save)
    assert marker.exists(), "nobody was killed"
    assert (total.check().processed, total.partitions) == (len(airports), 4)
    assert await scan(raw_client, name, "icao") == {
        code: as_attributes(airport) for code, airport in airports.items()
    }

    def load() -> list[Any]:
        columns = spark.read.parquet(str(tmp_path / "airports.parquet")).schema
        read = segments_reader(name, 4, pq.read_schema(tmp_path / "airports.parquet"), connection)
        return list(spark.range(0, 4, 1, 4).mapInArrow(read, columns).collect())

    rows = await in_spark(load)
    assert len(rows) == len(airports)
    assert {row.icao: row.asDict() for row in rows} == airports


def segments_reader(table: str, segments: int, schema: Any, connection: dict[str, Any]) -> Any:
    """What reads the segments whose numbers it is given. It travels by value."""

    def read(batches: Any) -> Any:
        from aiobatch.partitions import scan_batches

        for batch in batches:
            for segment in batch.column(0).to_pylist():
                yield from scan_batches(segment, segments, table, schema, **connection)

    return read


async def test_a_faulty_row_is_told_on_the_driver(
    frame: Any, connection: dict[str, Any], table: TableFactory, raw_client: Any
) -> None:
    name = await table()
    faulty = frame.selectExpr("if(n = 1700, null, pk) as pk", "if(n = 5, 'x', 'secret') as s")
    write = map_in_arrow(name, **connection)
    total = await in_spark(lambda: ledgers(faulty.mapInArrow(write, "ledger string")))
    assert (total.processed, total.invalid, total.partitions) == (1700, 1, 2)
    with pytest.raises(
        WriteFailed,
        match=r"1700 processed, 1 invalid.*partition 1, row 700, attribute pk: is a key attribute",
    ) as caught:
        total.check()
    assert "secret" not in str(caught.value)
    assert len(await scan(raw_client, name, "pk")) == 1700


async def test_a_missing_table_is_told_on_the_driver(
    frame: Any, connection: dict[str, Any]
) -> None:
    write = map_in_arrow("there-is-none", **connection)
    total = await in_spark(lambda: ledgers(frame.mapInArrow(write, "ledger string")))
    with pytest.raises(WriteFailed, match=r"partition 0: .*ResourceNotFoundException"):
        total.check()
    assert (total.processed, total.partitions) == (0, 2)


async def test_a_type_that_dynamodb_has_none_for(
    frame: Any, connection: dict[str, Any], table: TableFactory, raw_client: Any
) -> None:
    name = await table()
    dated = frame.selectExpr("pk", "current_date() as day")
    write = map_in_arrow(name, **connection)
    total = await in_spark(lambda: ledgers(dated.mapInArrow(write, "ledger string")))
    with pytest.raises(WriteFailed, match="row 0, attribute day: "):
        total.check()
    assert total.processed == 0
    assert await scan(raw_client, name, "pk") == {}


async def test_the_blocks_of_the_page(spark: Any, frame: Any, table: TableFactory) -> None:
    blocks = [block for block in BLOCKS if is_for_every_spark(block)]
    assert len(blocks) == 2
    name = await table()
    names: dict[str, Any] = {"__name__": "__main__", "spark": spark, "df": frame}
    for block in blocks:
        await in_spark(functools.partial(exec, compiled(block, name), names))
    assert names["total"].processed == 2000
    assert await in_spark(lambda: names["users"].count()) == 2000
