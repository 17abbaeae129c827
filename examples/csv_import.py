"""Import a CSV file of any length."""

import csv
from pathlib import Path

from aiobatch import BatchWriteResponse, DynamoDB
from examples._support import run
from examples.models import Product

PRODUCTS = Path(__file__).with_name("products.csv")


def read_products(csv_path: Path) -> list[Product]:
    products = []
    with csv_path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            product = Product(id=row["id"])
            product.name = row["name"]
            product.price = float(row["price"])
            product.sku = row["sku"]
            products.append(product)
    return products


async def main(
    db: DynamoDB, table_name: str = "products", csv_path: Path = PRODUCTS
) -> BatchWriteResponse:
    items = [product.to_resource_dictionary() for product in read_products(csv_path)]

    # 25 go into a request; the requests are sent at the same time.
    response = await db.batch_write_item(items=items, table_name=table_name, operation="put")

    print(f"Imported {response['ProcessedCount']} products")
    if response["UnprocessedCount"] > 0:
        print(f"Warning: {response['UnprocessedCount']} products failed")
    return response


if __name__ == "__main__":
    run(main)
