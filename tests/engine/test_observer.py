"""Each event, word for word: what it says of the call that it belongs to."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from aiobatch.engine.ledger import State
from aiobatch.engine.metrics import Meter
from aiobatch.engine.observer import Observer, counts_of, observing
from aiobatch.engine.pressure import Governor
from aiobatch.errors import ServiceError
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

pytestmark = pytest.mark.looptime

LOG = "aiobatch.events"
BOTH = ("users", "orders")
DENIED = ServiceError("AccessDeniedException", operation="PutItem", status=403, request_id="r1")


class CodeOfOurs(Exception):
    """Some exceptions have codes that are no texts."""

    code = 5
    status = 0


def observed(events: list[Event], meter: Meter | None = None) -> tuple[Observer, dict[str, Any]]:
    """An observer, and what all its events have in common."""
    observer = Observer([events.append], meter or Meter(0.0), "PutItem", BOTH, 7)
    return observer, {"call": events[0].call, "operation": "PutItem"}


async def test_requests() -> None:
    events: list[Event] = []
    observer, common = observed(events)
    first = observer.sent(("users",), 3, 400)
    second = observer.sent(BOTH, 4, 500)
    observer.answered(first, ("users",), entries=3, left=1, size=90, seconds=0.5)
    observer.failed(second, BOTH, entries=4, error=DENIED, seconds=0.25)
    observer.failed(second, BOTH, entries=4, error=CodeOfOurs(), seconds=0.25)
    failed: dict[str, Any] = {"tables": BOTH, "request": second, "entries": 4, "seconds": 0.25}
    assert second == first + 1
    assert events == [
        CallStarted(tables=BOTH, entries=7, **common),
        RequestSent(tables=("users",), request=first, entries=3, bytes=400, **common),
        RequestSent(tables=BOTH, request=second, entries=4, bytes=500, **common),
        RequestFinished(
            tables=("users",), request=first, entries=3, left=1, bytes=90, seconds=0.5, **common
        ),
        RequestFailed(
            error_type="AccessDeniedException", status=403, request_id="r1", **failed, **common
        ),
        RequestFailed(error_type="CodeOfOurs", status=None, request_id=None, **failed, **common),
    ]


async def test_throttling() -> None:
    events: list[Event] = []
    observer, common = observed(events)
    reasons: Sequence[dict[str, object]] = [
        {"reason": "Slow", "resource": "arn"},
        {"resource": "arn"},
        {"reason": ""},
        {"reason": "Hot"},
    ]
    observer.throttled(BOTH, ("users",), reasons)
    observer.requeued(BOTH, 5, 0.1, None)
    observer.requeued(("users",), 6, 0.2, DENIED)
    governor = Governor()
    observer.paced("users", "write", governor)
    governor.pace.spend(25, 0.0)
    governor.pace.throttled(1.0, sent_at=0.5)
    for _ in range(2):
        # What has been told is no news.
        observer.paced("users", "write", governor)
    observer.consumed(2.5)
    assert events[1:] == [
        RequestThrottled(
            tables=BOTH, throttled_tables=("users",), reasons=("Slow", "Hot"), **common
        ),
        LeftoversRequeued(tables=BOTH, entries=5, delay=0.1, error_type=None, **common),
        LeftoversRequeued(
            tables=("users",),
            entries=6,
            delay=0.2,
            error_type="AccessDeniedException",
            **common,
        ),
        RateChanged(tables=("users",), direction="write", rate=governor.pace.rate or 0.0, **common),
        CapacityConsumed(tables=BOTH, units=2.5, **common),
    ]


async def test_the_end_tells_what_this_call_has_cost() -> None:
    """A meter may have counted for another before: a description, for a write."""
    events: list[Event] = []
    meter = Meter(0.0, requests=1, retries=2, throttled=3, bytes=4)
    await asyncio.sleep(5.0)
    observer, common = observed(events, meter)
    meter.requests, meter.retries, meter.throttled, meter.bytes = 11, 22, 33, 44
    await asyncio.sleep(2.0)
    observer.finished({"processed": 4, "unknown": 3}, DENIED)
    _, end = events
    assert isinstance(end, CallFinished)
    assert end == CallFinished(
        tables=BOTH,
        entries=7,
        counts={"processed": 4, "unknown": 3},
        requests=10,
        retries=20,
        throttled=30,
        bytes=40,
        seconds=end.seconds,
        error_type="AccessDeniedException",
        request_id="r1",
        **common,
    )
    assert end.seconds == pytest.approx(2.0)
    observer.finished({}, None)
    assert isinstance(events[-1], CallFinished)
    assert (events[-1].error_type, events[-1].request_id) == (None, None)


async def test_calls_are_numbered_one_by_one() -> None:
    events: list[Event] = []
    observed(events)
    Observer([events.append], Meter(0.0), "PutItem", BOTH, 7)
    assert events[1].call == events[0].call + 1


def test_entries_that_are_pending_have_not_ended() -> None:
    counts = dict.fromkeys(State, 0) | {State.PENDING: 5, State.PROCESSED: 2, State.UNKNOWN: 1}
    assert counts_of(counts) == {"processed": 2, "unknown": 1}


async def test_nobody_observes_where_nobody_wants_to_know() -> None:
    meter = Meter(0.0)
    assert observing(meter, "PutItem", BOTH, 7) is None
    assert meter.told is None
    events: list[Event] = []
    meter.hooks = [events.append]
    assert observing(meter, "PutItem", BOTH, 7) is not None
    meter.consumed([{"TableName": "users", "CapacityUnits": 1.5}])
    assert [type(event).__name__ for event in events] == ["CallStarted", "CapacityConsumed"]
    assert (events[0].operation, events[0].tables) == ("PutItem", BOTH)


async def test_the_log_has_each_event(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    with caplog.at_level(logging.DEBUG, logger=LOG):
        assert observing(Meter(0.0, hooks=[events.append]), "PutItem", BOTH, 7) is not None
        assert observing(Meter(0.0), "GetItem", BOTH, 1) is not None
    assert [record.message for record in caplog.records][:1] == [str(events[0])]
    assert len(caplog.records) == 2
    # One line for each, however it looks: the event is an argument and no format.
    assert {record.msg for record in caplog.records} == {"%s"}


async def test_a_hook_that_raises_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class Nameless:
        def __call__(self, event: Event) -> None:
            raise LookupError("confidential")

    def named(event: Event) -> None:
        raise ZeroDivisionError("confidential")

    heard: list[Event] = []
    Observer([Nameless(), named, heard.append], Meter(0.0), "PutItem", BOTH, 7)
    here = "test_a_hook_that_raises_is_named.<locals>"
    assert [record.message for record in caplog.records] == [
        f"the hook {here}.Nameless raised LookupError at a CallStarted, which is ignored",
        f"the hook {here}.named raised ZeroDivisionError at a CallStarted, which is ignored",
    ]
    assert len(heard) == 1
