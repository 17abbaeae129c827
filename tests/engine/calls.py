"""Calls as the client builds them, for the engine's tests."""

import asyncio

from aiobatch.codec import encode_key
from aiobatch.engine.call import BatchCall
from aiobatch.engine.metrics import Meter
from aiobatch.engine.requests import BatchGet, BatchWrite
from aiobatch.retry import Retry


def keys_of(count: int) -> list[bytes]:
    return [encode_key({"pk": f"{n:07}"}, None, None) for n in range(count)]


def get_call(table: str, count: int, retry: Retry | None = None) -> BatchCall:
    requests = BatchGet.of_table(
        table,
        keys_of(count),
        ("pk",),
        numbers="native",
        projection=None,
        consistent_read=False,
        capacity="NONE",
    )
    return _call(requests, count, retry)


def delete_call(table: str, count: int, retry: Retry | None = None) -> BatchCall:
    return write_call(table, count, retry, deletes=True)


def put_call(table: str, count: int, retry: Retry | None = None) -> BatchCall:
    return write_call(table, count, retry, deletes=False)


def write_call(table: str, count: int, retry: Retry | None, *, deletes: bool) -> BatchCall:
    keys = keys_of(count)
    requests = BatchWrite.of_table(table, keys, keys, ("pk",), deletes=deletes, capacity="NONE")
    return _call(requests, count, retry)


def _call(requests: BatchGet | BatchWrite, count: int, retry: Retry | None) -> BatchCall:
    meter = Meter(asyncio.get_running_loop().time())
    return BatchCall(requests, count, retry=retry or Retry(), meter=meter)
