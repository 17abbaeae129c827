"""``copy``: a table into another, in bounded memory, in spite of kills."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from orjson import dumps

from aiobatch import intake
from aiobatch.bulk.dead_letters import MOST_REASONS, DeadLetters, Rejection, letters_of_table
from aiobatch.bulk.errors import CopyFailed
from aiobatch.bulk.place import ScanCheckpoint, ScanState
from aiobatch.bulk.scan_report import ScanReport
from aiobatch.bulk.segments import DEFAULT_SEGMENTS, Progress, Scanned, Selection, read_segments
from aiobatch.bulk.table import TableIdentity, describe
from aiobatch.bulk.threads import Worker
from aiobatch.codec import KeySchema, Refusal, decode_item, encode_item
from aiobatch.errors import BatchError, InvalidItem, ServiceError, WireError
from aiobatch.retry import Retry

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["CopyReport", "copy"]

# Of a page that is decoded: some hundred microseconds in plain Python.
_DECODED_A_TURN: Final = 50
# Of a page, which may have thousands: twenty requests for each segment are enough at once.
_WRITTEN_AT_ONCE: Final = 500
# What items that the target refuses may take until they are put down.
_MOST_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class CopyReport(ScanReport):
    """How far a copy is. It is live.

    Attributes:
        source: the table that is read.
        target: the table that is written.
        items: written so far, those of earlier runs among them.
        rejected: those that the target refuses, which stand in the dead letters.
        resumed_at: how many earlier runs wrote.
        scanned: items that this run read, before the filter.
        segments: in how many parts the source is read.
        segments_done: how many of them are over.
        checkpoint: the checkpoint's file, or None.
        dead_letters: the dead-letter file, in a list, if there are any.
        reasons: place in that file and reason of the first items that this run rejected.
        finished: whether everything is written.
        elapsed: seconds that this run took.
    """

    source: str
    target: str
    dead_letters: list[Path] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
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
    dead_letters: str | os.PathLike[str] | None = None,
    max_rejected: int | None = None,
    on_progress: Callable[[CopyReport], object] | None = None,
    page_size: int | None = None,
    retry: Retry | None = None,
    checkpoint_every: float = 1.0,
) -> CopyReport:
    """Put all items of a table into another one. Items that are there only stay.

    An item that the target refuses, because its key has other attributes there or another type, or
    may not be empty, goes to the dead letters in DynamoDB JSON, with the reason beside it, and can
    be loaded from there. Numbers, sets and binary are copied exactly. Items that share a key in the
    target overwrite each other.

    With a checkpoint, a copy that was ended in any way goes on where it was when it is started
    again with the same arguments: at most the last pages are written again, with the same items.

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
        dead_letters: the file for items that the target refuses. None: ``SOURCE.rejected.json`` in
            the working directory. It must not be there yet.
        max_rejected: stop once more items than this were refused. None: never.
        on_progress: called with the live report after each page.
        page_size: items that DynamoDB reads for a page at most. None: 1 MB.
        retry: the retry policy of each page and its writes; by default ``Retry.patient()``.
        checkpoint_every: seconds between two checkpoints.

    Returns:
        The report. Every item was written, or stands in the dead letters.

    Raises:
        ValueError, TypeError: arguments that cannot be right; the two tables are one.
        CheckpointError, DeadLetterError: the checkpoint is of another copy, or in use; dead letters
            are there already, or cannot be written. Nothing was read, or no more is.
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
    if max_rejected is not None and max_rejected < 0:
        raise ValueError("max_rejected must be 0 or more, or None")
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
        run = _Run(
            worker,
            to,
            tables[1].schema,
            saved,
            DeadLetters([Path(dead_letters or letters_of_table(source))]),
            report,
            on_progress,
            retry or Retry.patient(),
            max_rejected,
            checkpoint_every,
        )
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
        schema: KeySchema | None,
        checkpoint: ScanCheckpoint | None,
        dead_letters: DeadLetters,
        report: CopyReport,
        on_progress: Callable[[CopyReport], object] | None,
        retry: Retry,
        max_rejected: int | None,
        every: float,
    ) -> None:
        self._worker = worker
        self._to = to
        self._schema = schema
        self._checkpoint = checkpoint
        self._dead_letters = dead_letters
        self._report = report
        self._on_progress = on_progress
        self._retry = retry
        self._max_rejected = max_rejected
        self._every = every
        self._clock = asyncio.get_running_loop().time
        self._began = self._saved_at = self._clock()
        self.state = ScanState([])
        # Of pages that the state counts in, and not in the file yet.
        self._letters: list[tuple[bytes, Rejection]] = []
        self._held = 0
        self._broken = False

    async def open(self, total_segments: int | None) -> None:
        try:
            await self._worker.run(lambda: self._open(total_segments))
        except asyncio.CancelledError:
            if (saved := self._checkpoint) is not None:
                await self._worker.run(lambda: saved.close(remove=False))
            raise
        report = self._report
        report.begin(self.state)
        report.checkpoint = None if self._checkpoint is None else self._checkpoint.path
        report.dead_letters = self._dead_letters.written

    def _open(self, total_segments: int | None) -> None:
        saved = self._checkpoint
        if saved is None:
            self.state = ScanState([Progress() for _ in range(total_segments or DEFAULT_SEGMENTS)])
            self._dead_letters.begin()
            return
        self.state, goes_on = saved.open(total_segments, DEFAULT_SEGMENTS)
        try:
            if goes_on:
                lengths = self.state.dead_letters
                self._dead_letters.resume({0: lengths} if any(lengths) else {})
            else:
                self._dead_letters.begin()
                # Before the first dead letter, so that a new start knows whose they are.
                saved.save(self.state)
        except BaseException:
            saved.close(remove=False)
            raise

    async def take(self, page: Scanned) -> None:
        refused: dict[int, tuple[str, str]] = {}
        for start in range(0, len(page.items), _WRITTEN_AT_ONCE):
            items = []
            for attributes in page.items[start : start + _WRITTEN_AT_ONCE]:
                items.append(decode_item(attributes, "decimal"))
                if len(items) % _DECODED_A_TURN == 0:
                    await asyncio.sleep(0)
            found = await self._write(items)
            refused |= {start + place: why for place, why in found.items()}
        # From here to the next await, so that the state and its dead letters belong together.
        state, report = self.state, self._report
        for place, (path, reason) in sorted(refused.items()):
            state.rejected += 1
            raw = b'{"Item":' + dumps(page.items[place]) + b"}\n"
            # Its place among the dead letters: a table has no rows.
            rejection = Rejection(state.rejected, state.rejected, path, reason)
            self._letters.append((raw, rejection))
            self._held += len(raw)
            if len(report.reasons) < MOST_REASONS:
                report.reasons.append(rejection.told(str(self._dead_letters.places[0])))
        state.items += page.count - len(refused)
        segment = state.segments[page.segment]
        segment.key, segment.done = page.key, page.key is None
        report.items, report.rejected = state.items, state.rejected
        report.scanned += page.scanned
        report.segments_done += page.key is None
        report.elapsed = self._clock() - self._began
        if self._held > _MOST_BYTES or self._clock() - self._saved_at >= self._every:
            self._saved_at = self._clock()
            await self._save()
        if self._on_progress is not None:
            self._on_progress(report)
        if self._max_rejected is not None and state.rejected > self._max_rejected:
            raise CopyFailed(
                f"{self._where}: more items were rejected than max_rejected says. See the reasons"
                " beside the dead letters",
                report,
            )

    async def _write(self, items: list[Any]) -> dict[int, tuple[str, str]]:
        """Write items; by their places, attribute and reason of those that do not fit."""
        try:
            return await self._put(items)
        except InvalidItem as error:
            refused = await self._unfit(items)
            if not refused:
                raise self._failed(f"an item does not fit into it: {error.reason}") from error
        fit = [place for place in range(len(items)) if place not in refused]
        try:
            more = await self._put([items[place] for place in fit])
        except InvalidItem as error:
            raise self._failed(f"an item does not fit into it: {error.reason}") from error
        return refused | {fit[place]: why for place, why in more.items()}

    async def _put(self, items: list[Any]) -> dict[int, tuple[str, str]]:
        try:
            answer: Mapping[str, Any] = await self._to.batch_write_item(
                items, self._report.target, retry=self._retry
            )
        except BatchError as error:
            answer = error.response
            if answer["UnprocessedCount"] or "UnknownItems" in answer:
                cause = error.cause
                told = cause if isinstance(cause, ServiceError | WireError) else "see the cause"
                raise self._failed(f"items could not be written: {told}") from error
        if answer["UnprocessedCount"]:
            raise self._failed(
                f"{answer['UnprocessedCount']:,} items of a page were throttled for as long as the"
                " retry policy allows: start it again later"
            )
        return {
            entry["index"]: ("", f"DynamoDB refused it: {entry['code']}")
            for entry in answer.get("RejectedItems", ())
        }

    async def _unfit(self, items: list[Any]) -> dict[int, tuple[str, str]]:
        """Those that the target's keys refuse. Nothing was sent: there is one at least."""
        refused = {}
        serialize = self._to._access().serialize
        for place, item in enumerate(items):
            try:
                encode_item(item, self._schema, serialize)
            except Refusal as refusal:
                refused[place] = (refusal.path, refusal.reason)
            if place % _DECODED_A_TURN == 0:
                await asyncio.sleep(0)
        return refused

    @property
    def _where(self) -> str:
        return f"copy into {self._report.target!r}"

    def _failed(self, why: str) -> CopyFailed:
        return CopyFailed(f"{self._where}: {why}", self._report)

    async def _save(self) -> None:
        """Put the dead letters down, then the checkpoint that counts them in."""
        letters, self._letters, self._held = self._letters, [], 0
        # The loop waits for no other: what is dumped in the thread is this moment's state.
        state = replace(
            self.state, segments=[Progress(each.key, each.done) for each in self.state.segments]
        )
        await self._worker.run(lambda: self._put_down(state, letters))
        self._report.dead_letters = self._dead_letters.written

    def _put_down(self, state: ScanState, letters: list[tuple[bytes, Rejection]]) -> None:
        if self._broken:
            # Dead letters of before are missing: the last checkpoint is what holds.
            return
        try:
            if letters:
                self._dead_letters.add(0, b"", letters)
            state.dead_letters = self._dead_letters.lengths.get(0, (0, 0))
            if self._checkpoint is not None:
                self._checkpoint.save(state)
        except BaseException:
            self._broken = True
            raise

    async def close(self) -> None:
        saved, report = self._checkpoint, self._report
        try:
            await self._save()
        finally:
            finished = report.finished = report.finished and not self._broken
            if saved is not None:
                await self._worker.run(lambda: saved.close(remove=finished))
        self._report.elapsed = self._clock() - self._began
        if self._on_progress is not None:
            self._on_progress(self._report)
