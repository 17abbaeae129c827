"""Calls under way: what may end one before its time, and the error that tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiobatch.errors import BatchError, BatchTimeout, ClientClosed, ServiceError, WireError

__all__ = ["BatchScope", "CallScope", "Calls", "batch_error"]

Calls = dict[asyncio.Timeout, asyncio.Future[None]]
"""A client's calls under way, by what can end them, with what tells that they have ended."""


class CallScope:
    """``async with``: a call that the client's ``aclose()`` ends, as ``ClientClosed``.

    Args:
        calls: the client's, among which it is while it lasts.
        timeout: seconds for the call, or None.
    """

    __slots__ = ("_calls", "_ended", "_scope", "_timeout")

    def __init__(self, calls: Calls, timeout: float | None = None) -> None:
        self._calls = calls
        self._timeout = timeout

    async def __aenter__(self) -> None:
        self._scope = asyncio.timeout(self._timeout)
        await self._scope.__aenter__()
        self._ended = asyncio.get_running_loop().create_future()
        self._calls[self._scope] = self._ended

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scope = self._scope
        try:
            await scope.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise self._end() from None
        finally:
            self._calls.pop(scope, None)
            self._ended.set_result(None)
        if isinstance(error, TimeoutError) and scope.expired():
            raise self._end() from None

    def _end(self) -> Exception:
        """What to raise for a call that was ended."""
        return ClientClosed("the client was closed during the call")


class BatchScope(CallScope):
    """The same of a batch call. However it ends before its time, the error carries the account.

    Args:
        calls: see :class:`CallScope`.
        timeout: the same.
        operation: the method's name.
        where: the tables.
        told: the account in words.
        view: the account in the shape of an answer.
        is_closed: whether the client was closed.
    """

    __slots__ = ("_is_closed", "_operation", "_told", "_view", "_where")

    def __init__(
        self,
        calls: Calls,
        timeout: float | None,
        *,
        operation: str,
        where: str,
        told: Callable[[], str],
        view: Callable[[], dict[str, Any]],
        is_closed: Callable[[], bool],
    ) -> None:
        super().__init__(calls, timeout)
        self._operation = operation
        self._where = where
        self._told = told
        self._view = view
        self._is_closed = is_closed

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, traceback)
        if isinstance(error, ServiceError | WireError):
            raise batch_error(
                self._operation, self._where, self._told, self._view, error
            ) from error

    def _end(self) -> Exception:
        call, account = f"{self._operation} on {self._where}", "The account is in error.response"
        if self._is_closed():
            return ClientClosed(
                f"{call}: the client was closed, {self._told()}. {account}", self._view()
            )
        return BatchTimeout(
            f"{call}: the timeout of {self._timeout:g} s passed, {self._told()}. {account}",
            self._view(),
        )


def batch_error(
    operation: str,
    where: str,
    told: Callable[[], str],
    view: Callable[[], dict[str, Any]],
    cause: Exception | None,
) -> BatchError:
    """What a batch call raises that had more than leftovers."""
    # Only our own errors are known to quote no item.
    text = str(cause) if isinstance(cause, ServiceError | WireError) else type(cause).__name__
    return BatchError(
        f"{operation} on {where}: {told()}. Cause: {text}. The account is in error.response",
        view(),
    )
