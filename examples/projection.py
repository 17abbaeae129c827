"""Read only the attributes that are needed."""

from aiobatch import BatchGetResponse, DynamoDB
from examples._support import run
from examples.models import sample_users


async def main(db: DynamoDB, table_name: str = "users") -> BatchGetResponse:
    user_ids = ["user-001", "user-002", "user-003"]
    keys = [{"pk": f"user#{user_id}", "sk": f"user#{user_id}"} for user_id in user_ids]

    response = await db.batch_get_item(
        keys=keys,
        table_name=table_name,
        projection_expression="id,first_name,last_name,email",
    )

    for item in response["Items"]:
        print(f"{item['first_name']} - {item['email']}")
    print(f"Attributes: {', '.join(sorted(response['Items'][0]))}")
    return response


if __name__ == "__main__":
    run(main, seed=sample_users(5))
