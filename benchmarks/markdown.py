"""Tables, and the places in Markdown files that commands write."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path


class NoPlace(Exception):
    """A file has no place, or more than one, for what should be written into it."""


def as_table(rows: list[list[str]]) -> list[str]:
    """A Markdown table that reads well as plain text too. The first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_row(row, widths) for row in rows]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [lines[0], _row(rule, widths), *lines[1:]]


def _row(cells: list[str], widths: list[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def markers(name: str) -> tuple[str, str]:
    """What stands before and after a place of that name."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def places_in(text: str) -> list[str]:
    """The names of the places in a text, in their order."""
    return re.findall(r"<!-- ([\w-]+(?::[\w-]+)*):begin -->", text)


def replaced(text: str, name: str, block: list[str]) -> str:
    """The text with the block between the markers of that name.

    Raises:
        NoPlace: there is not exactly one such place.
    """
    begin, end = markers(name)
    begins, ends = text.count(begin), text.count(end)
    if not begins == ends == 1 or text.index(begin) > text.index(end):
        raise NoPlace(f"one pair of {begin} and {end} is needed, and there are {max(begins, ends)}")
    before, rest = text.split(begin)
    return "\n".join([before + begin, *block, end + rest.split(end)[1]])


def write_into(path: Path, name: str, block: list[str]) -> None:
    """Replace what stands between the markers of a Markdown file. Raises NoPlace."""
    try:
        made = replaced(_text_of(path), name, block)
    except NoPlace as error:
        raise NoPlace(f"{path}: {error}") from None
    path.write_text(made, encoding="utf-8")


def check_place(path: Path, name: str) -> None:
    """Refuse a file that a block of that name cannot be put into. Raises NoPlace."""
    try:
        replaced(_text_of(path), name, [])
    except NoPlace as error:
        raise NoPlace(f"{path}: {error}") from None


def check_places(path: Path, names: Collection[str]) -> list[str]:
    """The places of a file that are among the names. Raises NoPlace if there are none."""
    found = [name for name in places_in(_text_of(path)) if name in names]
    if not found:
        raise NoPlace(f"{path} has no place for any of {', '.join(sorted(names))}")
    return found


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NoPlace(f"{path} cannot be read: {error.strerror}") from error


def write_blocks(path: Path, blocks: Mapping[str, list[str]]) -> list[str]:
    """Write each block that the file has a place for, and return their names.

    Raises:
        NoPlace: the file has a place for none of them.
    """
    found = check_places(path, list(blocks))
    text = _text_of(path)
    for name in found:
        text = replaced(text, name, blocks[name])
    path.write_text(text, encoding="utf-8")
    return found
