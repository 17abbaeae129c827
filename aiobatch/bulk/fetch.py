"""``fetch``: the items whose keys stand in files, into a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from aiobatch import intake
from aiobatch.bulk.checkpoint import Mark
from aiobatch.bulk.formats import Row, check_format, check_types, format_of
from aiobatch.bulk.formats.typed import typed_of
from aiobatch.bulk.output import LocalOutput, Output, StreamedOutput
from aiobatch.bulk.slices import Slices
from aiobatch.bulk.sources import Source, resolve
from aiobatch.bulk.table import describe
from aiobatch.bulk.threads import Worker
from aiobatch.codec import KeySchema, Refusal, encode_key
from aiobatch.responses import Item
from aiobatch.retry import Retry
from aiobatch.streams.reader import ItemStream
from aiobatch.streams.stream import Settings

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["FetchReport", "fetch"]

_ITEMS_A_WRITE: Final = 500
# Reasons are for people: the first ones tell what is wrong with a file.
_TOLD: Final = 20


@dataclass(slots=True)
class FetchReport:
    """What became of the keys. It is live.

    Attributes:
        table_name: the table's name or ARN.
        keys: rows read.
        found: items that were written into the output.
        missing: keys that DynamoDB has no item for.
        rejected: rows that are no keys of this table.
        reasons: file, line and reason of the first of those.
        finished: whether every key has its answer.
        elapsed: seconds.
    """

    table_name: str
    keys: int = 0
    found: int = 0
    missing: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    finished: bool = False
    elapsed: float = 0.0

    def in_words(self) -> str:
        """The counts, in words."""
        words = f"{self.keys:,} keys: {self.found:,} found, {self.missing:,} missing"
        return words + (f", {self.rejected:,} rejected" if self.rejected else "")


async def fetch(
    db: DynamoDB,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    table_name: str,
    output: str | os.PathLike[str],
    *,
    format: str | None = None,
    types: Mapping[str, str] | None = None,
    output_format: str | None = None,
    columns: Sequence[str] | None = None,
    projection_expression: str | None = None,
    expression_attribute_names: Mapping[str, str] | None = None,
    consistent_read: bool = False,
    on_progress: Callable[[FetchReport], object] | None = None,
    max_pending: int | None = None,
    retry: Retry | None = None,
) -> FetchReport:
    r"""Read items whose keys stand in files, and write them into a file, in no order.

    Args:
        db: the client.
        sources: paths, URLs, or ``-``; rows may be keys or whole items.
        table_name: the table's name or ARN.
        output: as for ``export``; it is whole under its name, or not there.
        format: of the keys; None: by the names.
        types: of the keys' attributes, for formats that do not tell them.
        output_format: of the output; None: by its name.
        columns: as for ``export``.
        projection_expression: as for ``DynamoDB.iter_get``.
        expression_attribute_names: as for ``DynamoDB.iter_get``.
        consistent_read: as for ``DynamoDB.iter_get``.
        on_progress: called with the live report now and then, and once at the end.
        max_pending: as for ``DynamoDB.iter_get``.
        retry: as for ``DynamoDB.iter_get``.

    Returns:
        The report. A row that is no key of this table is counted as rejected, with its line.

    Raises:
        ValueError, TypeError: arguments that cannot be right, at once.
        SourceError, FormatError: a file cannot be read, or the output cannot be written.
        BatchError: keys were left over, or refused by DynamoDB.
        TableNotFound, AccessDenied, ServiceError, WireError: DynamoDB gave no usable answer.

    Example::

        import asyncio
        from pathlib import Path
        from aiobatch.bulk import fetch

        await asyncio.to_thread(Path("keys.csv").write_text, "pk,sk\nuser#1,profile\n")
        report = await fetch(db, "keys.csv", "users", "users.json")
        print(report.found, report.missing)
    """
    intake.check_table_name(table_name)
    name = os.fspath(output)
    wanted = check_format(output_format) if output_format else format_of(name)
    checked = check_types(types)
    files = resolve(sources, format)
    settings = Settings(retry=retry or Retry.patient(), max_pending=max_pending, max_wait=0.1)
    if columns is not None and wanted not in ("csv", "parquet"):
        raise ValueError("columns= is for CSV and Parquet")
    schema = (await describe(db, table_name)).schema
    file: Output
    if (path := Source(name, wanted).path) is not None:
        keys = () if schema is None else schema.names
        file = LocalOutput(path, wanted, None, columns, keys)
    else:
        file = StreamedOutput(name, wanted, None, columns)
    report = FetchReport(table_name)
    clock = asyncio.get_running_loop().time
    began = clock()

    def tell() -> None:
        report.elapsed = clock() - began
        if on_progress is not None:
            on_progress(report)

    async with Worker("aiobatch-get") as worker:
        prints = await worker.run(lambda: [each.fingerprint() for each in files])
        slices = Slices(files, checked, Mark(), prints)
        try:
            await worker.run(lambda: file.open(0, complete=False))
            stream: ItemStream[Item] = ItemStream(
                # Exact, whatever the client's numbers.
                replace(db._access(), numbers="decimal"),
                _keys(slices, worker, files, schema, report),
                table_name,
                settings,
                projection_expression=projection_expression,
                expression_attribute_names=expression_attribute_names,
                consistent_read=consistent_read,
                on_missing=None,
                on_invalid="raise",
                model=None,
            )
            held: list[Mapping[str, Any]] = []
            async with stream:
                async for item in stream:
                    held.append(item)
                    if len(held) >= _ITEMS_A_WRITE:
                        full, held = held, []
                        await worker.run(lambda full=full: _write(file, full))  # type: ignore[misc]
                        report.found += len(full)
                        report.missing = stream.report.missing
                        tell()
            await worker.run(lambda: _write(file, held))
            report.found += len(held)
            report.missing = stream.report.missing
            await worker.run(file.finish)
            report.finished = True
        finally:
            await worker.run(slices.close)
            await worker.run(file.close)
            tell()
    return report


def _write(file: Output, items: Sequence[Mapping[str, Any]]) -> None:
    file.add([typed_of(item) for item in items])


async def _keys(
    slices: Slices,
    worker: Worker,
    files: Sequence[Source],
    schema: KeySchema | None,
    report: FetchReport,
) -> AsyncIterator[dict[str, Any]]:
    while rows := await worker.run(slices.next, slices.give_up):
        for number, row in rows:
            report.keys += 1
            key = _key_of(row, schema)
            if isinstance(key, str):
                report.rejected += 1
                if len(report.reasons) < _TOLD:
                    at = f"line {row.line}" if row.line is not None else f"row {row.number}"
                    report.reasons.append(f"{files[number].name}, {at}: {key}")
            else:
                yield key


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
