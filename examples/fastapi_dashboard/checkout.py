"""Take what is in a cart out of the stock, also while others do the same."""

import logging
import uuid
from collections.abc import Iterable

from aiobatch import ConditionFailed, DynamoDB, Item, WireError
from examples.fastapi_dashboard.keys import product_key
from examples.fastapi_dashboard.models import CartLine, Receipt, Shortage

ATTEMPTS = 20
"""How often a product is tried that others keep buying."""

_log = logging.getLogger(__name__)


class CheckoutFailed(Exception):
    """Nothing was bought."""


class NoSuchProduct(CheckoutFailed):
    """The cart holds something that is not sold."""


class OutOfStock(CheckoutFailed):
    """There is less than the cart asks for."""

    def __init__(self, shortages: list[Shortage]) -> None:
        names = ", ".join(shortage.name for shortage in shortages)
        super().__init__(f"Insufficient stock for {names}")
        self.shortages = shortages


class Busy(CheckoutFailed):
    """A product changed under every attempt."""


class StockUnread(CheckoutFailed):
    """DynamoDB throttled the read until its retries were over."""


class InDoubt(Exception):
    """A write had no clear answer: it may have been done."""


async def checkout(db: DynamoDB, table_name: str, lines: Iterable[CartLine]) -> Receipt:
    """Buy all of it or nothing."""
    cart: dict[str, int] = {}
    for line in lines:
        cart[line.product_id] = cart.get(line.product_id, 0) + line.quantity
    stock = await read_stock(db, table_name, cart)
    shortages = [
        shortage
        for product_id, quantity in cart.items()
        if (shortage := shortage_of(stock[product_id], quantity))
    ]
    if shortages:
        raise OutOfStock(shortages)

    checkout_id = uuid.uuid4().hex
    taken: list[tuple[Item, int]] = []
    try:
        for product_id, quantity in cart.items():
            product = await take(db, table_name, stock[product_id], quantity, checkout_id)
            taken.append((product, quantity))
    except BaseException:
        # Someone was faster after all, or DynamoDB is out of reach, or we are cancelled: nothing
        # is bought, so everything goes back.
        await put_back(db, table_name, taken, checkout_id)
        raise
    return Receipt(
        checkout_id=checkout_id,
        items=[
            CartLine(product_id=product["id"], quantity=quantity) for product, quantity in taken
        ],
        total=round(sum(product["price"] * quantity for product, quantity in taken), 2),
    )


async def read_stock(db: DynamoDB, table_name: str, product_ids: Iterable[str]) -> dict[str, Item]:
    """All products of the cart in one batch."""
    wanted = list(product_ids)
    # `ordered`: None stands where there is no such product.
    answer = await db.batch_get_item(
        map(product_key, wanted), table_name, ordered=True, consistent_read=True
    )
    if answer["UnprocessedKeys"]:
        raise StockUnread("The stock could not be read in full: try again later")
    stock: dict[str, Item] = {}
    for product_id, product in zip(wanted, answer["Items"], strict=True):
        if product is None:
            raise NoSuchProduct(f"There is no product {product_id}")
        stock[product_id] = product
    return stock


def shortage_of(product: Item, quantity: int) -> Shortage | None:
    """What is missing, if something is."""
    if product["quantity"] >= quantity:
        return None
    return Shortage(
        product_id=product["id"],
        name=product["name"],
        wanted=quantity,
        available=product["quantity"],
    )


async def take(
    db: DynamoDB, table_name: str, product: Item, quantity: int, checkout_id: str
) -> Item:
    """Take so many out of the stock; fewer than none puts them back. The product as it is then."""
    # Tells this very write from all others, if its answer is lost.
    mark = f"{checkout_id}/{'take' if quantity > 0 else 'return'}"
    for _ in range(ATTEMPTS):
        shortage = shortage_of(product, quantity)
        if shortage:
            raise OutOfStock([shortage])
        version = product["version"]
        left = {
            **product,
            "quantity": product["quantity"] - quantity,
            "version": version + 1,
            "changed_by": mark,
        }
        try:
            # Batches take no conditions, so each product is a write of its own.
            await db.save(
                left,
                table_name,
                condition_expression="version = :seen",
                expression_attribute_values={":seen": version},
            )
        except ConditionFailed as error:
            answer = await db.get(product_key(product["id"]), table_name, consistent_read=True)
            if "Item" not in answer:
                raise NoSuchProduct(f"There is no product {product['id']} any more") from error
            product = answer["Item"]
            if error.after_retry and product["version"] > version:
                if product.get("changed_by") == mark:
                    return product  # an earlier attempt, whose answer was lost, had done it
                if product["version"] > version + 1:
                    raise InDoubt("The stock may or may not have been changed") from error
            continue
        except WireError as error:
            raise InDoubt("The stock may or may not have been changed") from error
        return left
    raise Busy(f"{product['name']} is changing too fast: try again")


async def put_back(
    db: DynamoDB, table_name: str, taken: list[tuple[Item, int]], checkout_id: str
) -> None:
    """Return what was taken. One product that cannot be returned does not keep the others."""
    for product, quantity in taken:
        try:
            await take(db, table_name, product, -quantity, checkout_id)
        except Exception as error:
            _log.error("checkout %s: stock not returned: %s", checkout_id, type(error).__name__)
