"""Where rows come from and where items go: files, standard input and output, and URLs.

URLs such as ``s3://bucket/key`` are opened through fsspec, where that is installed with what the
scheme needs (``pip install fsspec s3fs``). Names that end with ``.gz`` are decompressed and
compressed. All functions here block: call them in a thread.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from aiobatch.bulk.errors import MissingExtra, SourceError
from aiobatch.bulk.formats import FormatName, check_format, format_of
from aiobatch.bulk.pipe import Pipe, is_pipe

__all__ = [
    "STDIN",
    "Fingerprint",
    "Source",
    "bytes_before",
    "open_output",
    "read_error",
    "resolve",
    "told_files",
    "total_bytes",
]

#: The name of standard input, and of standard output.
STDIN: Final = "-"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://").match
_SAMPLE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a file from one that was changed.

    Attributes:
        size: bytes, as the file stands there.
        modified: when it was changed last, in nanoseconds; or what a remote system says instead.
        digest: of its first and last 64 KB; empty for remote files.
    """

    size: int
    modified: str
    digest: str

    def as_json(self) -> dict[str, Any]:
        """The same for a checkpoint."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read.

    Attributes:
        name: a path, a URL, or ``-`` for standard input.
        format: how it is written.
    """

    name: str
    format: FormatName

    @property
    def is_stdin(self) -> bool:
        """Whether it is standard input."""
        return self.name == STDIN

    @property
    def path(self) -> Path | None:
        """Its path, if it is a file of this machine."""
        return None if self.is_stdin or _URL(self.name) else Path(self.name)

    @property
    def is_compressed(self) -> bool:
        """Whether it is decompressed while it is read."""
        return self.name.lower().endswith(".gz")

    def open(self) -> BinaryIO:
        """Open it, decompressed. Raises SourceError, MissingExtra."""
        if self.is_stdin:
            if sys.stdin is None:
                raise SourceError(self.name, "standard input is closed")
            stdin = sys.stdin.buffer
            return Pipe(stdin) if is_pipe(stdin) else stdin
        try:
            path = self.path
            raw = path.open("rb") if path is not None else _remote(self.name, "rb")
        except OSError as error:
            raise SourceError(self.name, _told(error)) from error
        return cast(BinaryIO, _Gzip(raw)) if self.is_compressed else raw

    def fingerprint(self) -> Fingerprint | None:
        """Look at the file; None for standard input. Raises SourceError, MissingExtra."""
        if self.is_stdin:
            return None
        path = self.path
        try:
            if path is None:
                system, inside = _filesystem(self.name)
                return Fingerprint(system.size(inside), str(system.ukey(inside)), "")
            if not path.is_file():
                # A pipe has neither a size nor a beginning to come back to.
                path.stat()
                raise SourceError(self.name, "is no file: pass a pipe as -, standard input")
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
                digest = hashlib.sha256(file.read(_SAMPLE))
                file.seek(max(0, state.st_size - _SAMPLE))
                digest.update(file.read(_SAMPLE))
            return Fingerprint(state.st_size, str(state.st_mtime_ns), digest.hexdigest())
        except OSError as error:
            raise SourceError(self.name, _told(error)) from error


def resolve(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    format: str | None = None,
) -> list[Source]:
    """Name the files to read, in their order.

    Args:
        sources: one path, URL or ``-``, or several.
        format: of all of them; None: each by its name.

    Raises:
        ValueError: no source, standard input beside others, or a format that there is none of.
        SourceError: a name that does not tell its format.
    """
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if not given:
        raise ValueError("sources is empty: name a file at least")
    names = [os.fspath(each) for each in given]
    if len(names) > 1 and STDIN in names:
        raise ValueError("standard input (-) must be the only source")
    return [Source(name, check_format(format) if format else format_of(name)) for name in names]


def told_files(
    files: Sequence[Source], prints: Sequence[Fingerprint | None]
) -> list[Mapping[str, Any]]:
    """What a checkpoint keeps of the files: their full names, and what tells a changed one.

    The same file, named from another directory, is the same file.
    """
    return [
        {
            "name": file.name if file.path is None else str(file.path.absolute()),
            **(each.as_json() if each else {}),
        }
        for file, each in zip(files, prints, strict=True)
    ]


def total_bytes(files: Sequence[Source], prints: Sequence[Fingerprint | None]) -> int | None:
    """The files' size; None where that does not tell how far the reading is."""
    total = 0
    for file, each in zip(files, prints, strict=True):
        if each is None or file.is_compressed or file.format == "parquet":
            return None
        total += each.size
    return total


def bytes_before(prints: Sequence[Fingerprint | None], file: int, offset: int) -> int:
    """How many bytes of the files stand before a place in one of them."""
    return sum(each.size for each in prints[:file] if each is not None) + offset


def open_output(name: str) -> BinaryIO:
    """Open a file to write: a path, a URL, or ``-``; compressed if its name ends with ``.gz``.

    Closing what is returned for ``-`` leaves standard output open.

    Raises:
        SourceError: it cannot be opened.
        MissingExtra: a URL without fsspec.
    """
    if name == STDIN:
        return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    try:
        raw = _remote(name, "wb") if _URL(name) else cast(BinaryIO, open(name, "wb"))  # noqa: SIM115
    except OSError as error:
        raise SourceError(name, _told(error)) from error
    return cast(BinaryIO, _Gzip(raw, "wb")) if name.lower().endswith(".gz") else raw


def read_error(name: str, error: Exception, line: int | None) -> SourceError | None:
    """What to raise for an error that came up while a file was read; None if it was none of those.

    Args:
        name: the file.
        error: what reading it raised.
        line: the line that it was read up to.
    """
    if isinstance(error, EOFError):
        reason = "is cut off: the compressed data ends in the middle. What stood before was read"
    elif isinstance(error, gzip.BadGzipFile | zlib.error):
        reason = "is no gzip file, or is damaged. What stood before was read"
    elif isinstance(error, OSError):
        reason = _told(error)
    else:
        return None
    return SourceError(name, reason, line=line)


class _Gzip(gzip.GzipFile):
    """Closes the file that it stands on, too."""

    def __init__(self, raw: BinaryIO, mode: str = "rb") -> None:
        # Without a name and a time, equal contents give equal files.
        super().__init__(filename="", fileobj=raw, mode=mode, compresslevel=6, mtime=0)
        self._raw = raw

    def close(self) -> None:
        try:
            super().close()
        finally:
            with suppress(AttributeError):  # __init__ failed
                self._raw.close()


def _filesystem(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra(
            f"{url}: URLs need fsspec, with what their scheme needs: pip install fsspec, and s3fs"
            " for s3://",
            name="fsspec",
        ) from error
    try:
        system, inside = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(f"{url}: {error}") from error
    except ValueError as error:
        raise SourceError(url, "no installed library knows this scheme") from error
    return system, inside


def _remote(url: str, mode: str) -> BinaryIO:
    system, inside = _filesystem(url)
    return cast(BinaryIO, system.open(inside, mode))


def _told(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "this user may not open it"
    return f"cannot be opened or read: {error.strerror or type(error).__name__}"
