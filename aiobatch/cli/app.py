"""The commands. Each only says what is to be done: ``running`` does it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aiobatch.bulk import parse_types
from aiobatch.bulk.create import parse_keys
from aiobatch.bulk.formats.plain import parse_json
from aiobatch.bulk.formats.rows import Broken
from aiobatch.cli import commands, front, options
from aiobatch.cli.codes import EXIT_CODES
from aiobatch.cli.running import Connection

__all__ = ["app", "run"]

app = typer.Typer(
    name="aiobatch",
    help="Move many items in and out of Amazon DynamoDB.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None if not sys.stdout.isatty() else "rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

CreateTable = Annotated[
    str | None,
    typer.Option(
        "--create-table",
        metavar="KEYS",
        help="Create the table first if it is not there, with these keys: pk:S,sk:S. It is billed"
        " by request.",
    ),
]
DeadLetters = Annotated[
    Path | None,
    typer.Option(
        "--dead-letters",
        metavar="PATH",
        help="Where rows go that are not written. Without it: beside the file.",
    ),
]
MaxRejected = Annotated[
    int | None,
    typer.Option(
        "--max-rejected", metavar="N", min=0, help="Stop when more rows than this are rejected."
    ),
]
Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...", help="Files, URLs such as s3://..., or - for standard input."
    ),
]


@app.command(epilog=EXIT_CODES)
def load(
    files: Files,
    table: options.TableName,
    format: options.Format = None,
    types: options.Types = None,
    create_table: CreateTable = None,
    checkpoint: options.Checkpoint = None,
    no_checkpoint: options.NoCheckpoint = False,
    dead_letters: DeadLetters = None,
    max_rejected: MaxRejected = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    endpoint_url: options.EndpointUrl = None,
    region: options.Region = None,
    profile: options.Profile = None,
    max_write_units: options.MaxWriteUnits = None,
    concurrency: options.Concurrency = 16,
) -> None:
    """Put the rows of files into a table.

    Of rows with one key the last one wins. A load of 16 MB or more keeps a checkpoint beside its
    file: given again after any end, the command goes on where it was. Rows that cannot be written
    go to NAME.rejected, with the reasons beside it.
    """
    keys = None if create_table is None else _usage(parse_keys, create_table)
    connection = Connection(
        endpoint_url=endpoint_url,
        region=region,
        profile=profile,
        concurrency=concurrency,
        max_write_units=max_write_units,
    )
    request = commands.Loading(
        files=files,
        table=table,
        operation="put",
        format=format,
        types=_types(types),
        create=keys,
        checkpoint=_checkpoint(checkpoint, no_checkpoint),
        dead_letters=dead_letters,
        max_rejected=max_rejected,
    )
    _end(commands.load(request, connection, dry_run=dry_run, json=json, quiet=quiet))


@app.command(epilog=EXIT_CODES)
def delete(
    files: Files,
    table: options.TableName,
    format: options.Format = None,
    types: options.Types = None,
    checkpoint: options.Checkpoint = None,
    no_checkpoint: options.NoCheckpoint = False,
    dead_letters: DeadLetters = None,
    max_rejected: MaxRejected = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    endpoint_url: options.EndpointUrl = None,
    region: options.Region = None,
    profile: options.Profile = None,
    max_write_units: options.MaxWriteUnits = None,
    concurrency: options.Concurrency = 16,
) -> None:
    """Delete the items whose keys stand in files.

    Rows may be keys or whole items, such as an export's.
    """
    connection = Connection(
        endpoint_url=endpoint_url,
        region=region,
        profile=profile,
        concurrency=concurrency,
        max_write_units=max_write_units,
    )
    request = commands.Loading(
        files=files,
        table=table,
        operation="delete",
        format=format,
        types=_types(types),
        create=None,
        checkpoint=_checkpoint(checkpoint, no_checkpoint),
        dead_letters=dead_letters,
        max_rejected=max_rejected,
    )
    _end(commands.load(request, connection, dry_run=dry_run, json=json, quiet=quiet))


@app.command(epilog=EXIT_CODES)
def export(
    output: Annotated[
        str, typer.Argument(metavar="FILE", help="A file, a URL, or - for standard output.")
    ],
    table: options.TableName,
    format: options.Format = None,
    types: options.Types = None,
    columns: options.Columns = None,
    consistent: options.Consistent = False,
    checkpoint: options.Checkpoint = None,
    no_checkpoint: options.NoCheckpoint = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    index: options.Index = None,
    filter: options.Filter = None,
    projection: options.Projection = None,
    names: options.Names = None,
    values: options.Values = None,
    endpoint_url: options.EndpointUrl = None,
    region: options.Region = None,
    profile: options.Profile = None,
    max_read_units: options.MaxReadUnits = None,
    concurrency: options.Concurrency = 16,
    segments: options.Segments = None,
) -> None:
    """Write all items of a table into a file, by a parallel scan.

    The file is FILE.part until it is whole. Given again after any end, the command goes on where it
    was. DynamoDB JSON (.json, .json.gz) holds every item exactly.
    """
    if output == "-" and json:
        raise typer.BadParameter("--json needs standard output, and so does -: name a file")
    connection = Connection(
        endpoint_url=endpoint_url,
        region=region,
        profile=profile,
        concurrency=concurrency,
        max_read_units=max_read_units,
    )
    arguments = {
        "format": format or ("dynamodb-json" if output == "-" else None),
        "types": _types(types),
        "columns": _columns(columns),
        "projection_expression": projection,
        "checkpoint": _checkpoint(checkpoint, no_checkpoint),
        **_selection(index, filter, names, values, consistent, segments),
    }
    _end(
        commands.export(
            table, output, arguments, connection, dry_run=dry_run, json=json, quiet=quiet
        )
    )


@app.command(epilog=EXIT_CODES)
def copy(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The table to read.")],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The table to write; it must be there.")
    ],
    checkpoint: options.Checkpoint = None,
    dead_letters: Annotated[
        Path | None,
        typer.Option(
            "--dead-letters",
            metavar="PATH",
            help="Where items go that TARGET refuses. Without it: SOURCE.rejected.json.",
        ),
    ] = None,
    max_rejected: MaxRejected = None,
    consistent: options.Consistent = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    index: options.Index = None,
    filter: options.Filter = None,
    names: options.Names = None,
    values: options.Values = None,
    endpoint_url: options.EndpointUrl = None,
    region: options.Region = None,
    profile: options.Profile = None,
    to_endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--to-endpoint-url",
            metavar="URL",
            help="As --endpoint-url, for TARGET.",
            rich_help_panel="Connection",
        ),
    ] = None,
    to_region: Annotated[
        str | None,
        typer.Option(
            "--to-region",
            metavar="REGION",
            help="As --region, for TARGET.",
            rich_help_panel="Connection",
        ),
    ] = None,
    to_profile: Annotated[
        str | None,
        typer.Option(
            "--to-profile",
            metavar="NAME",
            help="As --profile, for TARGET.",
            rich_help_panel="Connection",
        ),
    ] = None,
    max_read_units: options.MaxReadUnits = None,
    max_write_units: options.MaxWriteUnits = None,
    concurrency: options.Concurrency = 16,
    segments: options.Segments = None,
) -> None:
    """Put all items of a table into another one.

    With --checkpoint, the command goes on where it was when it is given again. Items that TARGET
    refuses, such as those whose keys have another type there, go to SOURCE.rejected.json, with the
    reasons beside it.
    """
    connection = Connection(
        endpoint_url=endpoint_url,
        region=region,
        profile=profile,
        concurrency=concurrency,
        max_read_units=max_read_units,
        max_write_units=max_write_units,
    )
    other = None
    if to_endpoint_url or to_region or to_profile:
        other = Connection(
            endpoint_url=to_endpoint_url or endpoint_url,
            region=to_region or region,
            profile=to_profile or profile,
            concurrency=concurrency,
            max_write_units=max_write_units,
        )
    arguments = {
        "checkpoint": checkpoint,
        "dead_letters": dead_letters,
        "max_rejected": max_rejected,
        **_selection(index, filter, names, values, consistent, segments),
    }
    _end(
        commands.copy(
            source,
            target,
            arguments,
            connection,
            other,
            dry_run=dry_run,
            json=json,
            quiet=quiet,
        )
    )


@app.command(epilog=EXIT_CODES)
def get(
    files: Files,
    table: options.TableName,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where the items go; - is standard output."
        ),
    ] = "-",
    format: options.Format = None,
    output_format: Annotated[
        str | None,
        typer.Option("--output-format", metavar="FORMAT", help="As --format, for the output."),
    ] = None,
    types: options.Types = None,
    columns: options.Columns = None,
    consistent: options.Consistent = False,
    checkpoint: options.Checkpoint = None,
    no_checkpoint: options.NoCheckpoint = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    projection: options.Projection = None,
    names: options.Names = None,
    endpoint_url: options.EndpointUrl = None,
    region: options.Region = None,
    profile: options.Profile = None,
    max_read_units: options.MaxReadUnits = None,
    concurrency: options.Concurrency = 16,
) -> None:
    """Read the items whose keys stand in files.

    Given again after any end, the command goes on where it was, unless the keys come from standard
    input, or the items go to standard output or a URL.
    """
    if output == "-" and json:
        raise typer.BadParameter("--json needs standard output, and so do the items: name --output")
    connection = Connection(
        endpoint_url=endpoint_url,
        region=region,
        profile=profile,
        concurrency=concurrency,
        max_read_units=max_read_units,
    )
    arguments = {
        "format": format,
        "types": _types(types),
        "output_format": output_format or ("dynamodb-json" if output == "-" else None),
        "columns": _columns(columns),
        "projection_expression": projection,
        "expression_attribute_names": _placeholders(names, "--names"),
        "consistent_read": consistent,
        "checkpoint": _checkpoint(checkpoint, no_checkpoint),
    }
    _end(commands.get(files, table, output, arguments, connection, json=json, quiet=quiet))


@app.command(epilog=EXIT_CODES)
def count(
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="The table's name or ARN.")
    ] = None,
    named: Annotated[
        str | None,
        typer.Option("--table", "-t", metavar="TABLE", help="The same, as other commands take it."),
    ] = None,
    consistent: options.Consistent = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    index: options.Index = None,
    filter: options.Filter = None,
    names: options.Names = None,
    values: options.Values = None,
    endpoint_url: options.EndpointUrl = None,
    region: options.Region = None,
    profile: options.Profile = None,
    max_read_units: options.MaxReadUnits = None,
    concurrency: options.Concurrency = 16,
    segments: options.Segments = None,
) -> None:
    """Count the items of a table, by reading all of it. The number is printed."""
    counted = table or named
    if counted is None or (table and named):
        raise typer.BadParameter("name one table: aiobatch count TABLE, or --table TABLE")
    connection = Connection(
        endpoint_url=endpoint_url,
        region=region,
        profile=profile,
        concurrency=concurrency,
        max_read_units=max_read_units,
    )
    arguments = _selection(index, filter, names, values, consistent, segments)
    arguments["total_segments"] = arguments["total_segments"] or 8
    _end(commands.count(counted, arguments, connection, dry_run=dry_run, json=json, quiet=quiet))


_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_PASSED_ON)
def demo(context: typer.Context) -> None:
    """Load 28,298 airports, read them back, and compare batches with single calls.

    It runs against a server in its own process: no account, no network. It needs
    pip install 'aiobatch[demo]'; aiobatch demo --help tells its options.
    """
    _end(front.demo(context.args))


@app.command(context_settings=_PASSED_ON)
def bench(context: typer.Context) -> None:
    """Measure aiobatch beside its peers; it needs a checkout of the repository.

    aiobatch bench --help tells its options.
    """
    _end(front.bench(context.args))


# ------------------------------------------------------------------ what is given as text


def _usage(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _types(text: str | None) -> dict[str, str] | None:
    return None if text is None else dict(_usage(parse_types, text))


def _columns(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _checkpoint(path: Path | None, none: bool) -> Path | bool | None:
    if path is not None and none:
        raise typer.BadParameter("--checkpoint and --no-checkpoint exclude each other")
    return False if none else path


def _placeholders(text: str | None, option: str) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        read = parse_json(text)
    except Broken as broken:
        raise typer.BadParameter(f"{option} {broken.reason}") from None
    if not isinstance(read, dict):
        raise typer.BadParameter(f"{option} must be a JSON object")
    return read


def _selection(
    index: str | None,
    filter: str | None,
    names: str | None,
    values: str | None,
    consistent: bool,
    segments: int | None,
) -> dict[str, Any]:
    return {
        "index_name": index,
        "filter_expression": filter,
        "expression_attribute_names": _placeholders(names, "--names"),
        "expression_attribute_values": _placeholders(values, "--values"),
        "consistent_read": consistent,
        "total_segments": segments,
    }


def _end(code: int) -> None:
    raise typer.Exit(code)


def run() -> None:
    """Run the command line, and end the process with its exit code."""
    app()
