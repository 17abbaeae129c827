"""``bulk_write``: a whole source of items, through a writer."""

from __future__ import annotations

from collections.abc import Callable
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
    """The load has come to its end: the rest of the source is not read."""


class _Load(BatchWriter):
    """A writer that tells how far it is."""

    def __init__(
        self,
        access: Access,
        table_name: str,
        settings: Settings,
        *,
        operation: Operation,
        on_progress: OnProgress | None,
        on_invalid: OnInvalid,
    ) -> None:
        super().__init__(access, table_name, settings, name="bulk_write", on_invalid=on_invalid)
        self._deletes = operation == "delete"
        self._on_progress = on_progress
        self._told_at = 0.0

    async def read(self, source: Source) -> None:
        """Take all that a source gives.

        Raises:
            SourceFailed, InvalidItem: the rest of it was not read.
        """
        await pull(source, self._take, self._readable)

    async def _take(self, first: int, values: list[Any]) -> None:
        # From now on they are in the account, whatever happens.
        self.report.accept(len(values))
        try:
            await self._take_slice(range(first, first + len(values)), values)
        except (BatchError, ClientClosed) as error:
            if self._is_over:
                # Leaving the block raises it again, with these in its account.
                raise _CutShort from None
            # It could not begin: the client was closed before the first item.
            self._broken = error
            raise self._error() from None
        self._tell()

    def _accept(self, entries: int) -> None:
        # Done when they were taken from the source.
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
    load = _Load(
        access,
        table_name,
        settings,
        operation=operation,
        on_progress=on_progress,
        on_invalid=on_invalid,
    )
    cut_short: Exception | None = None
    try:
        async with load:
            try:
                await load.read(source)
            except _CutShort:
                pass
            except InvalidItem as error:
                cut_short = error
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
