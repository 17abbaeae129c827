"""How much may be in hand at once: entries and bytes. Whoever waits for room waits in line."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

__all__ = ["Room"]


class Room:
    """Room for so many entries of so many bytes together. An entry that is larger goes alone.

    Args:
        entries: how many there may be at once.
        max_bytes: how large they may be together.
    """

    def __init__(self, entries: int, max_bytes: int) -> None:
        self._entries = entries
        self._max_bytes = max_bytes
        self._taken = 0
        self._bytes = 0
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._line)

    @property
    def free(self) -> int:
        """How many entries fit in, as far as their number goes; those who wait go first."""
        return 0 if self._line else self._entries - self._taken

    def has(self, size: int) -> bool:
        """Whether an entry of so many bytes need not wait."""
        return not self._line and self._fits(size)

    def take_at_once(self, size: int) -> bool:
        """Take an entry of so many bytes in, if it need not wait."""
        # As has() and _add() do, without a call: each entry of a stream comes through here.
        taken, together = self._taken, self._bytes + size
        if self._line or (taken and (taken >= self._entries or together > self._max_bytes)):
            return False
        self._taken, self._bytes = taken + 1, together
        return True

    def take_first(self, sizes: Sequence[int]) -> int:
        """Take in the first of entries of these sizes, as many as need not wait. How many."""
        taken, together = self._taken + len(sizes), self._bytes + sum(sizes)
        if not self._line and taken <= self._entries and together <= self._max_bytes:
            self._taken, self._bytes = taken, together
            return len(sizes)
        for count, size in enumerate(sizes):
            if not self.take_at_once(size):
                return count
        return len(sizes)

    async def take(self, size: int) -> None:
        """Wait until an entry of so many bytes fits in."""
        if self.take_at_once(size):
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._line.remove((turn, size))
                self._let_in()
            else:
                self.give(size)
            raise

    def give(self, size: int, entries: int = 1) -> None:
        """An entry of so many bytes has left, or so many of so many bytes together."""
        self._taken -= entries
        self._bytes -= size
        if self._line:
            self._let_in()

    def _fits(self, size: int) -> bool:
        return not self._taken or (
            self._taken < self._entries and self._bytes + size <= self._max_bytes
        )

    def _add(self, size: int) -> None:
        self._taken += 1
        self._bytes += size

    def _let_in(self) -> None:
        while self._line:
            turn, size = self._line[0]
            if not turn.done():
                if not self._fits(size):
                    return
                self._add(size)
                turn.set_result(None)
            # Else its waiter was cancelled and has not had its turn to leave the line.
            self._line.popleft()
