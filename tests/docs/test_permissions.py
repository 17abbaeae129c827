"""docs/permissions.md: each call sends the requests that it says, and no other."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from aiobatch import ConditionCheck, Delete, DynamoDB, Get, Put, Update
from aiobatch.bulk.create import create_table
from aiobatch.testing import FaultProxy
from aiobatch.wire.placeholders import OPERATIONS
from tests.docs.blocks import ROOT, fenced
from tests.docs.test_facts import rows

PAGE = ROOT / "docs" / "permissions.md"
KEY = {"pk": "user#1", "sk": "profile"}
NAMES = {"users": ("pk", "sk")}


async def _iter_get(db: DynamoDB) -> None:
    async with db.iter_get([KEY], "users") as items:
        assert [item async for item in items]


async def _writer(db: DynamoDB) -> None:
    async with db.batch_writer("users") as writer:
        await writer.put(KEY)


async def _query(db: DynamoDB) -> None:
    values = {":pk": "user#1"}
    assert [
        item async for item in db.query("users", "pk = :pk", expression_attribute_values=values)
    ]


async def _scan(db: DynamoDB) -> None:
    assert [item async for item in db.scan("users")]


async def _scan_pages(db: DynamoDB) -> None:
    assert [page async for page in db.scan_pages("users")]


# By the first cell of a row: ways to make it, each on a client that knows nothing of the table.
CALLS: dict[str, list[Callable[[DynamoDB], Any]]] = {
    "`batch_get_item`, `batch_get`, `iter_get`, `loader`": [
        lambda db: db.batch_get_item([KEY], "users"),
        lambda db: db.batch_get({"users": [KEY]}),
        _iter_get,
        lambda db: db.loader("users").load(KEY),
    ],
    "`batch_write_item`, `batch_write`, `bulk_write`, `batch_writer`": [
        lambda db: db.batch_write_item([KEY], "users"),
        lambda db: db.batch_write({"users": [Put(KEY)]}),
        lambda db: db.bulk_write([KEY], "users"),
        lambda db: db.bulk_write([KEY], "users", operation="delete"),
        _writer,
    ],
    "the same with `key_names=`": [],
    "deletes alone, in `batch_write_item` and `batch_write`": [
        lambda db: db.batch_write_item([KEY], "users", operation="delete"),
        lambda db: db.batch_write({"users": [Delete(KEY)]}),
    ],
    "`get`": [lambda db: db.get(KEY, "users")],
    "`save`": [lambda db: db.save(KEY, "users")],
    "`save` with `fail_if_exists`": [
        lambda db: db.save({**KEY, "sk": "new"}, "users", fail_if_exists=True)
    ],
    "`save` with `fail_if_exists` and `key_names=`": [],
    "`delete`": [lambda db: db.delete(KEY, "users")],
    "`update`": [lambda db: db.update(KEY, "users", "REMOVE age")],
    "`query`": [_query],
    "`scan`, `scan_pages`": [_scan, _scan_pages],
    "`aiobatch load --create-table`, before it loads": [
        lambda db: create_table(db, "created", {"pk": "S"})
    ],
    "`transact_get_items`": [lambda db: db.transact_get_items([Get(KEY, "users")])],
    "`transact_write_items`": [
        lambda db: db.transact_write_items(
            [
                Put({**KEY, "sk": "a"}, "users"),
                Delete({**KEY, "sk": "b"}, "users"),
                Update({**KEY, "sk": "c"}, "users", "REMOVE age"),
                ConditionCheck(KEY, "users", "attribute_exists(pk)"),
            ]
        )
    ],
}
WITH_NAMES: dict[str, list[Callable[[DynamoDB], Any]]] = {
    "the same with `key_names=`": CALLS[
        "`batch_write_item`, `batch_write`, `bulk_write`, `batch_writer`"
    ],
    "`save` with `fail_if_exists` and `key_names=`": CALLS["`save` with `fail_if_exists`"],
}
TOLD = {call: (asked.split(", "), actions) for call, asked, actions in rows(PAGE.read_text())}
EACH = [
    pytest.param(row, make, names, id=f"{row}-{'named' if names else 'unnamed'}-{number}")
    for calls, names in ((CALLS, None), (WITH_NAMES, NAMES))
    for row, ways in calls.items()
    for number, make in enumerate(ways)
]


@pytest.fixture
async def proxy(users: str, moto_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(moto_url) as proxy:
        yield proxy


@pytest.mark.parametrize(("row", "make", "names"), EACH)
async def test_a_call_sends_what_its_row_says(
    row: str,
    make: Callable[[DynamoDB], Any],
    names: dict[str, tuple[str, ...]] | None,
    proxy: FaultProxy,
) -> None:
    async with DynamoDB(endpoint_url=proxy.endpoint_url, key_names=names) as db:
        await make(db)
    assert [request.operation for request in proxy.requests] == TOLD[row][0]


def test_every_row_is_tried() -> None:
    assert list(CALLS) == list(TOLD)
    assert {row.values[0] for row in EACH} == set(TOLD)
    assert {name for asked, _ in TOLD.values() for name in asked} == set(OPERATIONS)


# IAM has no actions of these names: their operations are checked one by one.
_IN_TRANSACTIONS = {
    "TransactGetItems": {"GetItem"},
    "TransactWriteItems": {"PutItem", "DeleteItem", "UpdateItem", "ConditionCheckItem"},
}


@pytest.mark.parametrize("row", TOLD)
def test_the_actions_are_those_of_the_requests(row: str) -> None:
    asked, actions = TOLD[row]
    needed = set[str]().union(*(_IN_TRANSACTIONS.get(name, {name}) for name in asked))
    assert set(re.findall(r"`dynamodb:(\w+)`", actions)) == needed


def test_the_policy_allows_only_what_is_told() -> None:
    [block] = [block for block in fenced(PAGE) if block.language == "json"]
    policy = json.loads(block.code)
    told = {action for _, actions in TOLD.values() for action in re.findall(r"`([^`]+)`", actions)}
    for statement in policy["Statement"]:
        actions = statement["Action"]
        assert set([actions] if isinstance(actions, str) else actions) <= told
