"""How far the reading of a table has come, on disk: a checkpoint of segments.

The file names for each segment the last key that was dealt with. What was dealt with behind it is
dealt with again after a restart, so whoever uses it goes back to the state of that time first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiobatch.bulk.durable import FileLock, why_not_written, write_atomically
from aiobatch.bulk.errors import CheckpointError
from aiobatch.bulk.segments import Progress

__all__ = ["ScanCheckpoint", "ScanState", "all_done"]

_VERSION: Final = 1


@dataclass(slots=True)
class ScanState:
    """What stands in the file.

    Attributes:
        segments: how far each is.
        items: how many items were written.
        length: bytes of the output that belong to them.
        rejected: how many items stand in the dead letters.
        dead_letters: how long that file and its reasons are.
    """

    segments: list[Progress]
    items: int = 0
    length: int = 0
    rejected: int = 0
    dead_letters: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class ScanCheckpoint:
    """A checkpoint of segments, locked while it is in use. Its methods block.

    Args:
        path: the file.
        what: what tells this work from another: the tables, the selection, the output.
    """

    path: Path
    what: Mapping[str, Any]
    _lock: FileLock = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))

    def open(self, total_segments: int | None, default: int) -> tuple[ScanState, bool]:
        """Lock it and read it; without a file, begin. True where it goes on.

        Raises:
            CheckpointError: it is in use, cannot be read, or is of other work.
        """
        try:
            if not self._lock.acquire():
                raise self._error("another run is using it: wait for that one, or name another")
            try:
                return self._read(total_segments, default)
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise self._error(why_not_written(error)) from error

    def save(self, state: ScanState) -> None:
        """Write it, durably. Raises CheckpointError."""
        content = {
            "version": _VERSION,
            "of": self.what,
            "items": state.items,
            "length": state.length,
            "rejected": state.rejected,
            "dead_letters": list(state.dead_letters),
            "segments": [{"key": each.key, "done": each.done} for each in state.segments],
        }
        try:
            write_atomically(self.path, json.dumps(content).encode() + b"\n")
        except OSError as error:
            raise self._error(why_not_written(error)) from error

    def close(self, *, remove: bool) -> None:
        """Give the lock back; with ``remove`` the work is done, and has no checkpoint any more."""
        try:
            if remove:
                self.path.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def _read(self, total_segments: int | None, default: int) -> tuple[ScanState, bool]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ScanState([Progress() for _ in range(total_segments or default)]), False
        try:
            read = json.loads(content)
            version, found = read["version"], read["of"]
            letters, reasons = read["dead_letters"]
            state = ScanState(
                [Progress(each["key"], each["done"]) for each in read["segments"]],
                int(read["items"]),
                int(read["length"]),
                int(read["rejected"]),
                (int(letters), int(reasons)),
            )
        except (KeyError, TypeError, ValueError):
            raise self._error("is no checkpoint of an export or a copy: name another") from None
        if version != _VERSION:
            raise self._error(f"is of version {version!r}, and this aiobatch reads {_VERSION}")
        again = "Name another checkpoint, or remove this one to begin anew"
        for name in sorted({*found, *self.what}):
            if found.get(name) != self.what.get(name):
                raise self._error(f"is of work with another {name.replace('_', ' ')}. {again}")
        if total_segments not in (None, len(state.segments)):
            raise self._error(
                f"is of a scan in {len(state.segments)} segments, which cannot be changed. {again}"
            )
        return state, True

    def _error(self, reason: str) -> CheckpointError:
        return CheckpointError(str(self.path), reason)


def all_done(segments: Sequence[Progress]) -> bool:
    """Whether nothing is left to read."""
    return all(each.done for each in segments)
