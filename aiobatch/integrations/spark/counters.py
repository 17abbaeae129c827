"""The counters that this process keeps, one for each address of its drivers."""

from __future__ import annotations

import atexit
import threading

from aiobatch.partitions.counting import CounterAddress, TaskCounter

__all__ = ["close", "counter_at"]

_lock = threading.Lock()
_running: dict[tuple[str, str], TaskCounter] = {}


def counter_at(host: str, bind: str) -> CounterAddress:
    """The address of the counter that listens at ``bind``, where tasks reach it by ``host``.

    Raises:
        OSError: nothing can listen there.
    """
    with _lock:
        counter = _running.get((host, bind))
        if counter is None:
            counter = _running[host, bind] = TaskCounter(host, bind)
        return counter.address


def close() -> None:
    """Close them all. A process that ends does it by itself."""
    with _lock:
        while _running:
            _running.popitem()[1].close()


atexit.register(close)
