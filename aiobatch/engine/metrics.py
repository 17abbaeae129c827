"""What a call cost: counted by the dispatcher, shown in every answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiobatch.events import Hook

__all__ = ["Meter", "units_of"]


@dataclass(slots=True)
class Meter:
    """Counters of one call.

    Attributes:
        started_at: the loop's time at the beginning.
        requests: requests sent, retries among them.
        retries: entries sent again.
        throttled: requests that DynamoDB refused for throttling.
        bytes: bytes of bodies, sent and received.
        capacity: DynamoDB's ConsumedCapacity by table, summed.
        hooks: who is told what happens in the call.
        told: called with the capacity units of each answer that tells any, or None.
    """

    started_at: float
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes: int = 0
    capacity: dict[str, dict[str, Any]] = field(default_factory=dict)
    hooks: Sequence[Hook] = ()
    told: Callable[[float], None] | None = None

    def consumed(self, capacity: Iterable[dict[str, Any]]) -> float:
        """Add what one answer says was consumed. Returns its capacity units."""
        units = 0.0
        for table in capacity:
            units += units_of(table)
            _add(self.capacity.setdefault(str(table.get("TableName")), {}), table)
        if units and self.told is not None:
            self.told(units)
        return units

    def as_answer(self, now: float) -> dict[str, Any]:
        """The ``Metrics`` of an answer."""
        return {
            "requests": self.requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "bytes": self.bytes,
            "seconds": now - self.started_at,
        }


def units_of(capacity: Mapping[str, Any]) -> float:
    """The capacity units that an answer says one table consumed."""
    return _number(capacity.get("CapacityUnits"))


def _add(total: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, int | float):
            total[name] = total.get(name, 0.0) + value
        else:
            total[name] = value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
