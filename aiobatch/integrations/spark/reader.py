"""Reading: a table's segments, or the partitions that a filter names, as partitions of a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aiobatch.integrations.spark.api import DataSourceReader, InputPartition
from aiobatch.integrations.spark.filters import KeyQuery, key_queries
from aiobatch.integrations.spark.options import ReadOptions
from aiobatch.partitions import query_partition, scan_segment
from aiobatch.partitions.read import as_batches

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.datasource import Filter
    from pyspark.sql.types import StructType

__all__ = ["DynamoDBReader", "FilteringReader", "Part"]


class Part(InputPartition):  # type: ignore[misc, unused-ignore]
    """One partition of the frame: a segment of the scan, or a query."""

    def __init__(self, number: int, query: KeyQuery | None = None) -> None:
        super().__init__(number)
        self.query = query


class DynamoDBReader(DataSourceReader):  # type: ignore[misc, unused-ignore]
    """Reads a table by a parallel scan.

    Args:
        options: the job's options.
        schema: the columns.
    """

    def __init__(self, options: ReadOptions, schema: StructType) -> None:
        self._options = options
        self._schema = schema
        self._rate = options.rate()

    def partitions(self) -> Sequence[Part]:
        """The segments of the scan."""
        return [Part(segment) for segment in range(self._options.segments)]

    def read(self, partition: Any) -> Iterator[pa.RecordBatch]:
        """Read one part. Blocks."""
        from pyspark.sql.pandas.types import to_arrow_schema

        options = self._options
        schema = to_arrow_schema(self._schema)
        settings: dict[str, Any] = {
            "columns": schema.names,
            "consistent_read": options.consistent_read,
            "numbers": "decimal",
            "region_name": options.region,
            "endpoint_url": options.endpoint_url,
            "profile_name": options.profile,
            "max_read_units": self._rate,
        }
        query = partition.query
        if query is None:
            items = scan_segment(partition.value, options.segments, options.table, **settings)
        else:
            items = query_partition(
                options.table,
                query.condition,
                expression_attribute_names=query.names,
                expression_attribute_values=query.values,
                **settings,
            )
        return as_batches(
            items, schema, on_mismatch="raise" if options.on_mismatch == "fail" else "null"
        )


class FilteringReader(DynamoDBReader):
    """Queries instead, where filters name partition keys.

    A class of its own: Spark refuses a reader that has ``pushFilters`` unless the session's setting
    allows it.

    Args:
        options: the job's options.
        schema: the columns.
        key_names: the table's key attributes.
    """

    def __init__(
        self, options: ReadOptions, schema: StructType, key_names: tuple[str, ...]
    ) -> None:
        super().__init__(options, schema)
        self._key_names = key_names
        self._queries: list[KeyQuery] | None = None

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:
        """Take what narrows the keys. Spark applies all filters again to what was read."""
        self._queries = key_queries(filters, self._key_names, self._schema)
        return filters

    def partitions(self) -> Sequence[Part]:
        """The queries, or the segments of a scan."""
        if self._queries is None:
            return super().partitions()
        return [Part(number, query) for number, query in enumerate(self._queries)]
