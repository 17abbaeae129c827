"""Workers that are processes of their own: the airports there and back, rates, and deaths."""

from pathlib import Path
from typing import Any

import pytest

from aiobatch.integrations.spark import interleave, read_report
from aiobatch.testing import Fault, FaultProxy
from tests.conftest import TableFactory
from tests.spark.airports import as_attributes, scan, write_parquet
from tests.spark.conftest import CLUSTER, in_spark
from tests.spark.killing import killing_source

RATE = 1000


@pytest.fixture(scope="module")
def spark(start: Any) -> Any:
    return start(CLUSTER)


def begun_and_ended(proxy: FaultProxy) -> float:
    """Seconds from the first write to the last answer."""
    writes = [request for request in proxy.requests if request.operation == "BatchWriteItem"]
    ended = [request.answered_at for request in writes if request.answered_at is not None]
    return max(ended) - min(request.arrived_at for request in writes)


@pytest.mark.parametrize("whom", ["worker", pytest.param("executor", marks=pytest.mark.spark_long)])
async def test_a_process_is_killed_in_the_middle(
    spark: Any,
    options: dict[str, str],
    table: TableFactory,
    raw_client: Any,
    endpoint_url: str,
    tmp_path: Path,
    whom: str,
) -> None:
    airports = write_parquet(tmp_path / "airports.parquet")
    name = await table("icao")
    marker, report = tmp_path / "killed", str(tmp_path / "report")

    def save(endpoint_url: str) -> None:
        spark.dataSource.register(killing_source(marker, whom))
        frame = spark.read.parquet(str(tmp_path / "airports.parquet"))
        writing = interleave(frame, "icao", partitions=4).write.format("killed")
        writing = writing.options(**{**options, "endpointUrl": endpoint_url, "table": name})
        writing.options(report=report).mode("append").save()

    async with FaultProxy(endpoint_url, seed=5) as proxy:
        proxy.randomly(
            {Fault.partial(0.5): 0.05, Fault.reset_after(): 0.01, Fault.throttle(): 0.02},
            operation="BatchWriteItem",
        )
        await in_spark(save, proxy.endpoint_url)
        sent = sum(request.entries - request.refused for request in proxy.requests)
    assert marker.exists(), "nobody was killed"
    # What the dead one had written was written again.
    assert sent > len(airports)
    total, attempts = read_report(report)
    assert total.processed == len(airports)
    assert len(attempts) >= 4
    assert await scan(raw_client, name, "icao") == {
        code: as_attributes(airport) for code, airport in airports.items()
    }


@pytest.mark.parametrize(
    "partitions",
    [
        # With two slots, the last of three partitions has the whole rate to itself.
        3,
        # And so has one alone.
        pytest.param(1, marks=pytest.mark.spark_long),
    ],
)
async def test_the_airports_at_a_rate(
    partitions: int,
    spark: Any,
    options: dict[str, str],
    table: TableFactory,
    raw_client: Any,
    endpoint_url: str,
    tmp_path: Path,
) -> None:
    airports = write_parquet(tmp_path / "airports.parquet")
    assert len(airports) == 28_298
    name = await table("icao")
    report = str(tmp_path / "report")

    def load() -> Any:
        reading = spark.read.format("dynamodb").options(**{**options, "table": name})
        schema = spark.read.parquet(str(tmp_path / "airports.parquet")).schema
        return reading.option("segments", 4).schema(schema).load()

    def save(endpoint_url: str, **more: Any) -> None:
        frame = spark.read.parquet(str(tmp_path / "airports.parquet"))
        some = frame if more else frame.limit(400)
        spread = interleave(some, "icao", partitions=partitions if more else 2)
        writing = spread.write.format("dynamodb")
        writing = writing.options(**{**options, "endpointUrl": endpoint_url, "table": name})
        writing.options(**more).mode("append").save()

    # Until the executors and their workers are up, there is no rate to speak of.
    await in_spark(save, endpoint_url)
    async with FaultProxy(endpoint_url) as proxy:
        await in_spark(save, proxy.endpoint_url, maxWriteUnits=RATE, report=report)
        rate = len(airports) / begun_and_ended(proxy)
    print(f"{rate:.0f} units a second where {RATE} were asked for")
    assert rate == pytest.approx(RATE, rel=0.1)
    total, attempts = read_report(report)
    assert total.processed == len(airports)
    assert len(attempts) == partitions
    assert await scan(raw_client, name, "icao") == {
        code: as_attributes(airport) for code, airport in airports.items()
    }
    rows = await in_spark(lambda: load().collect())
    assert len(rows) == len(airports)
    assert {row.icao: row.asDict() for row in rows} == airports
