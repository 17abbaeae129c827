"""`spark.read.format("dynamodb")`: all types both ways, schemas, filters."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Row
from pyspark.sql import types as T
from pyspark.sql.datasource import DataSourceReader

from aiobatch import DynamoDB
from aiobatch.testing import FaultProxy
from tests.conftest import TableFactory
from tests.spark.conftest import LOCAL, in_spark

Load = Callable[..., Any]

EVERYTHING = T.StructType(
    [
        T.StructField("pk", T.StringType()),
        T.StructField("sk", T.LongType()),
        T.StructField("exact", T.DecimalType(38, 18)),
        T.StructField("real", T.DoubleType()),
        T.StructField("small", T.ShortType()),
        T.StructField("flag", T.BooleanType()),
        T.StructField("blob", T.BinaryType()),
        T.StructField("tags", T.ArrayType(T.StringType())),
        T.StructField("codes", T.ArrayType(T.LongType())),
        T.StructField("blobs", T.ArrayType(T.BinaryType())),
        T.StructField("list", T.ArrayType(T.ArrayType(T.LongType()))),
        T.StructField("prices", T.MapType(T.StringType(), T.DecimalType(10, 2))),
        T.StructField(
            "nested",
            T.StructType(
                [
                    T.StructField("text", T.StringType()),
                    T.StructField("deep", T.MapType(T.StringType(), T.ArrayType(T.BinaryType()))),
                ]
            ),
        ),
        T.StructField("none", T.StringType()),
    ]
)
ROWS: list[tuple[Any, ...]] = [
    (
        "user#1",
        7,
        Decimal("12345678901234567890.123456789012345678"),
        0.1,
        -32768,
        True,
        bytearray(b"\x00\xff"),
        ["a", "b"],
        [-5, 2**63 - 1],
        [bytearray(b"x"), bytearray(b"y")],
        [[1, 2], [], [None, 3]],
        {"eur": Decimal("1.50"), "usd": None},
        ("text", {"k": [bytearray(b""), None]}),
        None,
    ),
    ("user#1", 8, *[None] * 12),
    (
        "user#2",
        9,
        Decimal(0),
        -1e100,
        0,
        False,
        bytearray(),
        None,
        [],
        None,
        [],
        {},
        (None, {}),
        "",
    ),
]


@pytest.fixture(scope="module")
def spark(start: Any) -> Any:
    return start(LOCAL, **{"spark.sql.python.filterPushdown.enabled": "true"})


@pytest.fixture
def load(spark: Any, options: dict[str, str]) -> Load:
    """A frame from a table; blocks."""

    def run(table: str, schema: Any = None, **more: str) -> Any:
        reading = spark.read.format("dynamodb").options(**{**options, "table": table, **more})
        return (reading if schema is None else reading.schema(schema)).load()

    return run


async def test_all_types_there_and_back(
    spark: Any, save: Any, load: Load, table: TableFactory, raw_client: Any
) -> None:
    name = await table("pk", "sk", sk="N")

    def there_and_back() -> tuple[list[Row], list[Row]]:
        frame = spark.createDataFrame(ROWS, EVERYTHING)
        save(frame, name, sets="tags,codes,blobs")
        return frame.sort("sk").collect(), load(name, EVERYTHING, segments="3").sort("sk").collect()

    written, read = await in_spark(there_and_back)
    stored = await raw_client.get_item(
        TableName=name, Key={"pk": {"S": "user#1"}, "sk": {"N": "7"}}
    )
    item = stored["Item"]
    assert item["exact"] == {"N": "12345678901234567890.123456789012345678"}
    assert sorted(item["tags"]["SS"]) == ["a", "b"]
    assert item["blobs"].keys() == {"BS"}
    assert item["prices"]["M"]["eur"].keys() == {"N"}
    assert "none" not in item
    assert read[:2] == written[:2]
    # There is no empty set: it is left out, and read as nothing.
    assert read[2] == Row(**{**written[2].asDict(), "codes": None})


async def test_a_schema_is_inferred(load: Load, table: TableFactory, endpoint_url: str) -> None:
    name = await table("pk", "sk", sk="N")
    async with DynamoDB(endpoint_url=endpoint_url) as db:
        await db.batch_write_item(
            [
                {"pk": "a", "sk": 1, "n": 5, "m": {"x": 1, "y": ["a"]}, "price": Decimal("1.25")},
                {"pk": "b", "sk": 2, "n": None, "m": {"z": b"1"}, "tags": {"x", "y"}},
            ],
            name,
        )

    def read() -> tuple[str, list[Row]]:
        frame = load(name)
        return frame.schema.simpleString(), frame.sort("sk").collect()

    schema, rows = await in_spark(read)
    assert schema == (
        "struct<pk:string,sk:bigint,m:struct<x:bigint,y:array<string>,z:binary>,n:bigint,"
        "price:decimal(38,19),tags:array<string>>"
    )
    assert rows[0].price == Decimal("1.25")
    assert rows[0].m == Row(x=1, y=["a"], z=None)
    assert rows[1].tags == ["x", "y"]
    assert rows[1].n is None


async def test_a_value_that_does_not_fit_the_schema(
    load: Load, table: TableFactory, endpoint_url: str
) -> None:
    name = await table()
    async with DynamoDB(endpoint_url=endpoint_url) as db:
        await db.batch_write_item([{"pk": "a", "n": "secret"}], name)
    with pytest.raises(PySparkException, match="attribute n: is a string in DynamoDB") as caught:
        await in_spark(lambda: load(name, "pk string, n bigint", segments="1").collect())
    assert "secret" not in str(caught.value)
    rows = await in_spark(
        lambda: load(name, "pk string, n bigint", segments="1", onMismatch="null").collect()
    )
    assert rows == [Row(pk="a", n=None)]
    with pytest.raises(PySparkException, match="has the type date32"):
        await in_spark(lambda: load(name, "pk string, n date", segments="1").collect())


@pytest.mark.spark_long
@pytest.mark.skipif(not hasattr(DataSourceReader, "pushFilters"), reason="came with Spark 4.1")
async def test_filters_on_keys_become_queries(
    load: Load, table: TableFactory, endpoint_url: str
) -> None:
    name = await table("pk", "sk", sk="N")
    async with DynamoDB(endpoint_url=endpoint_url) as db:
        await db.bulk_write(
            ({"pk": f"user#{n % 10}", "sk": n, "even": n % 2 == 0} for n in range(200)), name
        )
    async with FaultProxy(endpoint_url) as proxy:

        def read(condition: str, **more: str) -> list[int]:
            found = load(
                name,
                "pk string, sk bigint, even boolean",
                endpointUrl=proxy.endpoint_url,
                segments="2",
                **more,
            )
            return sorted(row.sk for row in found.where(condition).collect())

        condition = "pk = 'user#4' and sk > 100 and sk < 150 and even"
        assert await in_spark(read, condition, pushKeyFilters="true") == [104, 114, 124, 134, 144]
        asked = [request.operation for request in proxy.requests]
        assert asked.count("Query") == 1
        assert "Scan" not in asked
        some = await in_spark(read, "pk in ('user#1', 'user#2')", pushKeyFilters="true")
        assert len(some) == 40
        # Not asked for, or nothing that a query could take: a scan, and the same rows.
        del proxy.requests[:]
        assert await in_spark(read, condition) == [104, 114, 124, 134, 144]
        assert len(await in_spark(read, "sk < 50", pushKeyFilters="true")) == 50
        asked = [request.operation for request in proxy.requests]
        assert asked.count("Scan") == 4
        assert "Query" not in asked


@pytest.mark.spark_long
async def test_what_cannot_be_read(load: Load, table: TableFactory) -> None:
    with pytest.raises(PySparkException, match="ResourceNotFoundException"):
        await in_spark(lambda: load("there-is-none", "pk string").collect())
    name = await table()
    with pytest.raises(PySparkException, match="no item to infer a schema from"):
        await in_spark(load, name)
    with pytest.raises(PySparkException, match="option segments is a whole number"):
        await in_spark(lambda: load(name, "pk string", segments="0").collect())
