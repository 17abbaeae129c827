"""Where a stream's entries come from: any iterable or async iterable, of any length."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from time import perf_counter
from typing import Any

from aiobatch.engine.loop_time import LOOP_SLICE

__all__ = ["Source", "SourceFailed", "check_source", "pull"]

Source = Iterable[Any] | AsyncIterable[Any]


def check_source(source: object, what: str) -> None:
    """Raise a TypeError for what is no source of items or keys."""
    if isinstance(source, AsyncIterable):
        return
    if isinstance(source, Mapping | str | bytes) or not isinstance(source, Iterable):
        raise TypeError(
            f"{what} must be an iterable or an async iterable of {what},"
            f" not {type(source).__name__}: put a single one into a list"
        )


class SourceFailed(Exception):
    """The source itself raised ``error``."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def pull(
    source: Source,
    take: Callable[[int, list[Any]], Awaitable[None]],
    readable: Callable[[], int],
) -> None:
    """Hand over all values in their order, some at a time.

    A source that is both is read as an async one.

    Args:
        source: the source.
        take: given the position of the first of some values, and these.
        readable: how many values may be read ahead at present, at least 1. An async source gives
            one at a time, since it may wait.

    Raises:
        SourceFailed: it raised an error of its own. What it gave before was taken.
    """
    index = 0
    if isinstance(source, AsyncIterable):
        awaited = aiter(source)
        while True:
            try:
                value = await anext(awaited)
            except StopAsyncIteration:
                return
            except Exception as error:
                raise SourceFailed(error) from error
            await take(index, [value])
            index += 1
    iterator = iter(source)
    ended: BaseException | None = None
    while ended is None:
        values, ended = _some_of(iterator, readable())
        if values:
            await take(index, values)
            index += len(values)
    if isinstance(ended, StopIteration):
        return
    if isinstance(ended, Exception):
        raise SourceFailed(ended) from ended
    raise ended


def _some_of(iterator: Iterator[Any], most: int) -> tuple[list[Any], BaseException | None]:
    """Read at most so many values, in little time as far as that is in our hands.

    Returns:
        The values, and what the iterator raised after them, if it is over.
    """
    values: list[Any] = []
    until = perf_counter() + LOOP_SLICE
    try:
        for value in islice(iterator, most):
            values.append(value)
            # It may be a generator that works long for each.
            if perf_counter() > until:
                return values, None
    except BaseException as error:
        return values, error
    return values, StopIteration() if len(values) < most else None
