"""Writing by ``mapInArrow``: for Spark 3.5, and where no data source can be registered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from aiobatch.partitions import Ledger, WriteFailed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

__all__ = ["LEDGER_SCHEMA", "ledgers", "map_in_arrow"]

LEDGER_SCHEMA = "ledger string"
"""The schema of what the function gives, for ``mapInArrow``."""


def map_in_arrow(
    table_name: str, **settings: Any
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``df.mapInArrow(function, "ledger string")`` that writes each partition.

    Args:
        table_name: the table's name or ARN.
        settings: as for :func:`aiobatch.partitions.write_batches`. ``max_write_units`` is one
            task's share.

    Returns:
        The function. It gives one row a partition: its ledger, as JSON.

    On the driver::

        done = ledgers(df.mapInArrow(map_in_arrow("users"), "ledger string"))
        done.check()
    """
    return partial(_write, table_name, settings)


def ledgers(df: DataFrame) -> Ledger:
    """Run the job of a frame made with :func:`map_in_arrow`, and return the sum of its ledgers."""
    return Ledger.sum(Ledger.from_dict(json.loads(row[0])) for row in df.collect())


def _write(
    table_name: str, settings: dict[str, Any], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyspark import TaskContext

    from aiobatch.partitions import write_batches

    context = TaskContext.get()
    numbers = (
        {}
        if context is None
        else {"partition": context.partitionId(), "attempt": context.taskAttemptId()}
    )
    ledger = write_batches(batches, table_name, **{**numbers, **settings})
    if ledger.may_succeed:
        raise WriteFailed(ledger)
    yield pa.record_batch([pa.array([json.dumps(ledger.as_dict())])], names=["ledger"])
