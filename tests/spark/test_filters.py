"""Which filters of Spark's become queries, and which keys a query may then leave out: none."""

import asyncio
from typing import Any

import pytest
from pyspark.sql import types as T
from pyspark.sql.datasource import (
    EqualNullSafe,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNotNull,
    LessThan,
    LessThanOrEqual,
    Not,
    StringContains,
    StringStartsWith,
)

from aiobatch import DynamoDB
from aiobatch.integrations.spark import DynamoDBDataSource
from aiobatch.integrations.spark.filters import KeyQuery, key_queries
from aiobatch.integrations.spark.reader import DynamoDBReader, FilteringReader
from aiobatch.testing import FaultProxy
from tests.conftest import TableFactory

SCHEMA = T.StructType(
    [
        T.StructField("pk", T.StringType()),
        T.StructField("sk", T.StringType()),
        T.StructField("n", T.LongType()),
    ]
)
PK, SK = ("pk",), ("sk",)


def queries(*filters: Any, keys: tuple[str, ...] = ("pk", "sk"), schema: Any = SCHEMA) -> Any:
    return key_queries(filters, keys, schema)


def asked(*filters: Any) -> tuple[str, dict[str, Any]]:
    """The condition on the sort key, and its values."""
    [query] = queries(EqualTo(PK, "a"), *filters)
    begin = "#pk = :pk"
    assert query.condition.startswith(begin)
    assert query.values.pop(":pk") == "a"
    assert query.names == ({"#pk": "pk", "#sk": "sk"} if query.values else {"#pk": "pk"})
    return query.condition.removeprefix(begin).removeprefix(" AND "), query.values


def test_a_partition_key_makes_a_query() -> None:
    expected = [KeyQuery("#pk = :pk", {"#pk": "pk"}, {":pk": "a"})]
    assert queries(EqualTo(PK, "a")) == expected
    assert queries(EqualNullSafe(PK, "a"), IsNotNull(PK)) == expected
    assert queries(EqualTo(PK, "a"), keys=("pk",)) == expected


def test_several_partition_keys_make_a_query_each() -> None:
    found = queries(In(PK, ("a", "b", "a", None)))
    # Each once, and none for what no item has.
    assert [query.values for query in found] == [{":pk": "a"}, {":pk": "b"}]
    # Filters hold all at once.
    assert [query.values for query in queries(In(PK, ("a", "b")), In(PK, ("b", "c")))] == [
        {":pk": "b"}
    ]
    assert queries(EqualTo(PK, "a"), EqualTo(PK, "b")) == []
    assert queries(EqualNullSafe(PK, None)) == []


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [EqualTo(("n",), 5)],
        [EqualTo(("pk", "inner"), "a")],
        [Not(EqualTo(PK, "a"))],
        [StringStartsWith(PK, "a")],
        [GreaterThan(PK, "a")],
        [In(PK, tuple(f"key {n}" for n in range(101)))],
    ],
    ids=["none", "other", "inside", "not", "prefix", "range", "too many"],
)
def test_what_names_no_partition_key_is_a_scan(filters: list[Any]) -> None:
    assert queries(*filters) is None


@pytest.mark.parametrize(
    ("kind", "is_exact"),
    [
        (T.StringType(), True),
        (T.StringType("UTF8_LCASE"), False),
        (T.LongType(), True),
        (T.DecimalType(38, 0), True),
        (T.BinaryType(), True),
        (T.DoubleType(), False),
    ],
)
def test_equal_values_must_be_equal_keys(kind: Any, is_exact: bool) -> None:
    schema = T.StructType([T.StructField("pk", kind)])
    found = queries(EqualTo(PK, "a"), keys=("pk",), schema=schema)
    assert (found is not None) is is_exact
    # The sort key, too: without it the query finds more.
    schema = T.StructType([T.StructField("pk", T.StringType()), T.StructField("sk", kind)])
    [query] = queries(EqualTo(PK, "a"), EqualTo(SK, "b"), schema=schema)
    assert (":sk" in query.values) is is_exact


def test_a_key_that_is_no_column() -> None:
    schema = T.StructType([T.StructField("n", T.LongType())])
    assert queries(EqualTo(PK, "a"), schema=schema) is None


@pytest.mark.parametrize(
    ("filters", "condition", "values"),
    [
        ([EqualTo(SK, "b")], "#sk = :sk", {":sk": "b"}),
        ([EqualNullSafe(SK, "b"), GreaterThan(SK, "a")], "#sk = :sk", {":sk": "b"}),
        ([StringStartsWith(SK, "b")], "begins_with(#sk, :sk)", {":sk": "b"}),
        ([GreaterThan(SK, "b")], "#sk >= :sk", {":sk": "b"}),
        ([GreaterThan(SK, "b"), GreaterThanOrEqual(SK, "c")], "#sk >= :sk", {":sk": "c"}),
        ([LessThan(SK, "b")], "#sk <= :sk", {":sk": "b"}),
        ([LessThanOrEqual(SK, "b"), LessThan(SK, "a")], "#sk <= :sk", {":sk": "a"}),
        (
            [GreaterThan(SK, "b"), LessThan(SK, "d")],
            "#sk BETWEEN :sk AND :end",
            {":sk": "b", ":end": "d"},
        ),
        # DynamoDB refuses a BETWEEN of nothing.
        ([GreaterThan(SK, "d"), LessThan(SK, "b")], "#sk >= :sk", {":sk": "d"}),
        # No query has an empty prefix, nor a part of a text.
        ([StringStartsWith(SK, "")], "", {}),
        ([StringContains(SK, "b")], "", {}),
        ([EqualNullSafe(SK, None)], "", {}),
        ([IsNotNull(SK)], "", {}),
    ],
)
def test_a_query_takes_one_condition_on_the_sort_key(
    filters: list[Any], condition: str, values: dict[str, Any]
) -> None:
    assert asked(*filters) == (condition, values)


async def test_a_reader_queries_what_the_filters_name(
    options: dict[str, str], table: TableFactory, endpoint_url: str
) -> None:
    name = await table("pk", "sk", sk="N")
    async with DynamoDB(endpoint_url=endpoint_url) as db:
        await db.batch_write_item([{"pk": f"user#{n % 4}", "sk": n} for n in range(20)], name)
    schema = T.StructType([SCHEMA["pk"], T.StructField("sk", T.LongType())])

    def rows(reader: DynamoDBReader) -> list[dict[str, Any]]:
        batches = [batch for part in reader.partitions() for batch in reader.read(part)]
        return [row for batch in batches for row in batch.to_pylist()]

    async with FaultProxy(endpoint_url) as proxy:
        given = {**options, "table": name, "endpointUrl": proxy.endpoint_url}
        source = DynamoDBDataSource({**given, "pushKeyFilters": "true"})
        reader = await asyncio.to_thread(source.reader, schema)
        assert isinstance(reader, FilteringReader)
        # Nobody has told it of filters: a scan.
        assert len(await asyncio.to_thread(rows, reader)) == 20
        filters = [In(PK, ("user#1", "user#3")), EqualTo(SK, 7)]
        # Spark looks at all of them again.
        assert list(reader.pushFilters(filters)) == filters
        del proxy.requests[:]
        assert await asyncio.to_thread(rows, reader) == [{"pk": "user#3", "sk": 7}]
        assert [request.operation for request in proxy.requests] == ["Query", "Query"]
