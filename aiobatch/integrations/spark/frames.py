"""What is done to a session or a frame, on the driver, before a job."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["interleave", "register", "task_slots"]

_HASH = "__aiobatch_hash"


def task_slots(spark: SparkSession) -> int:
    """How many tasks run at once in this session's cluster, as far as it is up by now.

    With dynamic allocation the number changes; set the option ``tasks`` there.
    """
    context: Any = spark.sparkContext
    cores = int(context.defaultParallelism)
    a_task = int(spark.conf.get("spark.task.cpus", "1") or 1)
    return max(1, cores // a_task)


def register(spark: SparkSession) -> None:
    """Register the format ``dynamodb`` in this session, with the number of its task slots.

    ``maxWriteUnits`` and ``maxReadUnits`` are divided by that number, unless the option ``tasks``
    gives another.
    """
    from aiobatch.integrations.spark.source import DynamoDBDataSource

    # A class made here travels to the processes of the job by value, and its number with it.
    class Registered(DynamoDBDataSource):
        slots = task_slots(spark)

    if spark.conf.get("spark.speculation", "false") == "true":
        warnings.warn(
            "spark.speculation is on: two attempts at one task may write at the same time. Puts and"
            " deletes end in the same items, but cost their capacity twice",
            stacklevel=2,
        )
    spark.dataSource.register(Registered)


def interleave(df: DataFrame, *keys: str, partitions: int | None = None) -> DataFrame:
    """Spread a frame's rows so that no run of them goes to one partition of the table.

    Frames are often sorted by their keys, or come from a table that was: then all tasks write to
    the same few partition keys at the same time, and one partition of DynamoDB takes 1,000 units
    a second. This puts the rows in the order of a hash of their whole key. Rows with one key stay
    together, and a task that is done again finds the same rows.

    Args:
        df: the frame.
        keys: the table's key attributes.
        partitions: how many partitions to make; by default the session's setting for shuffles.
            A few for each slot let the slots be busy until the end.

    Returns:
        The frame, in another order.
    """
    from pyspark.sql import functions

    if not keys:
        raise ValueError("interleave needs the table's key attributes")
    hashed = df.withColumn(_HASH, functions.xxhash64(*keys))
    spread = (
        hashed.repartition(_HASH) if partitions is None else hashed.repartition(partitions, _HASH)
    )
    return spread.sortWithinPartitions(_HASH).drop(_HASH)
