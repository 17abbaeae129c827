"""Open engines, shared by the clients of one loop that are configured alike.

A client holds a lease. The engine closes with its last lease, whether that is given back, is
dropped with a forgotten client, or ends with the loop: ``DynamoDB()`` inside a function leaks
nothing and opens no second pool.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Hashable
from contextlib import suppress
from dataclasses import dataclass

from aiobatch import codec
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.wire.opening import open_wire
from aiobatch.wire.protocol import Wire
from aiobatch.wire.settings import ConnectionSettings

__all__ = ["EngineSettings", "Lease"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """What an engine is opened with."""

    connection: ConnectionSettings
    max_concurrency: int
    max_read_units: float | None
    max_write_units: float | None

    def identity(self) -> tuple[Hashable, ...]:
        """Equal for settings that may share an engine."""
        return (
            self.connection.identity(),
            self.max_concurrency,
            self.max_read_units,
            self.max_write_units,
        )


class _Shared:
    """An engine and how many clients use it. It belongs to one loop."""

    def __init__(self, settings: EngineSettings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.loop = loop
        self.leases = 0
        self._opening = asyncio.Lock()
        self._dispatcher: Dispatcher | None = None
        self._opened: Wire | None = None
        self._until_loop_ends: AsyncGenerator[None, None] | None = None

    async def dispatcher(self) -> Dispatcher:
        """The engine, opened by whoever asks first."""
        if self._dispatcher is None:
            async with self._opening:
                if self._dispatcher is None:
                    settings = self.settings
                    wire = settings.connection.wire
                    if wire is None:
                        wire = self._opened = await open_wire(
                            settings.connection, crc32=codec.CODEC.crc32
                        )
                    self._dispatcher = Dispatcher(
                        wire,
                        max_concurrency=settings.max_concurrency,
                        max_read_units=settings.max_read_units,
                        max_write_units=settings.max_write_units,
                    )
                    # asyncio.run() closes the async generators of its loop before the loop: the
                    # only notice of its end that a loop gives.
                    self._until_loop_ends = self._closing_at_the_end()
                    await anext(self._until_loop_ends)
        return self._dispatcher

    async def aclose(self) -> None:
        """Close the engine, if it was opened."""
        if self._until_loop_ends is not None:
            await self._until_loop_ends.aclose()

    async def _closing_at_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            dispatcher, self._dispatcher = self._dispatcher, None
            _forget(self)
            assert dispatcher is not None
            await dispatcher.aclose()
            if self._opened is not None:
                await self._opened.aclose()


_open: dict[asyncio.AbstractEventLoop, dict[Hashable, _Shared]] = {}
_closing: set[asyncio.Task[None]] = set()


def _forget(shared: _Shared) -> None:
    engines = _open.get(shared.loop, {})
    for identity, other in list(engines.items()):
        if other is shared:
            del engines[identity]
    if not engines:
        _open.pop(shared.loop, None)


class Lease:
    """One client's share in an engine, on the running loop.

    Args:
        owner: when it is forgotten without a release, its lease ends with it.
        settings: engines are shared where these are equal.
    """

    def __init__(self, owner: object, settings: EngineSettings) -> None:
        self.loop = asyncio.get_running_loop()
        for loop in [loop for loop in _open if loop.is_closed()]:
            # It was closed without closing its async generators; nothing can be awaited there.
            del _open[loop]
        engines = _open.setdefault(self.loop, {})
        identity = settings.identity()
        shared = engines.get(identity)
        if shared is None:
            shared = engines[identity] = _Shared(settings, self.loop)
        shared.leases += 1
        self._shared = shared
        self._finalizer = weakref.finalize(owner, _drop_from_anywhere, shared)
        self._finalizer.atexit = False

    async def dispatcher(self) -> Dispatcher:
        """The engine; opened now if nobody did before."""
        return await self._shared.dispatcher()

    async def release(self) -> None:
        """Give the lease back; the last one closes the engine."""
        self._finalizer.detach()
        await _drop(self._shared)

    def abandon(self) -> None:
        """The loop has been closed, and the engine with it: there is nothing to give back."""
        self._finalizer.detach()


async def _drop(shared: _Shared) -> None:
    shared.leases -= 1
    if shared.leases == 0:
        _forget(shared)
        await shared.aclose()


def _drop_from_anywhere(shared: _Shared) -> None:
    """The owner was forgotten: perhaps in another thread, perhaps after its loop has ended."""

    def drop() -> None:
        task = shared.loop.create_task(_drop(shared))
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    with suppress(RuntimeError):  # the loop is closed, and the engine with it
        shared.loop.call_soon_threadsafe(drop)
