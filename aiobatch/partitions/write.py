"""Write one partition of a larger job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from aiobatch.errors import (
    BatchError,
    ClientClosed,
    InvalidItem,
    KeyNamesUnknown,
    ServiceError,
    WireError,
)
from aiobatch.partitions.feed import Feed
from aiobatch.partitions.ledger import PROBLEMS_KEPT, Ledger, Problem
from aiobatch.partitions.loop import WorkerLoop, worker_loop
from aiobatch.partitions.pacing import begin, shared
from aiobatch.partitions.settings import Connection, JobRate, share_of
from aiobatch.retry import Retry
from aiobatch.streams.report import WriteReport

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["write_batches", "write_partition"]

Operation = Literal["put", "delete"]
OnInvalid = Literal["raise", "collect"]

_SLICE = 500


def write_partition(
    rows: Iterable[Any],
    table_name: str,
    *,
    operation: Operation = "put",
    partition: int | None = None,
    attempt: int | None = None,
    on_invalid: OnInvalid = "raise",
    region_name: str | None = None,
    endpoint_url: str | None = None,
    profile_name: str | None = None,
    key_names: tuple[str, ...] | None = None,
    max_concurrency: int = 16,
    max_write_units: float | JobRate | None = None,
    retry: Retry | None = None,
    on_end: Callable[[Ledger], object] | None = None,
) -> Ledger:
    """Put the rows of one partition into a table, or delete their keys. Blocks until it is done.

    Call it in a task of any engine; the process keeps its event loop and connections for the next.
    Puts and deletes can be done twice, so a task that is run again ends in the same table.

    Args:
        rows: items, or keys for a delete, in any form that ``batch_write_item`` takes. Read in
            the calling thread, a few slices ahead of what is sent.
        table_name: the table's name or ARN.
        operation: ``"put"`` or ``"delete"``.
        partition: its number, for the ledger and for messages.
        attempt: the number of this attempt at it.
        on_invalid: what a row does that DynamoDB would refuse: ``"raise"`` ends the partition
            there, once all rows before it are written; ``"collect"`` enters it into the ledger
            and goes on. In both cases the ledger is returned.
        region_name: as for ``DynamoDB``. Credentials are found where the task runs.
        endpoint_url: as for ``DynamoDB``.
        profile_name: as for ``DynamoDB``.
        key_names: the table's key attributes, the partition key first. With them no task asks
            DescribeTable.
        max_concurrency: requests under way at once, in this process.
        max_write_units: capacity units a second that this process may consume: the job's, divided
            by the processes that run at once. Or a ``JobRate``, which the running tasks of a job
            divide between them; then a process runs one of them at a time.
        retry: by default ``Retry.patient()``.
        on_end: called with the ledger however it ends, so also where ``rows`` raised.

    Returns:
        The ledger. It is returned where rows are at fault, the table is missing, or DynamoDB kept
        throttling: ``ledger.check()`` raises for all of that, ``ledger.may_succeed`` tells whether
        another attempt may help.

    Raises:
        ValueError, TypeError: settings that cannot be right.
        Exception: what ``rows`` raised, once all rows before it have been written; the ledger
            stands in a note.

    In a task::

        ledger = write_partition(
            ({"pk": f"user#{n}", "sk": "profile"} for n in range(1000)), "users", partition=7
        )
        print(ledger.check().processed)
    """
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise TypeError(f"rows must be an iterable of rows, not {type(rows).__name__}")
    if operation not in ("put", "delete"):
        raise ValueError(f"Invalid operation '{operation}'. Must be 'put' or 'delete'")
    connection = Connection(
        region_name=region_name,
        endpoint_url=endpoint_url,
        profile_name=profile_name,
        max_concurrency=max_concurrency,
        max_write_units=share_of(max_write_units),
        key_names=() if key_names is None else ((table_name, tuple(key_names)),),
        retry=retry or Retry.patient(),
    )
    return _write(
        _slices(rows),
        table_name,
        connection,
        max_write_units,
        operation=operation,
        partition=partition,
        attempt=attempt,
        on_invalid=on_invalid,
        on_end=on_end,
    )


def write_batches(
    batches: Iterable[pa.RecordBatch],
    table_name: str,
    *,
    sets: Iterable[str] = (),
    nulls: Literal["omit", "write"] = "omit",
    columns: Iterable[str] | None = None,
    **settings: Any,
) -> Ledger:
    """Put the rows of Arrow record batches into a table; otherwise as :func:`write_partition`.

    Structs and maps become maps, lists become lists, decimals and whole numbers keep every digit.

    Args:
        batches: record batches of one schema.
        table_name: the table's name or ARN.
        sets: columns of lists that are written as DynamoDB's sets. An empty one is left out, since
            DynamoDB has no empty set.
        nulls: ``"omit"`` leaves attributes out that are null; ``"write"`` writes DynamoDB's NULL.
            Within a list a null is always written.
        columns: take these columns only, such as a table's keys for a delete.
        settings: as for :func:`write_partition`.

    Returns:
        The ledger.

    Raises:
        ValueError, TypeError: settings that cannot be right, or a set column that is no list.
    """
    from aiobatch.partitions.arrow import RowMaker

    maker = RowMaker(sets=sets, nulls=nulls, columns=columns)
    rows = (row for batch in batches for row in maker.rows(batch))
    return write_partition(rows, table_name, **settings)


def _slices(rows: Iterable[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    try:
        for row in rows:
            part.append(row)
            if len(part) == _SLICE:
                yield part
                part = []
    except Exception:
        # What came before the error is still written.
        yield part
        raise
    yield part


def _write(
    slices: Iterable[list[Any]],
    table_name: str,
    connection: Connection,
    rate: float | JobRate | None,
    *,
    operation: Operation,
    partition: int | None,
    attempt: int | None,
    on_invalid: OnInvalid,
    on_end: Callable[[Ledger], object] | None,
) -> Ledger:
    """See :func:`write_partition`."""
    here = worker_loop()
    feed = Feed(here.loop)
    account = _Account(table_name, partition, attempt)
    load = here.submit(_load(here, feed, account, connection, rate, operation, on_invalid))
    load.add_done_callback(lambda _: feed.close())
    try:
        try:
            for part in slices:
                if not feed.put(part):
                    break
            feed.end()
        except Exception as error:
            feed.end(error)
        load.result()
    except Exception as error:
        error.add_note(f"writing to table {table_name!r}: {account.ledger().in_words()}")
        raise
    finally:
        # Interrupted: nothing more leaves.
        load.cancel()
        if on_end is not None:
            on_end(account.ledger())
    return account.ledger()


async def _load(
    here: WorkerLoop,
    feed: Feed,
    account: _Account,
    connection: Connection,
    rate: float | JobRate | None,
    operation: Operation,
    on_invalid: OnInvalid,
) -> None:
    client = here.client(connection)
    try:
        async with shared(client, account.table_name, "write", rate):
            if connection.max_write_units and here.begins(connection, account.table_name):
                await begin(client, account.table_name)
            await client.bulk_write(
                feed,
                account.table_name,
                operation=operation,
                on_invalid=on_invalid,
                on_progress=account.follow,
                retry=connection.retry,
            )
    except InvalidItem:
        # The row is in the report.
        pass
    except (BatchError, ClientClosed, KeyNamesUnknown, ServiceError, WireError) as error:
        account.fail(error)


class _Account:
    """What the live report says, in the shape of a ledger."""

    def __init__(self, table_name: str, partition: int | None, attempt: int | None) -> None:
        self.table_name = table_name
        self._partition = partition
        self._attempt = attempt
        self._report: WriteReport | None = None
        self._problems: list[Problem] = []
        self._failure: str | None = None
        self._may_succeed = False

    def follow(self, report: WriteReport) -> None:
        """Told now and then, and at the end."""
        self._report = report
        if report.invalid and not report.has_leftovers:
            # A frame of nothing but faulty rows must not end up in memory.
            self._keep(report.take())

    def fail(self, error: Exception) -> None:
        """The load ended with rows left."""
        cause = error.__cause__ if isinstance(error, BatchError) else error
        if isinstance(cause, ServiceError | WireError | KeyNamesUnknown | ClientClosed):
            self._failure = str(cause)
        elif cause is not None and not isinstance(cause, InvalidItem):
            # Only our own errors are known to quote no item.
            self._failure = type(cause).__name__
        # What a wrong table or a faulty row met would be met again.
        lasting = isinstance(cause, KeyNamesUnknown | InvalidItem) or (
            isinstance(cause, ServiceError) and not cause.retryable
        )
        self._may_succeed = not lasting

    def _keep(self, response: dict[str, Any]) -> None:
        found = [
            Problem(self._partition, entry["index"], entry["path"], entry["reason"])
            for entry in response.get("InvalidItems", ())
        ]
        found += [
            # DynamoDB's own words may quote the item.
            Problem(self._partition, entry["index"], "", f"DynamoDB refused it: {entry['code']}")
            for entry in response.get("RejectedItems", ())
        ]
        self._problems += found[: PROBLEMS_KEPT - len(self._problems)]

    def ledger(self) -> Ledger:
        """Where everything ended."""
        report = self._report
        if report is None:
            return Ledger(
                table_name=self.table_name,
                partition=self._partition,
                attempt=self._attempt,
                failure=self._failure,
                may_succeed=self._may_succeed,
                partitions=1,
            )
        self._keep(report.take())
        left = report.unprocessed + report.unknown
        if left and self._failure is None:
            self._failure = "rows were left over when the retries were spent"
        metrics = report.metrics
        return Ledger(
            table_name=self.table_name,
            partition=self._partition,
            attempt=self._attempt,
            accepted=report.accepted,
            processed=report.processed,
            unprocessed=report.unprocessed + report.pending,
            unknown=report.unknown,
            rejected=report.rejected,
            invalid=report.invalid,
            requests=metrics["requests"],
            retries=metrics["retries"],
            throttled=metrics["throttled"],
            seconds=metrics["seconds"],
            failure=self._failure,
            may_succeed=self._may_succeed and bool(left),
            problems=tuple(self._problems),
            partitions=1,
        )
