"""What happens inside, for whoever wants to watch: events, and the hooks that are told of them.

A hook is anything that can be called with an event. It runs in the loop, between two steps of the
engine, so it must be quick and must not block. One that raises is logged and harms no call::

    from aiobatch.events import CallFinished, Event

    def watch(event: Event) -> None:
        if isinstance(event, CallFinished):
            print(event.operation, event.tables, event.seconds)

    db = DynamoDB(hooks=[watch])

No event holds an item, a key, a credential, or DynamoDB's words about an error, which may quote
them: events may be logged as they are. With level DEBUG, the logger ``aiobatch.events`` does so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = [
    "CallFinished",
    "CallStarted",
    "CapacityConsumed",
    "Event",
    "Hook",
    "LeftoversRequeued",
    "RateChanged",
    "RequestFailed",
    "RequestFinished",
    "RequestSent",
    "RequestThrottled",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event tells.

    Attributes:
        call: a number for the call that it belongs to, unique in the process.
        operation: the API operation, such as ``"BatchGetItem"``.
        tables: the tables that it is about, as the caller names them.
    """

    call: int
    operation: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Event):
    """A call begins. The hook runs in the caller's task.

    Attributes:
        entries: its entries, in distinct keys; 1 for a call on one item, a page of a query or a
            table's description; the number of operations of a transaction; 0 for a stream, whose
            entries come while it runs.
    """

    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent(Event):
    """A request is about to leave.

    Attributes:
        request: its number, unique in the process.
        entries: how many entries it has.
        bytes: the size of its body.
    """

    request: int
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFinished(Event):
    """A request was answered, in whole or in part.

    Attributes:
        request: its number.
        entries: how many entries it had.
        left: how many of them the answer leaves over.
        bytes: the size of the answer's body.
        seconds: from the sending to the answer.
    """

    request: int
    entries: int
    left: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed(Event):
    """A request was answered with an error, or not at all.

    Attributes:
        request: its number.
        entries: how many entries it had.
        error_type: DynamoDB's code, such as ``"ThrottlingException"``, or the class of the error.
        status: the HTTP status, or None where there was no answer.
        request_id: DynamoDB's request id, or None.
        seconds: from the sending to the failure.
    """

    request: int
    entries: int
    error_type: str
    status: int | None
    request_id: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestThrottled(Event):
    """A whole request was refused for throttling. Its RequestFailed comes first.

    Attributes:
        throttled_tables: those of its tables that it was refused for, as far as is known.
        reasons: DynamoDB's, such as ``"TableReadProvisionedThroughputExceeded"``.
    """

    throttled_tables: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoversRequeued(Event):
    """Entries will be sent again.

    Attributes:
        entries: how many.
        delay: seconds that they wait first.
        error_type: what they were left over by, or None where an answer did not process them.
    """

    entries: int
    delay: float
    error_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChanged(Event):
    """The pace of a table changed: it was throttled, or it recovers.

    It is told to the call in which it happened, when it falls, and when it has grown by a tenth.

    Attributes:
        direction: ``"read"`` or ``"write"``.
        rate: entries a second, of all calls together.
    """

    direction: Literal["read", "write"]
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityConsumed(Event):
    """An answer told what it consumed. Answers do where they are asked to.

    Attributes:
        units: capacity units, of all tables of the request.
    """

    units: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(Event):
    """A call is over, however it ended.

    Attributes:
        entries: its entries, in distinct keys; of a stream, all that came, a key again whenever it
            came after its turn was over.
        counts: how many of them are ``"processed"``, ``"missing"``, ``"unprocessed"``,
            ``"rejected"`` and ``"unknown"``; those that are none are left out.
        requests: how many it sent.
        retries: how many entries it sent again.
        throttled: how many of its requests were refused for throttling.
        bytes: the bytes of all bodies, sent and received.
        seconds: how long it took.
        error_type: what it failed with: DynamoDB's code or the class of the error, such as
            ``"CancelledError"``; None if it did not fail.
        request_id: DynamoDB's request id for that error, or None.
    """

    entries: int
    counts: Mapping[str, int]
    requests: int
    retries: int
    throttled: int
    bytes: int
    seconds: float
    error_type: str | None
    request_id: str | None


class Hook(Protocol):
    """What is told of events: a function of one, or an object that can be called."""

    def __call__(self, event: Event, /) -> object:
        """Take notice of an event. Quick, and without blocking: it runs in the event loop."""
        ...
