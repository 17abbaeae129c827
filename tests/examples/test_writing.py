"""The scripts that write, against every backend."""

import csv
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aiobatch import ConditionFailed, DynamoDB, Retry
from aiobatch.testing import Fault
from examples import (
    checkout,
    cleanup_sessions,
    csv_import,
    delete_items,
    load_file,
    put_items,
    save_if_new,
)
from examples.models import Product, sample_users
from tests.examples.conftest import Held, Seeded, Troubled

Printed = pytest.CaptureFixture[str]
NO_RETRY = Retry(max_retries=0)


async def test_put_items(db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed) -> None:
    name = await seeded([])
    response = await put_items.main(db, name)
    assert (response["ProcessedCount"], response["UnprocessedItems"]) == (10, [])
    items = await held(name)
    assert len(items) == 10
    assert items["user#user-007", "user#user-007"] == {
        "pk": "user#user-007",
        "sk": "user#user-007",
        "id": "user-007",
        "first_name": "User7",
        "last_name": "Test",
        "email": "user7@example.com",
    }
    assert capsys.readouterr().out == "Processed: 10\nUnprocessed: 0\n"


async def test_delete_items(db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed) -> None:
    name = await seeded(sample_users(5))
    response = await delete_items.main(db, name)
    assert response["ProcessedCount"] == 3
    assert {pk for pk, _ in await held(name)} == {"user#user-000", "user#user-004"}
    assert capsys.readouterr().out == "Deleted 3 users\n"


class TestCsvImport:
    async def test_the_file_that_is_shipped(
        self, db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed
    ) -> None:
        name = await seeded([])
        await csv_import.main(db, name)
        with csv_import.PRODUCTS.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) > 25, "one request would do"
        assert await held(name) == {
            (f"product#{row['id']}", f"product#{row['id']}"): {
                "pk": f"product#{row['id']}",
                "sk": f"product#{row['id']}",
                **row,
                "price": Decimal(row["price"]).normalize(),
            }
            for row in rows
        }
        assert capsys.readouterr().out == f"Imported {len(rows)} products\n"

    async def test_what_is_left_over_is_told(
        self, troubled: Troubled, seeded: Seeded, held: Held, tmp_path: Path, capsys: Printed
    ) -> None:
        path = tmp_path / "products.csv"
        rows = "".join(f"{n},Product {n},{n}.5,SKU-{n}\n" for n in range(60))
        path.write_text(f"id,name,price,sku\n{rows}", encoding="utf-8")
        name = await seeded([])
        db, proxy = await troubled(retry=NO_RETRY)
        proxy.always(
            Fault.partial(entry=lambda entry: entry.value["id"] == {"S": "59"}),
            operation="BatchWriteItem",
        )
        response = await csv_import.main(db, name, path)
        assert [item["id"] for item in response["UnprocessedItems"]] == ["59"]
        assert {item["id"] for item in (await held(name)).values()} == {str(n) for n in range(59)}
        assert capsys.readouterr().out == ("Imported 59 products\nWarning: 1 products failed\n")


async def test_load_file(db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed) -> None:
    name = await seeded([])
    report = await load_file.main(db, name)
    assert (report.written, report.rejected) == (1999, 1)
    assert len(await held(name)) == 1999
    assert capsys.readouterr().out.startswith("1999 rows written, 1 rejected:\npk,sk,degrees:N\n")


class TestCleanupSessions:
    async def test_the_old_ones_go(
        self, db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed
    ) -> None:
        old = [cleanup_sessions.session(n, timedelta(days=31, minutes=n)) for n in range(60)]
        young = [cleanup_sessions.session(n, timedelta(days=29, minutes=n)) for n in range(7)]
        other = {"pk": "not a session", "sk": old[0]["sk"]}
        name = await seeded([*old, *young, other])
        assert await cleanup_sessions.main(db, name) == 60
        assert set(await held(name)) == {(item["pk"], item["sk"]) for item in [*young, other]}
        assert capsys.readouterr().out == "Deleted 60 expired sessions\n"

    async def test_nothing_to_do(self, db: DynamoDB, seeded: Seeded, capsys: Printed) -> None:
        name = await seeded([cleanup_sessions.session(1, timedelta(days=2))])
        assert await cleanup_sessions.main(db, name) == 0
        assert await cleanup_sessions.main(db, name, days_old=1) == 1
        assert capsys.readouterr().out.splitlines() == [
            "Deleted 0 expired sessions",
            "Deleted 1 expired sessions",
        ]


async def test_save_if_new(db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed) -> None:
    there = [{**user.to_resource_dictionary(), "name": "mine"} for user in sample_users(2)]
    name = await seeded(there)
    assert await save_if_new.main(db, name) == ["user-002", "user-003", "user-004"]
    items = await held(name)
    assert len(items) == 5
    assert [items[item["pk"], item["sk"]] for item in there] == there
    assert capsys.readouterr().out == "Created user-002, user-003, user-004; 2 were there\n"


class TestCheckout:
    async def test_main(self, db: DynamoDB, seeded: Seeded, held: Held, capsys: Printed) -> None:
        name = await seeded(checkout.STOCK)
        await checkout.main(db, name)
        assert await stock(held, name) == {"tea": (8, 2), "cup": (3, 2), "pot": (2, 1)}
        # The rest of the item is as it was.
        tea = (await held(name))["product#tea", "product#tea"]
        assert (tea["name"], tea["price"]) == ("Green tea", Decimal("4.5"))
        assert capsys.readouterr().out.splitlines() == [
            "Bought {'tea': 2, 'cup': 1}",
            "Refused: Insufficient stock for Tea pot",
            "Refused: There is no product spoon",
        ]

    async def test_the_cart_is_read_in_one_request_and_a_refusal_writes_nothing(
        self, troubled: Troubled, seeded: Seeded
    ) -> None:
        name = await seeded(checkout.STOCK)
        db, proxy = await troubled()
        with pytest.raises(checkout.OutOfStock, match="Tea pot"):
            await checkout.checkout(db, name, {"tea": 1, "cup": 1, "pot": 3})
        assert [(seen.operation, seen.entries) for seen in proxy.requests] == [("BatchGetItem", 3)]

    async def test_someone_buys_between_the_read_and_the_write(
        self,
        db: DynamoDB,
        seeded: Seeded,
        held: Held,
        capsys: Printed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        name = await seeded(checkout.STOCK)
        after_the_read(db, monkeypatch, name, {"tea": 3})
        await checkout.checkout(db, name, {"tea": 2})
        assert await stock(held, name) == {"tea": (5, 3), "cup": (4, 1), "pot": (2, 1)}
        assert capsys.readouterr().out == "Green tea has changed meanwhile: looking again\n"

    async def test_someone_buys_the_last_one(
        self, db: DynamoDB, seeded: Seeded, held: Held, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What had been taken before goes back."""
        name = await seeded(checkout.STOCK)
        after_the_read(db, monkeypatch, name, {"pot": 2})
        with pytest.raises(checkout.OutOfStock, match="Tea pot"):
            await checkout.checkout(db, name, {"tea": 2, "cup": 4, "pot": 1})
        assert await stock(held, name) == {"tea": (10, 3), "cup": (4, 3), "pot": (0, 2)}

    async def test_an_answer_that_was_lost_takes_nothing_twice(
        self, troubled: Troubled, seeded: Seeded, held: Held
    ) -> None:
        name = await seeded(checkout.STOCK)
        db, proxy = await troubled()
        proxy.script([Fault.internal_error(executed=True)], operation="PutItem")
        with pytest.raises(ConditionFailed) as caught:
            await checkout.checkout(db, name, {"tea": 2})
        assert caught.value.after_retry
        assert (await stock(held, name))["tea"] == (8, 2)

    async def test_a_stock_that_cannot_be_read_in_full_is_not_taken_for_missing(
        self, troubled: Troubled, seeded: Seeded, held: Held
    ) -> None:
        name = await seeded(checkout.STOCK)
        db, proxy = await troubled(retry=NO_RETRY)
        proxy.script([Fault.partial(0.5)], operation="BatchGetItem")
        with pytest.raises(RuntimeError, match="could not be read in full"):
            await checkout.checkout(db, name, {"tea": 1, "cup": 1})
        assert await stock(held, name) == {"tea": (10, 1), "cup": (4, 1), "pot": (2, 1)}


async def stock(held: Held, name: str) -> dict[str, tuple[int, int]]:
    return {item["id"]: (item["quantity"], item["version"]) for item in (await held(name)).values()}


def after_the_read(
    db: DynamoDB, monkeypatch: pytest.MonkeyPatch, name: str, cart: checkout.Cart
) -> None:
    """Let someone else check out when the stock has been read for the first time."""
    read = db.batch_get_item

    async def then_someone_buys(*args: Any, **kwargs: Any) -> Any:
        answer = await read(*args, **kwargs)
        monkeypatch.undo()
        await checkout.checkout(db, name, cart)
        return answer

    monkeypatch.setattr(db, "batch_get_item", then_someone_buys)


def test_the_models_leave_out_what_is_not_set() -> None:
    product = Product(id="tea", name="Tea", quantity=0)
    assert json.dumps(product.to_resource_dictionary()) == json.dumps(
        {"pk": "product#tea", "sk": "product#tea", "id": "tea", "name": "Tea", "quantity": 0}
    )
