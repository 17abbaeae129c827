"""Calls that are ended: by their timeout, by the client, by both at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aiobatch.errors import ClientClosed
from aiobatch.scopes import Calls, CallScope

pytestmark = pytest.mark.looptime


async def call(calls: Calls, work: Callable[[], Awaitable[None]]) -> None:
    async with CallScope(calls, timeout=1.0):
        assert len(calls) == 1
        await work()


async def too_long() -> None:
    await asyncio.sleep(5.0)


async def in_its_own_words() -> None:
    """As a hook of the caller's that makes a timeout of being cancelled."""
    try:
        await asyncio.sleep(5.0)
    except asyncio.CancelledError:
        raise TimeoutError("the wait ran out") from None


async def of_another_wait() -> None:
    raise TimeoutError("the wait ran out")


@pytest.mark.parametrize("work", [too_long, in_its_own_words])
async def test_a_call_that_is_ended_says_so(work: Callable[[], Awaitable[None]]) -> None:
    calls: Calls = {}
    with pytest.raises(ClientClosed) as caught:
        await call(calls, work)
    assert caught.value.__cause__ is None
    assert calls == {}


async def test_a_timeout_of_another_wait_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError, match="the wait ran out"):
        await call({}, of_another_wait)
