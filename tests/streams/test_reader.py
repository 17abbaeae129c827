"""``iter_get`` over a fake DynamoDB, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest

from aiobatch import (
    AccessDenied,
    BatchError,
    ClientClosed,
    DynamoDB,
    InvalidItem,
    ItemStream,
    ModelMismatch,
    Retry,
    Throttled,
)
from aiobatch.testing import Entry, FakeWire, Fault
from tests.streams.checks import assert_adds_up, assert_ended, sizes

pytestmark = pytest.mark.looptime

Item = dict[str, Any]


def item(number: int) -> Item:
    return {"pk": f"key-{number}", "n": number, "tags": ["a"]}


def key(number: int) -> Item:
    return {"pk": f"key-{number}"}


def keys(count: int, start: int = 0) -> Iterator[Item]:
    return (key(number) for number in range(start, start + count))


def is_key(number: int) -> Any:
    def matches(entry: Entry) -> bool:
        return bool(entry.value["pk"] == {"S": f"key-{number}"})

    return matches


@pytest.fixture
def wire() -> FakeWire:
    wire = FakeWire({"things": ("pk",)}, record_bodies=True)
    wire.put("things", [item(number) for number in range(2000)])
    return wire


async def collect(stream: ItemStream, found: list[Item] | None = None) -> list[Item]:
    """All items; those before an error stand in `found`."""
    found = [] if found is None else found
    async with stream as items:
        async for one in items:
            found.append(one)
    return found


def by_key(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda one: int(one["n"]))


# --- reading ---


async def test_every_key_is_answered(db: DynamoDB, wire: FakeWire) -> None:
    missing: list[Item] = []
    stream = db.iter_get(keys(2030), "things", on_missing=missing.append)
    found = []
    async with stream as items:
        async for one in items:
            found.append(one)
            assert_adds_up(items.report)
    assert by_key(found) == [item(number) for number in range(2000)]
    assert sorted(int(one["pk"][4:]) for one in missing) == list(range(2000, 2030))
    # Which of them leaves last is a matter of turns.
    assert sorted(sizes(wire)) == [30] + [100] * 20
    assert (stream.report.processed, stream.report.missing) == (2000, 30)
    assert_ended(stream.report)
    assert stream.report.metrics["requests"] == 21


async def test_an_async_source(db: DynamoDB, wire: FakeWire) -> None:
    async def source() -> AsyncIterator[Item]:
        for number in range(250):
            if number % 50 == 0:
                await asyncio.sleep(0.01)
            yield key(number)

    found = await collect(db.iter_get(source(), "things", max_wait=1.0))
    assert by_key(found) == [item(number) for number in range(250)]
    assert sizes(wire) == [100, 100, 50]


async def test_a_slow_source_is_not_waited_for(db: DynamoDB, wire: FakeWire) -> None:
    loop = asyncio.get_running_loop()

    async def source() -> AsyncIterator[Item]:
        for number in range(5):
            yield key(number)
        await asyncio.sleep(100)
        yield key(5)

    began = loop.time()
    async with db.iter_get(source(), "things") as items:
        for _ in range(5):
            await anext(items)
        assert loop.time() - began == pytest.approx(0.1, abs=0.02)
        assert (await anext(items))["n"] == 5
        with pytest.raises(StopAsyncIteration):
            await anext(items)


async def test_a_slow_consumer_gets_full_requests(db: DynamoDB, wire: FakeWire) -> None:
    async with db.iter_get(keys(1000), "things", max_pending=200) as items:
        async for _ in items:
            await asyncio.sleep(1.0)
            assert items.report.pending <= 201
    assert sizes(wire) == [100] * 10


async def test_no_keys_no_request(db: DynamoDB, wire: FakeWire) -> None:
    stream = db.iter_get([], "things")
    assert await collect(stream) == []
    assert wire.requests == []
    assert_ended(stream.report)


async def test_a_key_that_comes_again_is_answered_again(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    stream = db.iter_get([key(1), key(2), key(1), {"pk": "none"}, {"pk": "none"}], "things")
    async with stream as items:
        found = []
        async for one in items:
            one["tags"].append("mine")
            found.append(one)
    assert [one["n"] for one in by_key(found)] == [1, 1, 2]
    assert all(one["tags"] == ["a", "mine"] for one in found)
    assert sizes(wire) == [3]
    assert (stream.report.processed, stream.report.missing) == (3, 2)


async def test_the_options_of_a_read_are_those_of_a_batch(db: DynamoDB, wire: FakeWire) -> None:
    stream = db.iter_get(
        keys(1),
        "things",
        projection_expression="#n",
        expression_attribute_names={"#n": "n"},
        consistent_read=True,
    )
    assert await collect(stream) == [{"n": 0}]
    body = orjson.loads(wire.requests[0].body or b"")
    assert body["RequestItems"]["things"]["ConsistentRead"] is True


def checked(one: Item) -> int:
    """A model that refuses every seventh item."""
    if one["n"] % 7 == 0:
        raise ValueError(f"secret {one['n']}")
    return int(one["n"])


async def test_a_model_makes_each_item(db: DynamoDB, wire: FakeWire) -> None:
    missing: list[Item] = []
    stream = db.iter_get(
        [key(1), key(2), {"pk": "none"}, key(1)],
        "things",
        model=checked,
        on_missing=missing.append,
    )
    async with stream as items:
        assert sorted([one async for one in items]) == [1, 1, 2]
    assert missing == [{"pk": "none"}]
    assert_ended(stream.report)


async def test_what_a_model_refuses_is_in_the_error_and_in_the_account(
    db: DynamoDB, wire: FakeWire
) -> None:
    """Who goes on gets all the others; nothing is lost, and nothing is read again."""
    found: list[int] = []
    refused: list[ModelMismatch] = []
    async with db.iter_get(keys(300), "things", model=checked) as items:
        while True:
            try:
                found.append(await anext(items))
            except ModelMismatch as error:
                refused.append(error)
            except StopAsyncIteration:
                break
            assert_adds_up(items.report)
    assert sorted(found) == [number for number in range(300) if number % 7]
    for mismatch in refused:
        [(position, reason)] = mismatch.errors.items()
        assert mismatch.response["Items"] == [item(position)]
        assert isinstance(reason, ValueError)
        assert "secret" not in str(mismatch)
    assert sorted(next(iter(mismatch.errors)) for mismatch in refused) == list(range(0, 300, 7))
    assert items.report.processed == 300
    assert sizes(wire) == [100] * 3


async def test_a_refused_item_that_ends_the_block_leaves_the_rest_in_the_account(
    db: DynamoDB, wire: FakeWire
) -> None:
    found: list[Any] = []
    stream: ItemStream[Any] = db.iter_get(
        keys(300, start=1), "things", model=checked, max_pending=50
    )
    with pytest.raises(ModelMismatch) as caught:
        await collect(stream, found)
    report = stream.report
    assert_ended(report)
    assert report.processed == len(found) + 1
    [own] = caught.value.response["Items"]
    left = [int(one["pk"][4:]) for one in report.unprocessed_keys]
    assert sorted([*found, own["n"], *left]) == list(range(1, report.accepted + 1))
    assert caught.value.response["Count"] == report.processed


async def test_several_tasks_share_the_items(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(0.1))
    found: list[Item] = []

    async def work(items: ItemStream) -> int:
        count = 0
        async for one in items:
            found.append(one)
            count += 1
            await asyncio.sleep(0)
        return count

    async with db.iter_get(keys(1000), "things") as items:
        counts = await asyncio.gather(*[work(items) for _ in range(5)])
    assert all(counts)
    assert by_key(found) == [item(number) for number in range(1000)]


async def test_leftovers_are_repacked(db: DynamoDB, wire: FakeWire) -> None:
    wire.cut(60 * 40)
    wire.script([Fault.partial(0.3)] * 5)
    found = await collect(db.iter_get(keys(2000), "things"))
    assert by_key(found) == [item(number) for number in range(2000)]


async def test_requests_grow_again_after_answers_that_were_cut(
    db: DynamoDB, wire: FakeWire
) -> None:
    """One partition with large items does not make the rest of a long stream slow."""
    wire.put("things", [{**item(number), "blob": "x" * 100_000} for number in range(300)])
    wire.cut(2_000_000)
    wire.always(Fault.latency(0.01))

    async def source() -> AsyncIterator[Item]:
        for number in range(300):
            yield key(number)
        await asyncio.sleep(10)
        wire.cut(None)
        for number in range(300, 5000):
            yield key(number)

    stream = db.iter_get(source(), "things")
    async with stream as items:
        async for _ in items:
            pass
    assert stream.report.processed == 2000
    assert min(sizes(wire)[3:10]) < 30
    assert sizes(wire)[-10:-1] == [100] * 9


# --- leaving ---


class _Own(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 2, 99, 100, 101, 150, 299])
@pytest.mark.parametrize("how", ["break", "raise", "cancel", "body cancelled"])
async def test_leaving_in_every_position(
    db: DynamoDB, wire: FakeWire, after: int, how: str
) -> None:
    """Nothing more is sent, and each key is accounted for: handed out, or to be read again."""
    wire.always(Fault.latency(0.1))
    wire.script([Fault.none(), Fault.partial(0.5)])
    stream = db.iter_get(keys(2100), "things", max_pending=300)
    found: list[Item] = []
    before = asyncio.all_tasks()

    async def work() -> None:
        async with stream as items:
            if how == "cancel" and after == 0:
                await asyncio.sleep(1000)
            async for one in items:
                if len(found) == after:
                    # Got, and so handed out.
                    found.append(one)
                    if how == "break":
                        break
                    if how == "raise":
                        raise _Own
                    await asyncio.sleep(1000)
                found.append(one)

    task = asyncio.create_task(work())
    if how in ("cancel", "body cancelled"):
        await asyncio.sleep(50)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif how == "raise":
        with pytest.raises(_Own):
            await task
    else:
        await task
    sent = len(wire.requests)
    assert asyncio.all_tasks() <= before
    await asyncio.sleep(100)
    assert len(wire.requests) == sent
    assert wire.in_flight == 0
    report = stream.report
    assert_ended(report)
    assert report.processed == len(found)
    assert report.accepted < 2100
    left = [int(one["pk"][4:]) for one in report.unprocessed_keys]
    assert len(left) == report.unprocessed
    # What was taken from the source was handed out, or is left: exactly once.
    assert sorted([*left, *(one["n"] for one in found)]) == list(range(report.accepted))
    # And it can be read again.
    again = await collect(db.iter_get(report.unprocessed_keys, "things"))
    assert sorted(one["n"] for one in again) == sorted(left)


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_any_step(db: DynamoDB, wire: FakeWire, turns: int) -> None:
    before = asyncio.all_tasks()
    stream = db.iter_get(keys(500), "things")
    task = asyncio.create_task(collect(stream))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() <= before
    assert wire.in_flight == 0
    assert_ended(stream.report)


async def test_a_source_that_waits_is_left_at_once(db: DynamoDB, wire: FakeWire) -> None:
    closed = False

    async def source() -> AsyncIterator[Item]:
        nonlocal closed
        yield key(0)
        try:
            await asyncio.sleep(1000)
        finally:
            closed = True

    loop = asyncio.get_running_loop()
    began = loop.time()
    async with db.iter_get(source(), "things") as items:
        async for _ in items:
            break
    assert closed
    assert loop.time() - began < 1.0


async def test_outside_of_its_block(db: DynamoDB) -> None:
    stream = db.iter_get(keys(5), "things")
    with pytest.raises(RuntimeError, match="not entered"):
        await anext(stream)
    async with stream:
        pass
    with pytest.raises(RuntimeError, match="left"):
        await anext(stream)
    with pytest.raises(RuntimeError, match="before"):
        await collect(stream)


async def test_closing_the_client_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.script([Fault.none()])
    wire.always(Fault.silence())
    wire.script([Fault.none()])
    stream = db.iter_get(keys(500), "things", max_pending=300)
    found: list[Item] = []
    task = asyncio.create_task(collect(stream, found))
    await asyncio.sleep(1.0)
    await db.aclose()
    with pytest.raises(ClientClosed) as caught:
        await task
    assert caught.value.response is not None
    assert caught.value.response["Count"] == len(found) == stream.report.processed
    assert_ended(stream.report)
    with pytest.raises(ClientClosed):
        await collect(db.iter_get(keys(5), "things"))


# --- errors ---


@pytest.mark.parametrize("at", [0, 5, 150])
async def test_an_invalid_key_ends_it_after_those_before(
    db: DynamoDB, wire: FakeWire, at: int
) -> None:
    given = [*keys(at), {"pk": ""}, *keys(100, start=at)]
    stream = db.iter_get(given, "things")
    found: list[Item] = []
    with pytest.raises(InvalidItem) as caught:
        await collect(stream, found)
    assert caught.value.index == at
    assert caught.value.path == "pk"
    assert caught.value.response is not None
    assert caught.value.response["Count"] == at
    assert by_key(found) == [item(number) for number in range(at)]
    assert stream.report.invalid == 1
    assert_ended(stream.report)


async def test_what_was_read_ahead_of_an_invalid_key_is_in_the_account(db: DynamoDB) -> None:
    given: list[Item] = []

    def source() -> Iterator[Item]:
        for number in range(300):
            given.append({"pk": ""} if number == 130 else key(number))
            yield given[-1]

    stream = db.iter_get(source(), "things")
    with pytest.raises(InvalidItem) as caught:
        await collect(stream)
    response = caught.value.response
    assert response is not None
    assert response["Count"] == 130
    assert response["UnprocessedKeys"] == given[131:]
    assert len(given) < 130 + 100 + 1
    assert_ended(stream.report)


async def test_invalid_keys_can_be_collected(db: DynamoDB, wire: FakeWire) -> None:
    given = [{"pk": ""}, key(0), {"other": {}}, key(1), {"pk": 1, "sk": 2}]
    stream = db.iter_get(given, "things", on_invalid="collect")
    assert len(await collect(stream)) == 2
    assert [one["index"] for one in stream.report.invalid_keys] == [0, 2, 4]
    assert [one["item"] for one in stream.report.invalid_keys] == [given[0], given[2], given[4]]
    assert_ended(stream.report)


async def test_what_the_source_raises_comes_after_the_items(db: DynamoDB) -> None:
    def source() -> Iterator[Item]:
        yield from keys(130)
        raise _Own

    stream = db.iter_get(source(), "things")
    found: list[Item] = []
    with pytest.raises(_Own):
        await collect(stream, found)
    assert len(found) == 130
    assert_ended(stream.report)


async def test_leftovers_raise_after_the_items(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.partial(entry=is_key(7)))
    stream = db.iter_get(keys(300), "things", retry=Retry(max_retries=2))
    found: list[Item] = []
    with pytest.raises(BatchError) as caught:
        await collect(stream, found)
    assert isinstance(caught.value.cause, Throttled)
    assert len(found) == 299
    assert caught.value.response["UnprocessedKeys"] == [key(7)]
    assert "key-7" not in str(caught.value)
    assert_ended(stream.report)


async def test_rejected_keys_raise_after_the_items(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.validation(), entry=is_key(7))
    stream = db.iter_get(keys(300), "things")
    found: list[Item] = []
    with pytest.raises(BatchError) as caught:
        await collect(stream, found)
    assert len(found) == 299
    [rejected] = caught.value.response["RejectedKeys"]
    assert (rejected["index"], rejected["item"]) == (7, key(7))
    assert_ended(stream.report)


async def test_no_access_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.access_denied())
    taken = 0

    def source() -> Iterator[Item]:
        nonlocal taken
        for taken in range(100_000):
            yield key(taken)

    stream = db.iter_get(source(), "things")
    with pytest.raises(BatchError) as caught:
        await collect(stream)
    assert isinstance(caught.value.cause, AccessDenied)
    assert taken < 10_000
    assert stream.report.accepted == stream.report.unprocessed == taken + 1
    assert len(stream.report.unprocessed_keys) == taken + 1
    assert_ended(stream.report)


async def test_a_stall_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.throttle())
    stream = db.iter_get(keys(100_000), "things")
    with pytest.raises(BatchError) as caught:
        await collect(stream)
    assert isinstance(caught.value.cause, Throttled)
    assert stream.report.accepted < 10_000
    assert_ended(stream.report)


@pytest.mark.parametrize(
    ("given", "error"),
    [({"pk": "a"}, TypeError), ("keys", TypeError), (b"keys", TypeError), (5, TypeError)],
)
async def test_what_is_no_source(db: DynamoDB, given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="put a single one into a list"):
        db.iter_get(given, "things")


async def test_settings_that_cannot_be_right(db: DynamoDB) -> None:
    with pytest.raises(ValueError, match="on_invalid"):
        db.iter_get([], "things", on_invalid="ignore")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="projection"):
        db.iter_get([], "things", projection_expression="a,,b")


async def test_a_callback_that_raises_ends_the_iteration(db: DynamoDB) -> None:
    def on_missing(_: object) -> None:
        raise _Own

    stream = db.iter_get([{"pk": "none"}, key(1)], "things", on_missing=on_missing)
    with pytest.raises(_Own):
        await collect(stream)
    assert_ended(stream.report)


async def test_a_task_that_waits_for_items_ends_when_the_block_is_left(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.silence())

    async def work(items: ItemStream) -> list[Item]:
        return [one async for one in items]

    async with db.iter_get(keys(10), "things") as items:
        waiting = asyncio.create_task(work(items))
        await asyncio.sleep(1)
        assert not waiting.done()
    assert await waiting == []
    assert items.report.unprocessed == 10
    assert_ended(items.report)


async def test_the_report_of_a_key_that_came_again_and_was_left(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.throttle(), entry=is_key(7))

    async def source() -> AsyncIterator[Item]:
        yield key(7)
        # The first has been given up by then, and this one is asked for anew.
        await asyncio.sleep(100)
        yield key(7)
        yield {"pk": ""}

    stream = db.iter_get(
        source(), "things", retry=Retry(max_retries=0), max_wait=0.0, on_invalid="collect"
    )
    with pytest.raises(BatchError) as caught:
        await collect(stream)
    report = stream.report
    # Counted twice and held once.
    assert report.unprocessed == 2
    assert caught.value.response["UnprocessedKeys"] == [key(7)]
    assert repr(report) == f"<ReadReport: {report.in_words()}>"
    assert report.in_words() == "of 3 entries, 2 unprocessed, 1 invalid"
    taken = report.take()
    assert taken["UnprocessedKeys"] == [key(7)]
    assert [invalid["item"] for invalid in taken["InvalidKeys"]] == [{"pk": ""}]
    # Only the counts are left.
    assert report.response()["UnprocessedKeys"] == []
    assert report.unprocessed == 2


async def test_what_an_async_source_raises_comes_after_the_items(db: DynamoDB) -> None:
    class Own(Exception):
        pass

    async def source() -> AsyncIterator[Item]:
        for number in range(150):
            yield key(number)
        raise Own

    found: list[Item] = []
    with pytest.raises(Own):
        await collect(db.iter_get(source(), "things"), found)
    assert by_key(found) == [item(number) for number in range(150)]


async def test_a_client_that_closes_before_the_first_key_ends_it(wire: FakeWire) -> None:
    """Its key names are asked for again, which a closed client cannot."""
    closed = asyncio.Event()

    async def source() -> AsyncIterator[Item]:
        await closed.wait()
        yield {"other": "a"}

    db = DynamoDB(wire=wire)
    await db.get(key(1), "things")
    stream = db.iter_get(source(), "things")
    reading = asyncio.create_task(collect(stream))
    await asyncio.sleep(1)
    await db.aclose()
    closed.set()
    with pytest.raises(ClientClosed) as caught:
        await reading
    assert caught.value.response is not None
    assert caught.value.response["UnprocessedKeys"] == [{"other": "a"}]
    assert_ended(stream.report)


async def test_a_source_that_goes_on_though_it_was_cancelled_is_not_read_on(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.access_denied(), operation="BatchGetItem")
    asked: list[int] = []

    async def source() -> AsyncIterator[Item]:
        yield key(1)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        for number in range(2, 10):
            asked.append(number)
            yield key(number)

    stream = db.iter_get(source(), "things")
    with pytest.raises(BatchError) as caught:
        await collect(stream)
    assert "AccessDenied" in str(caught.value)
    assert asked == [2]
    assert_ended(stream.report)


async def test_an_answer_that_nobody_took_is_left_with_its_key_that_came_again(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.script([Fault.none()])
    wire.always(Fault.silence())

    async def source() -> AsyncIterator[Item]:
        yield key(1)
        await asyncio.sleep(1)
        yield key(1)

    async with db.iter_get(source(), "things", max_wait=0.0) as items:
        await asyncio.sleep(5)
    # Two entries, one key to ask for again.
    assert items.report.unprocessed == 2
    assert items.report.unprocessed_keys == [key(1)]
    assert_ended(items.report)
