"""One request that is no batch: its retries, its doubts, and its turn, on virtual time."""

import asyncio
from typing import Any

import pytest

from aiobatch import Retry
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.metrics import Meter
from aiobatch.errors import ServiceError, Throttled, WireError
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request

pytestmark = pytest.mark.looptime

PUT = Request("PutItem", "users", b'{"TableName":"users","Item":{"pk":{"S":"a"}}}')


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire({"users": ("pk",)})


@pytest.fixture
def meter() -> Meter:
    return Meter(0.0)


async def put(
    wire: FakeWire, meter: Meter, retry: Retry | None = None, *, resend_unclear: bool = True
) -> bool:
    """Whether an earlier attempt may have taken effect."""
    dispatcher = Dispatcher(wire, max_concurrency=1)
    try:
        answer, doubtful = await dispatcher.single(
            PUT,
            "write",
            dict,
            retry=retry or Retry(),
            meter=meter,
            resend_unclear=resend_unclear,
        )
        assert answer == {}
        # Whatever it answers, it answers whole.
        assert dispatcher.governor("users", "write").pace.most is None
        return doubtful
    finally:
        await dispatcher.aclose()


def arrivals(wire: FakeWire) -> list[float]:
    first = wire.requests[0].arrived_at
    return [request.arrived_at - first for request in wire.requests]


async def test_it_is_sent_again_on_schedule(wire: FakeWire, meter: Meter) -> None:
    wire.script([Fault.throttle()] * 3)
    assert await put(wire, meter) is False
    assert arrivals(wire) == pytest.approx([0.0, 0.1, 0.3, 0.7], abs=0.04)
    assert (meter.requests, meter.retries, meter.throttled) == (4, 3, 3)


@pytest.mark.parametrize(
    ("faults", "doubtful"),
    [
        ([], False),
        ([Fault.throttle()], False),
        ([Fault.internal_error()], True),
        ([Fault.internal_error(), Fault.throttle()], True),
        ([Fault.truncated()], True),
        # Sent again at once, for free.
        ([Fault.hang_up_before()], True),
        ([Fault.internal_error(), Fault.hang_up_before()], True),
    ],
    ids=range(7),
)
async def test_whether_an_earlier_attempt_may_have_taken_effect(
    faults: list[Fault], doubtful: bool, wire: FakeWire, meter: Meter
) -> None:
    wire.script(faults)
    assert await put(wire, meter) is doubtful


@pytest.mark.parametrize("unclear", [False, True])
async def test_a_refusal_after_an_unclear_answer_is_unclear(
    unclear: bool, wire: FakeWire, meter: Meter
) -> None:
    wire.script([Fault.internal_error() if unclear else Fault.throttle(), Fault.throttle()])
    with pytest.raises(Throttled) as caught:
        await put(wire, meter, Retry(max_retries=1))
    assert caught.value.ambiguous is unclear


@pytest.mark.parametrize(
    "fault", [Fault.internal_error(), Fault.truncated(), Fault.hang_up_before()]
)
async def test_what_must_not_be_done_twice_is_not_sent_again_when_it_is_unclear(
    fault: Fault, wire: FakeWire, meter: Meter
) -> None:
    wire.script([fault])
    with pytest.raises((ServiceError, WireError)) as caught:
        await put(wire, meter, resend_unclear=False)
    error: Any = caught.value
    assert error.ambiguous
    assert len(wire.requests) == 1
    # What was refused was not done.
    wire.script([Fault.throttle()])
    assert await put(wire, meter, resend_unclear=False) is False
    assert len(wire.requests) == 3


async def test_it_ends_before_a_wait_past_the_stall(wire: FakeWire, meter: Meter) -> None:
    await asyncio.sleep(100.0)
    wire.always(Fault.throttle())
    with pytest.raises(Throttled):
        await put(wire, meter, Retry(base_delay=1.0, max_stall=1.0))
    # After a second, which is the most, but not after two more.
    assert arrivals(wire) == pytest.approx([0.0, 1.0], abs=0.01)


async def test_who_is_cancelled_while_it_waits_for_a_slot_is_charged_nothing(
    wire: FakeWire,
) -> None:
    dispatcher = Dispatcher(wire, max_concurrency=1, max_write_units=10)
    await dispatcher.turn("other", "read", 1)
    waiting = asyncio.create_task(dispatcher.turn("users", "write", 25))
    await asyncio.sleep(0)
    budget = dispatcher.governor("users", "write").budget
    assert budget is not None
    now = asyncio.get_running_loop().time()
    assert budget.wait(now) == pytest.approx(1.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    budget.spend(10, now)
    assert budget.wait(now) == 0.0
    budget.spend(1, now)
    assert budget.wait(now) == pytest.approx(0.1)
    await dispatcher.aclose()
