"""One small module for each client that is measured: how it gets 100 items and puts 25.

Each has ``opened(job)``, an async context manager that yields ``Operations``, and
``DISTRIBUTIONS``, the packages whose versions are told. Each runs in an environment of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.items import Item

REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "benchmark", "benchmark"


class NotAvailable(Exception):
    """What is to be measured is not there, and why."""


@dataclass(frozen=True)
class Job:
    """What an adapter opens."""

    endpoint_url: str
    table: str
    shape: str
    concurrency: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operations:
    """What is timed.

    Attributes:
        get: asks for the 100 keys, and returns the decoded items.
        put: writes the 25 items, and returns how many went through.
        exchange_only: nothing is encoded or decoded: ``get`` returns 100 entries of no meaning.
        told: what else is worth telling about this client.
    """

    get: Callable[[], Awaitable[list[Any]]]
    put: Callable[[], Awaitable[int]]
    exchange_only: bool = False
    told: Mapping[str, str] = field(default_factory=dict)


__all__ = ["ACCESS_KEY", "REGION", "SECRET_KEY", "Item", "Job", "NotAvailable", "Operations"]
