"""The loop's time, and how long the library may hold a turn of it, over all calls and clients."""

from __future__ import annotations

import asyncio
import threading
from heapq import heappop, heappush
from itertools import count
from time import perf_counter

__all__ = ["LOOP_SLICE", "loop_time", "next_turn", "turn_is_over"]

LOOP_SLICE = 0.001
"""Seconds that the library may hold the loop before others get their turn."""

# So many places further to the front begins what goes on, and half a place, so that no two are one.
# Were it the very front, a long load that never lets go of the processor would keep all others out.
_HEAD_START = 32.5


def loop_time() -> float:
    """The running loop's time, in seconds."""
    return asyncio.get_running_loop().time()


class _Line:
    """Those who wait on one loop for a turn with time left, first come, first served.

    As many are called up to a turn as the one before had time for: with one at a time, most of each
    turn would pass unused. Who finds no time left goes back to the same place.

    Attributes:
        loop: the loop.
        length: how many there are.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.length = 0
        self._places = count()
        self._standing: list[tuple[float, asyncio.Future[None]]] = []
        # Of those called up to a turn: how many there may be, how many have not come yet, and how
        # many there was time for; and whether there was for all who came.
        self._most = 1
        self._called = 0
        self._served = 0
        self._has_time = True

    async def wait(self, ahead: float, *, going_on: bool) -> None:
        """Wait until there is time. See :func:`next_turn`."""
        place = next(self._places) - (_HEAD_START if going_on else 0.0)
        self.length += 1
        call = self._stand(place)
        try:
            self._call_up()
            while True:
                if call.done():
                    # To the next turn: a future that is done would let it go on in this one.
                    await asyncio.sleep(0)
                else:
                    await call
                # Nobody overtakes one who found no time.
                self._has_time = self._has_time and not turn_is_over(ahead)
                if self._has_time:
                    self._served += 1
                    return
                call = self._stand(place)
                self._called -= 1
                if not self._called:
                    # Not at once: it would come after those behind it, who are woken at once.
                    self.loop.call_soon(self._call_up)
        finally:
            self.length -= 1
            if call.done() and not call.cancelled():
                self._called -= 1
                self._call_up()

    def _stand(self, place: float) -> asyncio.Future[None]:
        call: asyncio.Future[None] = self.loop.create_future()
        heappush(self._standing, (place, call))
        return call

    def _call_up(self) -> None:
        """Call up the next, once all have come who were called before."""
        if self._called:
            return
        if not self._has_time:
            self._most = max(1, self._served)
        elif self._served == self._most:
            self._most += 1
        self._served, self._has_time = 0, True
        while self._called < self._most and self._standing:
            _, call = heappop(self._standing)
            # Those who were cancelled have left.
            if not call.done():
                call.set_result(None)
                self._called += 1


class _Turn(threading.local):
    """What a thread's loop is at: a thread runs one at a time.

    Attributes:
        loop: the loop, while the turn lasts in which the library has been at work last.
        began: when it began to be.
        line: those who wait for a turn with time left.
    """

    loop: asyncio.AbstractEventLoop | None = None
    began = 0.0
    line: _Line | None = None

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


async def next_turn(ahead: float = 0.0, *, going_on: bool = False) -> None:
    """Let the loop go until there is time again, first come, first served.

    Args:
        ahead: see :func:`turn_is_over`.
        going_on: what was begun in an earlier turn goes before what was not, within reason.
    """
    loop = asyncio.get_running_loop()
    line = _turn.line
    if line is None or line.loop is not loop:
        line = _turn.line = _Line(loop)
    if line.length or turn_is_over(ahead):
        await line.wait(ahead, going_on=going_on)
