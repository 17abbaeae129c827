"""What is done to a session or a frame, on the driver, before a job."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from aiobatch.integrations.spark.counters import counter_at
from aiobatch.partitions.counting import CounterAddress

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["interleave", "register", "task_slots"]

_HASH = "__aiobatch_hash"

_log = logging.getLogger(__name__)


def task_slots(spark: SparkSession) -> int:
    """How many tasks run at once in this session's cluster, as far as it is up by now.

    With dynamic allocation the number changes; set the option ``tasks`` there.
    """
    context: Any = spark.sparkContext
    cores = int(context.defaultParallelism)
    a_task = int(spark.conf.get("spark.task.cpus", "1") or 1)
    return max(1, cores // a_task)


def register(spark: SparkSession, *, count_tasks: bool = True) -> None:
    """Register the format ``dynamodb`` in this session, so that its jobs divide their rates.

    ``maxWriteUnits`` and ``maxReadUnits`` are divided by the tasks that are running. For that, this
    process counts them: it listens on a port at the driver's address, where Spark itself listens
    for its executors, and each task of a job with a rate holds a connection to it. Where that is
    not wanted or not possible, the rates are divided by the task slots of the session, as they are
    now; and by the option ``tasks`` wherever it is given.

    Args:
        spark: the session.
        count_tasks: whether to count them.
    """
    from aiobatch.integrations.spark.source import DynamoDBDataSource

    # A class made here travels to the processes of the job by value, and its numbers with it.
    class Registered(DynamoDBDataSource):
        slots = task_slots(spark)
        counter = _counter(spark) if count_tasks else None

    if spark.conf.get("spark.speculation", "false") == "true":
        warnings.warn(
            "spark.speculation is on: two attempts at one task may write at the same time. Puts and"
            " deletes end in the same items, but cost their capacity twice",
            stacklevel=2,
        )
    spark.dataSource.register(Registered)


def _counter(spark: SparkSession) -> CounterAddress | None:
    # An address of IPv6 stands in brackets there.
    host = (spark.conf.get("spark.driver.host", None) or "").strip("[]")
    if not host:
        return None
    bind = (spark.conf.get("spark.driver.bindAddress", None) or host).strip("[]")
    try:
        return counter_at(host, bind)
    except OSError as error:
        _log.warning("tasks are not counted, for nothing can listen at %s: %s", bind, error)
        return None


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
