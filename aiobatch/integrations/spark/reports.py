"""Ledgers on disk: the one way in which a job that failed can tell its caller everything.

What a task returns is lost where the job fails, and the processes that commit are not the
caller's. So each attempt of a task writes its ledger into a directory that all of them see, and
the end of the job their sum.
"""

from __future__ import annotations

import json
import posixpath
from typing import Any

from aiobatch.partitions import Ledger

__all__ = ["JOB", "attempt_name", "read_report", "write_report"]

JOB = "job.json"


def attempt_name(partition: int, attempt: int) -> str:
    """The name of an attempt's file. ``attempt`` is Spark's task attempt id, unique in a job."""
    return f"part-{partition:05d}-attempt-{attempt}.json"


def write_report(directory: str, name: str, ledger: Ledger) -> None:
    """Write a ledger into a directory, which is made if need be.

    Args:
        directory: a path or a URI that pyarrow knows: ``/reports/1``, ``s3://bucket/reports/1``.
        name: the file's name.
        ledger: what to write.
    """
    files, path = _filesystem(directory)
    files.create_dir(path, recursive=True)
    text = json.dumps(ledger.as_dict(), indent=1)
    with files.open_output_stream(posixpath.join(path, name)) as file:
        file.write(text.encode())


def read_report(directory: str) -> tuple[Ledger, dict[str, Ledger]]:
    """Read what a job wrote into the directory of its option ``report``.

    Returns:
        The account of the job (of the attempts that counted), and the ledger of each attempt of
        each task by the name of its file, of those too that failed or were done again.

    Raises:
        FileNotFoundError: there is no report.
    """
    files, path = _filesystem(directory)
    from pyarrow.fs import FileSelector

    found = {}
    for info in sorted(files.get_file_info(FileSelector(path)), key=lambda info: info.path):
        if info.base_name.endswith(".json"):
            with files.open_input_stream(info.path) as file:
                found[info.base_name] = Ledger.from_dict(json.loads(file.read()))
    if JOB not in found:
        raise FileNotFoundError(f"{directory} has no {JOB}: no job has ended that reported there")
    return found.pop(JOB), found


def _filesystem(directory: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    files, path = FileSystem.from_uri(directory)
    return files, path
