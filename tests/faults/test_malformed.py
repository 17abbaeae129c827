"""Answers that are none: a typed error with the account, and never a hang, a loop or a loss."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch import BatchError, DynamoDB, Retry, WireError, codec
from aiobatch.engine.ledger import Ledger, State
from aiobatch.engine.requests import BatchGet, BatchWrite
from aiobatch.testing import Fault, FaultProxy, Malformation
from tests.backends import Backend
from tests.conftest import TableFactory
from tests.engine.calls import keys_of

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

HOWS: tuple[Malformation, ...] = get_args(Malformation)
OF_SINGLE_ITEMS = ("not_json", "not_utf8", "empty_body", "list", "wrong_shape", "unknown_type")
ONCE_MORE = Retry(max_retries=1, base_delay=0.0)
ITEMS = [{"pk": f"{n:02}", "v": n} for n in range(20)]
KEYS = [{"pk": item["pk"]} for item in ITEMS]


@pytest.fixture
async def proxy(backend: Backend) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(backend.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
async def db(proxy: FaultProxy) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=proxy.endpoint_url, retry=ONCE_MORE) as db:
        yield db


async def stored(client: "DynamoDBClient", table: str) -> set[str]:
    page = await client.scan(TableName=table, ConsistentRead=True)
    return {str(item["pk"]["S"]) for item in page["Items"]}


async def test_one_malformed_answer_costs_one_retry(
    proxy: FaultProxy, db: DynamoDB, table: TableFactory
) -> None:
    name = await table()
    await db.get({"pk": "any"}, name)  # which teaches the table's key names
    for how in HOWS:
        proxy.script([Fault.malformed(how)])
        written = await db.batch_write_item(ITEMS, name)
        assert (written["ProcessedCount"], written["Metrics"]["requests"]) == (20, 2), how
        proxy.script([Fault.malformed(how)])
        read = await db.batch_get_item(KEYS, name)
        assert (read["Items"], read["Metrics"]["requests"]) == (ITEMS, 2), how
        assert proxy.unused == 0


async def test_reads_that_stay_malformed_end_with_their_account(
    proxy: FaultProxy, db: DynamoDB, table: TableFactory
) -> None:
    name = await table()
    await db.batch_write_item(ITEMS, name)
    for how in HOWS:
        proxy.always(Fault.malformed(how), operation="BatchGetItem")
        with pytest.raises(BatchError) as caught:
            await db.batch_get_item(KEYS, name)
        proxy.clear()
        response = caught.value.response
        assert isinstance(caught.value.cause, WireError), how
        assert "malformed answer" in str(caught.value)
        assert response["Metrics"]["requests"] == 2, how
        assert response["MissingKeys"] == []
        # Whatever could be read of it was read, and nothing of it was lost.
        found = {item["pk"] for item in response["Items"]}
        left = {key["pk"] for key in response["UnprocessedKeys"]}
        assert not found & left, how
        assert found | left == {key["pk"] for key in KEYS}, how
        assert all(item in ITEMS for item in response["Items"]), how
        assert left, how


async def test_writes_that_stay_malformed_end_unknown(
    proxy: FaultProxy, db: DynamoDB, table: TableFactory, raw_client: "DynamoDBClient"
) -> None:
    name = await table()
    await db.batch_write_item(ITEMS, name)
    for how in HOWS:
        proxy.always(Fault.malformed(how), operation="BatchWriteItem")
        with pytest.raises(BatchError) as caught:
            await db.batch_write_item(KEYS, name, operation="delete")
        proxy.clear()
        response = caught.value.response
        assert isinstance(caught.value.cause, WireError), how
        assert response["UnknownItems"] == KEYS, how
        assert (response["ProcessedCount"], response["UnprocessedCount"]) == (0, 0), how
        assert response["Metrics"]["requests"] == 2, how
    # They were executed each time, which is why they are unknown and not unprocessed.
    assert await stored(raw_client, name) == set()


@pytest.mark.parametrize("how", OF_SINGLE_ITEMS)
async def test_single_items_are_asked_for_again_then_fail(
    how: Malformation, proxy: FaultProxy, db: DynamoDB, table: TableFactory
) -> None:
    name = await table()

    async def read() -> Any:
        return (await db.get({"pk": "a"}, name))["Item"]

    async def write() -> Any:
        return (await db.save({"pk": "a", "v": 1}, name, return_values="ALL_OLD"))["Attributes"]

    async def query() -> Any:
        condition, values = "pk = :pk", {":pk": "a"}
        rows = db.query(name, condition, expression_attribute_values=values)
        (only,) = [item async for item in rows]
        return only

    await db.save({"pk": "a", "v": 1}, name)
    for call in (read, write, query):
        if call is query and how == "unknown_type":
            # An item of a page is decoded when its turn comes, past the retries.
            continue
        proxy.script([Fault.malformed(how)])
        assert await call() == {"pk": "a", "v": 1}
        assert proxy.unused == 0
        sent = len(proxy.requests)
        proxy.always(Fault.malformed(how))
        with pytest.raises(WireError, match="malformed answer"):
            await call()
        assert len(proxy.requests) - sent == 2
        proxy.clear()


async def test_a_query_with_an_unknown_type_fails_with_a_typed_error(
    proxy: FaultProxy, db: DynamoDB, table: TableFactory
) -> None:
    name = await table()
    proxy.always(Fault.malformed("unknown_type"), operation="Query")
    with pytest.raises(WireError, match="malformed answer"):
        async for _ in db.query(name, "pk = :pk", expression_attribute_values={":pk": "a"}):
            pass


async def test_a_table_whose_description_is_malformed_is_described_again(
    proxy: FaultProxy, db: DynamoDB, table: TableFactory
) -> None:
    name = await table()
    for how in ("not_json", "list", "wrong_shape"):
        async with DynamoDB(endpoint_url=proxy.endpoint_url, retry=ONCE_MORE) as fresh:
            proxy.script([Fault.malformed(how)], operation="DescribeTable")
            assert (await fresh.batch_write_item(ITEMS, name))["ProcessedCount"] == 20
            fresh_again = DynamoDB(wire=(await fresh._engine()).wire, retry=ONCE_MORE)
            proxy.always(Fault.malformed(how), operation="DescribeTable")
            with pytest.raises(BatchError, match="malformed answer") as caught:
                await fresh_again.batch_write_item(ITEMS, name)
            assert caught.value.response["UnprocessedItems"] == ITEMS
            await fresh_again.aclose()
            proxy.clear()


# ---------------------------------------------------------------------- any answer whatever

json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "0000001", "pk", "S"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["pk", "S", "N", "X", "Keys", "PutRequest", "DeleteRequest", "Key", "t"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
key = st.integers(0, 5).map(lambda n: {"pk": {"S": f"{n:07}"}})
item = key.map(lambda found: {**found, "v": {"N": "1"}}) | json
answers = st.fixed_dictionaries(
    {},
    optional={
        "Responses": st.dictionaries(st.just("t"), st.lists(item, max_size=6) | json) | json,
        "UnprocessedKeys": st.dictionaries(
            st.just("t"), st.fixed_dictionaries({"Keys": st.lists(key, max_size=6) | json}) | json
        )
        | json,
        "UnprocessedItems": st.dictionaries(
            st.just("t"),
            st.lists(
                st.builds(lambda found: {"DeleteRequest": {"Key": found}}, key) | json, max_size=6
            )
            | json,
        )
        | json,
        "ConsumedCapacity": json,
    },
)


@given(answers | json, st.booleans())
def test_no_answer_whatever_breaks_the_account(answer: Any, reads: bool) -> None:
    keys = keys_of(4)
    requests: BatchGet | BatchWrite
    if reads:
        requests = BatchGet(
            "t",
            keys,
            ("pk",),
            numbers="native",
            projection=None,
            consistent_read=False,
            capacity="NONE",
        )
    else:
        requests = BatchWrite("t", keys, keys, ("pk",), deletes=True, capacity="NONE")
    ledger = Ledger(4, writes=not reads)
    ledger.depart(range(4))
    steps = requests.settle(orjson.dumps(answer), range(4), ledger)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        settled = end.value
        pending = [entry for entry in range(4) if ledger.is_pending(entry)]
        assert sorted(settled.left) == pending
        assert settled.ended == 4 - len(pending)
    except codec.Malformed:
        pass
    counts = ledger.counts()
    assert sum(counts.values()) == 4
    if reads:
        found = [entry for entry in range(4) if requests.items[entry] is not None]  # type: ignore[union-attr]
        assert len(found) == counts[State.PROCESSED]


async def test_a_server_that_answers_nonsense_for_ever_is_left_alone(
    proxy: FaultProxy, db: DynamoDB, table: TableFactory
) -> None:
    name = await table()
    proxy.randomly({Fault.malformed(how): 0.1 for how in HOWS}, seed=4, operation="BatchGetItem")
    async with asyncio.timeout(30):
        with pytest.raises(BatchError) as caught:
            await db.batch_get_item([{"pk": str(n)} for n in range(1_000)], name)
    response = caught.value.response
    assert response["Count"] + len(response["MissingKeys"]) + len(response["UnprocessedKeys"]) == (
        1_000
    )
    assert response["Metrics"]["requests"] == 20
