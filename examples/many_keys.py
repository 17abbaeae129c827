"""Read 150 users: more than one request of DynamoDB takes, and still one call."""

from aiobatch import BatchGetResponse, DynamoDB
from examples._support import run
from examples.models import sample_users


async def main(db: DynamoDB, table_name: str = "users") -> BatchGetResponse:
    keys = [{"pk": f"user#user-{i:03d}", "sk": f"user#user-{i:03d}"} for i in range(150)]

    # Sent as 100 keys and 50 keys, at the same time.
    response = await db.batch_get_item(keys=keys, table_name=table_name)

    print(f"Got {response['Count']} items in {response['Metrics']['requests']} requests")
    return response


if __name__ == "__main__":
    run(main, seed=sample_users(150))
