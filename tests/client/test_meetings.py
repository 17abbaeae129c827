"""Two things that happen at once, and answers that no server should give."""

import asyncio
from typing import Any

import orjson
import pytest

from aiobatch import (
    BatchError,
    BatchTimeout,
    ClientClosed,
    DynamoDB,
    Get,
    Put,
    Retry,
    WireError,
    sharing,
)
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire({"t": ("id",)})


@pytest.mark.looptime
async def test_closing_while_a_timeout_passes(wire: FakeWire) -> None:
    wire.always(Fault.silence())
    db = DynamoDB(wire=wire)
    keys = [{"id": str(number)} for number in range(300)]
    reading = asyncio.create_task(db.batch_get_item(keys, "t", timeout=1.0))
    await asyncio.sleep(0)
    # Due at the very moment of the timeout, and just after it.
    await asyncio.sleep(1.0)
    assert not reading.done()
    await db.aclose()
    await asyncio.wait([reading])
    error = reading.exception()
    assert isinstance(error, BatchTimeout | ClientClosed)
    assert error.response is not None
    assert error.response["UnprocessedKeys"] == keys
    assert wire.in_flight == 0


async def test_a_timeout_of_the_wires_own_is_not_the_calls(
    wire: FakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(_: Request) -> bytes:
        raise TimeoutError("of a hook")

    monkeypatch.setattr(wire, "send", send)
    async with DynamoDB(wire=wire) as db:
        with pytest.raises(TimeoutError, match="of a hook"):
            await db.get({"id": "1"}, "t")


@pytest.mark.looptime
async def test_calls_that_need_key_names_at_once_ask_once(wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db:
        await asyncio.gather(
            *[db.batch_write_item([{"id": str(number)}], "t") for number in range(5)]
        )
    asked = [request.operation for request in wire.requests]
    assert asked.count("DescribeTable") == 1
    assert len(wire.items("t")) == 5


@pytest.mark.looptime
async def test_calls_that_find_key_names_stale_at_once_ask_once(wire: FakeWire) -> None:
    wire.put("t", [{"id": "1"}, {"id": "2"}])
    wire.always(Fault.latency(1.0), operation="DescribeTable")
    async with DynamoDB(wire=wire) as db:
        # As it was called before the table was made anew.
        (await db._engine()).schemas.learn("t", ("pk",))
        found = await asyncio.gather(*[db.get({"id": number}, "t") for number in "12"])
    assert [answer["Item"] for answer in found] == [{"id": "1"}, {"id": "2"}]
    asked = [request.operation for request in wire.requests]
    assert asked.count("DescribeTable") == 1


def test_a_loop_that_was_closed_in_a_hurry_is_forgotten(wire: FakeWire) -> None:
    """Without ``shutdown_asyncgens()``, which ``asyncio.run()`` would have called."""
    db = DynamoDB(wire=wire)

    async def read() -> Any:
        return await db.get({"id": "1"}, "t")

    hurried = asyncio.new_event_loop()
    hurried.run_until_complete(read())
    hurried.close()
    assert hurried in sharing._open
    with asyncio.Runner() as runner:
        assert "Item" not in runner.run(read())
        assert hurried not in sharing._open
        runner.run(db.aclose())


@pytest.mark.looptime
@pytest.mark.parametrize("turns", [None, *range(20)])
async def test_a_slot_that_comes_when_the_table_is_throttled_is_given_back(
    turns: int | None,
) -> None:
    """A call may be let through, wait for a slot, and get it just when its table is throttled."""
    wire = FakeWire({"t": ("id",)})
    wire.always(Fault.latency(1.0))
    wire.script([Fault.throttle()])
    async with DynamoDB(wire=wire, max_concurrency=1) as db:
        first, second = [
            asyncio.create_task(db.batch_get_item([{"id": number}], "t")) for number in "12"
        ]
        await asyncio.sleep(0)
        # The first is throttled now, and the second gets its slot.
        await asyncio.sleep(1.0)
        if turns is not None:
            for _ in range(turns):
                await asyncio.sleep(0)
            second.cancel()
        async with asyncio.timeout(60):
            third = await db.batch_get_item([{"id": "3"}], "t")
            await asyncio.wait([first, second])
    assert third["MissingKeys"] == [{"id": "3"}]
    assert (await first)["MissingKeys"] == [{"id": "1"}]
    if turns is None:
        assert (await second)["MissingKeys"] == [{"id": "2"}]
    assert wire.peak_in_flight == 1


@pytest.mark.looptime
async def test_what_was_refused_costs_nothing_of_a_ceiling(wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()
    wire.script([Fault.hot_key_range()])
    items = [{"id": str(number)} for number in range(25)]
    names = {"t": ("id",)}
    async with DynamoDB(wire=wire, max_write_units=25.0, key_names=names) as db:
        began = loop.time()
        written = await db.batch_write_item(items, "t")
        # A tenth of a second for the retry, and not a second more for 25 units twice.
        assert loop.time() - began < 0.5
    assert written["ProcessedCount"] == 25


class Scripted:
    """A wire that gives these answers, one each."""

    max_concurrency = 10

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)

    async def send(self, request: Request) -> bytes:
        return orjson.dumps(self.answers.pop(0))

    async def aclose(self) -> None:
        pass


KEY = {"id": {"S": "1"}}


@pytest.mark.looptime
async def test_an_answer_in_which_nothing_ended_is_waited_out() -> None:
    """DynamoDB says otherwise, in an error; a server may not."""
    wire = Scripted(
        {"Responses": {"t": []}, "UnprocessedKeys": {"t": {"Keys": [KEY]}}},
        {"Responses": {"t": [KEY]}, "UnprocessedKeys": {}},
    )
    loop = asyncio.get_running_loop()
    async with DynamoDB(wire=wire) as db:
        began = loop.time()
        answer = await db.batch_get_item([{"id": "1"}], "t")
    assert (answer["Count"], answer["Metrics"]["retries"]) == (1, 1)
    assert loop.time() - began >= 0.1


@pytest.mark.looptime
@pytest.mark.parametrize("stranger", ["elsewhere", None])
async def test_capacity_of_a_table_that_was_not_asked_is_nobodys(stranger: str | None) -> None:
    told = [
        {"TableName": "t", "CapacityUnits": 1.0},
        {"TableName": stranger, "CapacityUnits": 1e6},
    ]
    wire = Scripted(
        {
            "Responses": {"t": [KEY], "u": [KEY]},
            "UnprocessedKeys": {},
            "ConsumedCapacity": told,
        },
        {"Responses": [{"Item": KEY}, {}], "ConsumedCapacity": [*told, "what is no capacity"]},
        {"Responses": {"t": [KEY], "u": [KEY]}, "UnprocessedKeys": {}},
    )
    loop = asyncio.get_running_loop()
    wanted = {"t": [{"id": "1"}], "u": [{"id": "1"}]}
    async with DynamoDB(wire=wire, max_read_units=10.0) as db:
        began = loop.time()
        assert (await db.batch_get(wanted))["Count"] == 2
        read = await db.transact_get_items([Get({"id": "1"}, "t"), Get({"id": "1"}, "u")])
        assert read["Items"] == [{"id": "1"}, None]
        assert (await db.batch_get(wanted))["Count"] == 2
        # A million units would have to be earned first, ten a second.
        assert loop.time() - began < 5


@pytest.mark.looptime
async def test_an_answer_about_another_table_is_none() -> None:
    answer = {"Responses": {"elsewhere": [KEY]}, "UnprocessedKeys": {}}
    wanted = {"t": [{"id": "1"}], "u": [{"id": "1"}]}
    async with DynamoDB(wire=Scripted(answer, answer), retry=Retry(max_retries=1)) as db:
        with pytest.raises(BatchError, match="a table that the request did not name") as caught:
            await db.batch_get(wanted)
    assert caught.value.response["UnprocessedKeys"] == wanted


@pytest.mark.looptime
async def test_a_throttled_transaction_slows_the_table_that_is_named() -> None:
    wire = FakeWire({"t": ("id",), "u": ("id",)})
    # The first table of the request is the one that its reasons name.
    wire.script([Fault.throttle()], operation="TransactWriteItems")
    async with DynamoDB(wire=wire) as db:
        await db.transact_write_items([Put({"id": "1"}, "t"), Put({"id": "1"}, "u")])
        engine = await db._engine()
        assert engine.governor("t", "write").pace.rate is not None
        assert engine.governor("u", "write").pace.rate is None
    assert len(wire.items("t")) == len(wire.items("u")) == 1


@pytest.mark.looptime
async def test_pages_of_a_scan_under_a_ceiling() -> None:
    items = [{"id": {"S": f"{number}"}} for number in range(120)]
    wire = Scripted(
        {
            "Items": items,
            "Count": 120,
            "LastEvaluatedKey": items[-1],
            "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 20.0},
        },
        {"Items": [], "Count": 0},
    )
    loop = asyncio.get_running_loop()
    async with DynamoDB(wire=wire, max_read_units=10.0) as db:
        began = loop.time()
        pages = [page async for page in db.scan_pages("t")]
        # The first page was 10 units in debt.
        assert loop.time() - began >= 0.9
    assert [page["Count"] for page in pages] == [120, 0]
    assert pages[0]["LastEvaluatedKey"] == {"id": "119"}
    assert "ConsumedCapacity" not in pages[1]


@pytest.mark.looptime
@pytest.mark.parametrize("last", [7, "a", [KEY]])
async def test_a_page_that_ends_nowhere_is_malformed(last: Any) -> None:
    wire = Scripted({"Items": [KEY], "Count": 1, "LastEvaluatedKey": last})
    async with DynamoDB(wire=wire) as db:
        with pytest.raises(WireError, match="LastEvaluatedKey"):
            _ = [item async for item in db.scan("t", retry=Retry(max_retries=0))]
