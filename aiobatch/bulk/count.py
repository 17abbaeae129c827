"""``count``: how many items a table has, by reading it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiobatch.bulk.segments import DEFAULT_SEGMENTS, Progress, Scanned, Selection, read_segments
from aiobatch.retry import Retry

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["CountReport", "count"]


@dataclass(slots=True)
class CountReport:
    """How many items were counted. It is live.

    Attributes:
        table_name: the table's name or ARN.
        items: those that the filter lets through.
        scanned: those that were read, and are billed.
        finished: whether the whole table was read.
        elapsed: seconds.
    """

    table_name: str
    items: int = 0
    scanned: int = 0
    finished: bool = False
    elapsed: float = 0.0


async def count(
    db: DynamoDB,
    table_name: str,
    *,
    total_segments: int = DEFAULT_SEGMENTS,
    index_name: str | None = None,
    filter_expression: str | None = None,
    expression_attribute_names: Mapping[str, str] | None = None,
    expression_attribute_values: Mapping[str, Any] | None = None,
    consistent_read: bool = False,
    on_progress: Callable[[CountReport], object] | None = None,
    retry: Retry | None = None,
) -> CountReport:
    """Count the items of a table. All of it is read, and billed, but the items stay in DynamoDB.

    Args:
        db: the client.
        table_name: the table's name or ARN.
        total_segments: in how many parts the table is read at once.
        index_name: as for ``DynamoDB.scan``.
        filter_expression: as for ``DynamoDB.scan``.
        expression_attribute_names: as for ``DynamoDB.scan``.
        expression_attribute_values: as for ``DynamoDB.scan``.
        consistent_read: as for ``DynamoDB.scan``.
        on_progress: called with the live report after each page.
        retry: the retry policy of each page; by default ``Retry.patient()``.

    Raises:
        ValueError, TypeError: arguments that cannot be right.
        TableNotFound, AccessDenied, ServiceError, WireError: DynamoDB gave no usable answer.

    Example::

        from aiobatch.bulk import count

        report = await count(db, "users")
        print(report.items)
    """
    if total_segments < 1:
        raise ValueError("total_segments must be 1 or more")
    report = CountReport(table_name)
    clock = asyncio.get_running_loop().time
    began = clock()

    async def take(page: Scanned) -> None:
        report.items += page.count
        report.scanned += page.scanned
        report.elapsed = clock() - began
        if on_progress is not None:
            on_progress(report)

    selection = Selection(
        index_name=index_name,
        filter_expression=filter_expression,
        expression_attribute_names=expression_attribute_names,
        expression_attribute_values=expression_attribute_values,
        consistent_read=consistent_read,
    )
    segments = [Progress() for _ in range(total_segments)]
    await read_segments(db, table_name, segments, selection, take, retry=retry, counts_only=True)
    report.finished, report.elapsed = True, clock() - began
    return report
