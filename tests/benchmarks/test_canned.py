"""The canned server's answers are what DynamoDB's would be: clients read them right."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiobotocore.session import AioSession
from boto3.dynamodb.types import TypeDeserializer  # type: ignore[import-untyped]

from aiobatch import DynamoDB
from benchmarks import canned
from benchmarks.items import (
    KEYED_TABLE,
    SHAPES,
    TABLE,
    UnequalWork,
    answer_to_get,
    check_items,
    from_attributes,
    key_of,
    keys,
    make_item,
    make_items,
    same,
    to_attributes,
    values_in,
    with_decimals,
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with canned.canned_server() as url:
        yield url


@pytest.fixture
async def db(server: str) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=server) as opened:
        yield opened


@pytest.mark.parametrize("shape", SHAPES)
async def test_aiobatch_reads_the_answers(db: DynamoDB, shape: str) -> None:
    answer = await db.batch_get_item(keys(), TABLE.format(shape=shape))
    assert answer["Items"] == make_items(shape, 100)
    assert not answer["MissingKeys"]
    assert not answer["UnprocessedKeys"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_aiobotocore_reads_the_answers(server: str, shape: str) -> None:
    table, deserialize = TABLE.format(shape=shape), TypeDeserializer().deserialize
    async with AioSession().create_client("dynamodb", endpoint_url=server) as client:
        asked: Any = [to_attributes(key) for key in keys()]
        answer = await client.batch_get_item(RequestItems={table: {"Keys": asked}})
    found = [
        {name: deserialize(value) for name, value in item.items()}
        for item in answer["Responses"][table]
    ]
    check_items(found, make_items(shape, 100), "get")


@pytest.mark.parametrize("shape", SHAPES)
async def test_writes_arrive_as_they_were_sent(db: DynamoDB, server: str, shape: str) -> None:
    table, items = TABLE.format(shape=shape), make_items(shape, 25)
    answer = await db.batch_write_item(items, table)
    assert answer["ProcessedCount"] == 25
    sent = await asyncio.to_thread(canned.last_request, server, "BatchWriteItem")
    puts = [from_attributes(one["PutRequest"]["Item"]) for one in sent["RequestItems"][table]]
    check_items(puts, items, "put")


async def test_keyed_answers_hold_the_keys_that_were_asked(db: DynamoDB, server: str) -> None:
    wanted = [{"pk": key_of(number)} for number in range(5_000, 5_250)]
    before = await asyncio.to_thread(canned.stats, server)
    answer = await db.batch_get_item(wanted, KEYED_TABLE.format(shape="small"))
    after = await asyncio.to_thread(canned.stats, server)
    assert [item["pk"] for item in answer["Items"]] == [key["pk"] for key in wanted]
    assert answer["Items"][0] == {**make_item("small", 0), "pk": wanted[0]["pk"]}
    assert after["requests"] - before["requests"] == 3


async def test_the_checksum_is_of_the_body(server: str) -> None:
    table = TABLE.format(shape="wide")
    body = orjson.dumps({"RequestItems": {table: {"Keys": []}}})
    headers = {"X-Amz-Target": "DynamoDB_20120810.BatchGetItem"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(server, data=body, headers=headers) as answer,
    ):
        content = await answer.read()
        assert answer.headers["x-amz-crc32"] == str(zlib.crc32(content))
        assert answer.headers["Date"]
    assert list(orjson.loads(content)) == ["Responses", "UnprocessedKeys"]


async def test_what_is_not_prepared_is_an_error(server: str) -> None:
    headers = {"X-Amz-Target": "DynamoDB_20120810.Scan"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(server, data=b'{"TableName":"bench-wide"}', headers=headers) as answer,
    ):
        assert answer.status == 400
        assert "Scan" in (await answer.json(content_type=None))["message"]


async def test_requests_in_pieces_are_put_together(server: str) -> None:
    body = b'{"RequestItems":{"bench-small":[]}}'
    head = b"POST / HTTP/1.1\r\nx-amz-target: DynamoDB_20120810.BatchWriteItem\r\n"
    whole = head + b"content-length: %d\r\n\r\n" % len(body) + body
    host, _, port = server.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for begin in range(0, len(whole), 7):
        writer.write(whole[begin : begin + 7])
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(whole + whole)  # and two at once
    for _ in range(3):
        told = await reader.readuntil(b"\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 200 OK")
        assert await reader.readexactly(23) == b'{"UnprocessedItems":{}}'
    writer.close()
    await writer.wait_closed()


async def test_latency_can_be_set(db: DynamoDB, server: str) -> None:
    await asyncio.to_thread(canned.set_latency, server, 2.5)
    assert (await asyncio.to_thread(canned.stats, server))["latency"] == 0.0025
    answer = await db.batch_get_item(keys(), "bench-small")
    await asyncio.to_thread(canned.set_latency, server, 0)
    assert answer["Count"] == 100


# --------------------------------------------------------------------- the items


@pytest.mark.parametrize(("shape", "count"), [("small", 5), ("wide", 20), ("long", 20)])
def test_items_have_as_many_values_as_they_say(shape: str, count: int) -> None:
    assert {values_in(item) for item in make_items(shape, 100)} == {count}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_second_codec_brings_back_what_it_took(shape: str) -> None:
    item = make_item(shape, 7)
    assert from_attributes(to_attributes(item)) == item
    assert same(with_decimals(item), item)


def test_an_answer_of_long_or_dense_items_is_about_1_mb() -> None:
    for shape in ("long", "dense"):
        assert 900_000 < len(answer_to_get("t", make_items(shape, 100))) < 1_200_000


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda items: items.pop(), "1 items where 2 belong"),
        (lambda items: items[0].update(visits=-1), "has -1 as its visits"),
        (lambda items: items[0].update(active=1), "has 1 as its active"),
        (lambda items: items[1].update(more=1), "has other attributes"),
        (lambda items: items[1].update(pk="k"), "k000000001 is missing"),
    ],
)
def test_unequal_work_is_refused(change: Any, told: str) -> None:
    items = make_items("small", 2)
    change(items)
    with pytest.raises(UnequalWork, match=told):
        check_items(items, make_items("small", 2), "get")
