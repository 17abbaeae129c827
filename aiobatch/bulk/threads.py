"""A thread of one's own for what blocks: its jobs run one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["Worker"]

ResultT = TypeVar("ResultT")


class Worker:
    """Runs blocking functions in one thread, in the order in which they were given.

    A job that was begun runs to its end: whoever is cancelled while waiting for one is cancelled
    after it, so no file is closed under it.

    Args:
        name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # All jobs have been waited for, so this does not block.
        self._pool.shutdown(wait=False)

    def submit(self, job: Callable[[], ResultT]) -> asyncio.Future[ResultT]:
        """Begin a job; the result is waited for with :meth:`result`."""
        return asyncio.get_running_loop().run_in_executor(self._pool, job)

    async def run(
        self, job: Callable[[], ResultT], give_up: Callable[[], object] | None = None
    ) -> ResultT:
        """Run a job. See :meth:`result`."""
        return await self.result(self.submit(job), give_up)

    @staticmethod
    async def result(
        job: asyncio.Future[ResultT], give_up: Callable[[], object] | None = None
    ) -> ResultT:
        """Wait for a job to its end.

        Args:
            job: what was submitted.
            give_up: called when the caller is cancelled, so that the end comes soon.
        """
        cancelled: asyncio.CancelledError | None = None
        while not job.done():
            try:
                await asyncio.wait([job])
            except asyncio.CancelledError as error:
                cancelled = error
                if give_up is not None:
                    give_up()
        if cancelled is not None:
            job.exception()  # so that it counts as looked at
            raise cancelled
        return job.result()
