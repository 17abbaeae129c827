"""Read one part of a table, in a task of a larger job."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal

from aiobatch.client import DynamoDB
from aiobatch.codec import Numbers
from aiobatch.partitions.loop import worker_loop
from aiobatch.partitions.pacing import shared
from aiobatch.partitions.settings import Connection, JobRate, share_of
from aiobatch.responses import Item
from aiobatch.retry import Retry

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["query_partition", "scan_batches", "scan_segment"]

# Items that travel from the loop to the task's thread at once; as many are read ahead.
_SLICE = 500
_BATCH = 5_000


def scan_segment(
    segment: int,
    total_segments: int,
    table_name: str,
    *,
    columns: Iterable[str] | None = None,
    consistent_read: bool = False,
    numbers: Numbers = "native",
    region_name: str | None = None,
    endpoint_url: str | None = None,
    profile_name: str | None = None,
    max_read_units: float | JobRate | None = None,
    retry: Retry | None = None,
) -> Generator[Item, None, None]:
    """Iterate over the items of one segment of a table's scan. It blocks while it waits.

    Call it in a task of any engine. Segments ``0`` to ``total_segments - 1`` together are the whole
    table. A page is read ahead; an iteration that is left reads no more.

    Args:
        segment: which one, counted from 0.
        total_segments: how many there are; any number of them may be read at the same time.
        table_name: the table's name or ARN.
        columns: the attributes to read, by their names; None for all. The capacity is the same.
        consistent_read: strongly consistent, at twice the capacity.
        numbers: as for ``DynamoDB``.
        region_name: as for ``DynamoDB``. Credentials are found where the task runs.
        endpoint_url: as for ``DynamoDB``.
        profile_name: as for ``DynamoDB``.
        max_read_units: capacity units a second that this process may consume: the job's, divided
            by the processes that run at once. Or a ``JobRate``, as for ``write_partition``.
        retry: the policy of each page; by default ``Retry.patient()``.

    Raises:
        ValueError: settings that cannot be right.
        ServiceError, WireError: a page could not be read.

    In a task::

        for item in scan_segment(3, 16, "users", columns=["pk", "name"]):
            print(item["name"])
    """
    projection = _projection(columns)

    def scan(client: DynamoDB) -> AsyncGenerator[Item, None]:
        return client.scan(
            table_name,
            segment=segment,
            total_segments=total_segments,
            consistent_read=consistent_read,
            **projection,
        )

    connection = Connection(
        region_name=region_name,
        endpoint_url=endpoint_url,
        profile_name=profile_name,
        max_read_units=share_of(max_read_units),
        numbers=numbers,
        retry=retry or Retry.patient(),
    )
    return _items(scan, table_name, connection, max_read_units)


def query_partition(
    table_name: str,
    key_condition_expression: str,
    *,
    expression_attribute_values: Mapping[str, Any],
    expression_attribute_names: Mapping[str, str] | None = None,
    columns: Iterable[str] | None = None,
    consistent_read: bool = False,
    numbers: Numbers = "native",
    region_name: str | None = None,
    endpoint_url: str | None = None,
    profile_name: str | None = None,
    max_read_units: float | JobRate | None = None,
    retry: Retry | None = None,
) -> Generator[Item, None, None]:
    """Iterate over the items of one partition key; otherwise as :func:`scan_segment`.

    Args:
        table_name: the table's name or ARN.
        key_condition_expression: as for ``DynamoDB.query``.
        expression_attribute_values: the values in it.
        expression_attribute_names: placeholders in it.
        columns: as for :func:`scan_segment`, as is all that follows.
        consistent_read: strongly consistent.
        numbers: as for ``DynamoDB``.
        region_name: as for ``DynamoDB``.
        endpoint_url: as for ``DynamoDB``.
        profile_name: as for ``DynamoDB``.
        max_read_units: capacity units a second.
        retry: the policy of each page.

    Raises:
        ValueError, ServiceError, WireError: as for :func:`scan_segment`.
    """
    projection = _projection(columns)
    names = {
        **(expression_attribute_names or {}),
        **projection.pop("expression_attribute_names", {}),
    }

    def query(client: DynamoDB) -> AsyncGenerator[Item, None]:
        return client.query(
            table_name,
            key_condition_expression,
            expression_attribute_values=expression_attribute_values,
            expression_attribute_names=names or None,
            consistent_read=consistent_read,
            **projection,
        )

    connection = Connection(
        region_name=region_name,
        endpoint_url=endpoint_url,
        profile_name=profile_name,
        max_read_units=share_of(max_read_units),
        numbers=numbers,
        retry=retry or Retry.patient(),
    )
    return _items(query, table_name, connection, max_read_units)


def scan_batches(
    segment: int,
    total_segments: int,
    table_name: str,
    schema: pa.Schema,
    *,
    on_mismatch: Literal["raise", "null"] = "raise",
    **settings: Any,
) -> Iterator[pa.RecordBatch]:
    """Read one segment as Arrow record batches; otherwise as :func:`scan_segment`.

    Args:
        segment: which one.
        total_segments: how many there are.
        table_name: the table's name or ARN.
        schema: the columns, which are also what is read. Numbers come as whole numbers, floats or
            decimals, as it says; sets as sorted lists; maps as structs or maps.
        on_mismatch: what a value does that its column has no place for: ``"raise"``, or become
            ``"null"``.
        settings: as for :func:`scan_segment`.

    Raises:
        ValueError: a type that no attribute can be read as; or a value that does not fit, with the
            item's place and the attribute.
        ServiceError, WireError: a page could not be read.
    """
    items = scan_segment(
        segment,
        total_segments,
        table_name,
        columns=schema.names,
        **{**settings, "numbers": "decimal"},
    )
    return as_batches(items, schema, on_mismatch=on_mismatch)


def as_batches(
    items: Iterable[Item], schema: pa.Schema, *, on_mismatch: Literal["raise", "null"] = "raise"
) -> Iterator[pa.RecordBatch]:
    """Items, whose numbers were read as Decimal, as record batches of this schema."""
    from aiobatch.partitions.arrow import BatchMaker

    maker = BatchMaker(schema, on_mismatch=on_mismatch)
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if len(waiting) == _BATCH:
            yield maker.batch(waiting)
            waiting = []
    if waiting:
        yield maker.batch(waiting)


def _projection(columns: Iterable[str] | None) -> dict[str, Any]:
    """Each name by a placeholder: it may have dots in it, or be a reserved word."""
    if columns is None:
        return {}
    if isinstance(columns, str):
        raise TypeError("columns takes a list of names, not a str")
    names = {f"#column{at}": name for at, name in enumerate(columns)}
    if not names:
        return {}
    return {"projection_expression": ", ".join(names), "expression_attribute_names": names}


class _Stream:
    """An async iteration, taken slice by slice.

    Args:
        items: the iteration.
        around: what ends with it.
    """

    def __init__(self, items: AsyncGenerator[Item, None], around: AsyncExitStack) -> None:
        self._items = items
        self._around = around

    async def take(self) -> list[Item]:
        """The next items; fewer than a slice at the end."""
        taken: list[Item] = []
        async for item in self._items:
            taken.append(item)
            if len(taken) == _SLICE:
                break
        return taken

    async def aclose(self) -> None:
        async with self._around:
            await self._items.aclose()


def _items(
    begin: Callable[[DynamoDB], AsyncGenerator[Item, None]],
    table_name: str,
    connection: Connection,
    rate: float | JobRate | None,
) -> Generator[Item, None, None]:
    here = worker_loop()

    async def first() -> _Stream:
        client = here.client(connection)
        async with AsyncExitStack() as around:
            await around.enter_async_context(shared(client, table_name, "read", rate))
            return _Stream(begin(client), around.pop_all())

    stream = here.run(first())
    coming: Future[list[Item]] = here.submit(stream.take())
    try:
        while True:
            taken = coming.result()
            is_last = len(taken) < _SLICE
            if not is_last:
                coming = here.submit(stream.take())
            yield from taken
            if is_last:
                return
    finally:
        coming.cancel()
        here.run(stream.aclose())
