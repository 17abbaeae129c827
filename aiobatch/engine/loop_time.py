"""The loop's time, and how long the library may hold a turn of it, over all calls and clients."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter

__all__ = ["LOOP_SLICE", "loop_time", "next_turn", "others_wait", "turn_is_over"]

LOOP_SLICE = 0.001
"""Seconds that the library may hold the loop before others get their turn."""


def loop_time() -> float:
    """The running loop's time, in seconds."""
    return asyncio.get_running_loop().time()


class _Turn(threading.local):
    """What a thread's loop is at: a thread runs one at a time.

    Attributes:
        loop: the loop, while the turn lasts in which the library has been at work last.
        began: when it began to be.
        line: those who wait for a turn with time left; only the first of them looks at the clock.
        line_of: the loop on which they wait.
    """

    loop: asyncio.AbstractEventLoop | None = None
    began = 0.0
    line: asyncio.Lock | None = None
    line_of: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        self.loop = None


_turn = _Turn()


def turn_is_over(ahead: float = 0.0) -> bool:
    """Whether the library has held this turn of the loop for long enough.

    What takes time is begun only after it was asked, so that many calls which are ready at once do
    not all do their work in one turn.

    Args:
        ahead: seconds that what comes next takes in one go. More than there are in a slice get a
            turn from its beginning.
    """
    # The loop is asked for as seldom as can be: on Python 3.11, that takes a system call.
    if _turn.loop is not None and perf_counter() - _turn.began + ahead <= LOOP_SLICE:
        return False
    loop = asyncio.get_running_loop()
    if _turn.loop is loop:
        return True
    # The first work of this turn; of another loop's, whatever stands there has ended.
    _turn.loop = loop
    _turn.began = perf_counter()
    # It is reached in the next turn.
    loop.call_soon(_turn.end)
    return False


def others_wait() -> bool:
    """Whether somebody is in :func:`next_turn`, behind whom the next one belongs."""
    return _turn.line is not None and _turn.line.locked()


async def next_turn(ahead: float = 0.0) -> None:
    """Let the loop go until there is time again, first come, first served."""
    loop = asyncio.get_running_loop()
    if _turn.line is None or _turn.line_of is not loop:
        _turn.line, _turn.line_of = asyncio.Lock(), loop
    async with _turn.line:
        while turn_is_over(ahead):  # noqa: ASYNC110
            await asyncio.sleep(0)
