"""Plain functions for engines that run tasks in many processes: Spark, Ray, Dask and their like.

Each takes one partition of a larger job, blocks until it is done, and can be pickled, as can all
that it takes and returns. Inside, one event loop a process does the work of all its tasks::

    ledger = write_partition(rows, "users", region_name="eu-west-1")
    items = scan_segment(3, 16, "users", region_name="eu-west-1")

``write_batches`` and ``scan_batches`` do the same for Arrow; they need the extra ``parquet``.
"""

from aiobatch.partitions.ledger import Ledger, Problem, WriteFailed
from aiobatch.partitions.loop import close
from aiobatch.partitions.read import query_partition, scan_batches, scan_segment
from aiobatch.partitions.write import write_batches, write_partition

__all__ = [
    "Ledger",
    "Problem",
    "WriteFailed",
    "close",
    "query_partition",
    "scan_batches",
    "scan_segment",
    "write_batches",
    "write_partition",
]
