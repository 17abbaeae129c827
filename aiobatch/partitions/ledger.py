"""Where the rows of a partition ended: counts and reasons, never a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

from aiobatch.errors import AiobatchError

__all__ = ["PROBLEMS_KEPT", "Ledger", "Problem", "WriteFailed"]

PROBLEMS_KEPT = 100
"""So many problems are kept of a partition, and of a job; the counts count all."""

_TOLD_AT_MOST = 5
_COUNTS = ("processed", "unprocessed", "unknown", "rejected", "invalid")
_SUMMED = ("accepted", *_COUNTS, "requests", "retries", "throttled")


@dataclass(frozen=True, slots=True)
class Problem:
    """One row that was not written for its own fault.

    Attributes:
        partition: the task's partition, counted from 0; None where nobody said.
        row: the row's place in the partition, counted from 0.
        path: the attribute, such as ``address.tags[2]``; empty for the row itself.
        reason: what is wrong with it. Never the value.
    """

    partition: int | None
    row: int
    path: str
    reason: str

    def __str__(self) -> str:
        place = f"row {self.row}"
        if self.partition is not None:
            place = f"partition {self.partition}, {place}"
        if self.path:
            place += f", attribute {self.path}"
        return f"{place}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The account of one partition, or the sum of several (``sum(ledgers, Ledger())``).

    The counts from ``processed`` to ``invalid`` add up to ``accepted``. A ledger can be pickled
    and is small; it holds no row.

    Attributes:
        table_name: the table; empty for a sum of nothing.
        partition: the number of the partition, if it was given.
        attempt: which attempt of the task wrote it, if it was given.
        accepted: rows that were taken from the partition.
        processed: rows that are in the table (or, for a delete, no longer there).
        unprocessed: rows that are certainly not written.
        unknown: rows that may or may not be written.
        rejected: rows that DynamoDB refused for their own fault.
        invalid: rows that DynamoDB would refuse, and that were not sent.
        requests, retries, throttled: requests sent, rows sent again, requests refused.
        seconds: the longest that a partition took.
        failure: why the partition came to an early end, or None.
        may_succeed: whether the failure or what is left may be gone at another attempt.
        problems: the rows at fault, the first 100 of them.
        partitions: how many ledgers this is the sum of.
    """

    table_name: str = ""
    partition: int | None = None
    attempt: int | None = None
    accepted: int = 0
    processed: int = 0
    unprocessed: int = 0
    unknown: int = 0
    rejected: int = 0
    invalid: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    seconds: float = 0.0
    failure: str | None = None
    may_succeed: bool = False
    problems: tuple[Problem, ...] = ()
    partitions: int = 0

    def __add__(self, other: Ledger) -> Ledger:
        if not isinstance(other, Ledger):
            return NotImplemented
        sums: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name) for name in _SUMMED
        }
        return Ledger(
            **sums,
            table_name=self.table_name or other.table_name,
            seconds=max(self.seconds, other.seconds),
            failure=self._failure or other._failure,
            may_succeed=self.may_succeed or other.may_succeed,
            problems=(self.problems + other.problems)[:PROBLEMS_KEPT],
            partitions=self.partitions + other.partitions,
        )

    @property
    def _failure(self) -> str | None:
        if self.failure is None or self.partition is None:
            return self.failure
        return f"partition {self.partition}: {self.failure}"

    @property
    def left(self) -> int:
        """Rows that are not surely written, for whatever reason."""
        return self.accepted - self.processed

    @property
    def ok(self) -> bool:
        """Whether every row of the partition was taken and written."""
        return self.failure is None and not self.left

    def in_words(self) -> str:
        """The counts, in words."""
        counts = [f"{n} {name}" for name in _COUNTS if (n := getattr(self, name))]
        return f"of {self.accepted} rows taken, {', '.join(counts) or 'none ended'}"

    def check(self, *, allow_invalid: bool = False) -> Self:
        """Return this ledger if all is well.

        Args:
            allow_invalid: rows that are invalid or were rejected are no reason to raise.

        Raises:
            WriteFailed: rows are left, or a partition came to an early end.
        """
        faulty = self.invalid + self.rejected if allow_invalid else 0
        if self.failure is None and self.left == faulty:
            return self
        raise WriteFailed(self)

    def as_dict(self) -> dict[str, Any]:
        """Everything in it, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What :meth:`as_dict` gave, after its way through JSON."""
        problems = tuple(Problem(**problem) for problem in values["problems"])
        return cls(**{**values, "problems": problems})

    @classmethod
    def sum(cls, ledgers: Iterable[Ledger]) -> Ledger:
        """The sum of any number of ledgers."""
        return sum(ledgers, Ledger())


class WriteFailed(AiobatchError):
    """A job left rows behind, or a partition of it came to an early end.

    Attributes:
        ledger: the account of everything that was written.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        told = [str(problem) for problem in ledger.problems[:_TOLD_AT_MOST]]
        more = ledger.invalid + ledger.rejected - len(told)
        if more > 0:
            told.append(f"and {more} more")
        parts = [f"writing to table {ledger.table_name!r}: {ledger.in_words()}"]
        if ledger.failure is not None:
            parts.append(f"cause: {ledger._failure}")
        if told:
            parts.append(f"rows at fault: {'; '.join(told)}")
        parts.append("what was written stays; writing the same rows again ends in the same items")
        super().__init__(". ".join(parts))
