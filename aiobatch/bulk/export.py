"""``export``: a table into a file, in bounded memory, in spite of kills."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aiobatch import intake
from aiobatch.bulk.formats import check_format, check_types, format_of
from aiobatch.bulk.output import LocalOutput, Output, StreamedOutput
from aiobatch.bulk.place import ScanCheckpoint, ScanState, all_done
from aiobatch.bulk.scan_report import ScanReport
from aiobatch.bulk.segments import DEFAULT_SEGMENTS, Progress, Scanned, Selection, read_segments
from aiobatch.bulk.sources import Source
from aiobatch.bulk.table import describe
from aiobatch.bulk.threads import Worker
from aiobatch.retry import Retry

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["ExportReport", "default_export_checkpoint", "export"]


@dataclass(slots=True)
class ExportReport(ScanReport):
    """How far an export is. It is live.

    Attributes:
        table_name: the table's name or ARN.
        output: the file.
        items: written so far, those of earlier runs among them.
        resumed_at: how many earlier runs wrote; 0 for an export from the beginning.
        scanned: items that this run read, before the filter.
        segments: in how many parts the table is read.
        segments_done: how many of them are over.
        checkpoint: the checkpoint's file, or None.
        finished: whether the file is whole.
        elapsed: seconds that this run took.
    """

    table_name: str
    output: str
    verb: ClassVar[str] = "read"


def default_export_checkpoint(output: str | os.PathLike[str]) -> Path:
    """Where the checkpoint of an export goes: beside its file.

    >>> default_export_checkpoint("data/places.json").as_posix()
    'data/places.json.checkpoint'
    """
    path = Path(output)
    return path.with_name(f"{path.name}.checkpoint")


async def export(
    db: DynamoDB,
    table_name: str,
    output: str | os.PathLike[str],
    *,
    format: str | None = None,
    types: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    total_segments: int | None = None,
    index_name: str | None = None,
    filter_expression: str | None = None,
    projection_expression: str | None = None,
    expression_attribute_names: Mapping[str, str] | None = None,
    expression_attribute_values: Mapping[str, Any] | None = None,
    consistent_read: bool = False,
    checkpoint: str | os.PathLike[str] | bool | None = None,
    on_progress: Callable[[ExportReport], object] | None = None,
    page_size: int | None = None,
    retry: Retry | None = None,
    checkpoint_every: float = 1.0,
) -> ExportReport:
    """Write all items of a table into a file, by a parallel scan.

    Items come in no order. A local file has a checkpoint: an export that was ended in any way goes
    on where it was when it is started again with the same arguments, and the file holds each item
    once. Until it is whole, the file is called ``NAME.part``. What is written to the table while
    it is exported may be in the file or not.

    Args:
        db: the client.
        table_name: the table's name or ARN.
        output: a path, a URL, or ``-`` for standard output; a file of the same name is replaced at
            the end. URLs and standard output cannot be gone on with.
        format: as for ``load``; None: by the name. DynamoDB JSON holds every item exactly.
        types: types by attribute, for formats that do not tell them.
        columns: of CSV and Parquet. None: all attributes of all items; for URLs and standard
            output, those of the first 1,000 items.
        total_segments: in how many parts the table is read at once. None: 8, or as the checkpoint
            says.
        index_name: as for ``DynamoDB.scan``.
        filter_expression: as for ``DynamoDB.scan``.
        projection_expression: as for ``DynamoDB.scan``.
        expression_attribute_names: as for ``DynamoDB.scan``.
        expression_attribute_values: as for ``DynamoDB.scan``.
        consistent_read: as for ``DynamoDB.scan``.
        checkpoint: the checkpoint's file; None or True: beside the output; False: none. It is
            removed when the export is over.
        on_progress: called with the live report after each page.
        page_size: items that DynamoDB reads for a page at most. None: 1 MB.
        retry: the retry policy of each page; by default ``Retry.patient()``.
        checkpoint_every: seconds between two checkpoints.

    Returns:
        The report. The file is whole.

    Raises:
        ValueError, TypeError: arguments that cannot be right, at once.
        SourceError: the file cannot be written.
        FormatError: an item that the format cannot hold; DynamoDB JSON holds all.
        CheckpointError: the checkpoint is of another export, or in use. Nothing was read.
        MissingExtra: Parquet without pyarrow, a URL without fsspec.
        TableNotFound, AccessDenied, ServiceError, WireError: DynamoDB gave no usable answer. The
            checkpoint was written.

    Example::

        from aiobatch.bulk import export

        report = await export(db, "users", "users.json.gz")
        print(report.items, report.finished)
    """
    intake.check_table_name(table_name)
    name = os.fspath(output)
    wanted = check_format(format) if format else format_of(name)
    checked = check_types(types)
    if wanted == "dynamodb-json" and types:
        raise ValueError("types= is not for DynamoDB JSON, which has the types itself")
    if columns is not None and wanted not in ("csv", "parquet"):
        raise ValueError("columns= is for CSV and Parquet")
    if columns is not None and (strange := checked.keys() - set(columns)):
        raise ValueError(f"types= has attributes that are no columns: {sorted(strange)}")
    if total_segments is not None and total_segments < 1:
        raise ValueError("total_segments must be 1 or more")
    selection = Selection(
        index_name=index_name,
        filter_expression=filter_expression,
        projection_expression=projection_expression,
        expression_attribute_names=expression_attribute_names,
        expression_attribute_values=expression_attribute_values,
        consistent_read=consistent_read,
    )
    is_local = Source(name, wanted).path is not None
    if not is_local and checkpoint not in (None, False):
        raise ValueError("only a local file can be gone on with: checkpoint= is not for URLs and -")
    table = await describe(db, table_name)
    file: Output
    saved = None
    if is_local:
        keys = () if table.schema is None else table.schema.names
        file = LocalOutput(Path(name), wanted, checked or None, columns, keys)
        if checkpoint is not False:
            chosen = None if checkpoint in (None, True) else Path(checkpoint)  # type: ignore[arg-type]
            what = {
                "table": table.as_json(),
                "output": await asyncio.to_thread(_full_name, name),
                "format": wanted,
                "types": dict(checked),
                "columns": None if columns is None else list(columns),
                "selection": selection.told(),
            }
            saved = ScanCheckpoint(chosen or default_export_checkpoint(name), what)
    else:
        file = StreamedOutput(name, wanted, checked or None, columns)
    report = ExportReport(table_name, name)
    async with Worker("aiobatch-export") as worker:
        run = _Run(worker, file, saved, report, on_progress, checkpoint_every)
        await run.open(total_segments)
        try:
            await read_segments(
                db,
                table_name,
                run.state.segments,
                selection,
                run.take,
                retry=retry,
                page_size=page_size,
            )
            await run.finish()
        finally:
            await run.close()
    return report


def _full_name(name: str) -> str:
    # The same file, named from another directory, is the same file.
    return str(Path(name).absolute())


class _Run:
    """One run of an export: what was taken, and what of it is durable."""

    def __init__(
        self,
        worker: Worker,
        file: Output,
        checkpoint: ScanCheckpoint | None,
        report: ExportReport,
        on_progress: Callable[[ExportReport], object] | None,
        every: float,
    ) -> None:
        self._worker = worker
        self._file = file
        self._checkpoint = checkpoint
        self._report = report
        self._on_progress = on_progress
        self._every = every
        self._clock = asyncio.get_running_loop().time
        self._began = self._saved_at = self._clock()
        # Nothing is to be saved: it is not open yet, or only the last checkpoint holds.
        self._broken = True
        self.state = ScanState([])

    async def open(self, total_segments: int | None) -> None:
        try:
            await self._worker.run(lambda: self._open(total_segments))
        except asyncio.CancelledError:
            await self._worker.run(self._close)
            raise
        report, state = self._report, self.state
        report.begin(state)
        report.checkpoint = None if self._checkpoint is None else self._checkpoint.path

    def _open(self, total_segments: int | None) -> None:
        if self._checkpoint is None:
            self.state = ScanState([Progress() for _ in range(total_segments or DEFAULT_SEGMENTS)])
            self._file.open(0, complete=False)
            self._broken = False
            return
        self.state, goes_on = self._checkpoint.open(total_segments, DEFAULT_SEGMENTS)
        try:
            self._file.open(self.state.length, complete=all_done(self.state.segments))
            if not goes_on:
                self._checkpoint.save(self.state)
        except BaseException:
            self._file.close()
            self._checkpoint.close(remove=False)
            raise
        self._broken = False

    async def take(self, page: Scanned) -> None:
        await self._worker.run(lambda: self._take(page))
        report = self._report
        report.items = self.state.items
        report.scanned += page.scanned
        report.segments_done += page.key is None
        report.elapsed = self._clock() - self._began
        if self._on_progress is not None:
            self._on_progress(report)

    def _take(self, page: Scanned) -> None:
        # In the thread: items and marks change together, whoever is cancelled meanwhile.
        try:
            self._file.add(page.items)
        except BaseException:
            # A page may stand there in part: the last checkpoint is what holds.
            self._broken = True
            raise
        state = self.state
        state.items += page.count
        segment = state.segments[page.segment]
        segment.key, segment.done = page.key, page.key is None
        if self._clock() - self._saved_at >= self._every:
            self._save()

    def _save(self) -> None:
        if self._checkpoint is not None and not self._broken:
            try:
                self.state.length = self._file.sync()
                self._checkpoint.save(self.state)
            except BaseException:
                self._broken = True
                raise
        self._saved_at = self._clock()

    async def finish(self) -> None:
        await self._worker.run(self._finish)
        self._report.finished = True

    def _finish(self) -> None:
        self._save()
        # That checkpoint holds, whatever goes wrong from here on: the part is closed.
        self._broken = True
        self._file.finish()

    async def close(self) -> None:
        await self._worker.run(self._close)
        self._report.elapsed = self._clock() - self._began
        if self._on_progress is not None:
            self._on_progress(self._report)

    def _close(self) -> None:
        finished = self._report.finished
        try:
            if not finished and not self._broken and self._checkpoint is not None:
                self._save()
        finally:
            try:
                self._file.close()
            finally:
                if self._checkpoint is not None:
                    self._checkpoint.close(remove=finished)
