"""The data source by itself: what Spark calls, called here, without a JVM."""

import asyncio
import importlib
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import types as T

from aiobatch import DynamoDB
from aiobatch.integrations import spark
from aiobatch.integrations.spark import (
    DynamoDBDataSource,
    counters,
    interleave,
    ledgers,
    map_in_arrow,
    register,
    task_slots,
)
from aiobatch.integrations.spark.inference import Kind, to_spark
from aiobatch.integrations.spark.reader import DynamoDBReader, FilteringReader
from aiobatch.integrations.spark.writer import DynamoDBWriter, Written
from aiobatch.partitions import Ledger, WriteFailed
from tests.conftest import REGION, TableFactory

Source = Callable[..., DynamoDBDataSource]
KEYS = T.StructType([T.StructField("pk", T.StringType()), T.StructField("sk", T.LongType())])


@pytest.fixture
def source(options: dict[str, str]) -> Source:
    def make(table: str, **more: str) -> DynamoDBDataSource:
        return DynamoDBDataSource({**options, "table": table, **more})

    return make


@pytest.fixture
async def filled(table: TableFactory, endpoint_url: str) -> str:
    """A table with 4 partition keys of 5 items each."""
    name = await table("pk", "sk", sk="N")
    async with DynamoDB(endpoint_url=endpoint_url) as db:
        await db.batch_write_item(
            [{"pk": f"user#{n % 4}", "sk": n, "text": f"text {n}"} for n in range(20)], name
        )
    return name


def rows(reader: DynamoDBReader) -> list[dict[str, Any]]:
    """What the tasks of a job read; blocks."""
    batches = [batch for part in reader.partitions() for batch in reader.read(part)]
    return [row for batch in batches for row in batch.to_pylist()]


def test_its_name() -> None:
    assert DynamoDBDataSource.name() == "dynamodb"
    with pytest.raises(AttributeError, match="no attribute 'DynamoDBSink'"):
        _ = spark.DynamoDBSink


async def test_the_segments_of_a_table_are_read(source: Source, filled: str) -> None:
    reader = source(filled, segments="3").reader(KEYS)
    # Spark refuses one that takes filters, unless a setting of the session allows it.
    assert not isinstance(reader, FilteringReader)
    assert [part.value for part in reader.partitions()] == [0, 1, 2]
    found = await asyncio.to_thread(rows, reader)
    assert sorted(row["sk"] for row in found) == list(range(20))
    assert found[0].keys() == {"pk", "sk"}


async def test_a_schema_is_that_of_the_sample(source: Source, filled: str) -> None:
    kind = await asyncio.to_thread(source(filled, sample="5").schema)
    assert kind.simpleString() == "struct<pk:string,sk:bigint,text:string>"
    # The keys that were given come first, and nobody asks for others.
    kind = await asyncio.to_thread(source(filled, keys="text").schema)
    assert kind.simpleString() == "struct<text:string,pk:string,sk:bigint>"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (Kind("string"), "string"),
        (Kind("null"), "string"),
        (Kind("binary"), "binary"),
        (Kind("boolean"), "boolean"),
        (Kind("number", digits=18), "bigint"),
        (Kind("number", digits=19), "decimal(38,9)"),
        (Kind("number", digits=1, scale=2), "decimal(38,19)"),
        (Kind("number", digits=20, scale=18), "decimal(38,18)"),
        (Kind("number", digits=20, scale=19), "double"),
        (Kind("list", element=Kind("list", element=Kind("binary"))), "array<array<binary>>"),
        (Kind("map", fields={"b": Kind("string"), "a": Kind("null")}), "struct<a:string,b:string>"),
    ],
)
def test_kinds_are_types_of_sparks(kind: Kind, wanted: str) -> None:
    assert to_spark(kind).simpleString() == wanted


async def test_rows_are_written(source: Source, table: TableFactory, raw_client: Any) -> None:
    name = await table("pk", "sk", sk="N")
    batch = pa.RecordBatch.from_pylist([{"pk": "a", "sk": n, "tags": ["x"]} for n in range(3)])

    def write(schema: str, **more: str) -> Written:
        kind = T.StructType([*KEYS.fields, T.StructField("tags", T.ArrayType(T.StringType()))])
        writer = source(name, **more).writer(kind, False)
        return writer.write(iter([batch]))

    written = await asyncio.to_thread(write, name, sets="tags")
    assert (written.ledger.processed, written.ledger.partition) == (3, 0)
    stored = await raw_client.get_item(TableName=name, Key={"pk": {"S": "a"}, "sk": {"N": "2"}})
    assert stored["Item"]["tags"] == {"SS": ["x"]}
    # The keys alone, whatever else the frame has.
    written = await asyncio.to_thread(write, name, operation="delete")
    assert written.ledger.processed == 3
    assert (await raw_client.scan(TableName=name))["Count"] == 0


@pytest.mark.parametrize(
    ("fields", "more", "told"),
    [
        ([("pk", T.StringType())], {}, "no column 'sk', a key attribute of table"),
        ([*KEYS.fields], {"sets": "tags"}, "sets names 'tags', and the frame has no such column"),
        ([*KEYS.fields, ("day", T.DateType())], {}, "column day is date, and DynamoDB has no"),
        (
            [*KEYS.fields, ("s", T.StructType([T.StructField("at", T.TimestampType())]))],
            {},
            r"column s\.at is timestamp",
        ),
        ([*KEYS.fields, ("l", T.ArrayType(T.DateType()))], {}, r"column l\[\] is date"),
        (
            [*KEYS.fields, ("m", T.MapType(T.StringType(), T.DateType()))],
            {},
            r"column m\.\* is date",
        ),
        (
            [*KEYS.fields, ("m", T.MapType(T.IntegerType(), T.StringType()))],
            {},
            "column m is a map with keys of int",
        ),
    ],
)
def test_frames_that_cannot_be_written(
    source: Source, fields: list[Any], more: dict[str, str], told: str
) -> None:
    named = [each if isinstance(each, T.StructField) else T.StructField(*each) for each in fields]
    with pytest.raises(ValueError, match=told):
        source("users", keys="pk,sk", **more).writer(T.StructType(named), False)


def test_frames_of_every_type_can_be_written(source: Source) -> None:
    inner = T.StructType([T.StructField("a", T.NullType()), T.StructField("b", T.BinaryType())])
    kinds = [inner, T.ArrayType(inner), T.MapType(T.StringType(), inner), T.BooleanType()]
    more = [T.StructField(f"c{at}", kind) for at, kind in enumerate(kinds)]
    writer = source("users", keys="pk,sk").writer(T.StructType([*KEYS.fields, *more]), False)
    assert isinstance(writer, DynamoDBWriter)


def test_columns_that_a_delete_leaves_out_may_be_of_any_type(source: Source) -> None:
    kind = T.StructType([*KEYS.fields, T.StructField("day", T.DateType())])
    source("users", keys="pk,sk", operation="delete").writer(kind, False)


def test_overwriting_is_refused(source: Source) -> None:
    with pytest.raises(ValueError, match=r"overwrite.*a put replaces the item"):
        source("users", keys="pk,sk").writer(KEYS, True)


async def test_a_mapped_partition_gives_its_ledger(
    table: TableFactory, endpoint_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await table()
    batch = pa.RecordBatch.from_pylist([{"pk": "a", "price": Decimal("1.50")}])

    def run() -> list[Any]:
        write = map_in_arrow(name, endpoint_url=endpoint_url, region_name=REGION)
        return [row["ledger"] for made in write(iter([batch])) for row in made.to_pylist()]

    [told] = await asyncio.to_thread(run)
    assert Ledger.from_dict(json.loads(told)).check().processed == 1
    # As Spark gives them back: a row for each partition.
    collected: Any = SimpleNamespace(collect=lambda: [(told,), (told,)])
    assert (ledgers(collected).processed, ledgers(collected).partitions) == (2, 2)
    # What may end better is for Spark to try again. Throttling would have to last for 300 s.
    left = Ledger(table_name=name, accepted=1, unprocessed=1, may_succeed=True)
    monkeypatch.setattr("aiobatch.partitions.write_batches", lambda *_, **__: left)
    with pytest.raises(WriteFailed, match="1 unprocessed"):
        await asyncio.to_thread(run)


class Session:
    """As much of a session as is looked at before a job."""

    def __init__(self, cores: int, **settings: str) -> None:
        self.sparkContext = SimpleNamespace(defaultParallelism=cores)
        self.conf = SimpleNamespace(
            get=lambda name, default: settings.get(name.replace(".", "_"), default)
        )
        self.registered: list[Any] = []
        self.dataSource = SimpleNamespace(register=self.registered.append)


def test_the_source_that_is_registered_knows_the_slots() -> None:
    session: Any = Session(16, spark_task_cpus="4")
    assert task_slots(session) == 4
    register(session)
    [registered] = session.registered
    assert registered({"table": "users"}).slots == 4
    assert task_slots(Session(2, spark_task_cpus="4")) == 1


def test_speculation_is_warned_of() -> None:
    session: Any = Session(2, spark_speculation="true")
    with pytest.warns(UserWarning, match="two attempts at one task may write at the same time"):
        register(session)
    assert len(session.registered) == 1


def test_tasks_are_counted_where_spark_listens(caplog: pytest.LogCaptureFixture) -> None:
    session: Any = Session(2, spark_driver_host="127.0.0.1")
    try:
        register(session)
        register(session)
        register(session, count_tasks=False)
        # Nothing of this machine has this address.
        register(Session(2, spark_driver_host="127.0.0.1", spark_driver_bindAddress="203.0.113.1"))
        elsewhere: Any = Session(2, spark_driver_host="203.0.113.1")
        register(elsewhere)
    finally:
        counters.close()
    counter, again, none = (made({"table": "users"}).counter for made in session.registered)
    assert counter is not None
    assert counter == again
    assert none is None
    assert elsewhere.registered[0]({"table": "users"}).counter is None
    assert "nothing can listen at 203.0.113.1" in caplog.text


def test_rows_are_spread_by_their_keys() -> None:
    with pytest.raises(ValueError, match="interleave needs the table's key attributes"):
        interleave(object())


def test_without_data_sources_it_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aiobatch.integrations.spark.api")
    monkeypatch.setitem(sys.modules, "pyspark.sql.datasource", None)
    with pytest.raises(ImportError, match=r"PySpark 4\.0 or later.*On Spark 3\.5"):
        importlib.import_module("aiobatch.integrations.spark.api")
