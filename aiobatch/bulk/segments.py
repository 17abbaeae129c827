"""A table read in segments at once: the pages as DynamoDB writes them, so that nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiobatch.codec import decode_item
from aiobatch.retry import Retry
from aiobatch.streams.room import Room

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["DEFAULT_SEGMENTS", "Progress", "Scanned", "Selection", "read_segments"]

#: In how many segments a table is read unless the caller says otherwise.
DEFAULT_SEGMENTS: Final = 8

# A page of 1 MB may hold 17,000 items of four attributes each, which take 25 MB in Python: about
# 370 bytes an attribute, so about 55 MB for all pages in hand.
_MOST_ATTRIBUTES: Final = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is read of a table. All fields are as for ``DynamoDB.scan``."""

    index_name: str | None = None
    filter_expression: str | None = None
    projection_expression: str | None = None
    expression_attribute_names: Mapping[str, str] | None = None
    expression_attribute_values: Mapping[str, Any] | None = None
    consistent_read: bool = False

    def told(self) -> dict[str, Any]:
        """What a checkpoint keeps, to tell one selection from another."""
        values = self.expression_attribute_values
        return {
            "index_name": self.index_name,
            "filter_expression": self.filter_expression,
            "projection_expression": self.projection_expression,
            "names": dict(self.expression_attribute_names or {}),
            "values": None if values is None else _digest(repr(sorted(values.items()))),
            "consistent_read": self.consistent_read,
        }


def _digest(text: str) -> str:
    # Values may be of the caller's data: a checkpoint need not show them.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Progress:
    """How far one segment is.

    Attributes:
        key: the LastEvaluatedKey of its last page that was dealt with, as AttributeValues.
        done: whether there is nothing behind it.
    """

    key: dict[str, Any] | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Scanned:
    """One page.

    Attributes:
        segment: which segment it is of.
        items: as AttributeValues; empty where only counts were asked for.
        count: how many items there are, after the filter.
        scanned: how many were read, before the filter.
        key: where the segment goes on; None on its last page.
    """

    segment: int
    items: Sequence[Mapping[str, Any]]
    count: int
    scanned: int
    key: dict[str, Any] | None


async def read_segments(
    db: DynamoDB,
    table_name: str,
    segments: Sequence[Progress],
    selection: Selection,
    take: Callable[[Scanned], Awaitable[None]],
    *,
    retry: Retry | None = None,
    page_size: int | None = None,
    counts_only: bool = False,
) -> None:
    """Read all segments that are not done, each one page after the other.

    A segment's next page is asked for when ``take`` has dealt with the one before: so at most one
    page a segment is held, and fewer where pages hold very many attributes. The first error ends
    all segments, and is raised as it is.
    """
    retry = retry or Retry.patient()
    left = sum(not each.done for each in segments)
    room = Room(len(segments), _MOST_ATTRIBUTES)
    # Of a page, by those before it. At first two are read at once, to see.
    expected = _MOST_ATTRIBUTES // 2

    async def read(number: int, progress: Progress) -> None:
        nonlocal expected, left
        start = None if progress.key is None else decode_item(progress.key, "decimal")
        pages = db._scan(
            table_name,
            segment=number if len(segments) > 1 else None,
            total_segments=len(segments) if len(segments) > 1 else None,
            index_name=selection.index_name,
            filter_expression=selection.filter_expression,
            projection_expression=selection.projection_expression,
            expression_attribute_names=selection.expression_attribute_names,
            expression_attribute_values=selection.expression_attribute_values,
            consistent_read=selection.consistent_read,
            limit=None,
            page_size=page_size,
            exclusive_start_key=start,
            retry=retry,
            counts_only=counts_only,
        )
        key: dict[str, Any] | None = {}
        async with aclosing(pages):
            while key is not None:
                taken = 0 if counts_only else expected
                await room.take(taken)
                try:
                    page = await anext(pages)
                    items = page["Items"]
                    expected = max(sum(map(len, items)), expected // 2)
                    count = page["Count"] if counts_only else len(items)
                    key = page.get("LastEvaluatedKey") or None
                    scanned = page.get("ScannedCount", count)
                    await take(Scanned(number, items, count, scanned, key))
                    # Not held until the next one is there.
                    del page, items
                finally:
                    room.give(taken)
        left -= 1

    try:
        async with asyncio.TaskGroup() as group:
            for number, progress in enumerate(segments):
                if not progress.done:
                    group.create_task(read(number, progress), name=f"aiobatch-segment-{number}")
    except* Exception as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        error = first
    else:
        if left:
            # A group takes a task that was cancelled alone for one that is over.
            raise asyncio.CancelledError
        return
    raise error
