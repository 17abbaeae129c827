"""Long lists of a caller's hold the loop for a slice at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from aiobatch import DynamoDB, intake
from aiobatch.codec import KeySchema, encode_item, encode_key
from aiobatch.engine import loop_time
from aiobatch.testing import FakeWire
from aiobatch.wire.protocol import Request

SCHEMA = KeySchema.from_names(("pk",))
MANY = 50_000
Work = Callable[[], Awaitable[Any]]


async def keys() -> None:
    values = [{"pk": f"user#{number}"} for number in range(MANY)]
    encoded = await intake.encode_keys(values, SCHEMA, lambda key: encode_key(key, SCHEMA, None))
    assert len(encoded) == MANY


async def items() -> None:
    values = [{"pk": f"user#{number}", "score": number / 2} for number in range(MANY)]
    encoded, _ = await intake.encode_items(
        values, SCHEMA, None, lambda item: encode_item(item, SCHEMA, None)
    )
    assert len(encoded) == MANY


async def rare() -> None:
    values = range(MANY)
    assert len(await intake.encode_all(values, str, "key")) == MANY


@pytest.mark.parametrize("work", [keys, items, rare])
async def test_others_get_their_turn_while_a_long_list_is_encoded(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each step then takes longer than a slice, however fast the machine is.
    monkeypatch.setattr(loop_time, "LOOP_SLICE", 0.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await work()
    task.cancel()
    # A step is over after some ten kilobytes of what was encoded, and here are megabytes of it.
    assert turns > 10


async def test_calls_that_begin_at_once_leave_one_a_turn_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_time, "LOOP_SLICE", 0.0)
    turns = 0
    left: list[tuple[int, str]] = []

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    class Watched(FakeWire):
        async def send(self, request: Request) -> bytes:
            (key,) = orjson.loads(request.body)["RequestItems"]["t"]["Keys"]
            left.append((turns, key["pk"]["S"]))
            return await super().send(request)

    wire = Watched({"t": ("pk",)})
    counting = asyncio.create_task(count())
    async with DynamoDB(wire=wire) as db:
        await db.batch_get_item([{"pk": "before"}], "t")
        left.clear()
        names = [f"{number:02d}" for number in range(12)]
        await asyncio.gather(*(db.batch_get_item([{"pk": name}], "t") for name in names))
    counting.cancel()
    assert [name for _, name in left] == names
    # Each has a turn of its own, but for the first, which may share that of another's answer.
    assert len({turn for turn, _ in left}) >= 11


async def test_what_takes_long_gets_a_turn_from_its_beginning() -> None:
    await asyncio.sleep(0)
    assert not loop_time.turn_is_over(ahead=1.0)
    assert loop_time.turn_is_over(ahead=1.0)
    assert not loop_time.turn_is_over()
    await asyncio.sleep(0)
    assert not loop_time.turn_is_over(ahead=1.0)
    await loop_time.next_turn(ahead=1.0)
    assert not loop_time.others_wait()


async def test_a_slice_is_used_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_time, "perf_counter", lambda: 0.0)
    turns: list[str] = []
    await asyncio.sleep(0)
    assert not loop_time.turn_is_over()
    asyncio.get_running_loop().call_soon(turns.append, "next")
    assert not loop_time.turn_is_over(ahead=loop_time.LOOP_SLICE)
    assert loop_time.turn_is_over(ahead=1.01 * loop_time.LOOP_SLICE)
    # With time left, nobody else gets a turn.
    await loop_time.next_turn()
    assert turns == []
    await loop_time.next_turn(ahead=1.01 * loop_time.LOOP_SLICE)
    assert turns == ["next"]


async def test_of_those_who_wait_only_the_first_looks_at_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return float(looks)

    monkeypatch.setattr(loop_time, "perf_counter", clock)
    loop_time.turn_is_over()
    await asyncio.gather(*(loop_time.next_turn() for _ in range(50)))
    # Twice for each: once too early, and once when its turn begins.
    assert looks <= 2 * 50 + 2


async def test_whoever_waits_for_a_turn_is_served_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_time, "LOOP_SLICE", 0.0)
    served: list[int] = []

    async def wait(number: int) -> None:
        await loop_time.next_turn()
        served.append(number)

    loop_time.turn_is_over()
    waiting = [asyncio.create_task(wait(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert loop_time.others_wait()
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert served == [0, 1, 3, 4]
    assert not loop_time.others_wait()


def test_each_loop_has_turns_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_time, "LOOP_SLICE", 0.0)

    async def ask() -> bool:
        return loop_time.turn_is_over()

    async def stand_in_line() -> None:
        loop_time.turn_is_over()
        await loop_time.next_turn()

    for _ in range(3):
        # The loop before ended within its turn.
        assert not asyncio.run(ask())
        asyncio.run(stand_in_line())
