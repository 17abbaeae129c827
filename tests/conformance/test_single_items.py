"""Section 7: get, save, delete and query, over real servers."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from aiobatch import BatchError, ConditionFailed, DynamoDB, InvalidItem, ServiceError, TableNotFound
from tests.backends import Backend
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory


async def listed(items: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item async for item in items]


class TestGet:
    async def test_found_and_missing(self, db: DynamoDB, table: TableFactory) -> None:
        name = await table("pk", "sk", sk="N")
        item = {"pk": "a", "sk": 1, "v": [1, 2.5, None], "s": {"x"}}
        await db.save(item, name)
        answer = await db.get({"pk": "a", "sk": 1.0}, name)
        assert answer["Item"] == item
        assert answer["Metrics"]["requests"] == 1
        assert set(answer) == {"Item", "Metrics"}
        assert "Item" not in await db.get({"pk": "a", "sk": 2}, name)
        assert (await db.get({"pk": "a", "sk": 1}, name, consistent_read=True))["Item"] == item

    async def test_an_item_without_the_projected_attribute_is_found(
        self, db: DynamoDB, backend: Backend, raw_client: Any, table: TableFactory
    ) -> None:
        name = await table()
        await db.save({"pk": "a"}, name)
        # DynamoDB tells an empty item from none, and so do we.
        raw = await raw_client.get_item(
            TableName=name, Key={"pk": {"S": "a"}}, ProjectionExpression="v"
        )
        answer = await db.get({"pk": "a"}, name, projection_expression="v")
        assert answer.get("Item") == raw.get("Item")

    async def test_numbers(self, connect: Connect, table: TableFactory) -> None:
        name = await table()
        db = connect(numbers="decimal")
        await db.save({"pk": "a", "n": Decimal("1.10")}, name)
        assert repr((await db.get({"pk": "a"}, name))["Item"]["n"]) in (
            "Decimal('1.1')",
            "Decimal('1.10')",
        )

    async def test_a_missing_table(self, db: DynamoDB) -> None:
        with pytest.raises(TableNotFound) as caught:
            await db.get({"pk": "a"}, "no-such-table")
        assert caught.value.operation == "GetItem"
        assert caught.value.tables == ("no-such-table",)
        assert not isinstance(caught.value, BatchError)

    async def test_a_wrong_key_is_the_services_word(
        self, db: DynamoDB, table: TableFactory
    ) -> None:
        name = await table()
        with pytest.raises(ServiceError) as caught:
            await db.get({"nope": "a"}, name)
        assert caught.value.code == "ValidationException"
        assert caught.value.message
        # It taught nothing.
        await db.save({"pk": "a"}, name, fail_if_exists=True)


class TestSave:
    async def test_fail_if_exists_uses_the_real_key_names(
        self, db: DynamoDB, table: TableFactory, sent: SentLog
    ) -> None:
        name = await table("status", "size", size="N")  # reserved words, too
        item = {"status": "on", "size": 1, "v": "first"}
        await db.save(item, name, fail_if_exists=True)
        with pytest.raises(ConditionFailed) as caught:
            await db.save({**item, "v": "second"}, name, fail_if_exists=True)
        assert caught.value.table_name == name
        assert caught.value.operation == "PutItem"
        assert not caught.value.after_retry
        assert isinstance(caught.value.cause, ServiceError)
        assert (await db.get({"status": "on", "size": 1}, name))["Item"]["v"] == "first"
        # Another sort key is another item.
        await db.save({**item, "size": 2}, name, fail_if_exists=True)
        assert sent.operations.count("DescribeTable") == 1

    async def test_without_a_condition_it_replaces(
        self, db: DynamoDB, table: TableFactory, sent: SentLog
    ) -> None:
        name = await table()
        await db.save({"pk": "a", "v": 1}, name)
        answer = await db.save({"pk": "a", "v": 2}, name, return_values="ALL_OLD")
        assert answer["Attributes"] == {"pk": "a", "v": 1}
        assert sent.operations == ["PutItem", "PutItem"]

    async def test_no_old_item_is_no_attributes(self, db: DynamoDB, table: TableFactory) -> None:
        answer = await db.save({"pk": "a"}, await table(), return_values="ALL_OLD")
        assert "Attributes" not in answer

    async def test_a_condition(self, db: DynamoDB, table: TableFactory) -> None:
        name = await table()
        await db.save({"pk": "a", "version": 1}, name)

        async def save(version: int) -> None:
            await db.save(
                {"pk": "a", "version": version + 1},
                name,
                condition_expression="#v = :v",
                expression_attribute_names={"#v": "version"},
                expression_attribute_values={":v": version},
            )

        await save(1)
        with pytest.raises(ConditionFailed):
            await save(1)
        await save(2)
        assert (await db.get({"pk": "a"}, name))["Item"]["version"] == 3

    async def test_a_condition_and_fail_if_exists_must_both_hold(
        self, db: DynamoDB, table: TableFactory
    ) -> None:
        name = await table()
        both: dict[str, Any] = {
            "fail_if_exists": True,
            "condition_expression": "attribute_not_exists(a) OR attribute_not_exists(b)",
        }
        await db.save({"pk": "k"}, name, **both)
        with pytest.raises(ConditionFailed):
            await db.save({"pk": "k"}, name, **both)

    async def test_forms_of_items(self, db: DynamoDB, table: TableFactory) -> None:
        from tests.conformance.test_writes import FORMS

        name = await table()
        for form, (given, wanted) in FORMS.items():
            if form.startswith("wrapped"):
                continue
            await db.save(given, name)
            assert (await db.get({"pk": "k"}, name))["Item"] == wanted

    async def test_a_value_that_cannot_be_sent(
        self, db: DynamoDB, table: TableFactory, sent: SentLog
    ) -> None:
        name = await table()
        sent.clear()
        with pytest.raises(InvalidItem) as caught:
            await db.save(
                {"pk": "a"},
                name,
                condition_expression="v = :v",
                expression_attribute_values={":v": {"x": [float("nan")]}},
            )
        assert "NaN" in caught.value.reason
        assert not sent

    async def test_capacity(self, db: DynamoDB, table: TableFactory) -> None:
        name = await table()
        answer = await db.save({"pk": "a"}, name, return_consumed_capacity="TOTAL")
        assert answer["ConsumedCapacity"]["CapacityUnits"] == 1.0
        read = await db.get({"pk": "a"}, name, return_consumed_capacity="TOTAL")
        assert read["ConsumedCapacity"]["CapacityUnits"] == 0.5


class TestDelete:
    async def test_it_deletes(self, db: DynamoDB, table: TableFactory) -> None:
        name = await table("pk", "sk")
        key = {"pk": "a", "sk": "b"}
        await db.save({**key, "v": 1}, name)
        answer = await db.delete(key, name, return_values="ALL_OLD")
        assert answer["Attributes"] == {**key, "v": 1}
        assert "Item" not in await db.get(key, name)
        assert "Attributes" not in await db.delete(key, name, return_values="ALL_OLD")

    async def test_a_condition(self, db: DynamoDB, table: TableFactory) -> None:
        name = await table()
        await db.save({"pk": "a", "state": "open"}, name)
        condition: dict[str, Any] = {
            "condition_expression": "#s = :closed",
            "expression_attribute_names": {"#s": "state"},
            "expression_attribute_values": {":closed": "closed"},
        }
        with pytest.raises(ConditionFailed) as caught:
            await db.delete({"pk": "a"}, name, **condition)
        assert caught.value.operation == "DeleteItem"
        await db.save({"pk": "a", "state": "closed"}, name)
        await db.delete({"pk": "a"}, name, **condition)
        assert "Item" not in await db.get({"pk": "a"}, name)


class TestQuery:
    COUNT = 12

    @pytest.fixture
    async def name(self, db: DynamoDB, table: TableFactory) -> str:
        """One partition of about 4.6 MB: DynamoDB answers a query with 1 MB at a time."""
        name = await table("pk", "sk", sk="N")
        items = [
            {"pk": "big", "sk": n, "even": n % 2 == 0, "v": "x" * 380_000}
            for n in range(self.COUNT)
        ]
        await db.batch_write_item([*items, {"pk": "other", "sk": 1}], name)
        return name

    async def test_all_pages(self, name: str, db: DynamoDB, sent: SentLog) -> None:
        sent.clear()
        found = await listed(db.query(name, "pk = :pk", expression_attribute_values={":pk": "big"}))
        assert [item["sk"] for item in found] == list(range(self.COUNT))
        assert all(len(item["v"]) == 380_000 for item in found)
        assert len(sent) >= 4

    async def test_descending(self, name: str, db: DynamoDB) -> None:
        found = db.query(
            name, "pk = :pk", expression_attribute_values={":pk": "big"}, ascending=False
        )
        assert [item["sk"] async for item in found] == list(reversed(range(self.COUNT)))

    @pytest.mark.parametrize("limit", [1, 3, 7, 12, 100])
    async def test_limit(self, limit: int, name: str, db: DynamoDB) -> None:
        found = db.query(name, "pk = :pk", expression_attribute_values={":pk": "big"}, limit=limit)
        assert [item["sk"] async for item in found] == list(range(min(limit, self.COUNT)))

    async def test_limit_counts_what_passes_the_filter(self, name: str, db: DynamoDB) -> None:
        found = db.query(
            name,
            "pk = :pk",
            filter_expression="even = :yes",
            expression_attribute_values={":pk": "big", ":yes": True},
            limit=4,
        )
        assert [item["sk"] async for item in found] == [0, 2, 4, 6]

    async def test_filter_and_placeholders(self, name: str, db: DynamoDB) -> None:
        found = db.query(
            name,
            "#p = :pk AND sk BETWEEN :low AND :high",
            filter_expression="#e = :no",
            projection_expression="sk",
            expression_attribute_names={"#p": "pk", "#e": "even"},
            expression_attribute_values={":pk": "big", ":low": 3, ":high": 8.0, ":no": False},
        )
        assert await listed(found) == [{"sk": 3}, {"sk": 5}, {"sk": 7}]

    async def test_leaving_early_sends_nothing_more(
        self, name: str, db: DynamoDB, sent: SentLog
    ) -> None:
        sent.clear()
        found = db.query(name, "pk = :pk", expression_attribute_values={":pk": "big"})
        async for item in found:
            assert item["sk"] == 0
            break
        assert len(sent) == 1
        await found.aclose()
        assert len(sent) == 1

    async def test_nothing_found(self, name: str, db: DynamoDB) -> None:
        assert not await listed(
            db.query(name, "pk = :pk", expression_attribute_values={":pk": "nobody"})
        )

    async def test_query_then_delete(self, name: str, db: DynamoDB) -> None:
        """The guide's clean-up: what a query projects goes straight into a batch of deletes."""
        found = await listed(
            db.query(
                name,
                "pk = :pk",
                projection_expression="pk, sk",
                expression_attribute_values={":pk": "big"},
            )
        )
        answer = await db.batch_write_item(found, name, operation="delete")
        assert answer["ProcessedCount"] == self.COUNT
        assert not await listed(
            db.query(name, "pk = :pk", expression_attribute_values={":pk": "big"})
        )

    async def test_a_missing_table(self, db: DynamoDB) -> None:
        with pytest.raises(TableNotFound):
            await listed(
                db.query("no-such-table", "pk = :pk", expression_attribute_values={":pk": "a"})
            )

    async def test_a_wrong_expression(self, name: str, db: DynamoDB) -> None:
        with pytest.raises(ServiceError) as caught:
            await listed(db.query(name, "pk > :pk", expression_attribute_values={":pk": "a"}))
        assert caught.value.code == "ValidationException"


async def test_a_query_of_an_index(db: DynamoDB, raw_client: Any) -> None:
    name = "aiobatch-with-an-index"
    await raw_client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "city", "AttributeType": "S"},
            {"AttributeName": "age", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-city",
                "KeySchema": [
                    {"AttributeName": "city", "KeyType": "HASH"},
                    {"AttributeName": "age", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        await raw_client.get_waiter("table_exists").wait(
            TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        people = [
            {"pk": str(n), "city": "Bonn" if n % 2 else "Ulm", "age": 50 - n} for n in range(6)
        ]
        await db.batch_write_item(people, name)
        found = await listed(
            db.query(
                name,
                "city = :c",
                index_name="by-city",
                expression_attribute_values={":c": "Bonn"},
            )
        )
        assert [person["age"] for person in found] == [45, 47, 49]
    finally:
        await raw_client.delete_table(TableName=name)
