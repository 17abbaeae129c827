"""DynamoDB as a data source of Spark: tables written from and read into data frames.

It needs the extra ``spark`` (PySpark 4.0 or later) on the driver and on every executor::

    from aiobatch.integrations.spark import register

    register(spark)
    df.write.format("dynamodb").option("table", "users").mode("append").save()
    users = spark.read.format("dynamodb").option("table", "users").load()

On Spark 3.5, which has no data sources in Python, :func:`map_in_arrow` does the writing.
"""

from typing import TYPE_CHECKING, Any

from aiobatch.integrations.spark.frames import interleave, register, task_slots
from aiobatch.integrations.spark.mapping import ledgers, map_in_arrow
from aiobatch.integrations.spark.reports import read_report

if TYPE_CHECKING:
    from aiobatch.integrations.spark.source import DynamoDBDataSource

__all__ = [
    "DynamoDBDataSource",
    "interleave",
    "ledgers",
    "map_in_arrow",
    "read_report",
    "register",
    "task_slots",
]


def __getattr__(name: str) -> Any:
    # Spark 3.5 has no class to derive it from, and the rest is of use there too.
    if name == "DynamoDBDataSource":
        from aiobatch.integrations.spark.source import DynamoDBDataSource

        return DynamoDBDataSource
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
