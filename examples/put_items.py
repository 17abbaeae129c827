"""Create users from models in one call."""

from aiobatch import BatchWriteResponse, DynamoDB
from examples._support import run
from examples.models import User


async def main(db: DynamoDB, table_name: str = "users") -> BatchWriteResponse:
    users = []
    for i in range(10):
        user = User(id=f"user-{i:03d}")
        user.first_name = f"User{i}"
        user.last_name = "Test"
        user.email = f"user{i}@example.com"
        users.append(user)

    # `items=users` does the same: models may be passed as they are.
    items = [user.to_resource_dictionary() for user in users]

    response = await db.batch_write_item(items=items, table_name=table_name, operation="put")

    print(f"Processed: {response['ProcessedCount']}")
    print(f"Unprocessed: {response['UnprocessedCount']}")
    return response


if __name__ == "__main__":
    run(main)
