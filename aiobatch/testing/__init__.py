"""Testing what happens when DynamoDB does not do as it is told.

Emulators never throttle and never leave writes unprocessed, so code that handles it goes untested.
:class:`FaultProxy` stands in front of any of them and lets chosen requests go wrong;
:class:`FakeWire` is a small DynamoDB in memory with the same faults, without sockets, for unit
tests on virtual time. :class:`Fault` has the things that can go wrong.

With pytest, the fixture ``fault_proxy`` starts proxies and stops them.

Example::

    pytest_plugins = ["aiobatch.testing.pytest_plugin"]

    async def test_a_reset_loses_nothing(fault_proxy, endpoint_url):
        proxy = await fault_proxy(endpoint_url)
        proxy.script([Fault.reset_after()])
        async with DynamoDB(endpoint_url=proxy.endpoint_url) as db:
            answer = await db.batch_get_item([{"pk": "user#1", "sk": "profile"}], "users")
        assert answer["Count"] == 1
        assert proxy.unused == 0

The rest of aiobatch never imports this package.
"""

from __future__ import annotations

from aiobatch.testing.buckets import Bucket
from aiobatch.testing.fake import FakeWire
from aiobatch.testing.faults import Entry, Fault, Malformation
from aiobatch.testing.proxy import FaultProxy
from aiobatch.testing.script import RecordedRequest

__all__ = [
    "Bucket",
    "Entry",
    "FakeWire",
    "Fault",
    "FaultProxy",
    "Malformation",
    "RecordedRequest",
]
