"""Starts each backend once, when a test first asks for it."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from tests.backends import servers
from tests.backends.model import Backend, BackendUnavailable

STARTERS: dict[str, Callable[[], AbstractContextManager[Backend]]] = {
    "moto": servers.moto,
    "ministack": servers.ministack,
    "dynalite": servers.dynalite,
    "endpoint": servers.given_endpoint,
}


class BackendPool(contextlib.AbstractContextManager["BackendPool"]):
    """Backends stay up until the pool is left; a failure to start is remembered, not repeated."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._started: dict[str, Backend | BackendUnavailable] = {}

    def get(self, name: str) -> Backend:
        """The running backend.

        Raises:
            BackendUnavailable: It could not be started, now or earlier.
        """
        if name not in self._started:
            try:
                self._started[name] = self._stack.enter_context(STARTERS[name]())
            except BackendUnavailable as error:
                self._started[name] = error
        found = self._started[name]
        if isinstance(found, BackendUnavailable):
            raise found
        return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
