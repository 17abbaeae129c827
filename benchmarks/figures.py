"""What is made of the measurements: rates, medians, spreads, ratios, growth. Pure."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict


class Run(TypedDict):
    """One measurement.

    Attributes:
        items, requests: how many went through, and what the server was asked for them.
        seconds, cpu: by the clock, and of the client process.
        server_cpu: CPU seconds of the server process.
        stall_ms, held_ms: the longest stall of the loop (see ``benchmarks.worker.Stalls``).
        peak_mb: the most memory that the process had had by its end.
    """

    items: int
    seconds: float
    cpu: float
    peak_mb: float
    requests: NotRequired[int | None]
    server_cpu: NotRequired[float | None]
    stall_ms: NotRequired[float]
    held_ms: NotRequired[float]


class Row(TypedDict):
    """The measurements of one client at one workload, in the order of the rounds."""

    section: str
    server: str
    op: str
    shape: str
    latency_ms: float
    concurrency: int
    variant: str
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between what the runs were."""

    median: float
    low: float
    high: float

    def text(self, show: Callable[[float], str]) -> str:
        """The median with its range."""
        if show(self.low) == show(self.high):
            return show(self.median)
        return f"{show(self.median)} ({show(self.low)}-{show(self.high)})"


def spread(values: Iterable[float]) -> Spread:
    """The median of the values, their least and their greatest.

    Raises:
        ValueError: there are none.
    """
    found = list(values)
    if not found:
        raise ValueError("there is nothing to take the median of")
    return Spread(statistics.median(found), min(found), max(found))


def per_cpu_second(run: Run) -> float:
    """Items a CPU second of the client."""
    return run["items"] / run["cpu"] if run["cpu"] else 0.0


def per_second(run: Run) -> float:
    """Items a second."""
    return run["items"] / run["seconds"] if run["seconds"] else 0.0


def stall(run: Run) -> float:
    """The longest stall by the clock, in milliseconds."""
    return run["stall_ms"]


def held(run: Run) -> float:
    """The longest stall that the process's own CPU time accounts for, in milliseconds."""
    return run["held_ms"]


def of_runs(row: Row, figure: Callable[[Run], float]) -> Spread:
    """One figure over all runs of a row."""
    return spread(figure(run) for run in row["runs"])


def ratios(one: Row, other: Row, figure: Callable[[Run], float]) -> Spread:
    """How many times the other's figure, pair by pair: the runs of one round stand together.

    Raises:
        ValueError: no two runs stand together.
    """
    pairs = zip(one["runs"], other["runs"], strict=False)
    return spread(figure(a) / figure(b) for a, b in pairs if figure(b))


def find(rows: Iterable[Row], **wanted: object) -> Row | None:
    """The row with these values, if there is one."""
    return next((row for row in rows if matches(row, **wanted)), None)


def matches(row: Row, **wanted: object) -> bool:
    """Whether a row has all these values."""
    values: dict[str, object] = {**row}
    return all(values[name] == value for name, value in wanted.items())


def growth(points: Sequence[tuple[float, float]]) -> float:
    """The exponent k of y = c * x**k that fits best: 1 is linear, 2 is quadratic.

    Raises:
        ValueError: there are fewer than two points, or one that is not positive.
    """
    if len(points) < 2 or any(x <= 0 or y <= 0 for x, y in points):
        raise ValueError("growth needs two points or more, all positive")
    xs = [math.log(x) for x, _ in points]
    ys = [math.log(y) for _, y in points]
    return statistics.linear_regression(xs, ys).slope


def number(value: float) -> str:
    """A figure as a reader wants it: three digits that count, and thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.0f}x" if value >= 100 else f"{value:.1f}x"
