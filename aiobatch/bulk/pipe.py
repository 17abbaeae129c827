"""Standard input that is a pipe or a terminal: whoever waits for it can be told to stop waiting.

A thread that reads from a pipe waits for as long as nobody writes into it, and nothing can stop
that from outside. So it waits for two things at once, the pipe and a word from us.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from aiobatch.bulk.errors import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Pipe", "is_pipe"]

_BYTES: Final = 64 * 1024


def is_pipe(stream: BinaryIO) -> bool:
    """Whether a stream is one that may keep its reader waiting, and that can be waited for.

    Windows cannot wait for a pipe: there, a reader waits until something comes.
    """
    if sys.platform == "win32":  # pragma: no cover: no Windows here
        return False
    try:
        return not stream.seekable() and stream.fileno() >= 0
    except (OSError, ValueError):
        return False


class Pipe(io.BufferedReader):
    """Reads a pipe. All but :meth:`give_up` blocks, and is for one thread.

    Args:
        stream: the pipe; what it has read ahead comes first. It stays open.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._waiting = _Waiting(stream)
        super().__init__(self._waiting, _BYTES)

    def give_up(self) -> None:
        """Stop reading, at once and for good: reads raise SourceError. For any thread."""
        self._waiting.give_up()

    def has_line(self) -> bool:
        """Whether a line, or at least more of one, can be read without waiting."""
        self._waiting.waits = False
        try:
            ahead = self.peek(1)
        finally:
            self._waiting.waits = True
        return b"\n" in ahead or self._waiting.is_ready(0.0)


class _Waiting(io.RawIOBase):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = b""
        self.waits = True
        self._ears, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)

    def readable(self) -> bool:
        return True

    def give_up(self) -> None:
        os.write(self._mouth, b".")

    def is_ready(self, seconds: float | None) -> bool:
        ready, _, _ = select.select([self._stream.fileno(), self._ears], [], [], seconds)
        if self._ears in ready:
            raise SourceError("-", "is not read any further")
        return bool(ready)

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if not self._rest:
            if not self.is_ready(None if self.waits else 0.0):
                return None
            # One read of what is there. It is ready, or has read ahead: this does not wait.
            self._rest = self._stream.read1(_BYTES)  # type: ignore[attr-defined]
        view = memoryview(buffer)
        taken, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if not self.closed:
            os.close(self._ears)
            os.close(self._mouth)
        super().close()
