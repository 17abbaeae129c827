"""The file that an export writes: whole under its name, or not there.

Items are written into ``NAME.part``, whose length after each checkpoint is known: after a kill it
is cut back to that. At the end it takes its own name. CSV and Parquet need all columns before the
first item, so their part is DynamoDB JSON, and they are made of it at the end.

All functions here block: call them in a thread.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

from orjson import loads

from aiobatch.bulk.durable import sync_directory, why_not_written
from aiobatch.bulk.errors import FormatError, SourceError
from aiobatch.bulk.formats import FormatName, Writer, open_writer
from aiobatch.bulk.formats.columns import found_columns
from aiobatch.bulk.sources import open_output

__all__ = ["LocalOutput", "Output", "StreamedOutput"]

#: Formats that have columns.
_TABULAR: Final = frozenset({"csv", "parquet"})


class Output(Protocol):
    """Where an export writes."""

    def open(self, length: int, *, complete: bool) -> None:
        """Begin, or go on behind ``length`` bytes; ``complete``: nothing will be added."""
        ...

    def add(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write items that are given as AttributeValues."""
        ...

    def sync(self) -> int:
        """Make all that was added durable, and tell its length."""
        ...

    def finish(self) -> None:
        """All items are there: bring the file into its last form."""
        ...

    def close(self) -> None:
        """Let go of the file, finished or not."""
        ...


class StreamedOutput:
    """Standard output or a URL: written once, from its beginning.

    Args:
        name: ``-`` or a URL.
        format: how to write.
        types: types by attribute.
        columns: of CSV and Parquet; None: those of the first items.
    """

    def __init__(
        self,
        name: str,
        format: FormatName,
        types: Mapping[str, str] | None,
        columns: Sequence[str] | None,
    ) -> None:
        self._name = name
        self._format = format
        self._types = types
        self._columns = columns
        self._file: BinaryIO | None = None
        self._writer: Writer | None = None

    def open(self, length: int, *, complete: bool) -> None:
        """See :class:`Output`."""
        self._file = open_output(self._name)
        self._writer = open_writer(
            self._file, self._format, types=self._types, columns=self._columns
        )

    def add(self, items: Sequence[Mapping[str, Any]]) -> None:
        """See :class:`Output`."""
        assert self._writer is not None
        assert self._file is not None
        for item in items:
            self._writer.write_typed(item)
        self._file.flush()

    def sync(self) -> int:  # pragma: no cover: for those with a checkpoint, which these cannot have
        """See :class:`Output`."""
        return 0

    def finish(self) -> None:
        """See :class:`Output`."""
        assert self._writer is not None
        self._writer.close()
        self.close()

    def close(self) -> None:
        """See :class:`Output`."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


class LocalOutput:
    """A file of this machine.

    Args:
        path: its name in the end.
        format: how to write.
        types: types by attribute.
        columns: of CSV and Parquet; None: those of all items.
        first: attributes that come first among those.
    """

    def __init__(
        self,
        path: Path,
        format: FormatName,
        types: Mapping[str, str] | None,
        columns: Sequence[str] | None,
        first: Sequence[str] = (),
    ) -> None:
        self._first = first
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self._format = format
        self._types = types
        self._columns = columns
        self._staged = format in _TABULAR
        self._gzip = path.name.lower().endswith(".gz")
        self._is_there = False
        self._raw: BinaryIO | None = None
        # A member of gzip that was begun. Each checkpoint ends one: a file can be cut there.
        self._member: gzip.GzipFile | None = None
        self._writer: Writer | None = None

    def open(self, length: int, *, complete: bool) -> None:
        """Open the part, cut back to ``length`` bytes. Raises SourceError."""
        if complete and not self.part.exists() and self.path.exists():
            # Killed after the last step, and before the checkpoint was removed.
            self._is_there = True
            return
        try:
            if self.path.is_dir():
                raise SourceError(str(self.path), "is a directory: name a file")
            self._raw = raw = cast(BinaryIO, open(self.part, "r+b" if length else "w+b"))  # noqa: SIM115
            size = raw.seek(0, os.SEEK_END)
            if size < length:
                raise SourceError(
                    str(self.part),
                    f"has {size} bytes, and the checkpoint knows of {length}: it was changed."
                    " Remove the checkpoint to export everything from the beginning",
                )
            raw.truncate(length)
            raw.seek(length)
        except OSError as error:
            raise self._error(error, self.part) from error

    def add(self, items: Sequence[Mapping[str, Any]]) -> None:
        """See :class:`Output`."""
        try:
            writer = self._writer or self._begin()
            for item in items:
                writer.write_typed(item)
        except OSError as error:
            raise self._error(error, self.part) from error

    def sync(self) -> int:
        """See :class:`Output`."""
        if self._is_there:
            return 0
        assert self._raw is not None
        try:
            self._end_member()
            self._raw.flush()
            os.fsync(self._raw.fileno())
            return self._raw.tell()
        except OSError as error:
            raise self._error(error, self.part) from error

    def finish(self) -> None:
        """See :class:`Output`. Raises FormatError for an item that the format cannot hold."""
        if self._is_there:
            return
        self.sync()
        self.close()
        try:
            if self._staged:
                self._convert()
                sync_directory(self.path.parent)
                self.part.unlink()
            else:
                self.part.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise self._error(error, self.path) from error

    def close(self) -> None:
        """See :class:`Output`."""
        self._writer = self._member = None
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    def _begin(self) -> Writer:
        assert self._raw is not None
        stream = self._raw
        if self._gzip and not self._staged:
            self._member = gzip.GzipFile(
                filename="", fileobj=self._raw, mode="wb", compresslevel=6, mtime=0
            )
            stream = cast(BinaryIO, self._member)
        if self._staged:
            writer = open_writer(stream, "dynamodb-json")
        else:
            writer = open_writer(stream, self._format, types=self._types)
        self._writer = writer
        return writer

    def _end_member(self) -> None:
        if self._writer is not None and not self._staged:
            self._writer.close()
        if self._member is not None:
            self._member.close()
            self._member = self._writer = None

    def _convert(self) -> None:
        """Make the file with columns of the part. Killed in the midst, it is made again."""
        columns, types = self._columns, dict(self._types or {})
        if columns is None:
            found = found_columns(self._staged_items(), types)
            # None for a table without items: such a file has no columns either.
            keys = [name for name in self._first if name in found]
            columns, types = [*keys, *sorted(found.keys() - set(keys))], found
        made = self.path.with_name(f"{self.path.name}.tmp")
        compressed = f"{made}.gz" if self._gzip else str(made)
        file = open_output(compressed)
        try:
            with file:
                writer = open_writer(
                    file, self._format, types=types, columns=columns if columns else None
                )
                for item in self._staged_items():
                    writer.write_typed(item)
                writer.close()
                file.flush()
        except FormatError as error:
            raise FormatError(
                f"{error.reason}. All items stand in {self.part}, in DynamoDB JSON",
                path=error.path,
                source=str(self.path),
            ) from None
        with open(compressed, "rb+") as again:
            os.fsync(again.fileno())
        Path(compressed).replace(self.path)

    def _staged_items(self) -> Iterator[Mapping[str, Any]]:
        with open(self.part, "rb") as file:
            yield from _items_of(file)

    def _error(self, error: OSError, path: Path) -> SourceError:
        return SourceError(str(path), why_not_written(error))


def _items_of(lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        yield loads(line)["Item"]
