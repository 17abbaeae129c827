"""The retry policy: how often, and after which waits, leftovers are sent again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Retry"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """How a call treats entries that DynamoDB left over, throttled or failed.

    The default is 5 retries after waits of 0.1, 0.2, 0.4, 0.8 and 1.6 seconds; then what is left
    is returned.

    Args:
        max_retries: how often an entry is sent again. None sets no number; then ``max_stall``
            must end it.
        base_delay: seconds before the first retry; each further wait is twice the one before.
        max_delay: seconds that no wait exceeds.
        jitter: the share of each wait that is drawn at random, from 0.0 (none, the exact
            schedule) to 1.0 (full jitter: anything between nothing and the whole wait).
        max_stall: seconds without any progress in the call after which what is left is
            returned. None: only ``max_retries`` ends it.
        on_progress: what a request costs that was processed in part: ``"spend"`` one retry of
            the entries left over, or ``"refund"``, nothing.

    Raises:
        ValueError: a number that is negative or not finite, a share outside 0 to 1, or a policy
            that would never end.

    >>> [Retry().delay(n, 0.0) for n in (1, 2, 3, 4, 5)]
    [0.1, 0.2, 0.4, 0.8, 1.6]
    """

    max_retries: int | None = 5
    base_delay: float = 0.1
    max_delay: float = 20.0
    jitter: float = 0.0
    max_stall: float | None = None
    on_progress: Literal["spend", "refund"] = "spend"

    def __post_init__(self) -> None:
        if self.max_retries is None and self.max_stall is None:
            raise ValueError("Retry(max_retries=None) would never end: set max_stall")
        retries: object = self.max_retries
        if retries is not None and (type(retries) is not int or retries < 0):
            raise ValueError("Retry: max_retries must be a whole number, 0 or more, or None")
        for name in ("base_delay", "max_delay", "max_stall"):
            seconds = getattr(self, name)
            if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
                raise ValueError(f"Retry: {name} must be seconds, 0 or more")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError("Retry: jitter must be between 0.0 (none) and 1.0 (full)")
        if self.on_progress not in ("spend", "refund"):
            raise ValueError('Retry: on_progress must be "spend" or "refund"')

    @classmethod
    def patient(cls) -> Retry:
        """A policy for bulk loads: it ends only after 300 seconds without any progress.

        Full jitter, waits of at most 20 seconds, and a request in which something went through
        costs nothing.
        """
        return cls(max_retries=None, jitter=1.0, max_stall=300.0, on_progress="refund")

    def delay(self, retry: int, draw: float) -> float:
        """The seconds to wait before the ``retry``-th retry, counted from 1.

        ``draw`` is a random number from 0.0 up to 1.0; with ``jitter=0.0`` it changes nothing.
        """
        # The exponent is bounded so that a patient call's thousandth retry does not overflow.
        full = min(self.max_delay, self.base_delay * 2.0 ** min(retry - 1, 64))
        return full * (1.0 - self.jitter * draw)

    def allows(self, retry: int) -> bool:
        """Whether an entry may be sent again for the ``retry``-th time, counted from 1."""
        return self.max_retries is None or retry <= self.max_retries
