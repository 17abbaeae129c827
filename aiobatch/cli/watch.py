"""What the engine does, counted from its events for the display."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from aiobatch.events import (
    CapacityConsumed,
    Event,
    LeftoversRequeued,
    RequestFailed,
    RequestFinished,
    RequestSent,
    RequestThrottled,
)

__all__ = ["Speed", "Watch"]

_WINDOW: Final = 5.0


class Speed:
    """How fast a count grows, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque([(0.0, 0.0)])

    def at(self, now: float, total: float) -> float:
        """Take note of the count, and return its growth a second."""
        seen = self._seen
        seen.append((now, total))
        while len(seen) > 2 and seen[1][0] < now - _WINDOW:
            seen.popleft()
        (since, before) = seen[0]
        return (total - before) / (now - since) if now > since else 0.0


@dataclass(slots=True)
class Watch:
    """A hook that counts.

    Attributes:
        under_way: requests without an answer so far.
        requests: requests sent.
        retried: entries that were sent again.
        throttled: requests that were refused for throttling.
        units: capacity units consumed, as DynamoDB told.
        began: when it was made.
    """

    under_way: int = 0
    requests: int = 0
    retried: int = 0
    throttled: int = 0
    units: float = 0.0
    began: float = field(default_factory=monotonic)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, RequestSent):
            self.requests += 1
            self.under_way += 1
        elif isinstance(event, RequestFinished | RequestFailed):
            self.under_way -= 1
        elif isinstance(event, CapacityConsumed):
            self.units += event.units
        elif isinstance(event, LeftoversRequeued):
            self.retried += event.entries
        elif isinstance(event, RequestThrottled):
            self.throttled += 1

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return monotonic() - self.began
