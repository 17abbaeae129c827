"""Reading a source: some values at a time, and not for long."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aiobatch.engine.loop_time import LOOP_SLICE
from aiobatch.streams import source
from aiobatch.streams.source import SourceFailed, pull


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(source, "perf_counter", clock)
    return clock


class _Taken:
    """Takes so many at a time, and remembers what it was given."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.given: list[tuple[int, list[Any]]] = []

    async def __call__(self, first: int, values: list[Any]) -> None:
        self.given.append((first, values))

    def readable(self) -> int:
        return self.most


async def test_no_more_at_once_than_may_be(clock: _Clock) -> None:
    taken = _Taken(4)
    await pull(range(10), taken, taken.readable)
    assert taken.given == [(0, [0, 1, 2, 3]), (4, [4, 5, 6, 7]), (8, [8, 9])]


@pytest.mark.parametrize("count", [0, 4, 8])
async def test_a_source_that_ends_with_what_may_be(clock: _Clock, count: int) -> None:
    taken = _Taken(4)
    await pull(iter(range(count)), taken, taken.readable)
    assert [value for _, values in taken.given for value in values] == list(range(count))
    assert all(values for _, values in taken.given)


async def test_one_that_works_long_for_each_gives_them_one_by_one(clock: _Clock) -> None:
    def slow() -> Iterator[int]:
        for number in range(3):
            clock.now += 2 * LOOP_SLICE
            yield number

    taken = _Taken(25)
    await pull(slow(), taken, taken.readable)
    assert taken.given == [(0, [0]), (1, [1]), (2, [2])]


async def test_one_that_takes_some_time_is_left_in_between(clock: _Clock) -> None:
    def slow() -> Iterator[int]:
        for number in range(25):
            clock.now += LOOP_SLICE / 9.5
            yield number

    taken = _Taken(25)
    await pull(slow(), taken, taken.readable)
    assert [len(values) for _, values in taken.given] == [10, 10, 5]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
async def test_what_it_gave_before_it_raised_is_taken(
    clock: _Clock, error: type[BaseException]
) -> None:
    def failing() -> Iterator[int]:
        yield from range(6)
        raise error

    taken = _Taken(4)
    expected = SourceFailed if issubclass(error, Exception) else error
    with pytest.raises(expected) as caught:
        await pull(failing(), taken, taken.readable)
    assert taken.given == [(0, [0, 1, 2, 3]), (4, [4, 5])]
    if isinstance(caught.value, SourceFailed):
        assert isinstance(caught.value.error, error)


async def test_an_async_source_gives_one_at_a_time(clock: _Clock) -> None:
    async def some() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    taken = _Taken(25)
    await pull(some(), taken, taken.readable)
    assert taken.given == [(0, [0]), (1, [1]), (2, [2])]
