"""The writer by itself: what a task raises, and what the end of a job makes of ledgers."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aiobatch.integrations.spark import read_report
from aiobatch.integrations.spark.options import WriteOptions
from aiobatch.integrations.spark.reports import attempt_name
from aiobatch.integrations.spark.writer import DynamoDBWriter, Written
from aiobatch.partitions import Ledger, Problem, WriteFailed


@pytest.fixture
def report(tmp_path: Path) -> str:
    return str(tmp_path / "reports" / "deep")


@pytest.fixture
def writer(report: str) -> DynamoDBWriter:
    return DynamoDBWriter(WriteOptions(table="users", report=report), ("pk",))


def ledger(**counts: Any) -> Ledger:
    return Ledger(table_name="users", partitions=1, **counts)


def test_what_may_end_better_is_raised(
    writer: DynamoDBWriter, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that Spark tries again. Throttling would have to last for 300 s, so the ledger is made."""
    left = ledger(accepted=5, processed=3, unprocessed=2, failure="throttled", may_succeed=True)

    def write_batches(*_: Any, on_end: Any, **__: Any) -> Ledger:
        on_end(left)
        return left

    monkeypatch.setattr("aiobatch.integrations.spark.writer.write_batches", write_batches)
    with pytest.raises(WriteFailed, match="3 processed, 2 unprocessed"):
        writer.write(iter([pa.record_batch({"pk": ["a"]})]))
    writer.abort([None])
    total, attempts = read_report(report)
    assert total == Ledger(table_name="users")
    assert attempts == {attempt_name(0, 0): left}


def test_the_end_of_a_job(writer: DynamoDBWriter, report: str) -> None:
    good = ledger(partition=0, accepted=5, processed=5)
    bad = ledger(
        partition=1,
        accepted=3,
        processed=2,
        invalid=1,
        problems=(Problem(1, 2, "pk", "is empty"),),
    )
    writer.commit([Written(good)])
    with pytest.raises(WriteFailed, match="partition 1, row 2, attribute pk: is empty"):
        writer.commit([Written(good), Written(bad)])
    # Such as Hadoop's checksums.
    Path(report, "job.json.crc").write_bytes(b"\x00")
    total, _ = read_report(report)
    assert (total.accepted, total.processed, total.invalid, total.partitions) == (8, 7, 1, 2)


def test_no_report_where_nobody_asked() -> None:
    writer = DynamoDBWriter(WriteOptions(table="users"), ("pk",))
    writer.commit([Written(ledger(accepted=1, processed=1))])
    writer.abort([None])


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no job\.json"):
        read_report(str(tmp_path))
