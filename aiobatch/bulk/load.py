"""``load``: files into a table, in bounded memory, in spite of kills."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from aiobatch import intake
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile
from aiobatch.bulk.dead_letters import DeadLetters, default_dead_letters
from aiobatch.bulk.errors import BulkError
from aiobatch.bulk.formats import check_types
from aiobatch.bulk.report import LoadReport
from aiobatch.bulk.run import LoadRun
from aiobatch.bulk.sources import Fingerprint, Source, resolve, told_files, total_bytes
from aiobatch.bulk.table import TableIdentity, describe
from aiobatch.bulk.threads import Worker
from aiobatch.retry import Retry
from aiobatch.streams.stream import Settings

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["AUTO_CHECKPOINT_BYTES", "OnProgress", "default_checkpoint", "load"]

OnProgress = Callable[[LoadReport], object]

#: Loads of local files of so many bytes have a checkpoint unless they are told otherwise.
AUTO_CHECKPOINT_BYTES: Final = 16 * 1024 * 1024


def default_checkpoint(source: Source) -> Path | None:
    """Where the checkpoint of a load goes: beside its first file; None if that is not local.

    >>> default_checkpoint(Source("data/places.csv", "csv")).as_posix()
    'data/places.csv.checkpoint'
    """
    path = source.path
    return None if path is None else path.with_name(f"{path.name}.checkpoint")


async def load(
    db: DynamoDB,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    table_name: str,
    *,
    operation: Literal["put", "delete"] = "put",
    format: str | None = None,
    types: Mapping[str, str] | None = None,
    checkpoint: str | os.PathLike[str] | bool | None = None,
    dead_letters: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
    max_rejected: int | None = None,
    max_pending: int | None = None,
    max_wait: float = 0.1,
    retry: Retry | None = None,
    checkpoint_every: float = 0.5,
) -> LoadReport:
    r"""Put the rows of files into a table, or delete them from it.

    Of rows with one key the last one wins. With a checkpoint, a load that was ended in any way goes
    on where it was when it is started again with the same arguments, and the table ends as if it
    had run through: see ``docs/bulk-loads.md``.

    Args:
        db: the client.
        sources: paths, URLs, or ``-`` for standard input; one, or several that are read in order.
        table_name: the table's name or ARN.
        operation: ``"put"``, or ``"delete"``, for which rows may be keys or whole items.
        format: ``"csv"``, ``"jsonl"``, ``"dynamodb-json"`` or ``"parquet"``; None: by the name.
        types: types by attribute, for formats that do not tell them: see ``TYPES``.
        checkpoint: the checkpoint's file; True: beside the first file; False: none. None: beside
            the first file, if the files have 16 MB or more, or if there is one already. It is
            removed when the load is over.
        dead_letters: the file for rows that are not written (a directory, for several sources).
            None: beside each file, as ``places.rejected.csv``. It must not be there yet.
        on_progress: called with the live report, at most ten times a second and once at the end,
            however it ends.
        max_rejected: stop once more rows than this were rejected. None: never.
        max_pending: as for ``DynamoDB.batch_writer``.
        max_wait: as for ``DynamoDB.batch_writer``.
        retry: as for ``DynamoDB.batch_writer``.
        checkpoint_every: seconds between two checkpoints.

    Returns:
        The report. Every row was written, or stands in the dead letters.

    Raises:
        ValueError, TypeError: arguments that cannot be right, at once.
        SourceError, FormatError: a file cannot be read to its end, or not at all. All rows before
            that place have ended.
        CheckpointError, DeadLetterError: see there; nothing was sent, or no more is.
        MissingExtra: Parquet without pyarrow, a URL without fsspec.
        TableNotFound, AccessDenied, ServiceError, WireError: of DescribeTable, with which it
            begins.
        KeyNamesUnknown: DescribeTable is denied, and the client has no ``key_names``.
        LoadFailed: rows could not be written: ``report`` tells how far it came, ``cause`` why.
        ClientClosed: the client was closed.
        CancelledError: the caller was cancelled. What was under way had its answer, and the
            checkpoint was written.

    Example::

        import asyncio
        from pathlib import Path
        from aiobatch.bulk import load

        rows = "pk,sk,age\nuser#9,profile,39\n"
        await asyncio.to_thread(Path("users.csv").write_text, rows)
        report = await load(db, "users.csv", "users", types={"age": "N"})
        print(report.written, report.rejected, report.dead_letters)
    """
    intake.check_table_name(table_name)
    if operation not in ("put", "delete"):
        raise ValueError(f"Invalid operation '{operation}'. Must be 'put' or 'delete'")
    if not checkpoint_every >= 0:
        raise ValueError("checkpoint_every must be seconds, 0 or more")
    if max_rejected is not None and max_rejected < 0:
        raise ValueError("max_rejected must be 0 or more, or None")
    settings = Settings(retry=retry or Retry.patient(), max_pending=max_pending, max_wait=max_wait)
    checked = check_types(types)
    files = resolve(sources, format)
    places = _dead_letter_places(files, dead_letters)
    if checkpoint not in (None, False) and any(file.is_stdin for file in files):
        raise ValueError("standard input cannot be gone on with: checkpoint= needs files")
    table = await describe(db, table_name)
    report = LoadReport(table_name, operation)
    # What is written down must not wait for a pipe that says nothing.
    async with Worker("aiobatch-load") as worker, Worker("aiobatch-load-reader") as reader:
        prints = await worker.run(lambda: [file.fingerprint() for file in files])
        saved = await worker.run(lambda: _checkpoint_file(files, prints, checkpoint))
        begin = await worker.run(lambda: _beginning(table, operation, files, prints, checked))
        report.bytes_total = total_bytes(files, prints)
        run = LoadRun(
            db._access(),
            table_name,
            settings,
            operation=operation,
            files=files,
            fingerprints=prints,
            types=checked,
            checkpoint=saved,
            begin=begin,
            dead_letters=DeadLetters(places),
            worker=worker,
            reader=reader,
            report=report,
            on_progress=on_progress,
            max_rejected=max_rejected,
            checkpoint_every=checkpoint_every,
        )
        await run.run()
    return report


def _beginning(
    table: TableIdentity,
    operation: str,
    files: Sequence[Source],
    prints: Sequence[Fingerprint | None],
    types: Mapping[str, str],
) -> Checkpoint:
    return Checkpoint(
        table=table.as_json(),
        options={
            "operation": operation,
            "formats": [file.format for file in files],
            "types": dict(types),
        },
        files=told_files(files, prints),
    )


def _checkpoint_file(
    files: Sequence[Source],
    prints: Sequence[Fingerprint | None],
    wanted: str | os.PathLike[str] | bool | None,
) -> CheckpointFile | None:
    if wanted is False:
        return None
    if wanted is not None and wanted is not True:
        return CheckpointFile(Path(wanted))
    place = default_checkpoint(files[0])
    if place is None:
        if wanted:
            raise BulkError(f"{files[0].name} has no place for a checkpoint beside it: name one")
        return None
    size = sum(each.size for each in prints if each is not None)
    if wanted or size >= AUTO_CHECKPOINT_BYTES or place.exists():
        return CheckpointFile(place)
    return None


def _dead_letter_places(
    files: Sequence[Source], wanted: str | os.PathLike[str] | None
) -> list[Path]:
    places = [default_dead_letters(file) for file in files]
    if wanted is not None:
        if len(files) == 1:
            return [Path(wanted)]
        places = [Path(wanted) / place.name for place in places]
    if len(set(places)) != len(places):
        raise ValueError(
            "two of the sources have the same name, and so would their dead letters: load them one"
            " after the other"
        )
    return places
