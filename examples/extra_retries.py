"""Try longer than aiobatch does by itself: with a loop of your own, or with another ``Retry``."""

import asyncio
from typing import Any

from aiobatch import DynamoDB, Item, Retry
from aiobatch.testing import Fault, FaultProxy
from examples._support import run
from examples.models import sample_users


async def batch_get_with_retry(
    db: DynamoDB, keys: list[Any], table_name: str, *, max_attempts: int = 3, pause: float = 0.5
) -> tuple[list[Item], list[Any]]:
    """The items, and the keys that are still left after so many attempts."""
    items: list[Item] = []
    for attempt in range(max_attempts):
        if attempt:
            wait_time = pause * 2 ** (attempt - 1)
            print(f"{len(keys)} keys are left, retrying in {wait_time:g} s ...")
            await asyncio.sleep(wait_time)
        response = await db.batch_get_item(keys=keys, table_name=table_name)
        items += response["Items"]
        keys = response["UnprocessedKeys"]
        if not keys:
            break
    return items, keys


async def main(db: DynamoDB, table_name: str = "users", pause: float = 0.5) -> list[Item]:
    keys = [{"pk": f"user#user-{n:03d}", "sk": f"user#user-{n:03d}"} for n in range(60)]

    items, left = await batch_get_with_retry(db, keys, table_name, pause=pause)
    print(f"With a loop: {len(items)} users, {len(left)} keys left")

    # The same without a loop: a call may bring a policy of its own.
    response = await db.batch_get_item(
        keys=keys, table_name=table_name, retry=Retry(max_retries=8, base_delay=pause / 10)
    )
    print(
        f"With a policy: {response['Count']} users, {len(response['UnprocessedKeys'])} keys left"
        f" after {response['Metrics']['requests']} requests"
    )
    return items


# Few retries, so that the loop has something to do.
RETRY = Retry(max_retries=1, base_delay=0.01)


def trouble(proxy: FaultProxy) -> None:
    half = Fault.partial(0.5)
    # The loop's three attempts, and then the policy's one.
    proxy.script([half, half, half, half, Fault.none()], operation="BatchGetItem")
    proxy.script([half, Fault.throttle(), half], operation="BatchGetItem")


if __name__ == "__main__":
    run(main, seed=sample_users(60), trouble=trouble, retry=RETRY)
