"""What requests say of their sizes is what their bodies come to."""

import pytest

from aiobatch.engine.requests import BatchGet, BatchRequests, BatchWrite
from aiobatch.streams.requests import MixedWrite

KEYS = [b'{"pk":{"S":"%b"}}' % (b"x" * length) for length in (1, 7, 300)]
REQUESTS: list[BatchRequests] = [
    BatchGet.of_table(
        "t",
        KEYS,
        ("pk",),
        numbers="native",
        projection=None,
        consistent_read=False,
        capacity="NONE",
    ),
    BatchWrite.of_table("t", KEYS, KEYS, ("pk",), deletes=True, capacity="NONE"),
    BatchWrite.of_table("t", KEYS, KEYS, ("pk",), deletes=[False, True, False], capacity="NONE"),
    MixedWrite(
        "t",
        KEYS,
        KEYS,
        bytearray([False, True, False]),
        ("pk",),
        capacity="NONE",
    ),
]


@pytest.mark.parametrize("requests", REQUESTS, ids=lambda requests: type(requests).__name__)
def test_an_entry_takes_what_it_is_said_to_take(requests: BatchRequests) -> None:
    entries = range(len(KEYS))
    assert sum(map(requests.size, entries)) == requests.total(entries)
    for entry in entries:
        others = [other for other in entries if other != entry]
        more = len(requests.body(entries)) - len(requests.body(others))
        # A put is counted with the longer words of a delete.
        assert 0 <= requests.size(entry) - more <= 10
