"""How the processes of a job keep out of each other's way."""

from __future__ import annotations

import asyncio
import random

from aiobatch.client import DynamoDB
from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS

__all__ = ["begin"]

_LONGEST = 20.0


async def begin(client: DynamoDB, table_name: str, max_write_units: float | None) -> None:
    """Wait for this process's turn to begin, and give up the credit that a client begins with.

    A share of a few units a second is less than one full request. If a thousand processes sent
    their first one at once, the table would refuse nearly all, and each process would slow down as
    if its own rate had been too high. So they begin at random times within the time in which a
    share earns a full request. And a client may spend the units of a second at once when it is new;
    a thousand new clients together would double the rate of the job's first second.
    """
    if max_write_units is None:
        return
    spread = min(_LONGEST, BATCH_WRITE_MAX_OPERATIONS / max_write_units)
    await asyncio.sleep(random.random() * spread)
    engine = await client._access().engine()
    budget = engine.governor(table_name, "write").budget
    assert budget is not None  # the client has the same max_write_units
    budget.spend(round(max_write_units), asyncio.get_running_loop().time())
