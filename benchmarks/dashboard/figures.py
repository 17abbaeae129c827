"""What is made of the measurements. Pure."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

LABELS = {
    "loader": "the loader, shared by all requests",
    "waiting": "the same, waiting 2 ms for others",
    "batch": "one batch call a request",
    "single": "one GetItem a key, all at once",
    "sequential": "one GetItem a key, one by one",
}
MAX_WAIT = {"waiting": 0.002}
"""Seconds that the loader waits for others, where it does."""
TARGET = 3.0
"""How many times the requests a second of one GetItem a key the loader should make."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one mode.

    Attributes:
        mode: a key of ``LABELS``.
        clients: how many asked at once.
        round: runs of one round stand side by side.
        answered: requests over the whole run, which ``dynamodb``, ``keys``, ``app_cpu``,
            ``service_cpu`` and ``load_cpu`` are of.
        requests, seconds: those in the time that counts, and that time.
        p50, p99: seconds that a client waited.
        dynamodb: requests that the application sent to DynamoDB.
        keys: keys that were in them.
        wall: seconds of the whole run.
        app_cpu, service_cpu, load_cpu: CPU seconds of each process.
    """

    mode: str
    clients: int
    round: int
    answered: int
    requests: int
    seconds: float
    p50: float
    p99: float
    dynamodb: int
    keys: int
    wall: float
    app_cpu: float
    service_cpu: float
    load_cpu: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


Figure = Callable[[Measured], float]


def rate(one: Measured) -> float:
    """Requests a second."""
    return one.rate


def median(runs: Iterable[Measured], figure: Figure) -> float:
    """The median over runs."""
    return statistics.median(map(figure, runs))


def of(runs: Iterable[Measured], mode: str, clients: int) -> list[Measured]:
    """The runs of one mode with so many clients."""
    return [one for one in runs if one.mode == mode and one.clients == clients]


def ratios(runs: list[Measured], mode: str, other: str, clients: int) -> list[float]:
    """Requests a second of one mode in those of another, round by round."""
    others = {one.round: one.rate for one in of(runs, other, clients)}
    return [one.rate / others[one.round] for one in of(runs, mode, clients) if one.round in others]


def spread(values: list[float]) -> str:
    """A median with its range."""
    middle, low, high = statistics.median(values), min(values), max(values)
    if f"{low:.1f}" == f"{high:.1f}":
        return f"{middle:.1f}"
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
