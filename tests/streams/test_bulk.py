"""``bulk_write`` over a fake DynamoDB, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any, Literal

import pytest

from aiobatch import (
    BatchError,
    ClientClosed,
    DynamoDB,
    InvalidItem,
    Retry,
    TableNotFound,
    WriteReport,
)
from aiobatch.testing import FakeWire, Fault
from tests.streams.checks import assert_adds_up, assert_ended, held, sizes

pytestmark = pytest.mark.looptime

Item = dict[str, Any]


class _Own(Exception):
    pass


def item(number: int) -> Item:
    return {"pk": f"key-{number}", "n": number}


def items(count: int, start: int = 0) -> Iterator[Item]:
    return (item(number) for number in range(start, start + count))


async def test_all_of_it_is_written(db: DynamoDB, wire: FakeWire) -> None:
    report = await db.bulk_write(items(1010), "things")
    assert held(wire) == {f"key-{number}": item(number) for number in range(1010)}
    assert sizes(wire) == [25] * 40 + [10]
    assert report.processed == 1010
    assert_ended(report)


async def test_deletes_from_an_async_source(wire: FakeWire) -> None:
    wire.put("things", items(100))

    async def source() -> AsyncIterator[Item]:
        for number in range(60):
            await asyncio.sleep(0.001)
            yield {"pk": f"key-{number}"}

    async with DynamoDB(wire=wire) as db:
        report = await db.bulk_write(source(), "things", operation="delete", max_wait=1.0)
    assert report.processed == 60
    assert len(held(wire)) == 40
    assert [size for size in sizes(wire) if size] == [25, 25, 10]


async def test_wrapped_items_are_taken(db: DynamoDB, wire: FakeWire) -> None:
    await db.bulk_write([{"PutRequest": {"Item": item(1)}}], "things")
    assert held(wire) == {"key-1": item(1)}


async def test_progress_is_told(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(0.15))
    told: list[tuple[float, int]] = []

    def on_progress(report: WriteReport) -> None:
        assert_adds_up(report)
        told.append((asyncio.get_running_loop().time(), report.processed))

    await db.bulk_write(items(5000), "things", on_progress=on_progress)
    counts = [count for _, count in told]
    assert counts == sorted(counts)
    assert counts[-1] == 5000
    assert len(counts) >= 10
    # At most ten times a second, and once at the end.
    times = [at for at, _ in told[:-1]]
    assert all(later - at >= 0.099 for at, later in pairwise(times))


async def test_progress_is_told_at_the_end_of_a_cancelled_load(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.latency(0.1))
    reports: list[WriteReport] = []
    task = asyncio.create_task(db.bulk_write(items(5000), "things", on_progress=reports.append))
    await asyncio.sleep(0.35)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_ended(reports[-1])
    report = reports[-1]
    assert 0 < report.processed <= len(held(wire)) <= report.processed + report.unknown
    left = {one["pk"] for one in (*report.unprocessed_items, *report.unknown_items)}
    assert len(left) + report.processed == report.accepted


async def test_a_callback_that_raises_ends_the_load(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(0.1))
    reports: list[WriteReport] = []

    def on_progress(report: WriteReport) -> None:
        reports.append(report)
        raise _Own

    with pytest.raises(_Own):
        await db.bulk_write(items(5000), "things", on_progress=on_progress)
    [report] = reports
    assert_ended(report)
    assert len(held(wire)) < 5000
    assert wire.in_flight == 0


@pytest.mark.parametrize("at", [0, 10, 30])
async def test_an_invalid_item_ends_it_after_those_before(
    db: DynamoDB, wire: FakeWire, at: int
) -> None:
    source = [*items(at), {"pk": "x", "n": float("nan")}, *items(10, start=at)]
    with pytest.raises(InvalidItem) as caught:
        await db.bulk_write(source, "things")
    assert (caught.value.index, caught.value.path) == (at, "n")
    assert caught.value.response is not None
    assert caught.value.response["ProcessedCount"] == at
    assert [one["index"] for one in caught.value.response["InvalidItems"]] == [at]
    assert held(wire) == {f"key-{number}": item(number) for number in range(at)}


async def test_what_was_read_ahead_of_an_invalid_item_is_in_the_account(
    db: DynamoDB, wire: FakeWire
) -> None:
    given: list[Item] = []

    def source() -> Iterator[Item]:
        for number in range(100):
            given.append({"pk": "x", "n": float("nan")} if number == 30 else item(number))
            yield given[-1]

    with pytest.raises(InvalidItem) as caught:
        await db.bulk_write(source(), "things")
    response = caught.value.response
    assert response is not None
    # Sent is what stood before it alone; what stood behind it is left, and nothing is lost.
    assert set(held(wire)) == {f"key-{number}" for number in range(30)}
    assert response["ProcessedCount"] == 30
    assert response["UnprocessedItems"] == given[31:]
    assert response["UnprocessedCount"] == len(given) - 31 < 25


async def test_no_more_is_read_ahead_than_there_is_room_for(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    given = 0

    def source() -> Iterator[Item]:
        nonlocal given
        for given in range(1, 101):
            yield item(given)

    task = asyncio.create_task(db.bulk_write(source(), "things", max_pending=10))
    await asyncio.sleep(0.5)
    # One more waits for room.
    assert given == 11
    report = await task
    assert report.processed == 100


async def test_a_key_that_comes_again_at_once_acts_in_its_order(
    db: DynamoDB, wire: FakeWire
) -> None:
    source = [{"pk": f"key-{number % 7}", "n": number} for number in range(60)]
    report = await db.bulk_write(source, "things")
    assert report.processed == 60
    assert held(wire) == {f"key-{n % 7}": {"pk": f"key-{n % 7}", "n": n} for n in range(53, 60)}


@pytest.mark.parametrize("operation", ["put", "delete"])
async def test_what_is_refused_among_others_is_told_by_its_position(
    db: DynamoDB, wire: FakeWire, operation: Literal["put", "delete"]
) -> None:
    wire.put("things", items(60))
    source: list[Item] = [{"pk": f"key-{number}"} for number in range(60)]
    for number in (3, 4, 24, 59):
        source[number] = {"pk": ""}
    report = await db.bulk_write(source, "things", operation=operation, on_invalid="collect")
    assert [one["index"] for one in report.invalid_items] == [3, 4, 24, 59]
    assert report.processed == 56
    assert_ended(report)


async def test_items_of_all_kinds_take_turns(db: DynamoDB, wire: FakeWire) -> None:
    """Those that the codec hands back one by one stand among those that it takes together."""

    class Model:
        def __init__(self, number: int) -> None:
            self.number = number

        def to_resource_dictionary(self) -> Item:
            return item(self.number)

    source = [Model(n) if n % 3 == 0 else item(n) for n in range(100)]
    report = await db.bulk_write(source, "things")
    assert report.processed == 100
    assert held(wire) == {f"key-{number}": item(number) for number in range(100)}


async def test_a_source_that_is_interrupted_leaves_its_account(
    db: DynamoDB, wire: FakeWire
) -> None:
    reports: list[WriteReport] = []

    class Interrupted(BaseException):
        pass

    def source() -> Iterator[Item]:
        yield from items(30)
        raise Interrupted

    with pytest.raises(Interrupted):
        await db.bulk_write(source(), "things", on_progress=reports.append)
    report = reports[-1]
    assert report.accepted == 30
    assert_ended(report)
    assert len(held(wire)) <= report.processed + report.unknown


async def test_invalid_items_can_be_collected(db: DynamoDB, wire: FakeWire) -> None:
    source = [item(0), {"pk": ""}, item(1), {"n": 1}, "text", item(2)]
    report = await db.bulk_write(source, "things", on_invalid="collect")
    assert len(held(wire)) == 3
    assert [one["index"] for one in report.invalid_items] == [1, 3, 4]
    assert report.invalid_items[0]["item"] is source[1]
    assert report.invalid_items[0]["path"] == "pk"
    assert (report.processed, report.invalid, report.accepted) == (3, 3, 6)
    assert_ended(report)


async def test_what_the_source_raises_comes_after_what_it_gave(
    db: DynamoDB, wire: FakeWire
) -> None:
    def source() -> Iterator[Item]:
        yield from items(30)
        raise _Own

    with pytest.raises(_Own) as caught:
        await db.bulk_write(source(), "things")
    assert len(held(wire)) == 30
    assert "30 processed" in caught.value.__notes__[0]


async def test_the_account_is_not_lost_where_the_source_raises(
    db: DynamoDB, wire: FakeWire
) -> None:
    wire.always(Fault.validation(), entry=lambda entry: entry.value["pk"] == {"S": "key-7"})

    def source() -> Iterator[Item]:
        yield from items(30)
        raise _Own

    with pytest.raises(BatchError) as caught:
        await db.bulk_write(source(), "things")
    assert isinstance(caught.value.cause, _Own)
    assert len(caught.value.response["RejectedItems"]) == 1


async def test_leftovers_raise(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.validation(), entry=lambda entry: entry.value["pk"] == {"S": "key-7"})
    wire.always(Fault.partial(entry=lambda entry: entry.value["pk"] == {"S": "key-40"}))
    with pytest.raises(BatchError) as caught:
        await db.bulk_write(items(100), "things", retry=Retry(max_retries=1))
    response = caught.value.response
    assert response["ProcessedCount"] == 98
    assert response["UnprocessedItems"] == [item(40)]
    assert [(one["index"], one["item"]) for one in response["RejectedItems"]] == [(7, item(7))]


async def test_a_missing_table_leaves_the_source_unread(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.table_not_found())
    taken = 0

    def source() -> Iterator[Item]:
        nonlocal taken
        for taken in range(100_000):
            yield item(taken)

    with pytest.raises(BatchError) as caught:
        await db.bulk_write(source(), "things")
    assert isinstance(caught.value.cause, TableNotFound)
    assert taken < 2000
    # The one that was taken from the source last was never accepted: it is not lost, either.
    response = caught.value.response
    left = [one["n"] for one in response["UnprocessedItems"]]
    assert sorted(left) == list(range(taken + 1))


async def test_closing_the_client_ends_it(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.silence())
    task = asyncio.create_task(db.bulk_write(items(1000), "things"))
    await asyncio.sleep(1.0)
    await db.aclose()
    with pytest.raises(ClientClosed) as caught:
        await task
    response = caught.value.response
    assert response is not None
    assert len(response["UnknownItems"]) + len(response["UnprocessedItems"]) >= 800


async def test_arguments_that_cannot_be_right(db: DynamoDB) -> None:
    with pytest.raises(ValueError, match="Invalid operation 'update'"):
        await db.bulk_write([], "things", operation="update")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_invalid"):
        await db.bulk_write([], "things", on_invalid="skip")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="put a single one into a list"):
        await db.bulk_write(item(1), "things")
    report = await db.bulk_write([], "things")
    assert report.accepted == 0


async def test_key_names_that_cannot_be_learnt_leave_the_source_unread(wire: FakeWire) -> None:
    wire.always(Fault.table_not_found(), operation="DescribeTable")
    taken: list[Item] = []
    reports: list[WriteReport] = []

    def source() -> Iterator[Item]:
        for one in items(1000):
            taken.append(one)
            yield one

    async with DynamoDB(wire=wire) as db:
        with pytest.raises(TableNotFound):
            await db.bulk_write(source(), "things", on_progress=reports.append)
    # The one that was taken is in the account.
    assert taken == [item(0)]
    assert reports[-1].accepted == reports[-1].unprocessed == 1
    assert reports[-1].unprocessed_items == [item(0)]
    assert_ended(reports[-1])


async def test_a_client_that_closes_before_the_first_item_ends_it(wire: FakeWire) -> None:
    """Its key names are asked for again, which a closed client cannot."""
    closed = asyncio.Event()

    async def source() -> AsyncIterator[Item]:
        await closed.wait()
        yield {"other": "a"}

    db = DynamoDB(wire=wire)
    await db.batch_write_item([item(1)], "things")
    writing = asyncio.create_task(db.bulk_write(source(), "things"))
    await asyncio.sleep(1)
    await db.aclose()
    closed.set()
    with pytest.raises(ClientClosed) as caught:
        await writing
    assert caught.value.response is not None
    assert caught.value.response["UnprocessedItems"] == [{"other": "a"}]
