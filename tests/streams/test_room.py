"""The room that entries in hand take."""

import asyncio
from random import Random

import pytest

from aiobatch.streams.room import Room

pytestmark = pytest.mark.looptime


async def test_first_come_first_served() -> None:
    room = Room(2, 100)
    order: list[int] = []

    async def come(number: int, size: int) -> None:
        await room.take(size)
        order.append(number)

    await room.take(60)
    # The second does not fit; the third would, and waits behind it.
    waiting = [asyncio.create_task(come(2, 60)), asyncio.create_task(come(3, 10))]
    await asyncio.sleep(0)
    assert order == []
    assert room.is_wanted
    assert not room.has(10)
    room.give(60)
    await asyncio.gather(*waiting)
    assert order == [2, 3]


async def test_what_is_larger_than_the_room_goes_alone() -> None:
    room = Room(5, 100)
    await room.take(1000)
    assert not room.has(0)
    waiting = asyncio.create_task(room.take(1))
    await asyncio.sleep(0)
    room.give(1000)
    await waiting
    assert not room.has(1000)


async def test_who_is_cancelled_holds_up_nobody() -> None:
    room = Room(1, 100)
    await room.take(1)
    first, second, third = [asyncio.create_task(room.take(1)) for _ in range(3)]
    await asyncio.sleep(0)
    # The first is cancelled before, the second after the room was given to it.
    first.cancel()
    room.give(1)
    second.cancel()
    await third
    assert first.cancelled()
    assert second.cancelled()
    room.give(1)
    assert room.has(100)


@pytest.mark.parametrize("seed", range(5))
async def test_it_is_never_overfull_and_nobody_waits_for_ever(seed: int) -> None:
    random = Random(seed)
    room = Room(10, 100)
    inside = size_inside = 0

    async def visit() -> None:
        nonlocal inside, size_inside
        size = random.randrange(1, 60)
        await asyncio.sleep(random.random() * 10)
        await room.take(size)
        inside += 1
        size_inside += size
        assert inside <= 10
        assert size_inside <= 100
        try:
            await asyncio.sleep(random.random() * 0.2)
        finally:
            inside -= 1
            size_inside -= size
            room.give(size)

    tasks = [asyncio.create_task(visit()) for _ in range(1000)]
    for _ in range(300):
        await asyncio.sleep(random.random() * 0.05)
        random.choice(tasks).cancel()
    async with asyncio.timeout(600):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() or task.exception() is None for task in tasks)
    assert room.has(100)
    assert not room.is_wanted


async def test_as_many_as_fit_are_taken_together() -> None:
    room = Room(5, 100)
    assert room.take_first([30, 30, 30]) == 3
    assert room.free == 2
    # Too many bytes, then too many entries.
    assert room.take_first([5, 6]) == 1
    assert room.take_first([1, 1]) == 1
    assert room.take_first([1]) == 0
    room.give(96, 5)
    # One that is larger goes alone.
    assert room.take_first([500, 1]) == 1
    waiting = asyncio.create_task(room.take(1))
    await asyncio.sleep(0)
    room.give(400, 0)
    # Who waits in line goes first.
    assert (room.take_first([1]), room.free) == (0, 0)
    room.give(100)
    await waiting


def test_the_first_of_many_are_as_many_as_need_not_wait() -> None:
    assert Room(5, 100).take_first([50, 50, 1]) == 2
    assert Room(2, 100).take_first([1, 1, 1]) == 2
    # Alone, it may be larger than the room.
    room = Room(5, 100)
    assert room.take_first([1000]) == 1
    assert room.take_first([1]) == 0
