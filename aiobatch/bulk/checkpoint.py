"""Checkpoints: up to where a load or a get has come, and of which one it is.

A checkpoint names one place in the input: every row before it has ended, and everything behind it
is sent again, in order, when the load is started again. So of two rows with one key the later one
wins, whatever had been written when the process was killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from aiobatch.bulk.durable import FileLock, why_not_written, write_atomically
from aiobatch.bulk.errors import CheckpointError
from aiobatch.bulk.formats import START, Position

__all__ = ["Checkpoint", "CheckpointFile", "Mark"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """One place in the input.

    Attributes:
        file: which of the files, counted from 0.
        position: where in it.
    """

    file: int = 0
    position: Position = START


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What stands in a checkpoint's file.

    Attributes:
        table: what tells the table, see ``TableIdentity.as_json``.
        options: what gives the input its meaning: operation, formats, types.
        files: name and fingerprint of each file.
        mark: everything before it has ended.
        done: how many rows that are.
        written: how many of them were written.
        rejected: how many of them stand in the dead letters.
        dead_letters: by file number, how long its dead-letter file and its reasons are.
        missing: of a get, how many rows have no item.
        length: of a get, the bytes of the output that belong to the rows before the mark.
        complete: of a get, whether the output needs nothing but its last form.
    """

    table: Mapping[str, Any]
    options: Mapping[str, Any]
    files: list[Mapping[str, Any]]
    mark: Mark = Mark()
    done: int = 0
    written: int = 0
    rejected: int = 0
    dead_letters: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    missing: int = 0
    length: int = 0
    complete: bool = False

    def dumped(self) -> bytes:
        """The content of its file."""
        lengths = {str(file): sizes for file, sizes in self.dead_letters.items()}
        content = {"version": _VERSION, **asdict(self), "dead_letters": lengths}
        return json.dumps(content, indent=1).encode() + b"\n"

    @classmethod
    def loaded(cls, content: bytes) -> Checkpoint:
        """Read it again. Raises ValueError for what is none, or one of a newer version."""
        try:
            read = json.loads(content)
            version = read.pop("version")
        except (AttributeError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("is not a checkpoint") from None
        if version != _VERSION:
            raise ValueError(f"is of version {version!r}, and this aiobatch reads {_VERSION}")
        try:
            mark = Mark(read["mark"]["file"], Position(**read["mark"]["position"]))
            lengths = {int(file): (a, b) for file, (a, b) in read["dead_letters"].items()}
            return cls(**{**read, "mark": mark, "dead_letters": lengths})
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError("is not a checkpoint") from None


class CheckpointFile:
    """A checkpoint on disk, locked while it is in use. Its methods block.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))

    def open(self, load: Checkpoint) -> Checkpoint | None:
        """Lock it, and read how far this work came; None if there is no checkpoint yet.

        Args:
            load: this load, at its beginning.

        Raises:
            CheckpointError: it is in use, cannot be read or written, or is of another load.
        """
        try:
            if not self._lock.acquire():
                raise self._error("another run is using it: wait for that one, or name another")
            try:
                return self._read(load)
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise self._error(why_not_written(error)) from error

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it, durably. Raises CheckpointError."""
        try:
            write_atomically(self.path, checkpoint.dumped())
        except OSError as error:
            raise self._error(why_not_written(error)) from error

    def close(self, *, remove: bool = False) -> None:
        """Give the lock back; with ``remove`` the load is over, and has no checkpoint any more."""
        try:
            if remove:
                self.path.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def _read(self, load: Checkpoint) -> Checkpoint | None:
        try:
            found = Checkpoint.loaded(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self._error(f"{error}: name another file") from None
        self._compare(found, load)
        return found

    def _compare(self, found: Checkpoint, load: Checkpoint) -> None:
        other = "Name another checkpoint, or remove this one to begin anew"
        told = _other_table(found.table, load.table)
        if told:
            raise self._error(f"is of work on {told}. {other}")
        for name in sorted({*found.options, *load.options}):
            before, now = found.options.get(name), load.options.get(name)
            if before != now:
                raise self._error(f"is of work with {name} {before!r}, not {now!r}. {other}")
        names = [file["name"] for file in found.files]
        if names != [file["name"] for file in load.files]:
            raise self._error(f"is of work on other files: {', '.join(names)}. {other}")
        for before, now in zip(found.files, load.files, strict=True):
            if dict(before) != dict(now):
                raise self._error(
                    f"{now['name']} has been changed since it was written, so its rows cannot be"
                    f" told from those that are done. {other}"
                )

    def _error(self, reason: str) -> CheckpointError:
        return CheckpointError(str(self.path), reason)


def _other_table(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The table that a checkpoint is of, in words, if it is another one."""
    if before.get("id") and now.get("id"):
        if before["id"] == now["id"]:
            return ""
        if before["name"] == now["name"] and before["place"] == now["place"]:
            return f"a table of the same name, {before['name']!r}, that was deleted since"
    elif before == now:
        return ""
    return f"table {before.get('name')!r} at {before.get('place')}"
