"""How many tasks of a job are running, told to each of them as it changes.

Tasks that run in processes of several machines share one rate. What each may have of it depends on
how many of them there are, and nobody but the process that started the job sees them all. So that
process keeps a counter: a socket that each task holds a connection to for as long as it runs. A
connection ends with its process, however that ends, so nothing has to be given back: a task that
was killed is no longer counted.

One line is one message. A task begins with the secret and the name of its job, and then sends empty
lines, so that it is known to be there. It is sent numbers: how many tasks of the job are connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["CounterAddress", "Membership", "TaskCounter"]

BEAT = 5.0
"""Seconds between two signs of life, each way."""
PATIENCE = 15.0
"""Seconds of silence after which the other side is taken to be gone."""
_CONNECT = 3.0
# Tasks begin and end together: one message tells of all that change within this time.
_GATHER = 0.05
_LONGEST_LINE = 1_024


@dataclass(frozen=True, slots=True)
class CounterAddress:
    """Where a counter is. It travels to the tasks.

    Attributes:
        host, port: its socket.
        secret: what a task has to know to be counted. It gives access to nothing else.
    """

    host: str
    port: int
    secret: str = field(repr=False)


class TaskCounter:
    """Counts the tasks that are connected, by job. It runs in a thread of its own.

    Args:
        host: where the tasks reach this process.
        bind: the address to listen on, if it is another.

    Raises:
        OSError: nothing can listen there.
    """

    def __init__(self, host: str, bind: str | None = None) -> None:
        self._secret = secrets.token_hex(16)
        self._members: dict[str, set[asyncio.StreamWriter]] = {}
        self._serving: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        # A daemon: a program that ends is not held up by it.
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="aiobatch-counter", daemon=True
        )
        self._thread.start()
        try:
            self._server = asyncio.run_coroutine_threadsafe(
                asyncio.start_server(self._serve, bind or host, 0, limit=_LONGEST_LINE), self._loop
            ).result()
        except BaseException:
            self._stop()
            raise
        self.address = CounterAddress(host, self._server.sockets[0].getsockname()[1], self._secret)

    def close(self) -> None:
        """Listen no more, and end the connections. Tasks go on without being counted."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._stop()

    async def _end(self) -> None:
        # asyncio leaves a connection open whose server is closed while it is being accepted.
        while asyncio.all_tasks() - {asyncio.current_task(), *self._serving.values()}:  # noqa: ASYNC110
            await asyncio.sleep(0)
        self._server.close()
        serving = dict(self._serving)
        for writer in serving:
            writer.transport.abort()
        await asyncio.gather(*serving.values())

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ------------------------------------------------------------------ on the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[writer] = task
        try:
            # Whoever is silent, gone or says anything else is not counted.
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                secret, job = (await _line(reader)).split()
                if hmac.compare_digest(secret, self._secret.encode()):
                    await self._count(job.decode("ascii"), reader, writer)
        finally:
            del self._serving[writer]
            writer.transport.abort()

    async def _count(
        self, job: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        members = self._members.setdefault(job, set())
        members.add(writer)
        self._changed(job)
        try:
            while await _line(reader):
                writer.write(b"%d\n" % len(members))
        finally:
            members.discard(writer)
            if members:
                self._changed(job)
            else:
                self._members.pop(job, None)

    def _changed(self, job: str) -> None:
        self._loop.call_later(_GATHER, self._tell, job, len(self._members[job]))

    def _tell(self, job: str, count: int) -> None:
        members = self._members.get(job, ())
        # If it has changed again since, that will be told.
        if len(members) == count:
            for writer in members:
                writer.write(b"%d\n" % count)


class Membership:
    """That this task is counted, from :meth:`join` to :meth:`aclose`.

    Args:
        counter: where.
        job: the name of the job.
        told: called with the number of tasks when it changes, and with None when it is not known.
    """

    def __init__(
        self, counter: CounterAddress, job: str, told: Callable[[int | None], object]
    ) -> None:
        self._counter = counter
        self._job = job
        self._told = told
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Begin; it returns when the number is known, or when there is nobody to tell it."""
        self._task = asyncio.create_task(self._stay())
        await self._heard.wait()

    async def aclose(self) -> None:
        """Be counted no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _stay(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                await self._listen()
            self._tell(None)
            await asyncio.sleep(BEAT)

    async def _listen(self) -> None:
        async with asyncio.timeout(_CONNECT):
            reader, writer = await asyncio.open_connection(
                self._counter.host, self._counter.port, limit=_LONGEST_LINE
            )
        try:
            writer.write(f"{self._counter.secret} {self._job}\n".encode())
            beating = asyncio.create_task(_beat(writer))
            try:
                while line := await _line(reader):
                    self._tell(max(1, int(line)))
            finally:
                beating.cancel()
        finally:
            writer.transport.abort()

    def _tell(self, count: int | None) -> None:
        self._told(count)
        self._heard.set()


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await reader.readline()


async def _beat(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(BEAT)
        writer.write(b"\n")
