"""Processes that measure, as their orchestrator sees them."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.peers import ROOT, Variant

SECONDS_TO_START = 60.0
SECONDS_TO_SPARE = 60.0
"""What a command may take beyond the time that it names."""
_LINE = 1 << 20
_LAST_WORDS = 2_000


class WorkerFailed(Exception):
    """A process crashed, did not answer in time, or does not do equal work."""


class WorkerNotAvailable(Exception):
    """What should be measured is not there."""


class Worker:
    """One process. Use it with ``async with``; its first answer has come by then."""

    def __init__(
        self,
        python: Path,
        module: str,
        arguments: Mapping[str, Any],
        seconds_to_start: float = SECONDS_TO_START,
    ) -> None:
        self._seconds_to_start = seconds_to_start
        self._command = (os.fspath(python), "-m", module, json.dumps(arguments))
        self._process: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[bytes] | None = None
        self.hello: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.fspath(ROOT), "PYTHONUNBUFFERED": "1"},
            limit=_LINE,
            # Ctrl-C reaches the orchestrator alone, which then ends its workers.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._errors = asyncio.create_task(_tail(self._process.stderr))
        try:
            self.hello = await self._answer(self._seconds_to_start)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def ask(self, seconds: float = 0.0, **command: Any) -> dict[str, Any]:
        """Send a command that takes so long, and return its outcome.

        Raises:
            WorkerFailed: it crashed, or did not answer in time.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps({"seconds": seconds, **command}) + "\n"
        with contextlib.suppress(ConnectionError):  # what it says, or does not, tells more
            self._process.stdin.write(line.encode())
            await self._process.stdin.drain()
        return await self._answer(seconds + SECONDS_TO_SPARE)

    async def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise WorkerFailed(f"it did not answer within {seconds:.0f} s") from None
        if not line:
            raise WorkerFailed(f"it ended without an answer: {await self._last_words()}")
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:
            raise WorkerFailed(f"it printed {line[:200]!r}") from None
        if "not_available" in told:
            raise WorkerNotAvailable(told["not_available"])
        if "failed" in told:
            raise WorkerFailed(told["failed"])
        return told

    async def _last_words(self) -> str:
        assert self._errors is not None
        try:
            async with asyncio.timeout(5):
                words = (await self._errors).decode(errors="replace").strip()
        except TimeoutError:
            return "it closed its output and goes on"
        return words.rsplit("\n", 1)[-1] or "it said nothing"

    async def _end(self) -> None:
        assert self._process is not None
        assert self._errors is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
            self._errors.cancel()
            await asyncio.gather(self._errors, return_exceptions=True)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """Read to the end, so that nobody waits for the pipe, and keep the last of it."""
    kept = b""
    while data := await stream.read(65536):
        kept = (kept + data)[-_LAST_WORDS:]
    return kept


def measuring(
    variant: Variant,
    op: str,
    *,
    endpoint_url: str,
    table: str,
    shape: str,
    concurrency: int,
    canned: bool,
) -> Worker:
    """A worker that measures a client at one operation.

    Raises:
        WorkerNotAvailable: its environment is not installed.
    """
    if not variant.installed:
        raise WorkerNotAvailable(f"{variant.environment} is not installed: see what make said")
    job = {
        "endpoint_url": endpoint_url,
        "table": table,
        "shape": shape,
        "concurrency": concurrency,
        "options": dict(variant.options),
    }
    arguments = {"adapter": variant.adapter, "op": op, "canned": canned, "job": job}
    return Worker(variant.python, "benchmarks.worker", arguments)


async def run_once(
    module: str, arguments: Mapping[str, Any], seconds: float, python: Path | None = None
) -> dict[str, Any]:
    """Run a module that prints one line of JSON, and return it.

    Raises:
        WorkerFailed: it crashed, or took longer than ``seconds``.
        WorkerNotAvailable: what it should measure is not there.
    """
    async with Worker(python or Path(sys.executable), module, arguments, seconds) as worker:
        return worker.hello
