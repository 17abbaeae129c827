"""What one process writes: ``write_partition`` against a server that does no work.

By the processor time of the process, so that what else runs on the machine does not matter: with a
processor to itself it is the same by the clock, for Python uses one at a time.
"""

import time
from dataclasses import dataclass

from aiobatch import partitions
from aiobatch.codec import CODEC
from benchmarks.canned import canned_server
from benchmarks.embedded import REGION, placeholder_credentials
from benchmarks.items import TABLE, make_items

ROUNDS = 3
ITEMS = {"small": 40_000, "wide": 20_000, "nested": 20_000, "long": 4_000}


@dataclass(frozen=True, slots=True)
class Written:
    """The best of some rounds.

    Attributes:
        shape: of the items.
        items_a_second: by this process's processor time.
    """

    shape: str
    items_a_second: float


def codec_name() -> str:
    """The codec in use."""
    return CODEC.name


def measure(shapes: dict[str, int] | None = None, rounds: int = ROUNDS) -> list[Written]:
    """Write items of each shape, so many of them."""
    found = []
    with placeholder_credentials(), canned_server() as url:
        for shape, count in (shapes or ITEMS).items():
            items = make_items(shape, count)
            best = 0.0
            for _ in range(rounds):
                began = time.process_time()
                ledger = partitions.write_partition(
                    items, TABLE.format(shape=shape), region_name=REGION, endpoint_url=url
                )
                seconds = time.process_time() - began
                best = max(best, ledger.check().processed / seconds)
            found.append(Written(shape, best))
        partitions.close()
    return found
