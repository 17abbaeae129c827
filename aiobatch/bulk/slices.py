"""Rows of several files in slices, so that whoever parses them in a thread takes short turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, Final

from aiobatch.bulk.checkpoint import Mark
from aiobatch.bulk.errors import BulkError, SourceError
from aiobatch.bulk.formats import START, Row, open_reader
from aiobatch.bulk.pipe import Pipe
from aiobatch.bulk.sources import Fingerprint, Source, read_error

__all__ = ["Slices"]

_ROWS: Final = 250
_BYTES: Final = 256 * 1024


class Slices:
    """Reads files one after the other. Its methods block.

    Args:
        sources: the files.
        types: types by attribute.
        start: where to go on.
        fingerprints: what the files were when the load began; one that is another when its end is
            reached has been changed while it was read.
        rows: of a slice, at most.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        types: Mapping[str, str] | None,
        start: Mark,
        fingerprints: Sequence[Fingerprint | None],
        *,
        rows: int = _ROWS,
    ) -> None:
        self._sources = sources
        self._types = types
        self._start = start
        self._fingerprints = fingerprints
        self._stream: BinaryIO | None = None
        self._given_up = False
        self._most = rows
        self._error: BulkError | None = None
        self._rows = self._read()
        #: The lines of names of the files that were opened, for the dead letters.
        self.headers: dict[int, bytes] = {}

    def next(self) -> list[tuple[int, Row]]:
        """Read some rows, with the numbers of their files; none at the end.

        Of a pipe, those that are there: it waits for the first one alone.

        Raises:
            BulkError: a file cannot be read; all rows before that place have been given.
        """
        if self._error is not None:
            raise self._error
        taken: list[tuple[int, Row]] = []
        size = 0
        try:
            for file, row in self._rows:
                taken.append((file, row))
                size += len(row.raw)
                if len(taken) >= self._most or size >= _BYTES or self._has_to_wait():
                    break
        except BulkError as error:
            if not taken:
                raise
            self._error = error
        return taken

    def give_up(self) -> None:
        """End a :meth:`next` that waits for a pipe, at once: it raises SourceError.

        For any thread. Files never keep anybody waiting, and are read as before.
        """
        self._given_up = True
        stream = self._stream
        if isinstance(stream, Pipe):
            stream.give_up()

    def _has_to_wait(self) -> bool:
        return isinstance(self._stream, Pipe) and not self._stream.has_line()

    def close(self) -> None:
        """Close the file at hand."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _read(self) -> Iterator[tuple[int, Row]]:
        for file in range(self._start.file, len(self._sources)):
            source = self._sources[file]
            at = self._start.position if file == self._start.file else START
            line: int | None = at.line or None
            try:
                stream = self._stream = source.open()
                if self._given_up:
                    # Before there was anything to be told so.
                    self.give_up()
                reader = open_reader(stream, source.format, types=self._types, name=source.name)
                self.headers[file] = reader.header
                for row in reader.rows(at):
                    line = row.end.line or None
                    yield file, row
            except BulkError:
                raise
            except Exception as error:
                told = read_error(source.name, error, line)
                if told is None:
                    raise
                raise told from error
            if not source.is_stdin:
                self.close()
            _check_unchanged(source, self._fingerprints[file])


def _check_unchanged(source: Source, before: Fingerprint | None) -> None:
    look: Callable[[], Fingerprint | None] = source.fingerprint
    if before is not None and look() != before:
        raise SourceError(
            source.name, "was changed while it was read: load it again once it is complete"
        )
