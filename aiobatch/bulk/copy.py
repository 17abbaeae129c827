"""``copy``: a table into another, in bounded memory, in spite of kills."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aiobatch import intake
from aiobatch.bulk.errors import CopyFailed
from aiobatch.bulk.place import ScanCheckpoint, ScanState
from aiobatch.bulk.scan_report import ScanReport
from aiobatch.bulk.segments import DEFAULT_SEGMENTS, Progress, Scanned, Selection, read_segments
from aiobatch.bulk.table import TableIdentity, describe
from aiobatch.bulk.threads import Worker
from aiobatch.codec import decode_item
from aiobatch.errors import BatchError, InvalidItem, ServiceError, WireError
from aiobatch.retry import Retry

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["CopyReport", "copy"]

# Of a page that is decoded: some hundred microseconds in plain Python.
_DECODED_A_TURN = 50


@dataclass(slots=True)
class CopyReport(ScanReport):
    """How far a copy is. It is live.

    Attributes:
        source: the table that is read.
        target: the table that is written.
        items: written so far, those of earlier runs among them.
        resumed_at: how many earlier runs wrote.
        scanned: items that this run read, before the filter.
        segments: in how many parts the source is read.
        segments_done: how many of them are over.
        checkpoint: the checkpoint's file, or None.
        finished: whether everything is written.
        elapsed: seconds that this run took.
    """

    source: str
    target: str
    verb: ClassVar[str] = "copied"


async def copy(
    db: DynamoDB,
    source: str,
    target: str,
    *,
    to: DynamoDB | None = None,
    total_segments: int | None = None,
    index_name: str | None = None,
    filter_expression: str | None = None,
    expression_attribute_names: Mapping[str, str] | None = None,
    expression_attribute_values: Mapping[str, Any] | None = None,
    consistent_read: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    on_progress: Callable[[CopyReport], object] | None = None,
    page_size: int | None = None,
    retry: Retry | None = None,
    checkpoint_every: float = 1.0,
) -> CopyReport:
    """Put all items of a table into another one. Items that are there only stay.

    Numbers, sets and binary are copied exactly. With a checkpoint, a copy that was ended in any way
    goes on where it was when it is started again with the same arguments: at most the last pages
    are written again, with the same items.

    Args:
        db: the client that reads.
        source: the table to read, by name or ARN.
        target: the table to write, which must be there.
        to: the client that writes, for another region or account; None: ``db``.
        total_segments: in how many parts the source is read at once. None: 8, or as the checkpoint
            says.
        index_name: as for ``DynamoDB.scan``.
        filter_expression: as for ``DynamoDB.scan``.
        expression_attribute_names: as for ``DynamoDB.scan``.
        expression_attribute_values: as for ``DynamoDB.scan``.
        consistent_read: as for ``DynamoDB.scan``.
        checkpoint: the checkpoint's file, removed when the copy is over; None: none.
        on_progress: called with the live report after each page.
        page_size: items that DynamoDB reads for a page at most. None: 1 MB.
        retry: the retry policy of each page and its writes; by default ``Retry.patient()``.
        checkpoint_every: seconds between two checkpoints.

    Raises:
        ValueError, TypeError: arguments that cannot be right; the two tables are one.
        CheckpointError: the checkpoint is of another copy, or in use. Nothing was read.
        CopyFailed: items could not be written: the cause is in it.
        TableNotFound, AccessDenied, ServiceError, WireError: DynamoDB gave no usable answer. The
            checkpoint was written.

    Example::

        from aiobatch.bulk import copy

        report = await copy(db, "users", "users-copy", checkpoint="users.checkpoint")
        print(report.items)
    """
    intake.check_table_name(source)
    intake.check_table_name(target)
    if total_segments is not None and total_segments < 1:
        raise ValueError("total_segments must be 1 or more")
    to = to or db
    tables = await describe(db, source), await describe(to, target)
    if _are_one(*tables):
        raise ValueError("source and target are the same table")
    selection = Selection(
        index_name=index_name,
        filter_expression=filter_expression,
        expression_attribute_names=expression_attribute_names,
        expression_attribute_values=expression_attribute_values,
        consistent_read=consistent_read,
    )
    saved = None
    if checkpoint is not None:
        what = {
            "table": tables[0].as_json(),
            "target": tables[1].as_json(),
            "selection": selection.told(),
        }
        saved = ScanCheckpoint(Path(checkpoint), what)
    report = CopyReport(source, target)
    async with Worker("aiobatch-copy") as worker:
        run = _Run(worker, to, saved, report, on_progress, retry or Retry.patient())
        run.every = checkpoint_every
        await run.open(total_segments)
        try:
            await read_segments(
                db,
                source,
                run.state.segments,
                selection,
                run.take,
                retry=retry,
                page_size=page_size,
            )
            report.finished = True
        finally:
            await run.close()
    return report


def _are_one(source: TableIdentity, target: TableIdentity) -> bool:
    if source.place != target.place:
        return False
    if source.arn and target.arn:
        return source.arn == target.arn
    return source.name == target.name


class _Run:
    """One run of a copy."""

    def __init__(
        self,
        worker: Worker,
        to: DynamoDB,
        checkpoint: ScanCheckpoint | None,
        report: CopyReport,
        on_progress: Callable[[CopyReport], object] | None,
        retry: Retry,
    ) -> None:
        self._worker = worker
        self._to = to
        self._checkpoint = checkpoint
        self._report = report
        self._on_progress = on_progress
        self._retry = retry
        self.every = 1.0
        self._clock = asyncio.get_running_loop().time
        self._began = self._saved_at = self._clock()
        self.state = ScanState([])

    async def open(self, total_segments: int | None) -> None:
        saved = self._checkpoint
        if saved is None:
            self.state = ScanState([Progress() for _ in range(total_segments or DEFAULT_SEGMENTS)])
        else:
            self.state, _ = await self._worker.run(
                lambda: saved.open(total_segments, DEFAULT_SEGMENTS)
            )
            self._report.checkpoint = saved.path
        report, state = self._report, self.state
        report.begin(state)

    async def take(self, page: Scanned) -> None:
        items = []
        for attributes in page.items:
            items.append(decode_item(attributes, "decimal"))
            if len(items) % _DECODED_A_TURN == 0:
                await asyncio.sleep(0)
        await self._write(items)
        state, report = self.state, self._report
        state.items += page.count
        segment = state.segments[page.segment]
        segment.key, segment.done = page.key, page.key is None
        report.items = state.items
        report.scanned += page.scanned
        report.segments_done += page.key is None
        report.elapsed = self._clock() - self._began
        if self._clock() - self._saved_at >= self.every:
            self._saved_at = self._clock()
            await self._save()
        if self._on_progress is not None:
            self._on_progress(report)

    async def _write(self, items: list[Any]) -> None:
        target = self._report.target
        try:
            answer = await self._to.batch_write_item(items, target, retry=self._retry)
        except InvalidItem as error:
            raise CopyFailed(
                f"copy into {target!r}: an item does not fit into it: {error.path or 'the item'}:"
                f" {error.reason}",
                self._report,
            ) from error
        except BatchError as error:
            cause = error.cause
            told = f"{cause}" if isinstance(cause, ServiceError | WireError) else "see the cause"
            raise CopyFailed(
                f"copy into {target!r}: items could not be written: {told}", self._report
            ) from error
        if answer["UnprocessedCount"]:
            raise CopyFailed(
                f"copy into {target!r}: {answer['UnprocessedCount']:,} items of a page were"
                " throttled for as long as the retry policy allows: start it again later",
                self._report,
            )

    async def _save(self) -> None:
        saved = self._checkpoint
        if saved is not None:
            # The loop waits for no other: what is dumped in the thread is this moment's state.
            state = ScanState(
                [Progress(each.key, each.done) for each in self.state.segments], self.state.items
            )
            await self._worker.run(lambda: saved.save(state))

    async def close(self) -> None:
        saved, finished = self._checkpoint, self._report.finished
        try:
            if not finished:
                await self._save()
        finally:
            if saved is not None:
                await self._worker.run(lambda: saved.close(remove=finished))
        self._report.elapsed = self._clock() - self._began
        if self._on_progress is not None:
            self._on_progress(self._report)
