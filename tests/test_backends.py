"""Each backend that the suite starts does answer as DynamoDB does in the simplest cases."""

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.backends import Backend, read_selection
from tests.backends.process import answers, running_server
from tests.conftest import TableFactory

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

SERVE = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


async def test_a_table_is_listed(raw_client: "DynamoDBClient", table: TableFactory) -> None:
    name = await table("id", "n", n="N")
    listed = [
        n async for p in raw_client.get_paginator("list_tables").paginate() for n in p["TableNames"]
    ]
    assert name in listed
    schema = (await raw_client.describe_table(TableName=name))["Table"]["KeySchema"]
    assert [(key["AttributeName"], key["KeyType"]) for key in schema] == [
        ("id", "HASH"),
        ("n", "RANGE"),
    ]


async def test_an_item_comes_back(raw_client: "DynamoDBClient", table: TableFactory) -> None:
    name = await table()
    item = {"pk": {"S": "a"}, "count": {"N": "1"}}
    await raw_client.put_item(TableName=name, Item=item)
    answer = await raw_client.get_item(TableName=name, Key={"pk": {"S": "a"}}, ConsistentRead=True)
    assert answer["Item"] == item


def test_a_backend_listens_on_loopback(backend: Backend) -> None:
    if backend.name == "endpoint":
        return  # the user's own server: where it listens is theirs to choose
    assert backend.endpoint_url.startswith("http://127.0.0.1:")
    assert answers(backend.endpoint_url)


def test_every_backend_is_selected_unless_told_otherwise() -> None:
    selection = read_selection({})
    assert selection.selected == ("moto", "ministack", "dynalite")
    assert selection.left_out == ()


def test_what_is_left_out_is_told() -> None:
    selection = read_selection(
        {"AIOBATCH_TEST_BACKENDS": "moto", "AIOBATCH_TEST_ENDPOINT": "http://127.0.0.1:8000"}
    )
    assert selection.selected == ("moto", "endpoint")
    assert "LEFT OUT by AIOBATCH_TEST_BACKENDS: ministack, dynalite" in selection.describe()


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="names localstack; choose from moto, ministack, dynalite"):
        read_selection({"AIOBATCH_TEST_BACKENDS": "moto,localstack"})


def test_a_server_ends_with_its_block() -> None:
    with running_server("http", lambda port: [*SERVE, str(port)]) as url:
        assert answers(url)
    assert not answers(url)


def test_a_server_ends_when_the_suite_is_killed() -> None:
    suite = (
        "import time\n"
        "from tests.backends.process import running_server\n"
        f"with running_server('http', lambda port: [*{SERVE!r}, str(port)]) as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", suite], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        url = run.stdout.readline().strip()
        assert answers(url)
        run.kill()
    deadline = time.monotonic() + 10
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(url)


@pytest.mark.looptime
async def test_virtual_time_costs_none() -> None:
    loop = asyncio.get_running_loop()
    virtual, real = loop.time(), time.monotonic()
    await asyncio.sleep(3600)
    assert loop.time() - virtual == pytest.approx(3600)
    assert time.monotonic() - real < 60
