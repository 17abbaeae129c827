"""How the processes of a job keep out of each other's way."""

from __future__ import annotations

import random

from aiobatch.limits import BATCH_WRITE_MAX_OPERATIONS

__all__ = ["starting_delay"]

_LONGEST = 20.0


def starting_delay(max_write_units: float | None) -> float:
    """Seconds that a process waits before its first request, drawn at random.

    A share of a few units a second is less than one full request. If a thousand processes sent
    their first one at once, the table would refuse nearly all, and each process would slow down as
    if its own rate had been too high. So they begin spread over the time in which a share earns a
    full request.
    """
    if max_write_units is None:
        return 0.0
    return random.random() * min(_LONGEST, BATCH_WRITE_MAX_OPERATIONS / max_write_units)
