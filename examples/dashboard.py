"""Load all that a user's dashboard shows in one request."""

from aiobatch import DynamoDB, Item
from examples._support import run

SECTIONS = {
    "user#": "profile",
    "settings#": "settings",
    "summary#orders": "orders",
    "summary#favorites": "favorites",
}


async def load_user_dashboard(db: DynamoDB, table_name: str, user_id: str) -> dict[str, Item]:
    keys = [
        {"pk": f"user#{user_id}", "sk": f"user#{user_id}"},
        {"pk": f"user#{user_id}", "sk": "settings#profile"},
        {"pk": f"user#{user_id}", "sk": "summary#orders"},
        {"pk": f"user#{user_id}", "sk": "summary#favorites"},
    ]

    response = await db.batch_get_item(keys=keys, table_name=table_name)

    dashboard = {}
    for item in response["Items"]:
        for start, section in SECTIONS.items():
            if item["sk"].startswith(start):
                dashboard[section] = item
    return dashboard


async def main(db: DynamoDB, table_name: str = "app-table") -> dict[str, Item]:
    dashboard = await load_user_dashboard(db, table_name, "u-7")
    print(f"Dashboard of {dashboard['profile']['name']}: {', '.join(sorted(dashboard))}")
    print(f"  theme {dashboard['settings']['theme']}, {dashboard['orders']['count']} orders")
    return dashboard


SEED = [
    {"pk": "user#u-7", "sk": "user#u-7", "name": "Ada"},
    {"pk": "user#u-7", "sk": "settings#profile", "theme": "dark"},
    {"pk": "user#u-7", "sk": "summary#orders", "count": 12, "last": "2026-03-01"},
    {"pk": "user#u-7", "sk": "summary#favorites", "products": ["p-1", "p-9"]},
    {"pk": "user#u-8", "sk": "user#u-8", "name": "Bob"},
]

if __name__ == "__main__":
    run(main, seed=SEED)
