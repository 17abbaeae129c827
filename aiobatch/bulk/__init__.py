"""Bulk loads, exports and copies: files and tables of any length, in bounded memory."""

from aiobatch.bulk.copy import CopyReport, copy
from aiobatch.bulk.cost import Cost, estimate
from aiobatch.bulk.count import CountReport, count
from aiobatch.bulk.errors import (
    BulkError,
    CheckpointError,
    CopyFailed,
    DeadLetterError,
    FormatError,
    LoadFailed,
    MissingExtra,
    SourceError,
)
from aiobatch.bulk.export import ExportReport, export
from aiobatch.bulk.fetch import FetchReport, fetch
from aiobatch.bulk.formats import FORMATS, FormatName, format_of, parse_types
from aiobatch.bulk.load import load
from aiobatch.bulk.report import LoadReport

__all__ = [
    "FORMATS",
    "BulkError",
    "CheckpointError",
    "CopyFailed",
    "CopyReport",
    "Cost",
    "CountReport",
    "DeadLetterError",
    "ExportReport",
    "FetchReport",
    "FormatError",
    "FormatName",
    "LoadFailed",
    "LoadReport",
    "MissingExtra",
    "SourceError",
    "copy",
    "count",
    "estimate",
    "export",
    "fetch",
    "format_of",
    "load",
    "parse_types",
]
