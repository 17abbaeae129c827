"""One small module for each client that is measured: how it gets 100 items and puts 25.

Each has ``opened(job)``, an async context manager that yields ``Operations``, and
``DISTRIBUTIONS``, the packages whose versions are told. Each runs in an environment of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.items import KEYED_TABLE, Item

REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "benchmark", "benchmark"


def table_of(job: "Job") -> str:
    """The table to ask. One whose answers are made beforehand has 100 items and no more."""
    if job.options.get("requests", 1) == 1:
        return job.table
    return KEYED_TABLE.format(shape=job.shape)


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
        requests: how many requests each call comes to, for so many times the keys and items.
        told: what else is worth telling about this client.
    """

    get: Callable[[], Awaitable[list[Any]]]
    put: Callable[[], Awaitable[int]]
    exchange_only: bool = False
    requests: int = 1
    told: Mapping[str, str] = field(default_factory=dict)


__all__ = [
    "ACCESS_KEY",
    "REGION",
    "SECRET_KEY",
    "Item",
    "Job",
    "NotAvailable",
    "Operations",
    "table_of",
]
