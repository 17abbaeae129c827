"""Bulk loads, exports and copies: files and tables of any length, in bounded memory."""

from aiobatch.bulk.errors import (
    BulkError,
    CheckpointError,
    DeadLetterError,
    FormatError,
    LoadFailed,
    MissingExtra,
    SourceError,
)
from aiobatch.bulk.formats import FORMATS, FormatName, format_of, parse_types
from aiobatch.bulk.load import load
from aiobatch.bulk.report import LoadReport

__all__ = [
    "FORMATS",
    "BulkError",
    "CheckpointError",
    "DeadLetterError",
    "FormatError",
    "FormatName",
    "LoadFailed",
    "LoadReport",
    "MissingExtra",
    "SourceError",
    "format_of",
    "load",
    "parse_types",
]
