"""What holds for every report at any time."""

from typing import Any

from aiobatch import ReadReport, WriteReport
from aiobatch.testing import FakeWire


def assert_adds_up(report: ReadReport | WriteReport) -> None:
    parts = [
        report.pending,
        report.processed,
        report.unprocessed,
        report.rejected,
        report.invalid,
        report.missing if isinstance(report, ReadReport) else report.unknown,
    ]
    assert all(part >= 0 for part in parts)
    assert sum(parts) == report.accepted


def assert_ended(report: ReadReport | WriteReport) -> None:
    assert_adds_up(report)
    assert report.pending == 0


def held(wire: FakeWire) -> dict[str, Any]:
    return {item["pk"]: item for item in wire.items("things")}


def sizes(wire: FakeWire) -> list[int]:
    return [request.entries for request in wire.requests]
