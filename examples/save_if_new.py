"""Create what is not there yet. Batches take no conditions, so each item is a call of its own."""

import asyncio

from aiobatch import ConditionFailed, DynamoDB
from examples._support import run
from examples.models import User, sample_users


async def main(db: DynamoDB, table_name: str = "users") -> list[str]:
    async def create(user: User) -> str | None:
        try:
            await db.save(
                item=user.to_resource_dictionary(), table_name=table_name, fail_if_exists=True
            )
            return user.id
        except ConditionFailed:
            return None

    # A call an item, but all at the same time.
    created = await asyncio.gather(*map(create, sample_users(5)))

    new = [user_id for user_id in created if user_id is not None]
    print(f"Created {', '.join(new)}; {len(created) - len(new)} were there")
    return new


if __name__ == "__main__":
    run(main, seed=sample_users(2))
