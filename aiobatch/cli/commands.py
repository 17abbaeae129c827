"""What each command does with the client, and what it tells in the end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from aiobatch import bulk
from aiobatch.bulk.cost import estimate
from aiobatch.bulk.create import create_table
from aiobatch.bulk.table import describe
from aiobatch.bulk.words import counted
from aiobatch.cli.codes import Exit
from aiobatch.cli.display import Display
from aiobatch.cli.running import Connection, Job, carry_out, command_line
from aiobatch.errors import TableNotFound
from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS, READ_UNIT_BYTES

__all__ = ["Loading", "copy", "count", "export", "get", "load"]

# Of the reasons, so many are told at the end.
_REASONS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What ``load`` and ``delete`` are asked for."""

    files: list[str]
    table: str
    operation: Literal["put", "delete"]
    format: str | None
    types: Mapping[str, str] | None
    create: Mapping[str, str] | None
    checkpoint: Path | bool | None
    dead_letters: Path | None
    max_rejected: int | None


def load(wanted: Loading, connection: Connection, *, dry_run: bool, json: bool, quiet: bool) -> int:
    """``load`` and ``delete``."""
    named = wanted.files[0] if len(wanted.files) == 1 else f"{len(wanted.files)} files"
    named = "standard input" if named == "-" else named
    done = "written" if wanted.operation == "put" else "deleted"

    async def work(job: Job) -> Exit:
        if dry_run:
            return await _would_load(job, wanted)
        display = job.display
        if wanted.create is not None and await create_table(job.db, wanted.table, wanted.create):
            display.say(f"created table {wanted.table}")
        reports: list[bulk.LoadReport] = []

        def progress(report: bulk.LoadReport) -> None:
            first, reports[:] = not reports, [report]
            if first:
                if report.resumed_at:
                    display.state.before_share = _share(report) or 0.0
                    display.say(f"goes on behind row {report.resumed_at:,}")
                _say_how_to_go_on(job, report)
            display.update(
                items=report.done,
                before=report.resumed_at,
                share=_share(report),
                rejected=report.rejected,
            )

        def summary() -> dict[str, Any]:
            return _load_summary(reports[0], done) if reports else {}

        job.summary = summary
        job.left = lambda: f"so far: {reports[0].in_words()}" if reports else ""
        report = await bulk.load(
            job.db,
            wanted.files,
            wanted.table,
            operation=wanted.operation,
            format=wanted.format,
            types=wanted.types,
            checkpoint=wanted.checkpoint,
            dead_letters=wanted.dead_letters,
            max_rejected=wanted.max_rejected,
            on_progress=progress,
        )
        display.say(
            f"{counted(report.written, 'rows')} {done}, {report.rejected:,} rejected"
            f" ({display.costs_in_words()})"
        )
        _say_rejected(display, "rows", report)
        return Exit.REJECTED if report.rejected else Exit.DONE

    title = (
        f"{named} → {wanted.table}"
        if done == "written"
        else f"{named}, deleted from {wanted.table}"
    )
    return carry_out(title, "rows", connection, work, json=json, quiet=quiet)


def _say_rejected(
    display: Display, unit: str, report: bulk.LoadReport | bulk.CopyReport | bulk.FetchReport
) -> None:
    """The first reasons, and where the rest is."""
    for reason in report.reasons[:_REASONS]:
        display.say(reason, "yellow")
    more = report.rejected - min(len(report.reasons), _REASONS)
    if more and report.reasons:
        display.say(f"and {more:,} more", "yellow")
    if not isinstance(report, bulk.FetchReport):
        for path in report.dead_letters:
            display.say(f"rejected {unit}: {path}, the reasons: {path}.reasons.jsonl", "yellow")


def _say_how_to_go_on(job: Job, report: bulk.LoadReport) -> None:
    if report.checkpoint is not None:
        job.how_to_go_on = f"to go on: {command_line()}"
    else:
        job.how_to_go_on = f"without a checkpoint, it begins at the first row: {command_line()}"


def _share(report: bulk.LoadReport | bulk.FetchReport) -> float | None:
    if not report.bytes_total:
        return None
    return min(1.0, report.bytes_done / report.bytes_total)


def _load_summary(report: bulk.LoadReport, done: str) -> dict[str, Any]:
    return {
        "table": report.table_name,
        "rows": report.done,
        done: report.written,
        "rejected": report.rejected,
        "resumed_at": report.resumed_at,
        "finished": report.finished,
        "seconds": report.elapsed,
        "checkpoint": None if report.finished else report.checkpoint,
        "dead_letters": [str(path) for path in report.dead_letters],
    }


async def _would_load(job: Job, wanted: Loading) -> Exit:
    """The dry run: the files are read, and nothing is sent but DescribeTable."""
    names: tuple[str, ...] | None = None
    note = ""
    if wanted.create is not None:
        names = tuple(wanted.create)
    else:
        try:
            schema = (await describe(job.db, wanted.table)).schema
            names = None if schema is None else tuple(schema.names)
        except TableNotFound:
            note = f"table {wanted.table} is not there: --create-table would make it"
    cost = await estimate(
        wanted.files,
        operation=wanted.operation,
        format=wanted.format,
        types=wanted.types,
        key_names=names,
    )
    requests = -(-cost.items // BATCH_WRITE_MAX_OPERATIONS)
    figures = {
        "dry_run": True,
        "rows": cost.rows,
        "would_write": cost.items,
        "would_reject": cost.refused,
        "bytes": cost.bytes,
        "largest": cost.largest,
        "requests_at_least": requests,
        "write_units": cost.write_units,
    }
    job.summary = lambda: figures
    display = job.display
    mean = cost.bytes / cost.items if cost.items else 0.0
    verb = "write" if wanted.operation == "put" else "delete"
    display.say("dry run: nothing is sent")
    display.say(f"  rows        {cost.rows:,}, of which {cost.refused:,} would be rejected")
    display.say(f"  {verb:<11} {cost.items:,} items in {requests:,} requests or more")
    display.say(
        f"  sizes       {_bytes(cost.bytes)} in all, {mean:,.0f} bytes an item,"
        f" the largest {cost.largest:,} bytes"
    )
    least = " at least" if verb == "delete" else ""
    display.say(f"  costs       {cost.write_units:,} write units{least}, secondary indexes aside")
    if note:
        display.say(f"  note        {note}", "yellow")
    return Exit.REJECTED if cost.refused else Exit.DONE


def _show_scan(
    job: Job, report: bulk.ExportReport | bulk.CopyReport, total: int, anew: str | None
) -> None:
    """How far an export or a copy is; ``anew`` at first: what to say where nothing is kept."""
    display = job.display
    if anew is not None:
        how = "to go on" if report.checkpoint is not None else anew
        job.how_to_go_on = f"{how}: {command_line()}"
        if report.resumed_at:
            display.say(f"goes on behind item {report.resumed_at:,}")
            display.state.before_share = _of(report.resumed_at, total) or 0.0
    display.update(
        items=report.items,
        before=report.resumed_at,
        rejected=report.rejected,
        share=1.0 if report.finished else _of(report.items + report.rejected, total),
    )


def export(
    table: str,
    output: str,
    arguments: dict[str, Any],
    connection: Connection,
    *,
    dry_run: bool,
    json: bool,
    quiet: bool,
) -> int:
    """``export``."""

    async def work(job: Job) -> Exit:
        if dry_run:
            return await _would_read(job, table, arguments)
        # Before anything is asked of DynamoDB.
        arguments["format"] = arguments["format"] or bulk.format_of(output)
        display = job.display
        reports: list[bulk.ExportReport] = []
        total = await _item_count(job, table)

        def progress(report: bulk.ExportReport) -> None:
            first, reports[:] = not reports, [report]
            _show_scan(job, report, total, "it begins anew with" if first else None)

        job.summary = lambda: _summary(reports, "output", "segments")
        job.left = lambda: f"so far: {reports[0].in_words()}" if reports else ""
        report = await bulk.export(job.db, table, output, on_progress=progress, **arguments)
        named = "standard output" if output == "-" else output
        display.say(
            f"{counted(report.items, 'items')} written to {named} ({display.costs_in_words()})"
        )
        return Exit.DONE

    named = "standard output" if output == "-" else output
    return carry_out(f"{table} → {named}", "items", connection, work, json=json, quiet=quiet)


def copy(
    source: str,
    target: str,
    arguments: dict[str, Any],
    connection: Connection,
    other: Connection | None,
    *,
    dry_run: bool,
    json: bool,
    quiet: bool,
) -> int:
    """``copy``."""

    async def work(job: Job) -> Exit:
        if dry_run:
            return await _would_read(job, source, arguments)
        display = job.display
        reports: list[bulk.CopyReport] = []
        total = await _item_count(job, source)

        def progress(report: bulk.CopyReport) -> None:
            first, reports[:] = not reports, [report]
            _show_scan(
                job, report, total, "without --checkpoint, it begins anew" if first else None
            )

        job.summary = lambda: _summary(
            reports, "source", "target", "segments", "rejected", "dead_letters"
        )
        job.left = lambda: f"so far: {reports[0].in_words()}" if reports else ""
        async with AsyncExitStack() as stack:
            to = None
            if other is not None:
                to = await stack.enter_async_context(other.client(job.watch))
            report = await bulk.copy(
                job.db, source, target, to=to, on_progress=progress, **arguments
            )
        rejected = f", {report.rejected:,} rejected" if report.rejected else ""
        display.say(
            f"{counted(report.items, 'items')} copied{rejected} ({display.costs_in_words()})"
        )
        _say_rejected(display, "items", report)
        return Exit.REJECTED if report.rejected else Exit.DONE

    return carry_out(f"{source} → {target}", "items", connection, work, json=json, quiet=quiet)


def get(
    files: list[str],
    table: str,
    output: str,
    arguments: dict[str, Any],
    connection: Connection,
    *,
    json: bool,
    quiet: bool,
) -> int:
    """``get``."""

    async def work(job: Job) -> Exit:
        display = job.display
        reports: list[bulk.FetchReport] = []

        def progress(report: bulk.FetchReport) -> None:
            first, reports[:] = not reports, [report]
            if first:
                how = "to go on" if report.checkpoint is not None else "it begins anew with"
                job.how_to_go_on = f"{how}: {command_line()}"
                if report.resumed_at:
                    display.state.before_share = _share(report) or 0.0
                    display.say(f"goes on behind key {report.resumed_at:,}")
            display.update(
                items=report.keys,
                before=report.resumed_at,
                share=_share(report),
                rejected=report.rejected,
            )

        job.summary = lambda: _summary(reports, "keys", "found", "missing", "rejected")
        job.left = lambda: f"so far: {reports[0].in_words()}" if reports else ""
        report = await bulk.fetch(job.db, files, table, output, on_progress=progress, **arguments)
        display.say(f"{report.in_words()} ({display.costs_in_words()})")
        _say_rejected(display, "keys", report)
        return Exit.REJECTED if report.rejected else Exit.DONE

    return carry_out(f"items of {table}", "keys", connection, work, json=json, quiet=quiet)


def count(
    table: str,
    arguments: dict[str, Any],
    connection: Connection,
    *,
    dry_run: bool,
    json: bool,
    quiet: bool,
) -> int:
    """``count``."""

    async def work(job: Job) -> Exit:
        if dry_run:
            return await _would_read(job, table, arguments)
        display = job.display
        reports: list[bulk.CountReport] = []
        total = await _item_count(job, table)

        def progress(report: bulk.CountReport) -> None:
            reports[:] = [report]
            display.update(items=report.items, share=_of(report.scanned, total))

        job.summary = lambda: _summary(reports, "scanned")
        job.left = lambda: (
            f"so far: {reports[0].items:,} of {counted(reports[0].scanned, 'items')} read"
            if reports
            else ""
        )
        report = await bulk.count(job.db, table, on_progress=progress, **arguments)
        if not json:
            print(report.items, flush=True)
        display.say(f"{counted(report.scanned, 'items')} read ({display.costs_in_words()})")
        return Exit.DONE

    return carry_out(f"counting {table}", "items", connection, work, json=json, quiet=quiet)


async def _would_read(job: Job, table: str, arguments: Mapping[str, Any]) -> Exit:
    """The dry run of a scan: what DescribeTable tells."""
    description: Mapping[str, Any] = (await describe(job.db, table)).description
    if not description:
        raise bulk.BulkError(
            f"the size of table {table} is not known: a dry run needs the permission to"
            " DescribeTable"
        )
    index = arguments.get("index_name")
    if index is not None:
        description = _index_of(description, table, index)
    size = int(description.get("TableSizeBytes", description.get("IndexSizeBytes", 0)))
    items = int(description.get("ItemCount", 0))
    units = -(-size // READ_UNIT_BYTES) * (1.0 if arguments.get("consistent_read") else 0.5)
    figures = {"dry_run": True, "items": items, "bytes": size, "read_units": units}
    job.summary = lambda: figures
    display = job.display
    display.say("dry run: nothing is read. DynamoDB updates these figures every six hours or so")
    display.say(f"  items       {items:,}, {_bytes(size)}")
    display.say(f"  costs       {units:,.1f} read units")
    return Exit.DONE


def _index_of(description: Mapping[str, Any], table: str, index: str) -> Mapping[str, Any]:
    indexes = {
        each["IndexName"]: each
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for each in description.get(kind) or ()
    }
    if index not in indexes:
        raise bulk.BulkError(
            f"table {table} has no index {index}; there are: {', '.join(indexes) or 'none'}"
        )
    found: Mapping[str, Any] = indexes[index]
    return found


async def _item_count(job: Job, table: str) -> int:
    return int((await describe(job.db, table)).description.get("ItemCount", 0))


def _of(done: int, total: int) -> float | None:
    # DynamoDB counts now and then: there may be more by now.
    return done / total if 0 < done <= total else None


def _summary(reports: list[Any], *names: str) -> dict[str, Any]:
    if not reports:
        return {}
    report = reports[0]
    wanted = ("table_name", "items", "resumed_at", "finished", "elapsed", *names)
    return {name: getattr(report, name) for name in wanted if hasattr(report, name)}


def _bytes(size: int) -> str:
    """A size, for people."""
    if size < 1024:
        return f"{size:,} bytes"
    value = size / 1024
    for unit in ("KB", "MB"):
        if value < 1024:
            return f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} GB"
