"""FakeWire's updates, conditions and transactions: what it does is what servers do."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pytest

from aiobatch import (
    ConditionCheck,
    ConditionFailed,
    Delete,
    DynamoDB,
    Get,
    Put,
    Retry,
    ServiceError,
    TransactionFailed,
    Update,
)
from aiobatch.testing import Entry, FakeWire, Fault
from tests.backends import Backend
from tests.conftest import TableFactory

OLD = {
    "pk": "a",
    "n1": 5,
    "text1": "hello",
    "tags1": {"x", "y"},
    "nums1": {1, 2},
    "list": [1, "two", [3]],
    "map": {"inner1": {"deep1": 1}, "k": "v"},
    "yes1": True,
    "raw1": b"\x01\x02",
}


@dataclass(frozen=True)
class Case:
    """An expression, its values and names."""

    expression: str
    values: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


UPDATES = [
    Case("SET n1 = :v", {":v": "other"}),
    Case("SET n1 = n1 + :one, fresh1 = :one", {":one": 1}),
    Case("SET n1 = :ten - n1", {":ten": 10}),
    Case("SET n1 = if_not_exists(n1, :v), m1 = if_not_exists(m1, :v)", {":v": 7}),
    Case("SET #l = list_append(#l, :more)", {":more": ["four"]}, {"#l": "list"}),
    Case("SET #l[1] = :v, #l[9] = :v", {":v": "new"}, {"#l": "list"}),
    Case("SET #m.inner1.deep1 = :v, #m.other1 = n1", {":v": 2}, {"#m": "map"}),
    Case("SET a = text1, text1 = :v", {":v": "swapped"}),
    Case("SET nothing1.inner1 = :v", {":v": 1}),
    Case("SET a = nothing1", {}),
    Case("SET text1 = text1 + :v", {":v": 1}),
    Case("REMOVE text1, nothing1", {}),
    Case("REMOVE #l[0], #l[1]", {}, {"#l": "list"}),
    Case("REMOVE #l[9]", {}, {"#l": "list"}),
    Case("REMOVE #m.inner1.deep1", {}, {"#m": "map"}),
    Case("ADD n1 :v, count1 :v", {":v": 3}),
    Case("ADD tags1 :v, others1 :v", {":v": {"y", "z"}}),
    Case("ADD nums1 :v", {":v": {2, 3}}),
    Case("ADD text1 :v", {":v": 1}),
    Case("DELETE tags1 :v", {":v": {"y", "q"}}),
    Case("DELETE tags1 :v", {":v": {"x", "y"}}),
    Case("DELETE nothing1 :v", {":v": {"x", "y"}}),
    Case(
        "SET n1 = :v REMOVE text1 ADD tags1 :t DELETE nums1 :d", {":v": 1, ":t": {"t"}, ":d": {1}}
    ),
    Case("SET n1 = :v, n1 = :v", {":v": 1}),
    Case("SET n1 = :v SET m1 = :v", {":v": 1}),
    Case("SET pk = :v", {":v": "b"}),
    Case("SET n1 = :missing", {":v": 1}),
    Case("SET", {}),
    Case("PUT n1 = :v", {":v": 1}),
]

CONDITIONS = [
    Case("attribute_exists(n1)"),
    Case("attribute_not_exists(nothing1) AND attribute_exists(#m.inner1.deep1)", {}, {"#m": "map"}),
    Case("attribute_exists(nothing1) OR n1 = :v", {":v": 5}),
    Case("NOT n1 = :v AND text1 = :t", {":v": 4, ":t": "hello"}),
    Case("NOT (n1 = :v OR text1 = :t)", {":v": 4, ":t": "hello"}),
    Case("n1 <> :v", {":v": 5}),
    Case("n1 < :v", {":v": Decimal("5.1")}),
    Case("n1 >= :v", {":v": "5"}),
    Case("n1 BETWEEN :low AND :high", {":low": 5, ":high": 6}),
    Case("text1 BETWEEN :low AND :high", {":low": "i", ":high": "z"}),
    Case("n1 IN (:a, :b)", {":a": 4, ":b": 5}),
    Case("begins_with(text1, :v)", {":v": "he"}),
    Case("contains(text1, :v)", {":v": "ell"}),
    Case("contains(tags1, :v)", {":v": "x"}),
    Case("contains(nums1, :v)", {":v": 3}),
    Case("contains(#l, :v)", {":v": "two"}, {"#l": "list"}),
    Case("size(text1) = :v", {":v": 5}),
    Case("size(tags1) > :v", {":v": 2}),
    Case("attribute_type(#m, :t)", {":t": "M"}, {"#m": "map"}),
    Case("tags1 = :v", {":v": {"y", "x"}}),
    Case("#l[2][0] = :v", {":v": 3}, {"#l": "list"}),
    Case("raw1 = :v AND yes1 = :y", {":v": b"\x01\x02", ":y": True}),
    Case("nothing1 = :v", {":v": 1}),
    Case("n1 = ", {}),
    Case("n1 = :v AND", {":v": 5}),
    Case("n1 = :v n1", {":v": 5}),
    Case("begins_with(nothing1, :v)", {":v": "he"}),
    Case("contains(text1, nothing1)"),
    Case("size(n1) = :v", {":v": 1}),
    Case("size(raw1) = :v", {":v": 2}),
    Case("n1 < :yes", {":yes": True}),
    Case("nothing1 < :v", {":v": 1}),
]


async def outcome(db: DynamoDB, table: str, case: Case, *, condition: bool) -> Any:
    """The item after it, or the kind of refusal."""
    await db.save(OLD, table)
    values = dict(case.values)
    update = "SET changed = :changed" if condition else case.expression
    if condition:
        values[":changed"] = 1
    try:
        await db.update(
            {"pk": "a"},
            table,
            update,
            condition_expression=case.expression if condition else None,
            expression_attribute_values=values or None,
            expression_attribute_names=case.names or None,
        )
    except ConditionFailed:
        return "condition failed"
    except ServiceError as error:
        return error.code
    return (await db.get({"pk": "a"}, table, consistent_read=True))["Item"]


# What a server does otherwise than DynamoDB, by its name and the expression.
OTHERWISE = {
    # Answers 500 to what is no condition, and where types differ.
    ("moto", "n1 >= :v"),
    ("moto", "n1 = "),
    ("moto", "n1 = :v AND"),
    ("moto", "n1 = :v n1"),
    ("moto", "size(n1) = :v"),
    # Takes more than DynamoDB.
    ("ministack", "SET text1 = text1 + :v"),
    ("ministack", "SET n1 = :v, n1 = :v"),
    ("ministack", "SET n1 = :v SET m1 = :v"),
    ("ministack", "SET"),
    # Take one element of a list after the other, and so another one.
    ("ministack", "REMOVE #l[0], #l[1]"),
    ("dynalite", "REMOVE #l[0], #l[1]"),
    # Let the condition fail, where DynamoDB refuses to order booleans.
    ("moto", "n1 < :yes"),
    ("ministack", "n1 < :yes"),
    ("dynalite", "n1 < :yes"),
}


async def test_updates_and_conditions_end_as_on_a_server(
    backend: Backend, table: TableFactory
) -> None:
    name = await table()
    wire = FakeWire({name: ("pk",)})
    differ = {}
    async with (
        DynamoDB(endpoint_url=backend.endpoint_url, retry=Retry(max_retries=0)) as there,
        DynamoDB(wire=wire) as here,
    ):
        for condition, cases in ((False, UPDATES), (True, CONDITIONS)):
            for case in cases:
                ours = await outcome(here, name, case, condition=condition)
                theirs = await outcome(there, name, case, condition=condition)
                if ours != theirs and (backend.name, case.expression) not in OTHERWISE:
                    differ[case.expression] = (ours, theirs)
    assert differ == {}, "\n".join(f"{k}: {v}" for k, v in differ.items())


# ---------------------------------------------------------------------- by itself

TABLES: dict[str, Any] = {"users": ("pk",), "orders": {"id": "N"}}


@pytest.fixture
def wire() -> FakeWire:
    wire = FakeWire(TABLES)
    wire.put("users", [{"pk": "a", "credit": 10}, {"pk": "b"}])
    return wire


def order(price: int) -> list[Put | Update | Delete | ConditionCheck]:
    return [
        Put({"id": 1}, "orders", condition_expression="attribute_not_exists(id)"),
        Update(
            {"pk": "a"},
            "users",
            "SET credit = credit - :p",
            condition_expression="credit >= :p",
            expression_attribute_values={":p": price},
        ),
        Delete({"pk": "b"}, "users"),
        ConditionCheck({"pk": "c"}, "users", "attribute_not_exists(pk)"),
    ]


async def test_a_transaction_takes_effect_whole(wire: FakeWire) -> None:
    async with DynamoDB(wire=wire) as db:
        await db.transact_write_items(order(3))
        read = await db.transact_get_items(
            [Get({"pk": "a"}, "users"), Get({"id": 1}, "orders"), Get({"pk": "b"}, "users")]
        )
    assert read["Items"] == [{"pk": "a", "credit": 7}, {"id": 1}, None]
    assert wire.items("users") == [{"pk": "a", "credit": 7}]


async def test_a_check_that_holds_leaves_its_item_alone(wire: FakeWire) -> None:
    async with DynamoDB(wire=wire) as db:
        await db.transact_write_items(
            [ConditionCheck({"pk": "a"}, "users", "attribute_exists(pk)"), Put({"id": 1}, "orders")]
        )
    assert wire.items("users") == [{"pk": "a", "credit": 10}, {"pk": "b"}]
    assert wire.items("orders") == [{"id": 1}]


async def test_a_transaction_takes_no_effect_at_all(wire: FakeWire) -> None:
    async with DynamoDB(wire=wire) as db:
        with pytest.raises(TransactionFailed) as caught:
            await db.transact_write_items(order(30))
    codes = [reason["Code"] for reason in caught.value.reasons]
    assert codes == ["None", "ConditionalCheckFailed", "None", "None"]
    assert wire.items("users") == [{"pk": "a", "credit": 10}, {"pk": "b"}]
    assert wire.items("orders") == []


async def test_a_transaction_shows_the_item_that_failed_its_condition(wire: FakeWire) -> None:
    def check(pk: str, wanted: Literal["ALL_OLD", "NONE"]) -> ConditionCheck:
        return ConditionCheck(
            {"pk": pk},
            "users",
            "credit > :most",
            expression_attribute_values={":most": 100},
            return_values_on_condition_check_failure=wanted,
        )

    async with DynamoDB(wire=wire) as db:
        with pytest.raises(TransactionFailed) as caught:
            await db.transact_write_items(
                [check("a", "ALL_OLD"), check("b", "NONE"), check("nobody", "ALL_OLD")]
            )
    assert [reason.get("Item") for reason in caught.value.reasons] == [
        {"pk": "a", "credit": 10},
        None,
        None,
    ]


async def test_a_transaction_is_done_once_for_its_token(wire: FakeWire) -> None:
    wire.script([Fault.reset_after()], operation="TransactWriteItems")
    async with DynamoDB(wire=wire) as db:
        # Its answer is lost, and it is sent again.
        await db.transact_write_items(order(3), client_request_token="once")
        assert len(wire.requests) == 2
        await db.transact_write_items(order(3), client_request_token="once")
        with pytest.raises(ServiceError) as caught:
            await db.transact_write_items(order(4), client_request_token="once")
    assert caught.value.code == "IdempotentParameterMismatchException"
    assert wire.items("users") == [{"pk": "a", "credit": 7}]


async def test_faults_meet_the_entries_of_a_transaction(wire: FakeWire) -> None:
    def about_b(entry: Entry) -> bool:
        return entry.kind == "delete" and entry.value == {"pk": {"S": "b"}}

    wire.always(Fault.throttle(), entry=about_b)
    async with DynamoDB(wire=wire, retry=Retry(max_retries=0)) as db:
        with pytest.raises(ServiceError):
            await db.transact_write_items(order(3))
        await db.transact_write_items(order(3)[:2])
    assert [request.entries for request in wire.requests] == [4, 2]


@pytest.mark.looptime
async def test_a_limit_refuses_a_transaction_whole(wire: FakeWire) -> None:
    wire.limit("users", write=2.0)
    async with DynamoDB(wire=wire) as db:
        # Three of its operations are on a table that takes two a second.
        with pytest.raises(ServiceError):
            async with asyncio.timeout(600):
                await db.transact_write_items(order(3), retry=Retry(max_retries=2))
    assert wire.items("orders") == []
    assert wire.items("users") == [{"pk": "a", "credit": 10}, {"pk": "b"}]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("NONE", None),
        ("ALL_OLD", {"pk": "a", "credit": 10}),
        ("ALL_NEW", {"pk": "a", "credit": 11, "seen": True}),
        ("UPDATED_OLD", {"credit": 10}),
        ("UPDATED_NEW", {"credit": 11, "seen": True}),
    ],
)
async def test_what_an_update_returns(wire: FakeWire, returned: Any, expected: Any) -> None:
    async with DynamoDB(wire=wire) as db:
        answer = await db.update(
            {"pk": "a"},
            "users",
            "SET seen = :t ADD credit :one",
            expression_attribute_values={":t": True, ":one": 1},
            return_values=returned,
        )
        # An item that is not there is made.
        await db.update({"pk": "new"}, "users", "REMOVE nothing1")
    assert answer.get("Attributes") == expected
    assert {"pk": "new"} in wire.items("users")
