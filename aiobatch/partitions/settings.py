"""How a task reaches DynamoDB: plain values, which travel to other machines."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiobatch.client import DynamoDB
from aiobatch.codec import Numbers
from aiobatch.partitions.counting import CounterAddress
from aiobatch.retry import Retry

__all__ = ["Connection", "JobRate", "share_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRate:
    """A rate that the running tasks of a job divide between them, whatever their number.

    Attributes:
        units: capacity units a second, of the whole job.
        share: what a task takes of it while nobody tells how many there are.
        counter: who tells.
        job: the name by which the counter knows the job; ASCII, without spaces.
    """

    units: float
    share: float
    counter: CounterAddress
    job: str


def share_of(rate: float | JobRate | None) -> float | None:
    """What one process takes of a rate without being told of the others."""
    return rate.share if isinstance(rate, JobRate) else rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """What a client is made of. No credentials: each machine finds its own, as boto3 does.

    Attributes:
        region_name, endpoint_url, profile_name, max_concurrency: as for ``DynamoDB``.
        max_read_units, max_write_units: this process's share, per second and table.
        key_names: the key attributes by table, the partition key first.
        numbers: how numbers are read.
        retry: by default ``Retry.patient()``: full jitter, since many processes share a table.
    """

    region_name: str | None = None
    endpoint_url: str | None = None
    profile_name: str | None = None
    max_concurrency: int = 16
    max_read_units: float | None = None
    max_write_units: float | None = None
    key_names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    numbers: Numbers = "native"
    retry: Retry = field(default_factory=Retry.patient)

    def open(self) -> DynamoDB:
        """A client, which opens at its first call."""
        return DynamoDB(
            region_name=self.region_name,
            endpoint_url=self.endpoint_url,
            profile_name=self.profile_name,
            max_concurrency=self.max_concurrency,
            max_read_units=self.max_read_units,
            max_write_units=self.max_write_units,
            key_names=dict(self.key_names),
            retry=self.retry,
            numbers=self.numbers,
        )
