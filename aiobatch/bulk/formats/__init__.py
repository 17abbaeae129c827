"""The formats of files: CSV, JSON Lines, DynamoDB JSON and Parquet, each read and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import BinaryIO, Final

from aiobatch.bulk.errors import SourceError
from aiobatch.bulk.formats.rows import FORMATS, START, FormatName, Position, Reader, Row, Writer
from aiobatch.bulk.formats.types import TYPES, check_types, parse_types

__all__ = [
    "FORMATS",
    "START",
    "TYPES",
    "FormatName",
    "Position",
    "Reader",
    "Row",
    "Writer",
    "check_format",
    "check_types",
    "format_of",
    "open_reader",
    "open_writer",
    "parse_types",
    "suffix_of",
]

_SUFFIXES: Final[dict[str, FormatName]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "dynamodb-json",
    ".parquet": "parquet",
}


def check_format(name: str) -> FormatName:
    """Raise ValueError for what is no format."""
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {name!r}")
    return name


def format_of(name: str) -> FormatName:
    """The format of a file, by its name; ``.gz`` at the end does not count.

    Raises SourceError if the name does not tell.

    >>> format_of("places.csv.gz"), format_of("s3://bucket/export/part-0001.json")
    ('csv', 'dynamodb-json')
    """
    plain = name.split("?", 1)[0].lower().removesuffix(".gz")
    for suffix, found in _SUFFIXES.items():
        if plain.endswith(suffix):
            return found
    raise SourceError(
        name, f"the name does not tell the format: give format=, one of {', '.join(FORMATS)}"
    )


def suffix_of(format: FormatName) -> str:
    """What the names of files of a format end with.

    >>> suffix_of("dynamodb-json")
    '.json'
    """
    return next(suffix for suffix, found in _SUFFIXES.items() if found == format)


def open_reader(
    stream: BinaryIO,
    format: FormatName,
    *,
    types: Mapping[str, str] | None = None,
    name: str = "",
) -> Reader:
    """Make a reader of an open, decompressed file. It may read the file's beginning: it blocks.

    Args:
        stream: the file, at its beginning.
        format: see ``FORMATS``.
        types: types by attribute; not for DynamoDB JSON, which tells them itself.
        name: what errors call the file.

    Raises:
        ValueError: types that make no sense.
        FormatError: the file has not this format.
        MissingExtra: Parquet without pyarrow.
    """
    checked = check_types(types)
    if format == "csv":
        from aiobatch.bulk.formats.csvs import CsvReader

        return CsvReader(stream, checked, name)
    if format == "jsonl":
        from aiobatch.bulk.formats.jsonl import read_json_lines

        return read_json_lines(stream, checked, name)
    if format == "parquet":
        from aiobatch.bulk.formats.parquet import ParquetReader

        return ParquetReader(stream, checked, name)
    _refuse_types(types)
    from aiobatch.bulk.formats.dynamodb_json import read_dynamodb_json

    return read_dynamodb_json(stream, name)


def open_writer(
    stream: BinaryIO,
    format: FormatName,
    *,
    types: Mapping[str, str] | None = None,
    columns: Iterable[str] | None = None,
) -> Writer:
    """Make a writer into an open file.

    Args:
        stream: the file.
        format: see ``FORMATS``.
        types: types by attribute.
        columns: of CSV and Parquet, all columns in their order. None: those of the first items.

    Raises:
        ValueError: types or columns that make no sense.
        MissingExtra: Parquet without pyarrow.
    """
    if format == "csv":
        from aiobatch.bulk.formats.csvs import CsvWriter

        return CsvWriter(stream, types, columns)
    if format == "parquet":
        from aiobatch.bulk.formats.parquet import ParquetWriter

        return ParquetWriter(stream, types, columns)
    if columns is not None:
        raise ValueError("columns= is for CSV and Parquet")
    if format == "jsonl":
        from aiobatch.bulk.formats.jsonl import JsonLinesWriter

        return JsonLinesWriter(stream, check_types(types))
    _refuse_types(types)
    from aiobatch.bulk.formats.dynamodb_json import DynamoJsonWriter

    return DynamoJsonWriter(stream)


def _refuse_types(types: Mapping[str, str] | None) -> None:
    if types:
        raise ValueError("types= is not for DynamoDB JSON, which has the types itself")
