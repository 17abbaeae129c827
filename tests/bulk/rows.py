"""Generated rows: keys that come again soon and late, and rows that cannot be written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

HEADER = "pk,n:N,name,tags:SS\n"
BROKEN_EVERY = 500


def key(row: int) -> str:
    """Of row ``row``, counted from 0."""
    if row % 97 == 0:
        return f"hot {row % 3}"
    # Every tenth row writes a key again: that of a row shortly before, or long before.
    return f"key {row - 5 if row % 10 == 0 else row // 2 if row % 10 == 1 else row}"


def is_broken(row: int) -> bool:
    return row % BROKEN_EVERY == BROKEN_EVERY - 1


def line(row: int) -> str:
    value = "broken" if is_broken(row) else str(row)
    return f'{key(row)},{value},"The name of, ""row"" {row}","[""a"",""b {row % 7}""]"\n'


def item(row: int) -> dict[str, Any]:
    """What is stored for a row."""
    return {
        "pk": key(row),
        "n": row,
        "name": f'The name of, "row" {row}',
        "tags": {"a", f"b {row % 7}"},
    }


def write(path: Path, rows: range) -> None:
    with path.open("w") as file:
        _write(file, rows)


def _write(file: TextIO, rows: range) -> None:
    file.write(HEADER)
    file.writelines(line(row) for row in rows)


def last_rows(rows: range, *, broken: bool = False) -> dict[str, int]:
    """What a table must hold: by key, the number of the last row that can be written.

    With ``broken``, of all: what is broken in a file is an item like others in a table.
    """
    return {key(row): row for row in rows if broken or not is_broken(row)}


def broken(rows: range) -> Iterator[str]:
    return (line(row) for row in rows if is_broken(row))
