"""What a bulk load or export raises, besides the errors of the client.

The tree::

    AiobatchError
    └── BulkError
        ├── SourceError        a file cannot be opened or read, is damaged, or has no known format
        ├── FormatError        a file has not its format, or an item does not fit into one
        ├── CheckpointError    a checkpoint that is not this load's, or is in use
        ├── DeadLetterError    a dead-letter file that is there already, or cannot be written
        ├── CopyFailed         a copy ended before its end; the report is in it
        ├── LoadFailed         a load ended before its end; the report and the cause are in it
        └── MissingExtra (also an ImportError)    a library of an extra is not installed

Texts name files, lines and attributes, never what an item holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiobatch.errors import AiobatchError

if TYPE_CHECKING:
    from aiobatch.bulk.copy import CopyReport
    from aiobatch.bulk.report import LoadReport

__all__ = [
    "BulkError",
    "CheckpointError",
    "CopyFailed",
    "DeadLetterError",
    "FormatError",
    "LoadFailed",
    "MissingExtra",
    "SourceError",
]


class BulkError(AiobatchError):
    """The root of what only bulk loads and exports raise."""


class SourceError(BulkError):
    """A file that cannot be opened or read to its end.

    Attributes:
        source: the file, as the caller named it.
        line: the line that it was read up to, counted from 1; None where that is not known.
    """

    def __init__(self, source: str, reason: str, *, line: int | None = None) -> None:
        self.source = source
        self.line = line
        at = "" if line is None else f", line {line}"
        super().__init__(f"{source}{at}: {reason}")


class FormatError(BulkError):
    """A file that has not its format, or an item that a format cannot hold.

    Attributes:
        path: the attribute, where one is at fault; else empty.
        reason: what is wrong and what to do. Never the value.
    """

    def __init__(self, reason: str, *, path: str = "", source: str = "") -> None:
        self.path = path
        self.reason = reason
        where = [part for part in (source, f"attribute {path}" if path else "") if part]
        super().__init__(f"{', '.join(where)}: {reason}" if where else reason)


class CheckpointError(BulkError):
    """A checkpoint that cannot be used for this load. Nothing was sent.

    Attributes:
        path: the checkpoint's file.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"checkpoint {path}: {reason}")


class DeadLetterError(BulkError):
    """A dead-letter file that is there already, has changed, or cannot be written.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"dead letters {path}: {reason}")


class CopyFailed(BulkError):
    """A copy ended before its end. What was written stays; started again, it goes on.

    Attributes:
        report: how far it came.
    """

    def __init__(self, message: str, report: CopyReport) -> None:
        self.report = report
        super().__init__(message)


class LoadFailed(BulkError):
    """A load ended before its end. What was written stays; started again, it goes on.

    Attributes:
        report: how far it came. Everything up to ``report.done`` has ended.
        cause: the error behind it.
    """

    def __init__(self, message: str, report: LoadReport) -> None:
        self.report = report
        super().__init__(message)


class MissingExtra(BulkError, ImportError):
    """A library that this needs is not installed; the text says how to install it."""
