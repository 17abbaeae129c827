"""Long lists of a caller's hold the loop for a slice at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiobatch import intake
from aiobatch.codec import KeySchema, encode_item, encode_key
from aiobatch.engine import loop_time

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
