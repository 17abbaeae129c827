"""How well a divided rate is used: a share belongs to a slot, and a slot that is done gives it up
to nobody. Pure arithmetic."""

import heapq
import random


def rate_used(slots: int, tasks_a_slot: int, *, spread: float, seed: int = 1) -> float:
    """The rate of a whole job, by the rate that was asked for.

    Args:
        slots: tasks that run at once, each with the same share of the rate.
        tasks_a_slot: partitions of the frame, by slot.
        spread: partitions have between ``1 - spread`` and ``1 + spread`` times the mean, evenly.
        seed: for their sizes.
    """
    random_ = random.Random(seed)
    sizes = [1 + random_.uniform(-spread, spread) for _ in range(slots * tasks_a_slot)]
    # Spark gives the next task to the slot that is free first.
    free_at = [0.0] * slots
    for size in sizes:
        heapq.heapreplace(free_at, free_at[0] + size)
    return sum(sizes) / slots / max(free_at)
