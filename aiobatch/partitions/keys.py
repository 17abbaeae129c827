"""A table's key attributes, asked for once before the tasks of a job begin."""

from __future__ import annotations

from typing import Any

from aiobatch.client import DynamoDB
from aiobatch.engine.metrics import Meter
from aiobatch.partitions.loop import worker_loop
from aiobatch.partitions.settings import Connection

__all__ = ["describe_keys"]


def describe_keys(table_name: str, **settings: Any) -> tuple[str, ...]:
    """The names of a table's key attributes, the partition key first. Blocks.

    Args:
        table_name: the table's name or ARN.
        settings: ``region_name``, ``endpoint_url`` and ``profile_name``, as for ``DynamoDB``.

    Raises:
        TableNotFound: there is no such table.
        KeyNamesUnknown: DescribeTable was denied.
        AiobatchError: it failed for another reason.
    """
    here = worker_loop()
    connection = Connection(**settings)

    async def ask() -> tuple[str, ...]:
        return await _names(here.client(connection), table_name)

    return here.run(ask())


async def _names(client: DynamoDB, table_name: str) -> tuple[str, ...]:
    access = client._access()
    async with access.under_way():
        engine = await access.engine()
        schema = await access.describe(engine, table_name, access.retry, Meter(0.0))
    return schema.names
