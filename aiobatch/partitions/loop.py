"""The event loop of a process, in a thread of its own, and the clients that are open on it.

Engines start a Python process once and run many tasks in it, one after the other or in several
threads. A loop that outlives the task keeps its connections, what was learnt of the table's pace,
and the credit of ``max_write_units``.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiobatch.client import DynamoDB
from aiobatch.partitions.settings import Connection

__all__ = ["WorkerLoop", "close", "worker_loop"]

ResultT = TypeVar("ResultT")

_SECONDS_TO_CLOSE = 5.0


class WorkerLoop:
    """A running loop, and one client for each set of settings."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._clients: dict[Connection, DynamoDB] = {}
        self._begun: set[tuple[Connection, str]] = set()
        # A daemon: a process that ends is not held up by what it does not wait for.
        self._thread = threading.Thread(target=self._run, name="aiobatch-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    @property
    def is_alive(self) -> bool:
        """Whether it takes work."""
        return self._thread.is_alive() and not self.loop.is_closed()

    def submit(self, work: Coroutine[Any, Any, ResultT]) -> concurrent.futures.Future[ResultT]:
        """Start a coroutine on the loop, from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a coroutine on the loop and wait for it; one that is no longer waited for ends."""
        future = self.submit(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def begins(self, connection: Connection, table_name: str) -> bool:
        """Whether this is the first write with these settings to this table."""
        before = len(self._begun)
        self._begun.add((connection, table_name))
        return len(self._begun) > before

    def client(self, connection: Connection) -> DynamoDB:
        """The client with these settings. Call it on the loop."""
        client = self._clients.get(connection)
        if client is None:
            client = self._clients[connection] = connection.open()
        return client

    def close(self) -> None:
        """Close the clients, and end the loop and its thread."""
        # A client that does not close must not keep a process from ending.
        with contextlib.suppress(concurrent.futures.TimeoutError):
            self.submit(self._close_clients()).result(_SECONDS_TO_CLOSE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_SECONDS_TO_CLOSE)
        if not self._thread.is_alive():
            self.loop.close()

    async def _close_clients(self) -> None:
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.aclose()
        await self.loop.shutdown_asyncgens()


_lock = threading.Lock()
_running: WorkerLoop | None = None


def worker_loop() -> WorkerLoop:
    """The loop of this process, started by whoever asks first."""
    global _running
    with _lock:
        if _running is None or not _running.is_alive:
            _running = WorkerLoop()
        return _running


def close() -> None:
    """End this process's loop and close its connections. The next task starts a new one.

    A process that ends does it by itself.
    """
    global _running
    with _lock:
        ending, _running = _running, None
    if ending is not None and ending.is_alive:
        ending.close()


def _forget() -> None:
    # A forked child has the parent's loop without the thread that runs it.
    global _lock, _running
    _lock, _running = threading.Lock(), None


if hasattr(os, "register_at_fork"):  # pragma: no branch: Windows has no fork
    os.register_at_fork(after_in_child=_forget)
atexit.register(close)
