"""Distance: a relay that hands every answer on late."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

_CHUNK = 65536


@contextlib.asynccontextmanager
async def delayed(endpoint_url: str, seconds: float) -> AsyncIterator[str]:
    """An address that leads to ``endpoint_url``, where answers take ``seconds`` longer.

    Requests pass at once. What comes back is held for the full time from its arrival, however much
    of it there is: distance without a loss of bandwidth.
    """
    parts = urlsplit(endpoint_url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(f"latency can be added to http:// addresses only, not to {endpoint_url}")
    host, port = parts.hostname, parts.port or 80
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with contextlib.closing(writer):
                there_reader, there_writer = await asyncio.open_connection(host, port)
                with contextlib.closing(there_writer):
                    await _join(reader, there_writer, there_reader, writer, seconds)
        except OSError:
            pass  # an end hung up: what the other end sees is what it would have seen
        except asyncio.CancelledError:
            pass  # only the end of the relay cancels; the stream protocol would log it as an error
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        relay_host, relay_port = server.sockets[0].getsockname()[:2]
        yield f"http://{relay_host}:{relay_port}"
    finally:
        server.close()
        ending = list(connections)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await server.wait_closed()


async def _join(
    here: asyncio.StreamReader,
    to_there: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    to_here: asyncio.StreamWriter,
    seconds: float,
) -> None:
    """Carry both directions until the answering end hangs up, or the asking one does."""
    asking = asyncio.create_task(_forward(here, to_there))
    answering = asyncio.create_task(_forward_late(there, to_here, seconds))
    try:
        await asyncio.wait((asking, answering), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (asking, answering):
            task.cancel()
        await asyncio.gather(asking, answering, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _forward_late(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    """Each piece leaves when its own time is over, so that reading never waits for writing."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        data = b"-"
        while data:
            data = await reader.read(_CHUNK)
            pieces.put_nowait((loop.time() + seconds, data))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                return
            writer.write(data)
            await writer.drain()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
