"""The options of the data source. Spark hands them over as text, whatever they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, cast
from uuid import uuid4

from aiobatch.partitions.counting import CounterAddress
from aiobatch.partitions.settings import JobRate

__all__ = ["ReadOptions", "WriteOptions"]

_BOTH = ("table", "endpointUrl", "region", "profile", "maxConcurrency", "tasks", "keys")
_WRITE = (*_BOTH, "operation", "maxWriteUnits", "onInvalid", "sets", "nulls", "report")
_READ = (
    *_BOTH,
    "segments",
    "maxReadUnits",
    "consistentRead",
    "pushKeyFilters",
    "onMismatch",
    "sample",
)
# What Spark adds by itself, depending on how load() and save() are called.
_SPARKS_OWN = frozenset({"path", "paths"})


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOptions:
    """What ``df.write.format("dynamodb").option(...)`` was told.

    Attributes:
        table: ``table``: the table's name or ARN.
        endpoint_url, region, profile: ``endpointUrl``, ``region``, ``profile``: as boto3 has them.
        max_concurrency: ``maxConcurrency``: requests under way at once, a task (16).
        tasks: ``tasks``: how many tasks run at once; ``register()`` finds out by itself.
        counter: who tells the tasks how many of them are running; None where ``tasks`` was given.
        keys: ``keys``: the table's key attributes, "pk" or "pk,sk", where DescribeTable is denied.
        operation: ``operation``: "put" or "delete".
        max_write_units: ``maxWriteUnits``: capacity units a second, of the whole job.
        on_invalid: ``onInvalid``: "fail" ends the task at the first faulty row, and the job;
            "skip" counts them.
        sets: ``sets``: columns of arrays that are written as sets, "tags,codes".
        nulls: ``nulls``: "omit" or "write".
        report: ``report``: a directory for the ledgers.
    """

    table: str
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    max_concurrency: int = 16
    tasks: int | None = None
    counter: CounterAddress | None = None
    keys: tuple[str, ...] | None = None
    operation: Literal["put", "delete"] = "put"
    max_write_units: float | None = None
    on_invalid: Literal["fail", "skip"] = "fail"
    sets: tuple[str, ...] = ()
    nulls: Literal["omit", "write"] = "omit"
    report: str | None = None

    @classmethod
    def parse(
        cls,
        options: Mapping[str, str],
        tasks: int | None = None,
        counter: CounterAddress | None = None,
    ) -> Self:
        """Read the options. ``tasks`` and ``counter`` are what ``register()`` knows.

        Raises:
            ValueError: an option that is missing, unknown or wrong, with what it takes.
        """
        found = _Options(options, _WRITE, "writing")
        return cls(
            **found.common(tasks, counter),
            operation=cast(Any, found.choice("operation", "put", "delete")),
            max_write_units=found.units("maxWriteUnits"),
            on_invalid=cast(Any, found.choice("onInvalid", "fail", "skip")),
            sets=found.names("sets") or (),
            nulls=cast(Any, found.choice("nulls", "omit", "write")),
            report=found.text("report"),
        )

    def rate(self) -> float | JobRate | None:
        """What a task may write, for the tasks of one job.

        Raises ValueError where nobody knows how many tasks there are.
        """
        return _rate(self.max_write_units, self.tasks, self.counter, "maxWriteUnits")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What ``spark.read.format("dynamodb").option(...)`` was told.

    Attributes:
        table, endpoint_url, region, profile, max_concurrency, tasks, counter, keys: as for writing.
        segments: ``segments``: the partitions of the data frame (8).
        max_read_units: ``maxReadUnits``: capacity units a second, of the whole job.
        consistent_read: ``consistentRead``: strongly consistent, at twice the capacity.
        push_key_filters: ``pushKeyFilters``: query by key where a filter names one; needs
            ``spark.sql.python.filterPushdown.enabled`` and Spark 4.1.
        on_mismatch: ``onMismatch``: what a value does that the schema has no place for: "fail", or
            become "null".
        sample: ``sample``: so many items are looked at where no schema is given (1000).
    """

    table: str
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    max_concurrency: int = 16
    tasks: int | None = None
    counter: CounterAddress | None = None
    keys: tuple[str, ...] | None = None
    segments: int = 8
    max_read_units: float | None = None
    consistent_read: bool = False
    push_key_filters: bool = False
    on_mismatch: Literal["fail", "null"] = "fail"
    sample: int = 1000

    @classmethod
    def parse(
        cls,
        options: Mapping[str, str],
        tasks: int | None = None,
        counter: CounterAddress | None = None,
    ) -> Self:
        """Read the options, as for writing."""
        found = _Options(options, _READ, "reading")
        return cls(
            **found.common(tasks, counter),
            segments=found.whole("segments") or 8,
            max_read_units=found.units("maxReadUnits"),
            consistent_read=found.choice("consistentRead", "false", "true") == "true",
            push_key_filters=found.choice("pushKeyFilters", "false", "true") == "true",
            on_mismatch=cast(Any, found.choice("onMismatch", "fail", "null")),
            sample=found.whole("sample") or 1000,
        )

    def rate(self) -> float | JobRate | None:
        """What a task may read, as for writing."""
        tasks = None if self.tasks is None else min(self.tasks, self.segments)
        return _rate(self.max_read_units, tasks, self.counter, "maxReadUnits")


def _rate(
    units: float | None, tasks: int | None, counter: CounterAddress | None, name: str
) -> float | JobRate | None:
    if units is None:
        return None
    if tasks is None:
        raise ValueError(
            f"{name} is divided by the tasks that run at once, and nobody said how many: register"
            " with aiobatch.integrations.spark.register(spark), or set the option tasks"
        )
    share = units / tasks
    if counter is None:
        return share
    return JobRate(units=units, share=share, counter=counter, job=uuid4().hex)


class _Options:
    """Options by their names in lower case, as Spark hands them over."""

    def __init__(self, options: Mapping[str, str], known: tuple[str, ...], doing: str) -> None:
        self._values = {name.lower(): value.strip() for name, value in options.items()}
        unknown = self._values.keys() - {name.lower() for name in known} - _SPARKS_OWN
        if unknown:
            raise ValueError(
                f"unknown option {min(unknown)!r} for {doing}; there are: {', '.join(known)}"
            )

    def common(self, tasks: int | None, counter: CounterAddress | None) -> dict[str, Any]:
        table = self.text("table")
        if table is None:
            raise ValueError('no table: give its name or ARN with .option("table", ...)')
        given = self.whole("tasks")
        return {
            "table": table,
            "endpoint_url": self.text("endpointUrl"),
            "region": self.text("region"),
            "profile": self.text("profile"),
            "max_concurrency": self.whole("maxConcurrency") or 16,
            "tasks": given or tasks,
            "counter": counter if given is None else None,
            "keys": self.names("keys"),
        }

    def text(self, name: str) -> str | None:
        return self._values.get(name.lower()) or None

    def names(self, name: str) -> tuple[str, ...] | None:
        value = self.text(name)
        if value is None:
            return None
        return tuple(part.strip() for part in value.split(",") if part.strip())

    def choice(self, name: str, default: str, other: str) -> str:
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in (default, other):
            raise ValueError(f"option {name} is {default!r} or {other!r}, not {value!r}")
        return value.lower()

    def whole(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.isdecimal() or int(value) < 1:
            raise ValueError(f"option {name} is a whole number, 1 or more, not {value!r}")
        return int(value)

    def units(self, name: str) -> float | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            units = float(value)
        except ValueError:
            units = math.nan
        if not 0 < units < math.inf:
            raise ValueError(
                f"option {name} is capacity units a second, more than 0, not {value!r}"
            )
        return units
