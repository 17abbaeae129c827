"""What the examples store. aiobatch takes anything that has ``to_resource_dictionary()``."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass
class Model:
    """Something with an id, stored under ``<kind>#<id>``."""

    kind: ClassVar[str]

    id: str

    def to_resource_dictionary(self) -> dict[str, Any]:
        """The item to store: its key, and every attribute that is set."""
        key = f"{self.kind}#{self.id}"
        attributes = {name: value for name, value in vars(self).items() if value is not None}
        return {"pk": key, "sk": key, **attributes}


@dataclass
class User(Model):
    """A user."""

    kind = "user"

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    name: str | None = None
    status: str | None = None


@dataclass
class Product(Model):
    """A product, and how many are in stock. ``version`` goes up with every change."""

    kind = "product"

    name: str | None = None
    price: float | None = None
    sku: str | None = None
    quantity: int | None = None
    version: int | None = None


def sample_users(count: int) -> list[User]:
    """Users ``user-000``, ``user-001``, ..."""
    return [
        User(
            id=f"user-{n:03d}",
            first_name=f"First{n}",
            last_name=f"Last{n}",
            email=f"user{n}@example.com",
            name=f"First{n} Last{n}",
            status="active" if n % 2 else "invited",
        )
        for n in range(count)
    ]
