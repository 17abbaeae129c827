"""The users that the load test asks for."""

from typing import Any

from examples.fastapi_dashboard.sample import user

USERS = 1000
TABLE = "app-table"


def user_id(number: int) -> str:
    """The id of a user, of equal length for all."""
    return f"user-{number:06d}"


def name_of(number: int) -> str:
    """The name that the user's dashboard must show."""
    return f"Name of {number:06d}"


def items_of(number: int) -> list[dict[str, Any]]:
    """The four items of a user's dashboard."""
    return user(
        user_id(number),
        profile={
            "name": name_of(number),
            "email": f"{user_id(number)}@example.com",
            "city": "Uppsala",
            "created": "2024-05-01T12:00:00Z",
            "logins": number,
        },
        settings={"theme": "dark", "newsletter": number % 2 == 0, "language": "sv", "page": 25},
        orders={
            "count": number % 50,
            "total": number * 1.25,
            "last": "2026-03-01",
            "recent": [f"product-{(number + step) % 97}" for step in range(5)],
        },
        favorites={"products": [f"product-{(number * 7 + step) % 97}" for step in range(5)]},
    )
