"""See to leftovers yourself: what DynamoDB did not get to comes back as you gave it."""

import logging

from aiobatch import DynamoDB, Item, Retry
from aiobatch.testing import Fault, FaultProxy
from examples._support import run
from examples.models import sample_users

logger = logging.getLogger(__name__)


async def main(db: DynamoDB, table_name: str = "users") -> list[Item]:
    users = sample_users(50)
    written = await db.batch_write_item(items=users, table_name=table_name)
    print(f"Wrote {written['ProcessedCount']} users")

    if written["UnprocessedItems"]:
        print(f"Warning: {written['UnprocessedCount']} users unprocessed")
        # They can be passed straight back: these are the very objects that were passed in.
        again = await db.batch_write_item(items=written["UnprocessedItems"], table_name=table_name)
        print(f"Wrote {again['ProcessedCount']} more")

    keys = [{"pk": f"user#{user.id}", "sk": f"user#{user.id}"} for user in users]
    response = await db.batch_get_item(keys=keys, table_name=table_name)
    items = response["Items"]

    if response["UnprocessedKeys"]:
        # Option 1: tell somebody. How many, not which: keys may be personal.
        logger.warning("%d keys unprocessed", len(response["UnprocessedKeys"]))
        print(f"Warning: {len(response['UnprocessedKeys'])} keys unprocessed")

        # Option 2: ask again for these.
        rest = await db.batch_get_item(keys=response["UnprocessedKeys"], table_name=table_name)
        items += rest["Items"]

    print(f"Read {len(items)} users")
    return items


# Without retries of its own, aiobatch returns at once what is left.
RETRY = Retry(max_retries=0)


def trouble(proxy: FaultProxy) -> None:
    proxy.script([Fault.partial(0.4)], operation="BatchWriteItem")
    proxy.script([Fault.partial(0.5)], operation="BatchGetItem")


if __name__ == "__main__":
    run(main, trouble=trouble, retry=RETRY)
