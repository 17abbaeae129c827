"""Writing: what the driver prepares, what each task does, and how the job ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiobatch.integrations.spark.api import (
    DataSourceArrowWriter,
    TaskContext,
    WriterCommitMessage,
)
from aiobatch.integrations.spark.options import WriteOptions
from aiobatch.integrations.spark.reports import JOB, attempt_name, write_report
from aiobatch.partitions import Ledger, WriteFailed, write_batches

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DynamoDBWriter", "Written"]


@dataclass
class Written(WriterCommitMessage):  # type: ignore[misc, unused-ignore]
    """What a task tells the driver."""

    ledger: Ledger


class DynamoDBWriter(DataSourceArrowWriter):  # type: ignore[misc, unused-ignore]
    """Writes a data frame into a table. Made on the driver, and copied to each task.

    Args:
        options: the job's options.
        key_names: the table's key attributes.
    """

    def __init__(self, options: WriteOptions, key_names: tuple[str, ...]) -> None:
        self._options = options
        self._key_names = key_names
        self._rate = options.rate()

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Write one partition. It raises only where another attempt may end better.

        Everything else is for :meth:`commit`: what a task raises, Spark tries again, and the
        ledger of a task that raised never reaches the driver.
        """
        options = self._options
        context = TaskContext.get()
        partition, attempt = (
            (0, 0) if context is None else (context.partitionId(), context.taskAttemptId())
        )

        def report(ledger: Ledger) -> None:
            if options.report is not None:
                write_report(options.report, attempt_name(partition, attempt), ledger)

        ledger = write_batches(
            iterator,
            options.table,
            operation=options.operation,
            columns=self._key_names if options.operation == "delete" else None,
            sets=options.sets,
            nulls=options.nulls,
            partition=partition,
            attempt=attempt,
            on_invalid="raise" if options.on_invalid == "fail" else "collect",
            region_name=options.region,
            endpoint_url=options.endpoint_url,
            profile_name=options.profile,
            key_names=self._key_names,
            max_concurrency=options.max_concurrency,
            max_write_units=self._rate,
            on_end=report,
        )
        if ledger.may_succeed:
            raise WriteFailed(ledger)
        return Written(ledger)

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """All tasks are over: sum up, report, and raise if the job has not done what it should."""
        total = self._report(messages)
        total.check(allow_invalid=self._options.on_invalid == "skip")

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """The job failed. What was written stays; report it."""
        # The job's own failure is what the user must see.
        with suppress(Exception):
            self._report(messages)

    def _report(self, messages: Sequence[Any]) -> Ledger:
        ledgers = [message.ledger for message in messages if isinstance(message, Written)]
        total = Ledger.sum([Ledger(table_name=self._options.table), *ledgers])
        if self._options.report is not None:
            write_report(self._options.report, JOB, total)
        return total
