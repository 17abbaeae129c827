"""``bulk_write``: a whole source of items, through a writer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiobatch.access import Access
from aiobatch.errors import BatchError, ClientClosed, InvalidItem
from aiobatch.streams.report import WriteReport
from aiobatch.streams.source import Source, SourceFailed, pull
from aiobatch.streams.stream import OnInvalid, Settings
from aiobatch.streams.writer import BatchWriter, Operation

__all__ = ["OnProgress", "bulk_write"]

OnProgress = Callable[[WriteReport], object]

# Seconds between two reports of progress.
_PROGRESS_EVERY = 0.1


class _CutShort(Exception):
    """The rest of the source is not read; what was taken from it comes to its end first."""


class _Load(BatchWriter):
    """A writer that tells how far it is."""

    def __init__(
        self, access: Access, table_name: str, settings: Settings, on_progress: OnProgress | None
    ) -> None:
        super().__init__(access, table_name, settings, name="bulk_write")
        self._on_progress = on_progress
        self._told_at = 0.0

    def take_at_once(self, operation: Operation, index: int, value: Any) -> bool:
        """Take a write from the source, or see that :meth:`take` must.

        From now on it is in the account, whatever happens.
        """
        self.report.accept()
        if self._schema is None or self._slice_is_over:
            return False
        try:
            taken = self._take_at_once(*self._version(operation, value, index))
        except InvalidItem as error:
            self.report.refuse(index, value, error.path, error.reason)
            raise
        if taken:
            self._tell()
        return taken

    async def take(self, operation: Operation, index: int, value: Any) -> None:
        """Take a write that could not be taken at once."""
        try:
            await self.write(operation, value, index)
        except InvalidItem as error:
            self.report.refuse(index, value, error.path, error.reason)
            raise
        except BaseException as error:
            self.report.leave_unsent(
                self._identity(operation, value), value, deletes=operation == "delete"
            )
            if self._is_over and isinstance(error, BatchError | ClientClosed):
                # Leaving the block raises it again, with this one in its account.
                raise _CutShort from None
            raise
        self._tell()

    def _identity(self, operation: Operation, value: Any) -> bytes | None:
        if self._schema is None:
            return None
        return self._encode(operation, value, self._schema)[0]

    def _accept(self) -> None:
        # Done when it was taken from the source.
        pass

    def _tell(self) -> None:
        if self._on_progress is not None and self._clock() - self._told_at >= _PROGRESS_EVERY:
            self.tell()
            self._told_at = self._clock()

    def tell(self) -> None:
        """Call ``on_progress``. One that raised is not called again."""
        on_progress, self._on_progress = self._on_progress, None
        if on_progress is not None:
            on_progress(self.report)
            self._on_progress = on_progress


async def bulk_write(
    access: Access,
    source: Source,
    table_name: str,
    settings: Settings,
    *,
    operation: Operation,
    on_progress: OnProgress | None,
    on_invalid: OnInvalid,
) -> WriteReport:
    """See :meth:`DynamoDB.bulk_write`."""
    load = _Load(access, table_name, settings, on_progress)
    cut_short: Exception | None = None

    def refused(error: InvalidItem) -> None:
        nonlocal cut_short
        if on_invalid == "raise":
            cut_short = error
            raise _CutShort from None

    def take(index: int, value: Any) -> Awaitable[None] | None:
        try:
            taken = load.take_at_once(operation, index, value)
        except InvalidItem as error:
            refused(error)
            return None
        return None if taken else take_slowly(index, value)

    async def take_slowly(index: int, value: Any) -> None:
        try:
            await load.take(operation, index, value)
        except InvalidItem as error:
            refused(error)

    try:
        async with load:
            try:
                await pull(source, take)
            except _CutShort:
                pass
            except SourceFailed as failed:
                cut_short = failed.error
    except BatchError as error:
        if cut_short is not None:
            raise error from cut_short
        raise
    finally:
        load.tell()
    if isinstance(cut_short, InvalidItem):
        cut_short.response = load.report.response()
        raise cut_short
    if cut_short is not None:
        cut_short.add_note(f"bulk_write on {table_name!r}: {load.report.in_words()}")
        raise cut_short
    return load.report
