"""Read attributes whose names are reserved words of DynamoDB: ``name`` and ``status``."""

from aiobatch import BatchGetResponse, DynamoDB
from examples._support import run
from examples.models import sample_users


async def main(
    db: DynamoDB, table_name: str = "users"
) -> tuple[BatchGetResponse, BatchGetResponse]:
    keys = [{"pk": f"user#user-{n:03d}", "sk": f"user#user-{n:03d}"} for n in range(3)]

    # Placeholders work as everywhere in DynamoDB ...
    response = await db.batch_get_item(
        keys=keys,
        table_name=table_name,
        projection_expression="id,#name,#status,email",
        expression_attribute_names={"#name": "name", "#status": "status"},
    )
    for item in response["Items"]:
        print(f"{item['name']} is {item['status']}")

    # ... and are not needed: aiobatch sends a placeholder for every name.
    plain = await db.batch_get_item(
        keys=keys, table_name=table_name, projection_expression="id,name,status,email"
    )
    print(f"Without placeholders: {'the same' if plain['Items'] == response['Items'] else 'other'}")
    return response, plain


if __name__ == "__main__":
    run(main, seed=sample_users(3))
