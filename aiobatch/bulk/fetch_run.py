"""One run of a get: blocks of keys in, their items out in the order of the blocks.

Several blocks are under way at once. What one of them found is written once all before it is: so
the place in the files behind it, and the length of the output, tell together how far this is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from aiobatch.access import Access
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile, Mark
from aiobatch.bulk.dead_letters import MOST_REASONS
from aiobatch.bulk.errors import BulkError
from aiobatch.bulk.formats import Row
from aiobatch.bulk.formats.typed import typed_of
from aiobatch.bulk.output import Output
from aiobatch.bulk.segments import Selection
from aiobatch.bulk.slices import Slices
from aiobatch.bulk.sources import Fingerprint, Source, bytes_before
from aiobatch.bulk.threads import Worker
from aiobatch.codec import KeySchema, Refusal, encode_key
from aiobatch.errors import BatchError
from aiobatch.responses import Item
from aiobatch.streams.reader import ItemStream
from aiobatch.streams.stream import Settings

if TYPE_CHECKING:
    from aiobatch.bulk.fetch import FetchReport

__all__ = ["FetchRun", "Reading"]

# Ten requests a block: enough to keep the usual concurrency busy.
_BLOCKS: Final = 4
_KEYS: Final = 1000


@dataclass(slots=True)
class _Block:
    """Rows that are read together.

    Attributes:
        keys: those that are keys of the table.
        places: file and line of each, in words.
        rows: how many rows there are, the rejected ones among them.
        rejected: file, line and reason of those.
        mark: the place behind them.
        items: what was found.
        missing: how many keys have no item.
    """

    mark: Mark
    rows: int
    keys: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """How a block's keys are read."""

    access: Access
    table_name: str
    schema: KeySchema | None
    selection: Selection
    settings: Settings

    async def read(self, block: _Block) -> _Block:
        """Read a block. Raises as ``DynamoDB.iter_get`` does, but not for keys that are refused."""
        if not block.keys:
            return block
        stream: ItemStream[Item] = ItemStream(
            # Exact, whatever the client's numbers.
            replace(self.access, numbers="decimal"),
            block.keys,
            self.table_name,
            replace(self.settings, max_pending=len(block.keys)),
            projection_expression=self.selection.projection_expression,
            expression_attribute_names=self.selection.expression_attribute_names,
            consistent_read=self.selection.consistent_read,
            on_missing=None,
            on_invalid="raise",
            model=None,
        )
        try:
            async with stream:
                async for item in stream:
                    # One by one: what was read before an error counts.
                    block.items.append(item)
        except BatchError as error:
            refused = error.response.get("RejectedKeys", ())
            if error.response["UnprocessedKeys"] or not refused:
                raise
            block.rejected += [
                f"{block.places[each['index']]}: DynamoDB refused it: {each['code']}"
                for each in refused
            ]
        block.missing = stream.report.missing
        return block

    def block_of(self, rows: Sequence[tuple[int, Row]], files: Sequence[Source]) -> _Block | None:
        """Take the keys out of rows; None at the end of the files."""
        if not rows:
            return None
        file, last = rows[-1]
        block = _Block(Mark(file, last.end), len(rows))
        for number, row in rows:
            at = f"line {row.line}" if row.line is not None else f"row {row.number}"
            place = f"{files[number].name}, {at}"
            key = _key_of(row, self.schema)
            if isinstance(key, str):
                block.rejected.append(f"{place}: {key}")
            else:
                block.keys.append(key)
                block.places.append(place)
        return block


class FetchRun:
    """See :func:`aiobatch.bulk.fetch`; the arguments are checked there."""

    def __init__(
        self,
        worker: Worker,
        reader: Worker,
        reading: Reading,
        files: Sequence[Source],
        prints: Sequence[Fingerprint | None],
        types: Mapping[str, str],
        file: Output,
        checkpoint: CheckpointFile | None,
        begin: Checkpoint,
        report: FetchReport,
        on_progress: Callable[[FetchReport], object] | None,
        every: float,
    ) -> None:
        self._worker = worker
        self._reader = reader
        self._reading = reading
        self._files = files
        self._prints = prints
        self._types = types
        self._file = file
        self._checkpoint = checkpoint
        self._begin = begin
        self._state = begin
        self._report = report
        self._on_progress = on_progress
        self._every = every
        self._clock = asyncio.get_running_loop().time
        self._began = self._saved_at = self._clock()
        # Nothing is to be saved: it is not open yet, or only the last checkpoint holds.
        self._broken = True
        self._slices: Slices | None = None

    async def run(self) -> None:
        """Read all, and bring the output into its last form."""
        try:
            await self._worker.run(self._open)
        except asyncio.CancelledError:
            await self._worker.run(self._close)
            raise
        try:
            await self._read()
            await self._worker.run(self._finish)
            self._report.finished = True
        finally:
            await self._worker.run(self._close)
            self._tell()

    # ------------------------------------------------------------------ on the loop

    async def _read(self) -> None:
        assert self._slices is not None
        slices, reader = self._slices, self._reader
        ahead: asyncio.Future[_Block | None] | None = reader.submit(self._next)
        under_way: deque[asyncio.Task[_Block]] = deque()
        unreadable: BulkError | None = None
        try:
            while ahead is not None or under_way:
                waits: list[asyncio.Future[Any]] = [*([under_way[0]] if under_way else ())]
                if ahead is not None and len(under_way) < _BLOCKS:
                    waits.append(ahead)
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if under_way and under_way[0].done():
                    block = under_way.popleft().result()
                    await self._worker.run(lambda block=block: self._take(block))  # type: ignore[misc]
                    self._tell()
                elif ahead is not None:  # pragma: no branch: it is what was waited for
                    try:
                        more = ahead.result()
                    except BulkError as error:
                        # Once all rows before that place are done.
                        more, unreadable = None, error
                    ahead = None
                    if more is not None:
                        under_way.append(asyncio.create_task(self._reading.read(more)))
                        ahead = reader.submit(self._next)
            if unreadable is not None:
                raise unreadable
        finally:
            for task in under_way:
                task.cancel()
            if ahead is not None:
                if not ahead.done():
                    slices.give_up()
                with suppress(BulkError):
                    await reader.result(ahead)
            await asyncio.gather(*under_way, return_exceptions=True)

    def _tell(self) -> None:
        self._report.elapsed = self._clock() - self._began
        if self._on_progress is not None:
            self._on_progress(self._report)

    # ------------------------------------------------------------------ in the threads

    def _next(self) -> _Block | None:
        assert self._slices is not None
        return self._reading.block_of(self._slices.next(), self._files)

    def _open(self) -> None:
        saved = None
        if self._checkpoint is not None:
            saved = self._checkpoint.open(self._begin)
        self._state = state = saved or self._begin
        try:
            self._file.open(state.length, complete=state.complete)
            if self._checkpoint is not None and saved is None:
                self._checkpoint.save(state)
        except BaseException:
            self._file.close()
            if self._checkpoint is not None:
                self._checkpoint.close()
            raise
        if self._checkpoint is not None:
            self._report.checkpoint = self._checkpoint.path
        self._report.resumed_at = state.done
        self._count()
        most = self._reading.settings.max_pending or _BLOCKS * _KEYS
        self._slices = Slices(
            self._files,
            self._types,
            state.mark,
            self._prints,
            rows=min(_KEYS, max(1, most // _BLOCKS)),
        )
        self._broken = False

    def _take(self, block: _Block) -> None:
        # Items and mark change together, whoever is cancelled meanwhile.
        try:
            self._file.add([typed_of(item) for item in block.items])
        except BaseException:
            # A block may stand there in part: the last checkpoint is what holds.
            self._broken = True
            raise
        state = self._state
        self._state = replace(
            state,
            mark=block.mark,
            done=state.done + block.rows,
            written=state.written + len(block.items),
            missing=state.missing + block.missing,
            rejected=state.rejected + len(block.rejected),
        )
        self._report.reasons += block.rejected[: MOST_REASONS - len(self._report.reasons)]
        self._count()
        if self._clock() - self._saved_at >= self._every:
            self._save()

    def _count(self) -> None:
        report, state = self._report, self._state
        report.keys, report.found = state.done, state.written
        report.missing, report.rejected = state.missing, state.rejected
        report.bytes_done = bytes_before(self._prints, state.mark.file, state.mark.position.offset)

    def _save(self, *, complete: bool = False) -> None:
        if self._checkpoint is not None and not self._broken:
            try:
                length = self._file.sync()
                self._state = replace(self._state, length=length, complete=complete)
                self._checkpoint.save(self._state)
            except BaseException:
                self._broken = True
                raise
        self._saved_at = self._clock()

    def _finish(self) -> None:
        self._save(complete=True)
        self._file.finish()

    def _close(self) -> None:
        finished = self._report.finished
        if self._slices is not None:
            self._slices.close()
        try:
            if not finished and not self._state.complete:
                self._save()
        finally:
            try:
                self._file.close()
            finally:
                if self._checkpoint is not None:
                    self._checkpoint.close(remove=finished)


def _key_of(row: Row, schema: KeySchema | None) -> dict[str, Any] | str:
    """A row's key; or, in words, why it has none."""
    if row.item is None:
        return f"{row.path}: {row.reason}" if row.path else row.reason
    if schema is None:
        return row.item
    key = {name: row.item[name] for name in schema.names if name in row.item}
    try:
        encode_key(key, schema, None)
    except Refusal as refusal:
        return f"{refusal.path}: {refusal.reason}" if refusal.path else refusal.reason
    return key
