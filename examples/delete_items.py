"""Delete users by their keys in one call."""

from aiobatch import BatchWriteResponse, DynamoDB
from examples._support import run
from examples.models import sample_users


async def main(db: DynamoDB, table_name: str = "users") -> BatchWriteResponse:
    user_ids = ["user-001", "user-002", "user-003"]
    keys = [{"pk": f"user#{user_id}", "sk": f"user#{user_id}"} for user_id in user_ids]

    response = await db.batch_write_item(items=keys, table_name=table_name, operation="delete")

    print(f"Deleted {response['ProcessedCount']} users")
    return response


if __name__ == "__main__":
    run(main, seed=sample_users(5))
