"""A table's key attributes, asked for from a thread of an engine."""

import asyncio

import pytest

from aiobatch import KeyNamesUnknown, TableNotFound, partitions
from aiobatch.partitions.keys import describe_keys
from aiobatch.testing import Fault, FaultProxy
from tests.conftest import REGION, TableFactory


async def test_keys_are_asked_for(table: TableFactory, endpoint_url: str) -> None:
    name = await table("pk", "sk", sk="N")

    def ask(table_name: str, url: str) -> tuple[str, ...]:
        return describe_keys(table_name, endpoint_url=url, region_name=REGION)

    async with FaultProxy(endpoint_url) as proxy:
        proxy.script([Fault.throttle(), Fault.reset_after()], operation="DescribeTable")
        assert await asyncio.to_thread(ask, name, proxy.endpoint_url) == ("pk", "sk")
        assert proxy.unused == 0
        proxy.always(Fault.access_denied(), operation="DescribeTable")
        # The client of this process knows the table by now.
        await asyncio.to_thread(partitions.close)
        with pytest.raises(KeyNamesUnknown, match="key_names"):
            await asyncio.to_thread(ask, name, proxy.endpoint_url)
    with pytest.raises(TableNotFound):
        await asyncio.to_thread(ask, "there-is-none", endpoint_url)
