"""Events: what hooks are told, in which order, and that they can do no harm."""

import asyncio
import logging
from collections import Counter
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from aiobatch import BatchError, Delete, DynamoDB, Put, Retry, ServiceError, TableNotFound
from aiobatch import events as module
from aiobatch.events import (
    CallFinished,
    CallStarted,
    CapacityConsumed,
    Event,
    LeftoversRequeued,
    RateChanged,
    RequestFailed,
    RequestFinished,
    RequestSent,
    RequestThrottled,
)
from aiobatch.testing import FakeWire, Fault

pytestmark = pytest.mark.looptime

TABLES = {"users": ("pk",), "orders": ("pk",)}
SECRET = "confidential"


class Watch(list[Event]):
    """A hook that keeps what it is told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self]


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire(TABLES)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def client(wire: FakeWire, watch: Any, **settings: Any) -> DynamoDB:
    return DynamoDB(wire=wire, hooks=[watch], key_names=TABLES, **settings)


def items(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"{SECRET}{n}", "v": SECRET} for n in range(count)]


async def test_a_call_that_goes_well(wire: FakeWire, watch: Watch) -> None:
    wire.always(Fault.latency(0.02))
    async with client(wire, watch) as db:
        answer = await db.batch_write_item(items(30), "users")
    assert Counter(watch.kinds) == {
        "CallStarted": 1,
        "RequestSent": 2,
        "RequestFinished": 2,
        "CallFinished": 1,
    }
    assert isinstance(watch[0], CallStarted)
    assert isinstance(watch[-1], CallFinished)
    assert {(e.operation, e.tables) for e in watch} == {("BatchWriteItem", ("users",))}
    assert len({event.call for event in watch}) == 1
    assert watch[0].entries == watch[-1].entries == 30
    sent, answered = watch.of(RequestSent), watch.of(RequestFinished)
    assert {event.request for event in sent} == {event.request for event in answered}
    assert sorted(event.entries for event in sent) == [5, 25]
    assert all(event.seconds == pytest.approx(0.02, abs=1e-3) for event in answered)
    end = watch[-1]
    assert end.counts == {"processed": 30}
    assert (end.error_type, end.request_id) == (None, None)
    assert end.bytes == sum(event.bytes for event in [*sent, *answered])
    assert end.bytes == answer["Metrics"]["bytes"]
    assert end.requests == 2


async def test_throttling_and_recovery(wire: FakeWire, watch: Watch) -> None:
    wire.script([Fault.throttle()])
    async with client(wire, watch) as db:
        await db.batch_write_item(items(5), "users")
        await asyncio.sleep(5)
        await db.batch_write_item(items(500), "users")
    assert watch.kinds[:6] == [
        "CallStarted",
        "RequestSent",
        "RequestFailed",
        "RequestThrottled",
        "RateChanged",
        "LeftoversRequeued",
    ]
    [failed] = watch.of(RequestFailed)
    assert failed.error_type == "ProvisionedThroughputExceededException"
    assert (failed.status, failed.entries) == (400, 5)
    assert failed.request_id
    [throttled] = watch.of(RequestThrottled)
    assert throttled.throttled_tables == ("users",)
    assert throttled.reasons == ("TableWriteProvisionedThroughputExceeded",)
    [requeued] = watch.of(LeftoversRequeued)
    assert (requeued.entries, requeued.delay, requeued.error_type) == (5, 0.1, None)
    rates = [event.rate for event in watch.of(RateChanged)]
    assert all(event.direction == "write" for event in watch.of(RateChanged))
    # It fell once, and was told again when it had grown by a tenth.
    assert rates == sorted(rates)
    assert 1 < len(rates) < 50
    first, second = watch.of(CallFinished)
    assert (first.throttled, first.retries, first.requests) == (1, 5, 2)
    assert (second.throttled, second.retries) == (0, 0)


async def test_entries_left_over_by_an_answer(wire: FakeWire, watch: Watch) -> None:
    wire.script([Fault.partial(0.4)])
    async with client(wire, watch) as db:
        await db.batch_write_item(items(10), "users")
    [left] = watch.of(LeftoversRequeued)
    assert (left.entries, left.error_type) == (4, None)
    assert [event.left for event in watch.of(RequestFinished)] == [4, 0]


async def test_a_call_that_fails(wire: FakeWire, watch: Watch) -> None:
    async with client(wire, watch) as db:
        with pytest.raises(BatchError):
            await db.batch_get_item([{"pk": SECRET}], "nobody")
    assert watch[-1].error_type == "ResourceNotFoundException"  # type: ignore[attr-defined]
    assert watch[-1].counts == {"unprocessed": 1}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "error_type"),
    [
        (Fault.internal_error(), "InternalServerError"),
        (Fault.truncated(), "WireError"),
        (Fault.malformed("list"), "WireError"),
    ],
)
async def test_requests_that_fail(
    fault: Fault, error_type: str, wire: FakeWire, watch: Watch
) -> None:
    wire.always(Fault.latency(0.02))
    wire.script([fault])
    async with client(wire, watch) as db:
        await db.batch_get_item([{"pk": SECRET}], "users")
    [failed] = watch.of(RequestFailed)
    assert failed.error_type == error_type
    assert (failed.tables, failed.entries) == (("users",), 1)
    assert failed.seconds == pytest.approx(0.02, abs=1e-3)
    assert failed.request == watch.of(RequestSent)[0].request
    assert [event.error_type for event in watch.of(LeftoversRequeued)] == [error_type]
    # Each request ends once.
    ends = Counter(e.request for e in watch if isinstance(e, RequestFinished | RequestFailed))
    assert set(ends.values()) == {1}
    assert len(ends) == len(watch.of(RequestSent)) == 2


async def test_a_free_retry_is_a_request_of_its_own(wire: FakeWire, watch: Watch) -> None:
    wire.script([Fault.hang_up_before()])
    async with client(wire, watch) as db:
        await db.get({"pk": SECRET}, "users")
    assert watch.kinds == [
        "CallStarted",
        "RequestSent",
        "RequestFailed",
        "RequestSent",
        "RequestFinished",
        "CallFinished",
    ]
    assert watch[-1].requests == 2  # type: ignore[attr-defined]


async def test_calls_on_one_item(wire: FakeWire, watch: Watch) -> None:
    wire.script([Fault.throttle()], operation="PutItem")
    async with client(wire, watch) as db:
        await db.save({"pk": SECRET}, "users")
        await db.delete({"pk": SECRET}, "users")
        with pytest.raises(TableNotFound):
            await db.get({"pk": SECRET}, "nobody")
    ends = watch.of(CallFinished)
    assert [event.operation for event in ends] == ["PutItem", "DeleteItem", "GetItem"]
    assert [event.error_type for event in ends] == [None, None, "ResourceNotFoundException"]
    assert [event.counts for event in ends] == [
        {"processed": 1},
        {"processed": 1},
        {"unprocessed": 1},
    ]
    assert (ends[0].retries, ends[0].throttled) == (1, 1)
    [requeued] = watch.of(LeftoversRequeued)
    assert (requeued.tables, requeued.entries, requeued.delay) == (("users",), 1, 0.1)
    assert requeued.error_type == "ProvisionedThroughputExceededException"
    [throttled] = watch.of(RequestThrottled)
    assert throttled.tables == throttled.throttled_tables == ("users",)
    assert throttled.reasons == ("TableWriteProvisionedThroughputExceeded",)
    [paced] = watch.of(RateChanged)
    assert (paced.tables, paced.direction) == (("users",), "write")


async def test_what_a_call_on_one_item_tells(wire: FakeWire, watch: Watch) -> None:
    async with client(wire, watch) as db:
        await db.save({"pk": SECRET}, "users")
    started, sent, finished, ended = watch
    assert isinstance(started, CallStarted)
    assert isinstance(sent, RequestSent)
    assert isinstance(finished, RequestFinished)
    assert isinstance(ended, CallFinished)
    assert {event.tables for event in watch} == {("users",)}
    assert started.entries == sent.entries == finished.entries == ended.entries == 1
    assert finished.left == 0


@pytest.mark.parametrize(
    ("fault", "written", "read"),
    [
        (Fault.internal_error(), "unknown", "unprocessed"),
        (Fault.throttle(), "unprocessed", "unprocessed"),
    ],
)
async def test_what_became_of_one_item(
    fault: Fault, written: str, read: str, wire: FakeWire, watch: Watch
) -> None:
    wire.always(fault)
    async with client(wire, watch, retry=Retry(max_retries=0)) as db:
        for calling in (db.save({"pk": SECRET}, "users"), db.get({"pk": SECRET}, "users")):
            with pytest.raises(ServiceError):
                await calling
    assert [event.counts for event in watch.of(CallFinished)] == [{written: 1}, {read: 1}]


async def test_what_became_of_one_item_that_was_cancelled(wire: FakeWire, watch: Watch) -> None:
    wire.always(Fault.latency(10.0))
    async with client(wire, watch) as db:
        for calling in (db.save({"pk": SECRET}, "users"), db.get({"pk": SECRET}, "users")):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(calling, 1.0)
    ends = watch.of(CallFinished)
    assert [event.counts for event in ends] == [{"unknown": 1}, {"unprocessed": 1}]


async def test_a_description_is_a_call_of_its_own(wire: FakeWire, watch: Watch) -> None:
    async with DynamoDB(wire=wire, hooks=[watch]) as db:
        answer = await db.batch_write_item(items(1), "users")
    described, wrote = watch.of(CallFinished)
    assert (described.operation, described.requests) == ("DescribeTable", 1)
    assert (wrote.operation, wrote.requests) == ("BatchWriteItem", 1)
    assert answer["Metrics"]["requests"] == 2


async def test_a_throttled_description_tells_of_no_pace(wire: FakeWire, watch: Watch) -> None:
    """It takes none of the table's capacity."""
    wire.script([Fault.throttle()], operation="DescribeTable")
    async with DynamoDB(wire=wire, hooks=[watch]) as db:
        await db.batch_write_item(items(1), "users")
    assert [event.operation for event in watch.of(RequestThrottled)] == ["DescribeTable"]
    assert watch.of(RateChanged) == []


async def test_several_tables(wire: FakeWire, watch: Watch) -> None:
    async with client(wire, watch) as db:
        await db.batch_write({"users": [Put({"pk": SECRET})], "orders": [Delete({"pk": SECRET})]})
    assert {event.tables for event in watch} == {("users", "orders")}
    assert watch[-1].counts == {"processed": 2}  # type: ignore[attr-defined]


async def test_a_stream_is_one_call(wire: FakeWire, watch: Watch) -> None:
    """Its entries come while it runs, so only its end tells how many they were."""
    wire.script([Fault.partial(0.5)])
    wire.always(Fault.latency(0.01))
    async with client(wire, watch) as db:
        async with db.batch_writer("users", max_pending=30) as writer:
            for item in items(100):
                await writer.put(item)
        written = watch.copy()
        watch.clear()
        keys = [{"pk": item["pk"]} for item in items(110)]
        async with db.iter_get(keys, "users", max_pending=40) as stream:
            assert len([item async for item in stream]) == 100
    for told, operation, counts in (
        (written, "BatchWriteItem", {"processed": 100}),
        (list(watch), "BatchGetItem", {"processed": 100, "missing": 10}),
    ):
        assert {(e.operation, e.tables) for e in told} == {(operation, ("users",))}
        start, end = told[0], told[-1]
        assert isinstance(start, CallStarted)
        assert isinstance(end, CallFinished)
        assert start.entries == 0
        assert (end.entries, end.counts) == (sum(counts.values()), counts)
        assert (end.error_type, start.call) == (None, end.call)
        finished = [event for event in told if isinstance(event, RequestFinished)]
        assert sum(event.entries - event.left for event in finished) == end.entries
        assert end.requests == len(finished)


async def test_a_stream_that_is_left_tells_what_became_of_its_entries(
    wire: FakeWire, watch: Watch
) -> None:
    wire.put("users", items(60))
    keys = [{"pk": item["pk"]} for item in items(60)]
    async with client(wire, watch) as db, db.iter_get(keys, "users", max_pending=20) as stream:
        await anext(stream)
        wire.always(Fault.latency(1.0))
        await asyncio.sleep(0.1)
    [end] = watch.of(CallFinished)
    assert end.error_type == "CancelledError"
    assert end.entries == sum(end.counts.values()) <= 60
    assert end.counts["processed"] >= 20


async def test_a_loader_tells_of_each_batch(wire: FakeWire, watch: Watch) -> None:
    wire.put("users", items(3))
    async with client(wire, watch) as db:
        loader = db.loader("users")
        await loader.load_many([{"pk": item["pk"]} for item in items(4)])
    assert watch.kinds == ["CallStarted", "RequestSent", "RequestFinished", "CallFinished"]
    assert watch[-1].counts == {"processed": 3, "missing": 1}  # type: ignore[attr-defined]


async def test_a_cancelled_call_is_finished(wire: FakeWire, watch: Watch) -> None:
    wire.always(Fault.latency(1.0))
    async with client(wire, watch) as db:
        call = asyncio.create_task(db.batch_write_item(items(1), "users"))
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert watch[-1].error_type == "CancelledError"  # type: ignore[attr-defined]
    assert watch[-1].counts == {"unknown": 1}  # type: ignore[attr-defined]
    assert [event.error_type for event in watch.of(RequestFailed)] == ["CancelledError"]


async def test_a_hook_that_raises_harms_nothing(
    wire: FakeWire, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise LookupError(SECRET)

    db = DynamoDB(wire=wire, hooks=[broken, watch], key_names=TABLES)
    async with db:
        assert (await db.batch_write_item(items(30), "users"))["ProcessedCount"] == 30
    assert len(watch) == 6
    assert len(caplog.records) == 6
    assert "broken raised LookupError at a CallStarted" in caplog.text
    assert SECRET not in caplog.text


async def test_hooks_are_of_a_client_even_where_the_engine_is_shared(
    wire: FakeWire, watch: Watch
) -> None:
    async with client(wire, watch), DynamoDB(wire=wire, key_names=TABLES) as other:
        await other.batch_write_item(items(1), "users")
    assert watch == []


async def test_no_hook_means_no_event(wire: FakeWire, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_event(*_: Any, **__: Any) -> None:
        raise AssertionError("an event was made for nobody")

    for kind in vars(module).values():
        if isinstance(kind, type) and issubclass(kind, Event):
            monkeypatch.setattr(kind, "__init__", no_event)
    wire.script([Fault.throttle(), Fault.partial(0.5), Fault.internal_error()])
    async with DynamoDB(wire=wire, key_names=TABLES, retry=Retry(max_retries=20)) as db:
        assert (await db.batch_write_item(items(100), "users"))["ProcessedCount"] == 100
        await db.get({"pk": "a"}, "users")


async def test_with_debug_events_are_logged_and_nothing_else_is(
    wire: FakeWire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script([Fault.throttle(), Fault.partial(0.5), Fault.validation(SECRET), Fault.truncated()])
    with caplog.at_level(logging.DEBUG, logger="aiobatch"):
        async with DynamoDB(wire=wire, key_names=TABLES) as db:
            await db.batch_write_item(items(40), "users")
            await db.batch_get_item([{"pk": SECRET}], "users")
    assert "CallFinished(call=" in caplog.text
    assert "RequestThrottled(call=" in caplog.text
    assert SECRET not in caplog.text


async def test_what_is_no_hook_is_refused(wire: FakeWire) -> None:
    wrong: Any = "print"
    with pytest.raises(TypeError, match="hooks must be callable"):
        DynamoDB(wire=wire, hooks=[wrong])


def test_events_are_frozen_and_hold_no_payload() -> None:
    plain = {"int", "float", "str", "int | None", "str | None", "tuple[str, ...]"}
    plain |= {'Literal["read", "write"]', "Literal['read', 'write']", "Mapping[str, int]"}
    for name in module.__all__:
        kind = getattr(module, name)
        if name != "Hook":
            assert {str(field.type) for field in fields(kind)} <= plain, name
    event = CallStarted(call=1, operation="GetItem", tables=(), entries=1)
    with pytest.raises(FrozenInstanceError):
        event.entries = 2  # type: ignore[misc]


async def test_what_answers_tell_of_capacity_is_told(wire: FakeWire, watch: Watch) -> None:
    async with client(wire, watch) as db:
        await db.batch_write_item(items(30), "users", return_consumed_capacity="TOTAL")
        written = [(event.tables, event.units) for event in watch.of(CapacityConsumed)]
        assert sorted(written) == [(("users",), 5.0), (("users",), 25.0)]
        watch.clear()
        await db.get({"pk": "a"}, "users", return_consumed_capacity="TOTAL")
        [told] = watch.of(CapacityConsumed)
        assert (told.operation, told.units) == ("GetItem", 0.5)
        watch.clear()
        await db.batch_write_item(items(30), "users")
        assert watch.of(CapacityConsumed) == []
