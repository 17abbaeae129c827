"""Reports of Spark's jobs: ledgers on disk, and what is read back of them."""

from pathlib import Path

import pytest

from aiobatch.integrations.spark.reports import JOB, attempt_name, read_report, write_report
from aiobatch.partitions import Ledger


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = str(tmp_path / "reports" / "deep")
    first = Ledger(table_name="users", partitions=1, accepted=5, processed=5)
    second = Ledger(table_name="users", partitions=1, accepted=3, unprocessed=3, failure="slow")
    for number, ledger in enumerate((first, second)):
        write_report(directory, attempt_name(0, number), ledger)
    with pytest.raises(FileNotFoundError, match=r"has no job\.json: no job has ended"):
        read_report(directory)
    total = Ledger.sum([first, second])
    write_report(directory, JOB, total)
    # Such as Hadoop's checksums.
    Path(directory, "job.json.crc").write_bytes(b"\x00")
    found, attempts = read_report(directory)
    assert found == total
    assert attempts == {
        "part-00000-attempt-0.json": first,
        "part-00000-attempt-1.json": second,
    }


def test_a_report_in_no_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_report(str(tmp_path / "none"))
