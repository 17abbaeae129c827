"""Read some users in one call."""

from aiobatch import BatchGetResponse, DynamoDB
from examples._support import run
from examples.models import sample_users


async def main(db: DynamoDB, table_name: str = "users") -> BatchGetResponse:
    keys = [
        {"pk": "user#user-001", "sk": "user#user-001"},
        {"pk": "user#user-002", "sk": "user#user-002"},
        {"pk": "user#nobody", "sk": "user#nobody"},
    ]

    response = await db.batch_get_item(keys=keys, table_name=table_name)

    print(f"Retrieved {response['Count']} users")
    for item in response["Items"]:
        print(f"  - {item['first_name']} {item['last_name']}")
    # What does not exist is no error, and is told.
    print(f"Missing: {response['MissingKeys']}")
    return response


if __name__ == "__main__":
    run(main, seed=sample_users(5))
