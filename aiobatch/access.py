"""What loaders and streams use of the client that made them; none of them knows the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from aiobatch.codec import KeySchema, Numbers, Serialize
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.metrics import Meter
from aiobatch.engine.pressure import Direction
from aiobatch.engine.requests import Capacity
from aiobatch.events import Hook
from aiobatch.retry import Retry

__all__ = ["Access", "needed_capacity"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """A client, seen from a loader or a stream.

    Attributes:
        retry: the client's own retry policy.
        numbers: how numbers are read.
        serialize: for values of other types, or None.
        hooks: told what happens in each call.
        check: raises ``ClientClosed``, or RuntimeError on a loop that is not the client's.
        under_way: a context that the client's ``aclose()`` ends, as ``ClientClosed``.
        engine: the engine, opened if it is not.
        known_schema: a table's key schema, if it is known.
        describe: asks DynamoDB for it; raises ``KeyNamesUnknown`` where that is denied.
        renew: asks again for one that is only remembered, where it refuses something; whether it
            is another one now.
    """

    retry: Retry
    numbers: Numbers
    serialize: Serialize | None
    hooks: Sequence[Hook]
    check: Callable[[], object]
    under_way: Callable[[], AbstractAsyncContextManager[None]]
    engine: Callable[[], Awaitable[Dispatcher]]
    known_schema: Callable[[Dispatcher | None, str], KeySchema | None]
    describe: Callable[[Dispatcher, str, Retry, Meter], Awaitable[KeySchema]]
    renew: Callable[[Dispatcher, str, Retry, Meter], Awaitable[bool]]


def needed_capacity(engine: Dispatcher, direction: Direction) -> Capacity:
    """What requests must ask for where the caller asks for nothing."""
    return "TOTAL" if engine.wants_capacity(direction) else "NONE"
