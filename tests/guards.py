"""What every test is held to besides its own assertions.

Coroutines never awaited, sockets and sessions never closed: `filterwarnings = error` sees to those.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from blockbuster import BlockBuster

# A cancelled task needs a turn or two of the loop until it is done.
TURNS_TO_END = 3


@contextlib.contextmanager
def no_blocking_calls() -> Iterator[None]:
    """Makes a blocking call of the package, or of what it calls, an error while a loop runs."""
    guard = BlockBuster(scanned_modules=["aiobatch"])
    # Under coverage, where another thread is begun: what was counted is locked for a moment.
    guard.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", {"lock_data"})
    for name, function in guard.functions.items():
        if name.startswith(("os.", "io.", "builtins.")):
            # create_client() reads service models, configuration and CA bundles, once a process.
            function.can_block_in("botocore/loaders.py", _LOADING)
            function.can_block_in("botocore/configloader.py", {"raw_config_parse"})
            function.can_block_in("aiobotocore/session.py", {"_create_client"})
            # A web identity's token file is read at each refresh, in either wire.
            function.can_block_in("botocore/utils.py", {"__call__"})
            # Imports inside functions.
            function.can_block_in("<frozen importlib._bootstrap>", {"_find_and_load"})
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


_LOADING = {"load_file", "load_data", "load_service_model", "list_available_services", "exists"}


async def leaked_tasks(before: set[asyncio.Task[object]]) -> list[str]:
    """The tasks that are still there and were not there before, but for the current one."""
    leaked: set[asyncio.Task[object]] = set()
    for _ in range(TURNS_TO_END):
        leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
        if not leaked:
            break
        await asyncio.sleep(0)
    return sorted(f"{task.get_name()}: {task.get_coro()!r}" for task in leaked)


class LoopErrors(logging.Handler):
    """Collects what a loop can only log: exceptions never retrieved, tasks destroyed pending."""

    def __init__(self, logger: str = "asyncio") -> None:
        super().__init__(logging.ERROR)
        self._logger = logging.getLogger(logger)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def __enter__(self) -> "LoopErrors":
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
