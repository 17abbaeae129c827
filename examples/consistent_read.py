"""Read what was written a moment ago."""

from aiobatch import BatchGetResponse, DynamoDB
from examples._support import run
from examples.models import sample_users


async def main(db: DynamoDB, table_name: str = "users") -> BatchGetResponse:
    users = sample_users(3)
    await db.batch_write_item(items=users, table_name=table_name)

    # A strongly consistent read sees every write before it, at twice the capacity.
    response = await db.batch_get_item(
        keys=[{"pk": f"user#{user.id}", "sk": f"user#{user.id}"} for user in users],
        table_name=table_name,
        consistent_read=True,
    )

    print(f"Wrote {len(users)} users and read {response['Count']} back")
    return response


if __name__ == "__main__":
    run(main)
