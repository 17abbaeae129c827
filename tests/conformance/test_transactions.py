"""Transactions and updates of one item, over real servers."""

import pickle
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from aiobatch import (
    ConditionCheck,
    ConditionFailed,
    Delete,
    DynamoDB,
    Get,
    InvalidItem,
    ModelMismatch,
    Put,
    Retry,
    ServiceError,
    TransactionFailed,
    Update,
    WireError,
)
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend, Quirk
from tests.conformance.conftest import Connect, SentLog
from tests.conftest import TableFactory


@pytest.fixture
def transactions(backend: Backend) -> bool:
    """Whether the backend knows transactions. Where it does not, tests check that it says so."""
    return Quirk.NO_TRANSACTIONS not in backend.quirks


@pytest.fixture
async def two(table: TableFactory) -> tuple[str, str]:
    return await table(), await table("id", id="N")


async def refused(db: DynamoDB, two: tuple[str, str]) -> None:
    """What is left to check on a backend without transactions: the refusal reaches the caller."""
    with pytest.raises(ServiceError) as caught:
        await db.transact_write_items([Put({"pk": "a"}, two[0])])
    assert caught.value.code == "UnknownOperationException"
    with pytest.raises(ServiceError):
        await db.transact_get_items([Get({"pk": "a"}, two[0])])


# --- transactions ---


@pytest.mark.takes_no_retries
async def test_all_operations_take_effect(
    db: DynamoDB, backend: Backend, two: tuple[str, str], transactions: bool
) -> None:
    users, orders = two
    if not transactions:
        return await refused(db, two)
    await db.batch_write(
        {users: [Put({"pk": "a", "credit": 9}), Put({"pk": "b"}), Put({"pk": "c", "vip": True})]}
    )
    answer = await db.transact_write_items(
        [
            Put({"id": 1, "tags": {"x"}, "price": 2.5}, orders),
            Update(
                {"pk": "a"},
                users,
                "SET #c = #c - :n",
                condition_expression="#c >= :n",
                expression_attribute_names={"#c": "credit"},
                expression_attribute_values={":n": 4},
            ),
            Delete({"pk": "b"}, users),
            ConditionCheck(
                {"pk": "c"}, users, "vip = :t", expression_attribute_values={":t": True}
            ),
        ]
    )
    assert answer["Metrics"]["requests"] == 1
    read = await db.transact_get_items(
        [
            Get({"id": 1}, orders),
            Get({"pk": "b"}, users),
            Get({"pk": "a"}, users, projection_expression="credit"),
        ]
    )
    whole = Quirk.TRANSACTION_PROJECTIONS_IGNORED in backend.quirks
    left = {"pk": "a", "credit": 5} if whole else {"credit": 5}
    assert read["Items"] == [{"id": 1, "tags": {"x"}, "price": 2.5}, None, left]
    return None


async def test_none_takes_effect_and_each_has_its_reason(
    db: DynamoDB, two: tuple[str, str], transactions: bool
) -> None:
    users, orders = two
    if not transactions:
        return await refused(db, two)
    await db.save({"pk": "a", "secret": 7}, users)
    with pytest.raises(TransactionFailed) as caught:
        await db.transact_write_items(
            [
                Put({"id": 1}, orders),
                Put(
                    {"pk": "a"},
                    users,
                    condition_expression="attribute_not_exists(pk)",
                    return_values_on_condition_check_failure="ALL_OLD",
                ),
            ]
        )
    error = caught.value
    assert [reason["Code"] for reason in error.reasons] == ["None", "ConditionalCheckFailed"]
    assert error.reasons[1]["Item"] == {"pk": "a", "secret": 7}
    assert str(error) == (
        "the transaction was cancelled, nothing was written (operation 1: ConditionalCheckFailed)"
    )
    assert pickle.loads(pickle.dumps(error)).reasons == error.reasons
    assert "Item" not in await db.get({"id": 1}, orders)
    return None


async def test_a_hundred_operations(
    db: DynamoDB, backend: Backend, two: tuple[str, str], transactions: bool, sent: SentLog
) -> None:
    if not transactions:
        return await refused(db, two)
    await db.transact_write_items(Put({"id": n}, two[1]) for n in range(100))
    most = 25 if Quirk.TRANSACTION_READS_LIMITED in backend.quirks else 100
    read = await db.transact_get_items(Get({"id": n}, two[1]) for n in range(most))
    assert read["Items"] == [{"id": n} for n in range(most)]
    assert sent.operations == ["TransactWriteItems", "TransactGetItems"]
    return None


async def test_models_of_transactions(
    db: DynamoDB, two: tuple[str, str], transactions: bool
) -> None:
    @dataclass
    class Order:
        id: int
        total: int

    if not transactions:
        return await refused(db, two)
    await db.transact_write_items([Put(Order(1, 5), two[1]), Put({"id": 2}, two[1])])
    read = await db.transact_get_items(
        [Get({"id": 1}, two[1], model=Order), Get({"id": 3}, two[1], model=Order)]
    )
    assert read["Items"] == [Order(1, 5), None]
    with pytest.raises(ModelMismatch, match="refused the item of operation 1") as caught:
        await db.transact_get_items([Get({"id": 1}, two[1]), Get({"id": 2}, two[1], model=Order)])
    assert caught.value.response["Items"] == [{"id": 1, "total": 5}, {"id": 2}]
    return None


async def test_nothing_is_no_request(db: DynamoDB, sent: SentLog) -> None:
    assert (await db.transact_write_items([]))["Metrics"]["requests"] == 0
    assert (await db.transact_get_items(iter(())))["Items"] == []
    assert not sent


BAD_WRITES: dict[str, tuple[list[Any], type[Exception], str]] = {
    "a dict": ([{"Put": {"Item": {}}}], TypeError, "operation 0 must be one of Put, Delete"),
    "a read": ([Get({"pk": "a"}, "users")], TypeError, "operation 0 must be one of Put"),
    "no table": ([Put({"pk": "a"})], InvalidItem, "operation 0: names no table"),
    "101": ([Put({"pk": f"{n}"}, "users") for n in range(101)], ValueError, "at most 100.*101"),
    "a bad value": (
        [Put({"pk": "a"}, "users"), Put({"pk": "b", "v": float("nan")}, "users")],
        InvalidItem,
        "operation 1, attribute v: is NaN",
    ),
    "a bad placeholder": (
        [
            Update(
                {"pk": "a"}, "users", "SET a = :v", expression_attribute_values={":v": float("inf")}
            )
        ],
        InvalidItem,
        "operation 0, attribute .*:v",
    ),
    "one item twice": (
        [Delete({"pk": 5}, "users"), Update({"pk": 5.0}, "users", "REMOVE a")],
        InvalidItem,
        "operation 1: is on the same item as operation 0",
    ),
    "a put of an item that is deleted": (
        [Put({"pk": "a", "v": 1}, "users"), Delete({"pk": "a"}, "users")],
        InvalidItem,
        "operation 1: is on the same item as operation 0",
    ),
    "over 4 MB": (
        [Put({"pk": f"{n}", "v": "secret" * 60_000}, "users") for n in range(12)],
        ValueError,
        "4194304",
    ),
}


@pytest.mark.parametrize("case", BAD_WRITES)
async def test_what_is_refused_before_anything_is_sent(
    case: str, db: DynamoDB, sent: SentLog
) -> None:
    operations, error, said = BAD_WRITES[case]
    with pytest.raises(error, match=said) as caught:
        await db.transact_write_items(operations)
    assert "secret" not in str(caught.value)
    assert not sent


@pytest.mark.parametrize("token", ["", "x" * 37])
async def test_tokens_that_are_none(token: str, db: DynamoDB, sent: SentLog) -> None:
    with pytest.raises(ValueError, match="1 to 36"):
        await db.transact_write_items([Put({"pk": "a"}, "users")], client_request_token=token)
    assert not sent


async def test_one_item_may_be_in_two_tables(
    db: DynamoDB, table: TableFactory, transactions: bool
) -> None:
    first, second = await table(), await table()
    if not transactions:
        return await refused(db, (first, second))
    # A put whose key nobody knows is for DynamoDB to compare.
    await db.transact_write_items([Put({"pk": "a"}, first), Put({"pk": "a", "v": 1}, second)])
    read = await db.transact_get_items([Get({"pk": "a"}, first), Get({"pk": "a"}, second)])
    assert read["Items"] == [{"pk": "a"}, {"pk": "a", "v": 1}]
    return None


def tokens(sent: SentLog) -> list[str]:
    return [
        str(orjson.loads(request.body)["ClientRequestToken"])
        for request in sent
        if request.operation == "TransactWriteItems"
    ]


def cancelled(*codes: str) -> Fault:
    reasons = ", ".join(codes)
    return Fault.fails(
        "TransactionCanceledException",
        message="Transaction cancelled, please refer cancellation reasons for specific reasons"
        f" [{reasons}]",
    )


async def test_attempts_share_a_token_and_calls_do_not(
    backend: Backend, two: tuple[str, str], connect: Connect, transactions: bool, sent: SentLog
) -> None:
    if not transactions:
        return await refused(connect(), two)
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url)
        proxy.script(
            [
                Fault.truncated(),
                Fault.throttle(),
                Fault.fails("TransactionInProgressException"),
                cancelled("None", "TransactionConflict"),
                cancelled("ThrottlingError", "ProvisionedThroughputExceeded"),
            ],
            operation="TransactWriteItems",
        )
        answer = await db.transact_write_items([Put({"pk": "a"}, two[0]), Put({"id": 1}, two[1])])
        assert (answer["Metrics"]["requests"], answer["Metrics"]["throttled"]) == (6, 1)
        assert len(set(tokens(sent))) == 1
        assert len(tokens(sent)) == 6
        await db.transact_write_items([Put({"pk": "b"}, two[0])])
        assert len(set(tokens(sent))) == 2
        # Of this test alone: a server remembers tokens, and what they were for.
        mine = f"mine-{two[0]}"[:36]
        await db.transact_write_items([Put({"pk": "c"}, two[0])], client_request_token=mine)
        assert tokens(sent)[-1] == mine
    return None


async def test_a_transaction_whose_answer_was_lost_is_done_once(
    backend: Backend, two: tuple[str, str], connect: Connect, transactions: bool
) -> None:
    if not transactions:
        return await refused(connect(), two)
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url)
        proxy.script([Fault.truncated(), Fault.reset_after()], operation="TransactWriteItems")
        add = Update({"pk": "a"}, two[0], "ADD hits :n", expression_attribute_values={":n": 1})
        await db.transact_write_items([add])
        ignored = Quirk.TRANSACTION_TOKENS_IGNORED in backend.quirks
        assert await count_of(db, two[0]) == (3 if ignored else 1)
    return None


@pytest.mark.parametrize(
    ("codes", "requests"),
    [
        (("TransactionConflict", "None"), 2),
        (("TransactionConflict", "ConditionalCheckFailed"), 1),
        (("ValidationError", "None"), 1),
        (("None", "ItemCollectionSizeLimitExceeded"), 1),
    ],
)
async def test_which_cancellations_are_sent_again(
    codes: tuple[str, ...],
    requests: int,
    backend: Backend,
    two: tuple[str, str],
    connect: Connect,
    transactions: bool,
    sent: SentLog,
) -> None:
    if not transactions:
        return await refused(connect(), two)
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, retry=Retry(max_retries=1, base_delay=0.0))
        proxy.always(cancelled(*codes), operation="TransactWriteItems")
        with pytest.raises(TransactionFailed) as caught:
            await db.transact_write_items([Put({"pk": "a"}, two[0]), Put({"id": 1}, two[1])])
        assert [reason["Code"] for reason in caught.value.reasons] == list(codes)
        assert len(sent) == requests
    return None


async def test_throttling_that_lasts_is_an_error_of_the_service(
    backend: Backend, two: tuple[str, str], connect: Connect
) -> None:
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, retry=Retry(max_retries=1, base_delay=0.0))
        proxy.always(Fault.throttle())
        with pytest.raises(ServiceError, match="ProvisionedThroughputExceeded"):
            await db.transact_get_items([Get({"pk": "a"}, two[0])])


async def test_a_malformed_answer_to_a_read(
    backend: Backend, two: tuple[str, str], connect: Connect, transactions: bool
) -> None:
    if not transactions:
        return await refused(connect(), two)
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, retry=Retry(max_retries=0))
        proxy.always(Fault.truncated(), operation="TransactGetItems")
        with pytest.raises(WireError):
            await db.transact_get_items([Get({"pk": "a"}, two[0])])
    return None


# --- update ---


@pytest.mark.takes_no_retries  # an update that counts is sent once
async def test_updating_one_item(db: DynamoDB, two: tuple[str, str]) -> None:
    users, _ = two
    made = await db.update(
        {"pk": "a"},
        users,
        "SET #n = :n ADD visits :one",
        expression_attribute_names={"#n": "name"},
        expression_attribute_values={":n": "Ada", ":one": 1},
        return_values="ALL_NEW",
    )
    assert made["Attributes"] == {"pk": "a", "name": "Ada", "visits": 1}
    more = await db.update(
        {"pk": "a"},
        users,
        "ADD visits :one",
        expression_attribute_values={":one": 2},
        return_values="UPDATED_NEW",
    )
    assert more["Attributes"] == {"visits": 3}
    none = await db.update({"pk": "a"}, users, "REMOVE visits")
    assert "Attributes" not in none
    assert none["Metrics"]["requests"] == 1
    assert (await db.get({"pk": "a"}, users)).get("Item") == {"pk": "a", "name": "Ada"}


async def test_an_update_on_a_condition(db: DynamoDB, two: tuple[str, str]) -> None:
    with pytest.raises(ConditionFailed, match="UpdateItem on") as caught:
        await db.update(
            {"pk": "nobody"},
            two[0],
            "SET v = :v",
            condition_expression="attribute_exists(pk)",
            expression_attribute_values={":v": 1},
        )
    assert caught.value.operation == "UpdateItem"
    assert not caught.value.after_retry
    with pytest.raises(InvalidItem, match="key"):
        await db.update({"pk": float("nan")}, two[0], "REMOVE a")


async def count_of(db: DynamoDB, table: str) -> Any:
    return (await db.get({"pk": "a"}, table)).get("Item", {}).get("hits")


UNCLEAR = [Fault.truncated(), Fault.reset_after(), Fault.hang_up_after()]


@pytest.mark.parametrize("fault", UNCLEAR, ids=str)
async def test_an_update_that_counts_is_not_sent_again(
    fault: Fault, backend: Backend, two: tuple[str, str], connect: Connect, sent: SentLog
) -> None:
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url)
        proxy.script([fault], operation="UpdateItem")
        with pytest.raises(WireError) as caught:
            await db.update(
                {"pk": "a"}, two[0], "ADD hits :one", expression_attribute_values={":one": 1}
            )
        assert caught.value.ambiguous
        assert sent.operations == ["UpdateItem"]
        # It took effect, as it may; once.
        assert await count_of(db, two[0]) == 1


@pytest.mark.parametrize("fault", UNCLEAR, ids=str)
async def test_an_update_that_may_be_is_sent_again(
    fault: Fault, backend: Backend, two: tuple[str, str], connect: Connect
) -> None:
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url)
        values = {":v": 7}
        proxy.script([fault], operation="UpdateItem")
        await db.update({"pk": "a"}, two[0], "SET hits = :v", expression_attribute_values=values)
        assert await count_of(db, two[0]) == 7
        proxy.script([fault], operation="UpdateItem")
        # The caller knows better: here the hits may count twice.
        await db.update(
            {"pk": "a"},
            two[0],
            "ADD hits :v",
            expression_attribute_values=values,
            idempotent=True,
        )
        assert await count_of(db, two[0]) == 21
        for careful in ({"idempotent": False}, {"return_values": "ALL_OLD"}):
            proxy.script([fault], operation="UpdateItem")
            with pytest.raises(WireError):
                await db.update(
                    {"pk": "a"},
                    two[0],
                    "SET hits = :v",
                    expression_attribute_values=values,
                    **careful,
                )


async def test_what_surely_did_nothing_is_sent_again(
    backend: Backend, two: tuple[str, str], connect: Connect
) -> None:
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url)
        proxy.script([Fault.throttle(), Fault.throttle()], operation="UpdateItem")
        answer = await db.update(
            {"pk": "a"}, two[0], "ADD hits :one", expression_attribute_values={":one": 1}
        )
        assert answer["Metrics"]["requests"] == 3
        assert await count_of(db, two[0]) == 1
        proxy.script([Fault.internal_error(executed=True)], operation="UpdateItem")
        with pytest.raises(ServiceError) as caught:
            await db.update(
                {"pk": "a"}, two[0], "ADD hits :one", expression_attribute_values={":one": 1}
            )
        assert caught.value.ambiguous
        assert await count_of(db, two[0]) == 2
