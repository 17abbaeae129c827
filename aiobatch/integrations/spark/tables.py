"""What the driver asks of a table before the tasks begin, so that none of them has to."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import Any

from aiobatch.integrations.spark.options import ReadOptions, WriteOptions
from aiobatch.partitions import scan_segment
from aiobatch.partitions.keys import describe_keys

__all__ = ["key_names", "sample"]


def key_names(options: ReadOptions | WriteOptions) -> tuple[str, ...]:
    """The table's key attributes: the option ``keys``, or what DescribeTable says.

    Raises:
        TableNotFound, AccessDenied, KeyNamesUnknown: before anything is read or written.
    """
    if options.keys is not None:
        return options.keys
    return describe_keys(
        options.table,
        region_name=options.region,
        endpoint_url=options.endpoint_url,
        profile_name=options.profile,
    )


def sample(options: ReadOptions) -> list[dict[str, Any]]:
    """The first items of the table, as the option ``sample`` says, with exact numbers."""
    items = scan_segment(
        0,
        1,
        options.table,
        numbers="decimal",
        region_name=options.region,
        endpoint_url=options.endpoint_url,
        profile_name=options.profile,
    )
    with closing(items):
        return list(islice(items, options.sample))
