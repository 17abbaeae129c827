"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiobatch.bulk import FORMATS

__all__ = [
    "Checkpoint",
    "Columns",
    "Concurrency",
    "Consistent",
    "DryRun",
    "EndpointUrl",
    "Filter",
    "Format",
    "Index",
    "Json",
    "MaxReadUnits",
    "MaxWriteUnits",
    "Names",
    "NoCheckpoint",
    "Profile",
    "Projection",
    "Quiet",
    "Region",
    "Segments",
    "TableName",
    "Types",
    "Values",
]

_CONNECTION = "Connection"
_PACE = "Pace"
_SELECTION = "Selection"

TableName = Annotated[
    str, typer.Option("--table", "-t", metavar="TABLE", help="The table's name or ARN.")
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)}. Without it, the file's name tells.",
    ),
]
Types = Annotated[
    str | None,
    typer.Option(
        "--types",
        metavar="A:T,...",
        help="Types of attributes, such as elevation:N,tags:SS. Types: S, N, B, BOOL, SS, NS, BS,"
        " JSON, DDB.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="A,...", help="The columns of CSV and Parquet. Without it, all."
    ),
]
EndpointUrl = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        help="Another address than AWS's, such as http://127.0.0.1:8000.",
        rich_help_panel=_CONNECTION,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="REGION",
        envvar="AWS_REGION",
        help="The AWS region; without it, AWS_DEFAULT_REGION or the profile's.",
        rich_help_panel=_CONNECTION,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="A profile of the AWS configuration; without it, AWS_PROFILE.",
        rich_help_panel=_CONNECTION,
    ),
]
Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency",
        metavar="N",
        min=1,
        help="Requests under way at once.",
        rich_help_panel=_PACE,
    ),
]
MaxWriteUnits = Annotated[
    float | None,
    typer.Option(
        "--max-write-units",
        metavar="N",
        min=0.001,
        help="Write capacity units a second, at most. Without it, as fast as DynamoDB takes it.",
        rich_help_panel=_PACE,
    ),
]
MaxReadUnits = Annotated[
    float | None,
    typer.Option(
        "--max-read-units",
        metavar="N",
        min=0.001,
        help="Read capacity units a second, at most. Without it, as fast as DynamoDB gives it.",
        rich_help_panel=_PACE,
    ),
]
Segments = Annotated[
    int | None,
    typer.Option(
        "--segments",
        metavar="N",
        min=1,
        max=1_000_000,
        help="In how many parts the table is read at once. Without it: 8.",
        rich_help_panel=_PACE,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Events for machines on standard output: a line of JSON each."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the end.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take and cost, and do nothing.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="PATH", help="Where it is kept how far this is.", dir_okay=False
    ),
]
NoCheckpoint = Annotated[
    bool, typer.Option("--no-checkpoint", help="Keep none: what is ended early begins anew.")
]
Consistent = Annotated[
    bool,
    typer.Option("--consistent", help="Strongly consistent reads, at twice the units."),
]
Index = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="NAME",
        help="Read a secondary index instead of the table.",
        rich_help_panel=_SELECTION,
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="EXPR",
        help="A filter expression. What it drops is read and billed, too.",
        rich_help_panel=_SELECTION,
    ),
]
Projection = Annotated[
    str | None,
    typer.Option(
        "--projection",
        metavar="EXPR",
        help="The attributes to read, as a projection expression.",
        rich_help_panel=_SELECTION,
    ),
]
Names = Annotated[
    str | None,
    typer.Option(
        "--names",
        metavar="JSON",
        help='Placeholders for names in expressions: {"#s": "state"}.',
        rich_help_panel=_SELECTION,
    ),
]
Values = Annotated[
    str | None,
    typer.Option(
        "--values",
        metavar="JSON",
        help='The values in expressions, as plain JSON: {":n": 5}.',
        rich_help_panel=_SELECTION,
    ),
]
