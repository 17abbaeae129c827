"""Simulation: coroutines on a clock that jumps to whatever is due next."""

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar
from unittest import mock

import looptime

ResultT = TypeVar("ResultT")

_REAL = time.perf_counter
# Some entries are looked at between two looks at the clock, at a microsecond or so each.
_LOOK = 20e-6


def on_virtual_time(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run ``work`` on a loop of its own, where waiting takes no time.

    Engines let the loop go after so much work by the clock. Here that clock is virtual, too: each
    look at it takes 20 microseconds. So a run is the same on any machine, however busy, as long as
    ``work`` draws its random numbers from a seeded generator.
    """
    loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), noop_cycles=0)
    try:
        with _virtual_work():
            result: ResultT = loop.run_until_complete(work)
        return result
    finally:
        loop.close()


@contextlib.contextmanager
def _virtual_work() -> Iterator[None]:
    looks = itertools.count()

    def now() -> float:
        return next(looks) * _LOOK

    with contextlib.ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("aiobatch.") and vars(module).get("perf_counter") is _REAL:
                stack.enter_context(mock.patch.object(module, "perf_counter", now))
        yield
