"""Numbers come as int and float, not as Decimal."""

from decimal import Decimal

from aiobatch import BatchGetResponse, DynamoDB
from examples._support import run

ORDERS = [
    {"pk": "order#1", "sk": "order#1", "quantity": 3, "total": Decimal("29.97")},
    {"pk": "order#2", "sk": "order#2", "quantity": 1, "total": Decimal("1249.5")},
    {"pk": "order#3", "sk": "order#3", "quantity": 2, "total": Decimal("40.00")},
]


async def main(db: DynamoDB, table_name: str = "orders") -> BatchGetResponse:
    keys = [{"pk": f"order#{n}", "sk": f"order#{n}"} for n in (1, 2, 3)]

    response = await db.batch_get_item(keys=keys, table_name=table_name)

    for item in response["Items"]:
        for name in ("total", "quantity"):
            print(f"{item['pk']}: {name} {item[name]} is of type {type(item[name]).__name__}")
    # DynamoDB keeps 40.00 as 40: a number without a fraction is an int. Who needs exact decimals
    # asks for them: DynamoDB(numbers="decimal").
    return response


if __name__ == "__main__":
    run(main, seed=ORDERS)
