"""The pytest plugin: ``pytest_plugins = ["aiobatch.testing.pytest_plugin"]``.

It needs a plugin that runs async tests: pytest-asyncio, in any mode, or anyio's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from aiobatch.testing.proxy import FaultProxy

try:
    # In its strict mode, pytest-asyncio leaves async fixtures alone that are not its own.
    import pytest_asyncio

    _fixture: Any = pytest_asyncio.fixture
except ImportError:
    _fixture = pytest.fixture

__all__ = ["MakeFaultProxy", "fault_proxy"]


class MakeFaultProxy(Protocol):
    """Starts a proxy, which stops when the test is over."""

    def __call__(self, endpoint_url: str, **settings: Any) -> Awaitable[FaultProxy]:
        """Take what :class:`FaultProxy` takes."""
        ...


async def _fault_proxy() -> AsyncIterator[MakeFaultProxy]:
    """Starts proxies in front of endpoints, and stops them after the test.

    Example::

        async def test_throttling(fault_proxy):
            proxy = await fault_proxy("http://127.0.0.1:8000")
            proxy.script([Fault.throttle()])
    """
    async with AsyncExitStack() as stack:

        async def make(endpoint_url: str, **settings: Any) -> FaultProxy:
            return await stack.enter_async_context(FaultProxy(endpoint_url, **settings))

        yield make


fault_proxy = _fixture(name="fault_proxy")(_fault_proxy)
