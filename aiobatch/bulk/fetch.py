"""``fetch``: the items whose keys stand in files, into a file, in spite of kills."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiobatch import intake
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile
from aiobatch.bulk.export import default_export_checkpoint
from aiobatch.bulk.fetch_run import FetchRun, Reading
from aiobatch.bulk.formats import check_format, check_types, format_of
from aiobatch.bulk.output import LocalOutput, Output, StreamedOutput
from aiobatch.bulk.segments import Selection
from aiobatch.bulk.sources import Source, resolve, told_files, total_bytes
from aiobatch.bulk.table import describe
from aiobatch.bulk.threads import Worker
from aiobatch.bulk.words import counted
from aiobatch.retry import Retry
from aiobatch.streams.stream import Settings

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["FetchReport", "fetch"]


@dataclass(slots=True)
class FetchReport:
    """What became of the keys. It is live.

    Counts are those of the whole work, with what earlier runs did before they were ended.

    Attributes:
        table_name: the table's name or ARN.
        keys: rows that are done.
        found: items that were written into the output.
        missing: keys that DynamoDB has no item for.
        rejected: rows that are no keys of this table, or were refused by DynamoDB.
        reasons: file, line and reason of the first of those that this run met.
        resumed_at: ``keys`` when this run began; 0 for one from the beginning.
        bytes_done: bytes of the files that are done.
        bytes_total: the files' size in bytes; None where one of them is a pipe, compressed, or not
            on this machine.
        checkpoint: the checkpoint's file, or None.
        finished: whether every key has its answer, and the output is whole.
        elapsed: seconds that this run took.
    """

    table_name: str
    keys: int = 0
    found: int = 0
    missing: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)
    resumed_at: int = 0
    bytes_done: int = 0
    bytes_total: int | None = None
    checkpoint: Path | None = None
    finished: bool = False
    elapsed: float = 0.0

    def in_words(self) -> str:
        """The counts, in words."""
        words = f"{counted(self.keys, 'keys')}: {self.found:,} found, {self.missing:,} missing"
        words += f", {self.rejected:,} rejected" if self.rejected else ""
        return words + (f", {self.resumed_at:,} by earlier runs" if self.resumed_at else "")


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
    checkpoint: str | os.PathLike[str] | bool | None = None,
    on_progress: Callable[[FetchReport], object] | None = None,
    max_pending: int | None = None,
    retry: Retry | None = None,
    checkpoint_every: float = 1.0,
) -> FetchReport:
    r"""Read items whose keys stand in files, and write them into a file.

    Items come in the order of their keys by the thousand, and in none within. From files into a
    local file there is a checkpoint: what was ended in any way goes on where it was when it is
    started again with the same arguments, and the output holds the items of each row once. Until
    it is whole, it is called ``NAME.part``.

    Args:
        db: the client.
        sources: paths, URLs, or ``-``; rows may be keys or whole items.
        table_name: the table's name or ARN.
        output: as for ``export``.
        format: of the keys; None: by the names.
        types: of the keys' attributes, for formats that do not tell them.
        output_format: of the output; None: by its name.
        columns: as for ``export``.
        projection_expression: as for ``DynamoDB.iter_get``.
        expression_attribute_names: as for ``DynamoDB.iter_get``.
        consistent_read: as for ``DynamoDB.iter_get``.
        checkpoint: the checkpoint's file; None or True: beside the output; False: none. It is
            removed when all is done. Standard input and output, and URLs as output, cannot be gone
            on with.
        on_progress: called with the live report now and then, and once at the end.
        max_pending: how many keys and items are in hand at most. None: 4,000.
        retry: as for ``DynamoDB.iter_get``.
        checkpoint_every: seconds between two checkpoints.

    Returns:
        The report. A row that is no key of this table is counted as rejected, with its line.

    Raises:
        ValueError, TypeError: arguments that cannot be right, at once.
        SourceError, FormatError: a file cannot be read, or the output cannot be written.
        CheckpointError: the checkpoint is of other work, or in use. Nothing was read.
        BatchError: keys were left over.
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
    local = Source(name, wanted).path
    goes_on = local is not None and not any(file.is_stdin for file in files)
    if checkpoint not in (None, False) and not goes_on:
        raise ValueError(
            "only files can be gone on with: checkpoint= is not for standard input, and not for"
            " URLs and - as output"
        )
    table = await describe(db, table_name)
    selection = Selection(
        projection_expression=projection_expression,
        expression_attribute_names=expression_attribute_names,
        consistent_read=consistent_read,
    )
    file: Output
    if local is not None:
        keys = () if table.schema is None else table.schema.names
        file = LocalOutput(local, wanted, None, columns, keys)
    else:
        file = StreamedOutput(name, wanted, None, columns)
    saved = None
    if goes_on and checkpoint is not False:
        chosen = None if checkpoint in (None, True) else Path(checkpoint)  # type: ignore[arg-type]
        saved = CheckpointFile(chosen or default_export_checkpoint(name))
    report = FetchReport(table_name)
    async with Worker("aiobatch-get") as worker, Worker("aiobatch-get-reader") as reader:
        prints = await worker.run(lambda: [each.fingerprint() for each in files])
        report.bytes_total = total_bytes(files, prints)

        def beginning() -> Checkpoint:
            return Checkpoint(
                table=table.as_json(),
                options={
                    "operation": "get",
                    "formats": [each.format for each in files],
                    "types": dict(checked),
                    "output": name if local is None else str(local.absolute()),
                    "output format": wanted,
                    "columns": None if columns is None else list(columns),
                    "selection": selection.told(),
                },
                files=told_files(files, prints),
            )

        reading = Reading(db._access(), table_name, table.schema, selection, settings)
        run = FetchRun(
            worker,
            reader,
            reading,
            files,
            prints,
            checked,
            file,
            saved,
            await worker.run(beginning),
            report,
            on_progress,
            checkpoint_every,
        )
        await run.run()
    return report
