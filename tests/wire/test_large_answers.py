"""Answers that the direct wire reads in pieces."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator

import pytest
from aiobotocore.session import AioSession

from aiobatch import WireError
from aiobatch.wire.direct import DirectWire
from aiobatch.wire.exchange import Crc32
from aiobatch.wire.protocol import Request
from tests.client.server import Asked, Reply, Server
from tests.conftest import REGION

LARGE = bytes(range(256)) * 12_000
REQUEST = Request("BatchGetItem", "users", b"{}")


@contextlib.asynccontextmanager
async def direct(url: str, crc32: Crc32 = zlib.crc32) -> AsyncIterator[DirectWire]:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            AioSession().create_client(
                "dynamodb",
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id="local",
                aws_secret_access_key="local",
            )
        )
        wire = DirectWire(client, stack.pop_all(), crc32=crc32)
        try:
            yield wire
        finally:
            await wire.aclose()


def with_checksum(body: bytes) -> Reply:
    return Reply(200, body, {"x-amz-crc32": str(zlib.crc32(body))})


async def test_many_at_once_arrive_whole() -> None:
    bodies = [LARGE[n:] for n in range(12)]
    left = list(bodies)
    async with (
        Server(lambda asked: with_checksum(left.pop())) as server,
        direct(server.url) as wire,
    ):
        answers = await asyncio.gather(*(wire.send(REQUEST) for _ in bodies))
        assert sorted(answers) == sorted(bodies)
        before = server.connections
        left.append(LARGE)
        assert await wire.send(REQUEST) == LARGE
        assert server.connections == before


async def test_a_wrong_checksum_is_noticed() -> None:
    reply = Reply(200, LARGE, {"x-amz-crc32": str(zlib.crc32(LARGE) ^ 1)})
    async with Server(lambda asked: reply) as server, direct(server.url) as wire:
        with pytest.raises(WireError, match="does not match its x-amz-crc32"):
            await wire.send(REQUEST)


@pytest.mark.parametrize("body", [b"{}", LARGE])
async def test_checksums_are_made_as_the_wire_is_told(body: bytes) -> None:
    made: list[bytes] = []

    def crc32(data: bytes, value: int) -> int:
        made.append(data)
        return value + len(data)

    reply = Reply(200, body, {"x-amz-crc32": str(len(body))})
    async with Server(lambda asked: reply) as server, direct(server.url, crc32) as wire:
        assert await wire.send(REQUEST) == body
    assert b"".join(made) == body


async def test_an_answer_that_breaks_off_holds_nobody_up() -> None:
    """The one that waits for its next piece has let the others pass."""
    asked_first = asyncio.Event()
    release = asyncio.Event()

    async def script(asked: Asked) -> Reply:
        if not asked_first.is_set():
            asked_first.set()
            await release.wait()
            return Reply(200, LARGE, cut=len(LARGE) // 2)
        return with_checksum(LARGE)

    async with Server(script) as server, direct(server.url) as wire:
        broken = asyncio.create_task(wire.send(REQUEST))
        await asked_first.wait()
        whole = asyncio.create_task(wire.send(REQUEST))
        release.set()
        assert await whole == LARGE
        with pytest.raises(WireError):
            await broken


async def test_a_cancelled_one_leaves_the_turn_to_others() -> None:
    async with Server(lambda asked: with_checksum(LARGE)) as server, direct(server.url) as wire:
        sending = [asyncio.create_task(wire.send(REQUEST)) for _ in range(6)]
        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        for task in sending:
            task.cancel()
        await asyncio.wait(sending)
        assert await wire.send(REQUEST) == LARGE
