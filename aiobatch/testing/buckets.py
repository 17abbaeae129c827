"""Token buckets: what a table lets through in a second. Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from aiobatch.codec.size import item_size
from aiobatch.limits import READ_UNIT_BYTES, WRITE_UNIT_BYTES
from aiobatch.testing.faults import Entry

__all__ = ["Bucket", "Unit", "query_units", "read_units", "write_units"]

Unit = Literal["entries", "units"]


def write_units(item: Mapping[str, Any]) -> float:
    """The capacity units that writing an item consumes: one a KB."""
    return float(max(1, -(-item_size(item) // WRITE_UNIT_BYTES)))


def read_units(item: Mapping[str, Any] | None, *, consistent: bool) -> float:
    """The capacity units that reading an item consumes: one a 4 KB, half if not consistent."""
    return query_units(0 if item is None else item_size(item), consistent=consistent)


def query_units(size: int, *, consistent: bool) -> float:
    """The capacity units that reading so many bytes of neighbouring items consumes."""
    whole = max(1, -(-size // READ_UNIT_BYTES))
    return float(whole) if consistent else whole / 2


class Bucket:
    """One direction of one table.

    Args:
        rate: entries or capacity units per second.
        burst: how much of it may be saved up, in seconds of the rate; full at the beginning.
        unit: what is counted.
    """

    def __init__(self, rate: float, *, burst: float = 1.0, unit: Unit = "entries") -> None:
        if not rate > 0:
            raise ValueError("a limit must be more than 0 per second")
        if not burst > 0:
            raise ValueError("burst must be more than 0 seconds")
        self.rate = rate
        self.unit = unit
        self._size = max(1.0, rate * burst)
        self._level = self._size
        self._filled_at: float | None = None
        self.taken = 0

    def take(self, entry: Entry, now: float, *, consistent: bool = False) -> bool:
        """Take one entry's cost, if the bucket holds anything for it.

        A cost above what is left is taken in debt, as DynamoDB does, so that an item larger than
        the bucket gets through at last.
        """
        if self._filled_at is not None:
            self._level = min(self._size, self._level + (now - self._filled_at) * self.rate)
        self._filled_at = now
        # A hair less than a whole entry is what rounding leaves of one.
        if self._level < 1.0 - 1e-9 and (self.unit == "entries" or self._level <= 0.0):
            return False
        if self.unit == "entries":
            cost = 1.0
        elif entry.kind == "get":
            cost = read_units(None, consistent=consistent)
        else:
            cost = write_units(entry.value)
        self._level -= cost
        self.taken += 1
        return True

    def charge(self, units: float) -> None:
        """Take what an answer turned out to cost beyond what was taken for it."""
        self._level -= units
