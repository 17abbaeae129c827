"""Take what is in a shopping cart out of the stock, also while others do the same."""

from aiobatch import ConditionFailed, DynamoDB, Item
from examples._support import run
from examples.models import Product

Cart = dict[str, int]
"""How many of each product, by its id."""


class OutOfStock(ValueError):
    """There is less than the cart asks for."""


def key_of(product_id: str) -> dict[str, str]:
    return {"pk": f"product#{product_id}", "sk": f"product#{product_id}"}


def check(product: Item, quantity: int) -> None:
    if product["quantity"] < quantity:
        raise OutOfStock(f"Insufficient stock for {product['name']}")


async def take(db: DynamoDB, table_name: str, product: Item, quantity: int) -> None:
    """Take so many out of the stock; fewer than none puts them back."""
    while True:
        check(product, quantity)
        left = {
            **product,
            "quantity": product["quantity"] - quantity,
            "version": product["version"] + 1,
        }
        try:
            # Batches take no conditions, so each product is a write of its own.
            await db.save(
                left,
                table_name,
                condition_expression="version = :seen",
                expression_attribute_values={":seen": product["version"]},
            )
            return
        except ConditionFailed as error:
            if error.after_retry:
                raise  # an attempt without an answer may have taken it: do not take it twice
            print(f"{product['name']} has changed meanwhile: looking again")
            answer = await db.get(key_of(product["id"]), table_name, consistent_read=True)
            product = answer["Item"]


async def checkout(db: DynamoDB, table_name: str, cart: Cart) -> None:
    # The whole cart in one read. `ordered`: None stands where there is no such product.
    response = await db.batch_get_item(
        keys=[key_of(product_id) for product_id in cart], table_name=table_name, ordered=True
    )
    inventory = dict(zip(cart, response["Items"], strict=True))
    if response["UnprocessedKeys"]:
        raise RuntimeError("the stock could not be read in full: try again later")

    wanted = []
    for product_id, quantity in cart.items():
        product = inventory[product_id]
        if product is None:
            raise OutOfStock(f"There is no product {product_id}")
        check(product, quantity)
        wanted.append((product, quantity))

    taken: list[tuple[Item, int]] = []
    try:
        for product, quantity in wanted:
            await take(db, table_name, product, quantity)
            taken.append((product, quantity))
    except OutOfStock:
        # Someone was faster after all: nothing is bought, so everything goes back.
        for product, quantity in taken:
            await take(db, table_name, product, -quantity)
        raise


async def main(db: DynamoDB, table_name: str = "products") -> None:
    carts: list[Cart] = [{"tea": 2, "cup": 1}, {"tea": 2, "pot": 3}, {"tea": 1, "spoon": 6}]
    for cart in carts:
        try:
            await checkout(db, table_name, cart)
            print(f"Bought {cart}")
        except OutOfStock as error:
            print(f"Refused: {error}")


STOCK = [
    Product(id="tea", name="Green tea", price=4.5, quantity=10, version=1),
    Product(id="cup", name="Cup", price=7.9, quantity=4, version=1),
    Product(id="pot", name="Tea pot", price=29.0, quantity=2, version=1),
]

if __name__ == "__main__":
    run(main, seed=STOCK)
