"""Two things that happen at once: closings, timeouts, loops and key names that meet."""

import asyncio
from typing import Any

import pytest

from aiobatch import BatchTimeout, ClientClosed, DynamoDB, sharing
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire({"t": ("id",)})


@pytest.mark.looptime
async def test_closing_while_a_timeout_passes(wire: FakeWire) -> None:
    wire.always(Fault.silence())
    db = DynamoDB(wire=wire)
    keys = [{"id": str(number)} for number in range(300)]
    reading = asyncio.create_task(db.batch_get_item(keys, "t", timeout=1.0))
    await asyncio.sleep(0)
    # Due at the very moment of the timeout, and just after it.
    await asyncio.sleep(1.0)
    assert not reading.done()
    await db.aclose()
    await asyncio.wait([reading])
    error = reading.exception()
    assert isinstance(error, BatchTimeout | ClientClosed)
    assert error.response is not None
    assert error.response["UnprocessedKeys"] == keys
    assert wire.in_flight == 0


async def test_a_timeout_of_the_wires_own_is_not_the_calls(
    wire: FakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(_: Request) -> bytes:
        raise TimeoutError("of a hook")

    monkeypatch.setattr(wire, "send", send)
    async with DynamoDB(wire=wire) as db:
        with pytest.raises(TimeoutError, match="of a hook"):
            await db.get({"id": "1"}, "t")


@pytest.mark.looptime
async def test_calls_that_need_key_names_at_once_ask_once(wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db:
        await asyncio.gather(
            *[db.batch_write_item([{"id": str(number)}], "t") for number in range(5)]
        )
    asked = [request.operation for request in wire.requests]
    assert asked.count("DescribeTable") == 1
    assert len(wire.items("t")) == 5


@pytest.mark.looptime
async def test_calls_that_find_key_names_stale_at_once_ask_once(wire: FakeWire) -> None:
    wire.put("t", [{"id": "1"}, {"id": "2"}])
    wire.always(Fault.latency(1.0), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db:
        # As it was called before the table was made anew.
        (await db._engine()).schemas.learn("t", ("pk",))
        found = await asyncio.gather(*[db.get({"id": number}, "t") for number in "12"])
    assert [answer["Item"] for answer in found] == [{"id": "1"}, {"id": "2"}]
    asked = [request.operation for request in wire.requests]
    assert asked.count("DescribeTable") == 1


def test_a_loop_that_was_closed_in_a_hurry_is_forgotten(wire: FakeWire) -> None:
    """Without ``shutdown_asyncgens()``, which ``asyncio.run()`` would have called."""
    db = DynamoDB(wire=wire)

    async def read() -> Any:
        return await db.get({"id": "1"}, "t")

    hurried = asyncio.new_event_loop()
    hurried.run_until_complete(read())
    hurried.close()
    assert hurried in sharing._open
    with asyncio.Runner() as runner:
        assert "Item" not in runner.run(read())
        assert hurried not in sharing._open
        runner.run(db.aclose())
