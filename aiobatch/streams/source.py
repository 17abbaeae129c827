"""Where a stream's entries come from: any iterable or async iterable, of any length."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import Any

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


async def pull(source: Source, take: Callable[[int, Any], Awaitable[None] | None]) -> None:
    """Hand over each value with its position, one after the other.

    ``take`` returns something to wait for where it cannot take the value at once.

    A source that is both is read as an async one.

    Raises:
        SourceFailed: it raised an error of its own.
    """
    index = 0
    if isinstance(source, AsyncIterable):
        values = aiter(source)
        while True:
            try:
                value = await anext(values)
            except StopAsyncIteration:
                return
            except Exception as error:
                raise SourceFailed(error) from error
            if (taking := take(index, value)) is not None:
                await taking
            index += 1
    iterator = iter(source)
    while True:
        try:
            value = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise SourceFailed(error) from error
        if (taking := take(index, value)) is not None:
            await taking
        index += 1
