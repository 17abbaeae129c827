"""One run of a load: rows in, their ends into the mark, the mark into the checkpoint."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from aiobatch.access import Access
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile, Mark
from aiobatch.bulk.dead_letters import MOST_REASONS, DeadLetters, Rejection
from aiobatch.bulk.errors import BulkError, FormatError, LoadFailed, SourceError
from aiobatch.bulk.formats import Position, Row
from aiobatch.bulk.low_water import LowWater
from aiobatch.bulk.report import LoadReport
from aiobatch.bulk.slices import Slices
from aiobatch.bulk.sources import Fingerprint, Source, bytes_before
from aiobatch.bulk.threads import Worker
from aiobatch.bulk.writer import RowWriter
from aiobatch.engine import ledger
from aiobatch.engine.ledger import State
from aiobatch.errors import BatchError, ClientClosed, ServiceError, WireError
from aiobatch.streams.stream import Settings

__all__ = ["LoadRun"]

_log = logging.getLogger("aiobatch.bulk")

# Rows behind the mark, for each that may be in hand: more are not read while one is stuck, since
# all of them would be written again after a kill.
_OPEN_FOR_EACH_PLACE: Final = 10
# Rows that have ended are put down in a checkpoint after so many, however fast they come.
_ROWS_A_CHECKPOINT: Final = 5000
# What rows that have not ended, and rejected ones, may take as they stand in their files.
_MOST_BYTES: Final = 32 * 1024 * 1024
_PROGRESS_EVERY: Final = 0.1


@dataclass(slots=True)
class _Open:
    """A row that has not ended, or has a gap before it."""

    file: int
    number: int
    line: int | None
    end: Position
    raw: bytes
    rejected: Rejection | None = None


class _Stopped(Exception):
    """Nothing more leaves; what is under way gets its answer."""


class LoadRun:
    """See :func:`aiobatch.bulk.load`; the arguments are checked there."""

    def __init__(
        self,
        access: Access,
        table_name: str,
        settings: Settings,
        *,
        operation: Literal["put", "delete"],
        files: Sequence[Source],
        fingerprints: Sequence[Fingerprint | None],
        types: Mapping[str, str],
        checkpoint: CheckpointFile | None,
        begin: Checkpoint,
        dead_letters: DeadLetters,
        worker: Worker,
        reader: Worker,
        report: LoadReport,
        on_progress: Callable[[LoadReport], object] | None,
        max_rejected: int | None,
        checkpoint_every: float,
    ) -> None:
        self._files = files
        self._fingerprints = fingerprints
        self._types = types
        self._checkpoint = checkpoint
        self._begin = begin
        self._state = begin
        self._dead_letters = dead_letters
        self._worker = worker
        self._reader = reader
        self._report = report
        self._on_progress = on_progress
        self._max_rejected = max_rejected
        self._every = checkpoint_every
        self._water: LowWater[_Open] = LowWater()
        self._news = asyncio.Event()
        self._left = 0
        self._rejected_ahead = 0  # of the mark
        self._held = 0  # bytes
        self._most_open = 0
        # What on_progress raised.
        self._refused: Exception | None = None
        self._clock = asyncio.get_running_loop().time
        self._began = self._told_at = self._saved_at = self._clock()
        self._ended_since = 0
        # Passed by the mark, and not yet in the dead letters.
        self._letters: list[_Open] = []
        self._slices: Slices | None = None
        self._writer = RowWriter(
            access,
            table_name,
            settings,
            operation=operation,
            on_ended=self._ended,
            on_refused=self._reject,
        )

    async def run(self) -> None:
        """Load. Raises as :func:`aiobatch.bulk.load` does."""
        report = self._report
        try:
            await self._worker.run(self._open)
        except asyncio.CancelledError:
            await self._worker.run(lambda: self._close(False))
            raise
        finished = False
        try:
            await self._load()
            finished = report.finished = True
        finally:
            report.elapsed = self._clock() - self._began
            try:
                await self._worker.run(lambda: self._close(finished))
            except asyncio.CancelledError as error:
                error.add_note(f"load into {report.table_name!r}: {self._how_far()}")
                raise
            self._tell()

    # ------------------------------------------------------------------ in the thread

    def _open(self) -> None:
        """Lock the checkpoint, and go back to where it is."""
        saved = None
        if self._checkpoint is not None:
            saved = self._checkpoint.open(self._begin)
        try:
            if saved is None:
                self._dead_letters.begin()
                if self._checkpoint is not None:
                    # Before the first dead letter, so that a new start knows whose they are.
                    self._checkpoint.save(self._begin)
            else:
                self._dead_letters.resume(saved.dead_letters)
                self._state = saved
        except BaseException:
            if self._checkpoint is not None:
                self._checkpoint.close()
            raise
        state, report = self._state, self._report
        if self._checkpoint is not None:
            report.checkpoint = self._checkpoint.path
        report.dead_letters = self._dead_letters.written
        report.rows = report.done = report.resumed_at = state.done
        report.written, report.rejected = state.written, state.rejected
        report.bytes_done = self._bytes_before(state.mark)
        self._slices = Slices(self._files, self._types, state.mark, self._fingerprints)

    def _close(self, finished: bool) -> None:
        assert self._slices is not None
        self._slices.close()
        if self._checkpoint is not None:
            self._checkpoint.close(remove=finished)

    def _save(self, state: Checkpoint, letters: Sequence[_Open]) -> Checkpoint:
        """Put the dead letters down, then the checkpoint that counts them in."""
        assert self._slices is not None
        by_file: dict[int, list[tuple[bytes, Rejection]]] = {}
        for row in letters:
            assert row.rejected is not None
            by_file.setdefault(row.file, []).append((row.raw, row.rejected))
        for file, rows in by_file.items():
            self._dead_letters.add(file, self._slices.headers.get(file, b""), rows)
        state = replace(state, dead_letters=dict(self._dead_letters.lengths))
        if self._checkpoint is not None:
            self._checkpoint.save(state)
        return state

    # ------------------------------------------------------------------ on the loop

    async def _load(self) -> None:
        stopped: BaseException | None = None
        try:
            async with self._writer:
                try:
                    await self._writer.begin()
                    self._report.read_metrics = lambda: self._writer.report.metrics
                    stopped = await self._feed()
                    # In here, so that a load that is cancelled at its end stops cleanly, too.
                    await self._writer.flush()
                except asyncio.CancelledError as error:
                    stopped = error
                except (BatchError, BulkError, ClientClosed) as error:
                    stopped = error
                # Python 3.11 counts the way out of the block under another line.
                if stopped is not None and not isinstance(  # pragma: no branch
                    stopped, BulkError
                ):
                    raise _Stopped
        except _Stopped:
            pass
        except (BatchError, ClientClosed, asyncio.CancelledError) as error:
            stopped = stopped if isinstance(stopped, asyncio.CancelledError) else error
        try:
            await self._put_down(stopped)
            if stopped is None:
                # Whoever was cancelled meanwhile keeps the checkpoint, even with nothing left.
                await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            stopped = error  # once it was written
        stopped = stopped or self._refused
        if self._left and isinstance(stopped, SourceError | FormatError):
            # Rows before that place have not ended; it is met again once they have.
            stopped = None
        if stopped is not None or self._left:
            raise self._error(stopped) from self._cause(stopped)

    async def _feed(self) -> BaseException | None:
        """Hand over all rows; a file that cannot be read any further is given back."""
        assert self._slices is not None
        reader, slices = self._reader, self._slices
        self._most_open = _OPEN_FOR_EACH_PLACE * self._writer.places
        ahead = reader.submit(slices.next)
        try:
            while True:
                if await self._must_stop_before(ahead):
                    return self._refused
                try:
                    rows = await reader.result(ahead)
                except BulkError as error:
                    return error
                if not rows:
                    return None
                ahead = reader.submit(slices.next)
                # Rows that are rejected never wait, and the thread may be ahead of the loop.
                await asyncio.sleep(0)
                while rows:
                    while self._is_full and not self._left and self._refused is None:
                        await self._wait()
                    if self._left or self._refused is not None:
                        return self._refused
                    rows = rows[await self._take(rows) :]
                    if self._is_due():
                        await self._checkpoint_now()
                    if self._has_too_many():
                        return _too_many(self._report)
        finally:
            if not ahead.done():
                slices.give_up()
            with suppress(BulkError):
                await reader.result(ahead)

    async def _must_stop_before(self, ahead: asyncio.Future[list[tuple[int, Row]]]) -> bool:
        """Wait for the next rows; whether rows before them are left.

        A pipe may be silent for long: what has ended is put down meanwhile.
        """
        ahead.add_done_callback(lambda _: self._news.set())
        while not (self._left or self._refused is not None):
            if ahead.done():
                return False
            if self._is_due():
                await self._checkpoint_now()
            else:
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every if self._ended_since else None):
                        await self._news.wait()
        return True

    async def _take(self, rows: Sequence[tuple[int, Row]]) -> int:
        """Hand over the first of these rows, as many as there is room for. How many they were."""
        numbers: list[int] = []
        items: list[Mapping[str, Any]] = []
        count = 0
        for file, row in rows[: self._writer.readable]:
            number = self._water.begin(_Open(file, row.number, row.line, row.end, row.raw))
            self._held += len(row.raw)
            count += 1
            if row.item is not None:
                numbers.append(number)
                items.append(row.item)
            else:
                self._reject(number, row.path, row.reason)
            if self._is_full or self._has_too_many():
                break
        self._report.rows += count
        if items:
            await self._writer.take(numbers, items)
        return count

    @property
    def _is_full(self) -> bool:
        return self._water.open >= self._most_open or self._held > _MOST_BYTES

    async def _wait(self) -> None:
        """Wait until something has ended, or put down what has."""
        self._pass()
        if self._letters and self._held > _MOST_BYTES:
            await self._checkpoint_now()
        elif self._is_full:
            self._news.clear()
            await self._news.wait()

    def _ended(self, numbers: list[int], state: State, rejection: ledger.Rejection | None) -> None:
        self._news.set()
        if state is State.PROCESSED:
            for number in numbers:
                self._held -= len(self._water[number].raw)
                self._water[number].raw = b""
                self._water.end(number)
            self._ended_since += len(numbers)
        elif state is State.REJECTED and rejection is not None:
            *others, last = numbers
            for number in others:
                later = self._water[last]
                told = f"row {later.number} has the same key, and took its place before"
                self._reject(number, "", f"{told} DynamoDB refused that one: load this row again")
            self._reject(last, "", f"DynamoDB refused it: {rejection.code}")
        else:
            self._left += len(numbers)
        self._tell_now_and_then()

    def _reject(self, number: int, path: str, reason: str) -> None:
        row = self._water[number]
        row.rejected = Rejection(row.number, row.line, path, reason)
        self._rejected_ahead += 1
        self._water.end(number)
        self._ended_since += 1
        self._news.set()

    def _pass(self) -> None:
        """Move the mark."""
        passed = self._water.advance()
        if not passed:
            return
        rejected = [row for row in passed if row.rejected is not None]
        self._rejected_ahead -= len(rejected)
        self._letters += rejected
        reasons = self._report.reasons
        for row in rejected[: MOST_REASONS - len(reasons)]:
            assert row.rejected is not None
            reasons.append(row.rejected.told(self._files[row.file].name))
        last, state = passed[-1], self._state
        self._state = replace(
            state,
            mark=Mark(last.file, last.end),
            done=state.done + len(passed),
            written=state.written + len(passed) - len(rejected),
            rejected=state.rejected + len(rejected),
        )
        report = self._report
        report.done, report.written = self._state.done, self._state.written
        report.rejected = self._state.rejected
        report.bytes_done = self._bytes_before(self._state.mark)

    def _is_due(self) -> bool:
        return self._ended_since > 0 and (
            self._ended_since >= _ROWS_A_CHECKPOINT or self._clock() - self._saved_at >= self._every
        )

    async def _checkpoint_now(self) -> None:
        self._pass()
        self._ended_since = 0
        # Both may grow meanwhile: progress moves the mark, too.
        state, letters = self._state, list(self._letters)
        if self._checkpoint is not None or letters:
            job = self._worker.submit(lambda: self._save(state, letters))
            try:
                await self._worker.result(job)
            finally:
                # Whoever is cancelled here is so after the job, which must not be done again.
                if job.exception() is None:  # pragma: no branch: else its error goes on from here
                    self._letters = self._letters[len(letters) :]
                    self._held -= sum(len(row.raw) for row in letters)
                    self._state = replace(self._state, dead_letters=job.result().dead_letters)
                    self._report.dead_letters = self._dead_letters.written
        self._saved_at = self._clock()
        self._tell_now_and_then()

    async def _put_down(self, stopped: BaseException | None) -> None:
        """The last checkpoint of this run. The first error is the one that is told."""
        try:
            await self._checkpoint_now()
        except BulkError as error:
            if stopped is None:
                raise
            _log.warning("the last checkpoint of this run was not written: %s", error)

    def _has_too_many(self) -> bool:
        most = self._max_rejected
        return most is not None and self._state.rejected + self._rejected_ahead > most

    def _bytes_before(self, mark: Mark) -> int:
        return bytes_before(self._fingerprints, mark.file, mark.position.offset)

    # ------------------------------------------------------------------ what is told

    def _tell_now_and_then(self) -> None:
        if self._on_progress is not None and self._clock() - self._told_at >= _PROGRESS_EVERY:
            self._pass()
            self._report.elapsed = self._clock() - self._began
            self._tell()

    def _tell(self) -> None:
        """Call ``on_progress``. One that raised ends the load, but not in the midst of this."""
        self._told_at = self._clock()
        if self._on_progress is None:
            return
        try:
            self._on_progress(self._report)
        except Exception as error:
            self._on_progress = None
            self._refused = self._refused or error
            self._news.set()

    def _error(self, stopped: BaseException | None) -> BaseException:
        report = self._report
        if stopped is not None and not isinstance(stopped, BatchError):
            stopped.add_note(f"load into {report.table_name!r}: {self._how_far()}")
            return stopped
        cause = self._cause(stopped)
        why = f" Cause: {_told(cause)}." if cause is not None else ""
        return LoadFailed(
            f"load into {report.table_name!r} ended early: {self._how_far()}.{why}", report
        )

    def _how_far(self) -> str:
        words = self._report.in_words()
        if self._report.finished:
            return f"{words}; it is over, and nothing is left to do"
        if self._checkpoint is not None:
            return f"{words}; started again with checkpoint {self._checkpoint.path}, it goes on"
        return f"{words}; without a checkpoint, it begins at the first row when started again"

    def _cause(self, stopped: BaseException | None) -> BaseException | None:
        if isinstance(stopped, BatchError):
            return stopped.cause or stopped
        return self._writer.cause if stopped is None else stopped.__cause__


def _too_many(report: LoadReport) -> BulkError:
    return LoadFailed(
        f"load into {report.table_name!r} was stopped: more rows were rejected than max_rejected"
        " says. See the reasons beside the dead letters",
        report,
    )


def _told(cause: BaseException) -> str:
    return str(cause) if isinstance(cause, ServiceError | WireError) else type(cause).__name__
