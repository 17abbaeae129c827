"""Files that survive a kill at any moment: written at once or not at all, and locks.

All functions here block: call them in a thread.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["FileLock", "sync_directory", "why_not_written", "write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file: whoever reads it sees the old content or the new one, after a crash too."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def why_not_written(error: OSError) -> str:
    """What to tell of a file that cannot be made or written.

    >>> why_not_written(PermissionError(13, "Permission denied"))
    'this user may not write there: name another place'
    """
    if isinstance(error, PermissionError):
        return "this user may not write there: name another place"
    if isinstance(error, FileNotFoundError):
        return "there is no such directory"
    if isinstance(error, NotADirectoryError):
        return "there is no such directory: a file stands in its place"
    return f"cannot be written: {error.strerror or type(error).__name__}"


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable, where the system can."""
    if sys.platform == "win32":  # pragma: no cover: no Windows here
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FileLock:
    """A lock between processes, on a file of its own. It ends with its process, however that ends.

    Args:
        path: the file; it is made, and removed when the lock is given back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False if another process, or another lock of this one, has it."""
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if not _lock(handle):
                    os.close(handle)
                    return False
                # Whoever had it may have removed the file between our two steps.
                if _is_still(handle, self._path):
                    self._handle = handle
                    return True
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def release(self) -> None:
        """Give it back. Without a lock it does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            # While it is held, so that nobody's lock on the same file is removed with it.
            with suppress(OSError):
                self._path.unlink()
            os.close(handle)


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":  # pragma: no cover: no Windows here
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
