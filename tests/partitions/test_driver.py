"""What a driver of Spark's does before its tasks begin: counters, key names, samples."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from aiobatch import DynamoDB, TableNotFound
from aiobatch.integrations.spark import counters
from aiobatch.integrations.spark.options import ReadOptions, WriteOptions
from aiobatch.integrations.spark.tables import key_names, sample
from tests.conftest import REGION, TableFactory

HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def _counters_end() -> Iterator[None]:
    yield
    counters.close()


def test_a_driver_has_one_counter_for_each_address() -> None:
    address = counters.counter_at(HERE, HERE)
    assert counters.counter_at(HERE, HERE) == address
    other = counters.counter_at("localhost", HERE)
    assert (address.host, other.host) == (HERE, "localhost")
    assert address.port != other.port
    for port in (address.port, other.port):
        with pytest.raises(OSError, match="in use"):
            socket.create_server((HERE, port))
    counters.close()
    for port in (address.port, other.port):
        socket.create_server((HERE, port)).close()


def test_where_nothing_can_listen_there_is_none() -> None:
    # An address of no machine: it is for documentation alone.
    with pytest.raises(OSError, match="assign"):
        counters.counter_at(HERE, "192.0.2.1")


async def test_a_tables_keys_and_first_items(table: TableFactory, endpoint_url: str) -> None:
    name = await table("pk", "sk", sk="N")
    given = {"table": name, "endpointUrl": endpoint_url, "region": REGION}
    async with DynamoDB(endpoint_url=endpoint_url, region_name=REGION) as db:
        await db.batch_write_item([{"pk": "a", "sk": n} for n in range(7)], name)
    options = ReadOptions.parse({**given, "sample": "3"})
    assert await asyncio.to_thread(key_names, options) == ("pk", "sk")
    assert [item["sk"] for item in await asyncio.to_thread(sample, options)] == [0, 1, 2]


def test_keys_that_are_given_are_not_asked_for() -> None:
    given = {"table": "users", "endpointUrl": "http://127.0.0.1:9", "keys": "id, at"}
    assert key_names(WriteOptions.parse(given)) == ("id", "at")


async def test_a_table_that_is_not_there(endpoint_url: str) -> None:
    given = {"table": "there-is-none", "endpointUrl": endpoint_url, "region": REGION}
    with pytest.raises(TableNotFound):
        await asyncio.to_thread(key_names, WriteOptions.parse(given))
