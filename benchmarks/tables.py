"""A table that lives as long as the program that made it."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from benchmarks.embedded import REGION


def own_region() -> str | None:
    """None where the user's settings name a region, or else one that emulators take."""
    from aiobotocore.session import AioSession

    return None if AioSession().get_config_variable("region") else REGION


@contextlib.asynccontextmanager
async def own_table(
    endpoint_url: str | None, prefix: str, *keys: str
) -> AsyncIterator[tuple[str, Callable[[], Awaitable[int]]]]:
    """A table for this run, and a way to count it that is not aiobatch's own.

    ``keys`` are its key attributes, the partition key first; they are strings.
    """
    from aiobotocore.session import AioSession

    async with AioSession().create_client(
        "dynamodb", endpoint_url=endpoint_url, region_name=own_region()
    ) as raw:
        name = f"{prefix}-{secrets.token_hex(4)}"
        await raw.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": "RANGE" if position else "HASH"}
                for position, key in enumerate(keys)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
        )

        async def count() -> int:
            pages = raw.get_paginator("scan").paginate(
                TableName=name, Select="COUNT", ConsistentRead=True
            )
            return sum([page["Count"] async for page in pages])

        try:
            await raw.get_waiter("table_exists").wait(
                TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )
            yield name, count
        finally:
            await raw.delete_table(TableName=name)
