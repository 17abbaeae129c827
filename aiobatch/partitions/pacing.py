"""How the processes of a job keep out of each other's way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiobatch.client import DynamoDB
from aiobatch.engine.loop_time import loop_time
from aiobatch.engine.pressure import Direction, UnitBudget
from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS
from aiobatch.partitions.counting import Membership
from aiobatch.partitions.settings import JobRate

__all__ = ["begin", "shared"]

_LONGEST = 20.0


async def begin(client: DynamoDB, table_name: str) -> None:
    """Wait for this process's turn to begin, and give up the credit that a client begins with.

    A share of a few units a second is less than one full request. If a thousand processes sent
    their first one at once, the table would refuse nearly all, and each process would slow down as
    if its own rate had been too high. So they begin at random times within the time in which a
    share earns a full request. And a client may spend the units of a second at once when it is new;
    a thousand new clients together would double the rate of the job's first second.
    """
    budget = await _budget(client, table_name, "write")
    if budget is not None:
        await asyncio.sleep(
            random.random() * min(_LONGEST, BATCH_WRITE_MAX_OPERATIONS / budget.rate)
        )
        budget.forget_savings(loop_time())


@asynccontextmanager
async def shared(
    client: DynamoDB, table_name: str, direction: Direction, rate: float | JobRate | None
) -> AsyncIterator[None]:
    """While a task runs, its process has the rate of its job, divided by the tasks that run.

    A process whose task is over leaves its share to the others, and so does one that was killed.
    What it might have saved up meanwhile, they had.
    """
    if not isinstance(rate, JobRate):
        yield
        return
    budget = await _budget(client, table_name, direction)
    assert budget is not None  # the client was opened with a share of this rate
    loop = asyncio.get_running_loop()

    def take(tasks: int | None) -> None:
        share = rate.share if tasks is None else rate.units / tasks
        budget.change(share, loop.time())

    membership = Membership(rate.counter, rate.job, take)
    try:
        await membership.join()
        budget.forget_savings(loop.time())
        yield
    finally:
        await membership.aclose()
        # The client may serve another job.
        take(None)


async def _budget(client: DynamoDB, table_name: str, direction: Direction) -> UnitBudget | None:
    engine = await client._access().engine()
    return engine.governor(table_name, direction).budget
