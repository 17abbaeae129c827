"""``DynamoDBDataSource``: what Spark calls. It reads options; readers and writers do the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiobatch.integrations.spark.api import DataSource
from aiobatch.integrations.spark.options import ReadOptions, WriteOptions
from aiobatch.integrations.spark.tables import key_names, sample
from aiobatch.partitions.counting import CounterAddress

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from aiobatch.integrations.spark.reader import DynamoDBReader
    from aiobatch.integrations.spark.writer import DynamoDBWriter

__all__ = ["DynamoDBDataSource"]


class DynamoDBDataSource(DataSource):  # type: ignore[misc, unused-ignore]
    """The format ``dynamodb``. Register it with :func:`register`, which knows the cluster.

    Options: see :class:`~aiobatch.integrations.spark.options.WriteOptions` and ``ReadOptions``.
    """

    #: Tasks that run at once, as ``register()`` found out.
    slots: int | None = None
    #: Who tells tasks how many of them are running, as ``register()`` started it.
    counter: CounterAddress | None = None

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "dynamodb"

    def writer(self, schema: StructType, overwrite: bool) -> DynamoDBWriter:
        """Check what can be checked before anything is written."""
        from aiobatch.integrations.spark.schema import check_columns
        from aiobatch.integrations.spark.writer import DynamoDBWriter

        options = WriteOptions.parse(self.options, self.slots, self.counter)
        if overwrite:
            raise ValueError(
                'mode("overwrite") would have to delete the items that are not in the frame, and'
                ' does not exist here: use mode("append"), where a put replaces the item with its'
                ' key, and option("operation", "delete") to delete keys'
            )
        names = key_names(options)
        check_columns(schema, names, options)
        return DynamoDBWriter(options, names)

    def schema(self) -> StructType:
        """Look at some items, and tell what their attributes have in common."""
        from aiobatch.integrations.spark.inference import infer, to_spark

        options = ReadOptions.parse(self.options, self.slots, self.counter)
        names = key_names(options)
        return to_spark(infer(sample(options)), names)

    def reader(self, schema: StructType) -> DynamoDBReader:
        """Read the columns of this schema."""
        from aiobatch.integrations.spark.reader import DynamoDBReader, FilteringReader

        options = ReadOptions.parse(self.options, self.slots, self.counter)
        if options.push_key_filters:
            return FilteringReader(options, schema, key_names(options))
        return DynamoDBReader(options, schema)
