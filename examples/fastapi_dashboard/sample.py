"""Something to look at: two users and a small shop, and the tables for them."""

import asyncio
import os
import sys
from typing import Any

from aiobotocore.session import AioSession

from aiobatch import DynamoDB
from examples.fastapi_dashboard import keys
from examples.fastapi_dashboard.settings import Settings


def user(
    user_id: str,
    *,
    profile: dict[str, Any],
    settings: dict[str, Any] | None = None,
    orders: dict[str, Any] | None = None,
    favorites: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The items of a user: four, or fewer where a part does not exist."""
    parts = zip(keys.dashboard_keys(user_id), (profile, settings, orders, favorites), strict=True)
    return [{**key, **part} for key, part in parts if part is not None]


def product(product_id: str, name: str, price: float, quantity: int) -> dict[str, Any]:
    """The item of a product."""
    return {
        **keys.product_key(product_id),
        "id": product_id,
        "name": name,
        "price": price,
        "quantity": quantity,
        "version": 1,
    }


PRODUCTS = [
    product("green-tea", "Green tea", 4.5, 40),
    product("cup", "Stoneware cup", 7.9, 12),
    product("pot", "Teapot for four", 29.0, 2),
    product("spoon", "Measuring spoon", 3.2, 0),
    product("honey", "Chestnut honey", 6.75, 25),
]
USERS = [
    *user(
        "ada",
        profile={"name": "Ada Larsson", "email": "ada@example.com"},
        settings={"theme": "light", "newsletter": True},
        orders={
            "count": 12,
            "total": 318.4,
            "last": "2026-03-01",
            "recent": ["green-tea", "honey", "cup"],
        },
        favorites={"products": ["green-tea", "pot", "spoon"]},
    ),
    *user(
        "bob",
        profile={"name": "Bob Okafor", "email": "bob@example.com"},
        settings={"theme": "dark", "newsletter": False},
        favorites={"products": ["cup", "pot"]},
    ),
    *user("new", profile={"name": "Noa Brandt"}),
]


async def prepare(settings: Settings) -> None:
    """Make the tables that are not there, and fill them."""
    async with AioSession().create_client("dynamodb", endpoint_url=settings.endpoint_url) as raw:
        for name in (settings.users_table, settings.products_table):
            try:
                await raw.create_table(
                    TableName=name,
                    KeySchema=[
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    AttributeDefinitions=[
                        {"AttributeName": key, "AttributeType": "S"} for key in keys.NAMES
                    ],
                    BillingMode="PAY_PER_REQUEST",
                )
            except raw.exceptions.ResourceInUseException:
                continue
            await raw.get_waiter("table_exists").wait(
                TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )
    async with DynamoDB(endpoint_url=settings.endpoint_url) as db:
        for name, items in ((settings.users_table, USERS), (settings.products_table, PRODUCTS)):
            answer = await db.batch_write_item(items, name)
            if answer["UnprocessedCount"]:
                sys.exit(f"error: {answer['UnprocessedCount']} items could not be written")


if __name__ == "__main__":
    if not os.environ.get("DASHBOARD_ENDPOINT_URL"):
        sys.exit("error: DASHBOARD_ENDPOINT_URL must name the server to fill")
    asyncio.run(prepare(Settings.from_environment()))
