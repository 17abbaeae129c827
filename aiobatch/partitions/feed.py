"""Rows on their way from a thread that waits for them to a loop that must not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["Feed"]

_SLICES_IN_HAND = 2


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Feed:
    """A source for ``bulk_write``, filled by another thread; it holds two slices at most.

    The thread that runs a task reads its partition itself: engines tie what they know of a task
    to that thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slices: asyncio.Queue[list[Any] | _End] = asyncio.Queue()
        self._room = threading.Semaphore(_SLICES_IN_HAND)
        self._closed = False

    # ------------------------------------------------------------------ in the task's thread

    def put(self, rows: list[Any]) -> bool:
        """Hand over rows; wait while too many are in hand. False: nobody takes any more."""
        self._room.acquire()
        if self._closed:
            self._room.release()
            return False
        self._loop.call_soon_threadsafe(self._slices.put_nowait, rows)
        return True

    def end(self, error: BaseException | None = None) -> None:
        """There are no more rows, or the source raised this."""
        self._loop.call_soon_threadsafe(self._slices.put_nowait, _End(error))

    # ------------------------------------------------------------------ on the loop

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            rows = await self._slices.get()
            if isinstance(rows, _End):
                if rows.error is not None:
                    raise rows.error
                return
            for row in rows:
                yield row
            self._room.release()

    def close(self) -> None:
        """Take nothing more, and let the thread go that waits to hand something over."""
        self._closed = True
        self._room.release()
