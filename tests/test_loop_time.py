"""Long lists of a caller's hold the loop for a slice at a time."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    # Once for each when its turn begins, and for every other one once too early.
    assert looks <= 1.5 * 50 + 2


class Pieces:
    """Work that takes time by a clock of its own: who did some, and in which turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.turn = 0
        self.done: list[tuple[int, int]] = []
        monkeypatch.setattr(loop_time, "perf_counter", lambda: self.now)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, asyncio.BaseEventLoop)
        take_turn = loop._run_once  # type: ignore[attr-defined]

        def counted() -> None:
            self.turn += 1
            take_turn()

        monkeypatch.setattr(loop, "_run_once", counted)

    async def do(self, number: int, slices: float, *, going_on: bool = False) -> None:
        await (loop_time.next_turn(going_on=True) if going_on else loop_time.next_turn())
        self.done.append((self.turn, number))
        self.now += slices * loop_time.LOOP_SLICE

    @property
    def order(self) -> list[int]:
        return [number for _, number in self.done]

    @property
    def sizes(self) -> list[int]:
        """How many were done in each turn in which any were."""
        return list(Counter(turn for turn, _ in self.done).values())


@pytest.fixture
async def pieces(monkeypatch: pytest.MonkeyPatch) -> Pieces:
    return Pieces(monkeypatch)


@pytest.mark.parametrize("going_on", [False, True])
async def test_whoever_waits_for_a_turn_is_served_first(pieces: Pieces, going_on: bool) -> None:
    assert not loop_time.turn_is_over()
    pieces.now += 1.0
    waiting = [asyncio.create_task(pieces.do(n, 2.0, going_on=going_on)) for n in range(5)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert pieces.order == [0, 1, 3, 4]
    assert pieces.sizes == [1] * 4


async def test_what_goes_on_is_served_before_what_has_not_begun(pieces: Pieces) -> None:
    assert not loop_time.turn_is_over()
    pieces.now += 1.0
    new = [asyncio.create_task(pieces.do(n, 2.0)) for n in range(6)]
    await asyncio.sleep(0)
    begun = [asyncio.create_task(pieces.do(n, 2.0, going_on=True)) for n in (10, 11)]
    await asyncio.gather(*new, *begun)
    # The first three had been served or called up before the others came.
    assert pieces.order == [0, 1, 2, 10, 11, 3, 4, 5]


async def test_what_goes_on_and_on_keeps_nobody_out(pieces: Pieces) -> None:
    async def load(number: int) -> None:
        for _ in range(100):
            await pieces.do(number, 0.9, going_on=True)

    assert not loop_time.turn_is_over()
    pieces.now += 1.0
    loads = [asyncio.create_task(load(number)) for number in range(16)]
    while len(pieces.done) < 100:  # noqa: ASYNC110
        await asyncio.sleep(0)
    begun = len(pieces.done)
    await pieces.do(99, 0.9)
    # The sixteen that stood in line, and those that came soon afterwards.
    assert pieces.order.index(99) - begun <= 16 + 33
    await asyncio.gather(*loads)


async def test_a_turn_serves_as_many_as_it_has_time_for(pieces: Pieces) -> None:
    assert not loop_time.turn_is_over()
    pieces.now += 1.0
    await asyncio.gather(*(pieces.do(number, 0.26) for number in range(100)))
    assert pieces.order == list(range(100))
    # It has time for four. Of those who wait, more and more are called up until there are so many.
    assert pieces.sizes[1:5] == [1, 2, 3, 4]
    assert set(pieces.sizes[5:-1]) <= {3, 4}
    # When they take longer, fewer are.
    pieces.done.clear()
    pieces.now += 1.0
    await asyncio.gather(*(pieces.do(number, 0.6) for number in range(100)))
    assert pieces.order == list(range(100))
    assert max(pieces.sizes) == 2
    assert sum(pieces.sizes[1:]) / len(pieces.sizes[1:]) > 1.8


@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.3, 0.9, 1.5]),  # slices that it takes
            st.integers(0, 6),  # the turn in which it comes
            st.none() | st.integers(0, 8),  # the turn in which it is cancelled
            st.booleans(),  # whether it goes on
        ),
        max_size=40,
    )
)
def test_whatever_comes_and_goes_all_are_served_in_order_and_no_turn_is_held_for_long(
    pieces: list[tuple[float, int, int | None, bool]],
) -> None:
    async def run() -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            work = Pieces(monkeypatch)
            tasks: dict[int, asyncio.Task[None]] = {}
            for turn in range(10):
                for number, (slices, comes, goes, going_on) in enumerate(pieces):
                    if comes == turn:
                        coroutine = work.do(number, slices, going_on=going_on)
                        tasks[number] = asyncio.create_task(coroutine)
                    elif goes == turn and number in tasks:
                        tasks[number].cancel()
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                ends = await asyncio.gather(*tasks.values(), return_exceptions=True)
            assert loop_time._turn.line is None or loop_time._turn.line.length == 0
            done = set(work.order)
            for number, end in zip(tasks, ends, strict=True):
                # Cancelled, or done; nothing else happens to anybody.
                assert isinstance(end, asyncio.CancelledError) or number in done
            assert len(work.order) == len(done)
            for kind in (False, True):
                served = [number for number in work.order if pieces[number][3] is kind]
                # Those that come in one turn come in this order.
                came = sorted(served, key=lambda number: (pieces[number][1], number))
                assert served == came
            for turn in {turn for turn, _ in work.done}:
                held = [pieces[number][0] for of, number in work.done if of == turn]
                # The last one may have begun when there was hardly any time left.
                assert sum(held[:-1]) <= 1.0

    asyncio.run(run())


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
