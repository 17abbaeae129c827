"""What goes over the API. Key attributes stay inside."""

from typing import Annotated

from pydantic import BaseModel, Field

# A key attribute has room for 1,024 bytes, and a character takes up to four.
Identifier = Annotated[str, Field(min_length=1, max_length=200)]


class Profile(BaseModel):
    """Who the user is."""

    name: str
    email: str | None = None


class UserSettings(BaseModel):
    """How the user wants it."""

    theme: str = "light"
    newsletter: bool = False


class OrdersSummary(BaseModel):
    """What the user has bought. ``recent`` holds ids of products, the latest first."""

    count: int = 0
    total: float = 0.0
    last: str | None = None
    recent: list[str] = []


class Favorites(BaseModel):
    """Ids of the products that the user likes."""

    products: list[str] = []


class Dashboard(BaseModel):
    """All that the dashboard shows. A part that does not exist is null."""

    profile: Profile
    settings: UserSettings | None
    orders: OrdersSummary | None
    favorites: Favorites | None


class Product(BaseModel):
    """A product, and how many there are."""

    id: str
    name: str
    price: float
    quantity: int


class Products(BaseModel):
    """The user's products. One that no longer exists is left out."""

    favorites: list[Product]
    recent: list[Product]


class CartLine(BaseModel):
    """So many of one product."""

    product_id: Identifier
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class Cart(BaseModel):
    """What should be bought."""

    items: Annotated[list[CartLine], Field(min_length=1, max_length=100)]


class Receipt(BaseModel):
    """What was bought, and what it costs."""

    checkout_id: str
    items: list[CartLine]
    total: float


class Shortage(BaseModel):
    """A product of which there is less than was wanted."""

    product_id: str
    name: str
    wanted: int
    available: int
