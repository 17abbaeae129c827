"""Simulation: coroutines on a clock that jumps to whatever is due next."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import looptime

ResultT = TypeVar("ResultT")


def on_virtual_time(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run ``work`` on a loop of its own, where waiting takes no time."""
    loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), noop_cycles=0)
    try:
        result: ResultT = loop.run_until_complete(work)
        return result
    finally:
        loop.close()
