"""Delete what is too old: query for the keys, then delete them in batches."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aiobatch import DynamoDB
from examples._support import run


async def main(db: DynamoDB, table_name: str = "sessions", days_old: int = 30) -> int:
    cutoff = datetime.now(UTC) - timedelta(days=days_old)

    # The sort key begins with the time, so that the old ones stand together. All pages are read.
    expired = db.query(
        table_name,
        "pk = :sessions AND sk < :cutoff",
        expression_attribute_values={":sessions": "session", ":cutoff": cutoff.isoformat()},
        projection_expression="pk, sk",
    )
    expired_keys = [key async for key in expired]

    response = await db.batch_write_item(
        items=expired_keys, table_name=table_name, operation="delete"
    )

    print(f"Deleted {response['ProcessedCount']} expired sessions")
    return response["ProcessedCount"]


def session(number: int, age: timedelta) -> dict[str, Any]:
    began = datetime.now(UTC) - age
    return {"pk": "session", "sk": f"{began.isoformat()}#{number:04d}", "user": f"user-{number}"}


if __name__ == "__main__":
    run(main, seed=[session(day, timedelta(days=day)) for day in range(1, 91)])
