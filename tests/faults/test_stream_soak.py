"""Streams through every fault at once: nothing is lost and nothing is counted twice."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from aiobatch import DynamoDB, Retry
from aiobatch.testing import FakeWire, Fault, FaultProxy
from tests.backends import Backend
from tests.conftest import TableFactory
from tests.faults.soak import SUDDEN_FAULTS, SoakReport, scan
from tests.faults.streams import stream_soak

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient


async def fake_soak(seed: int, items: int, **settings: Any) -> SoakReport:
    wire = FakeWire({"things": ("pk",)}, seed=seed, max_concurrency=64)

    async def read_back() -> dict[str, dict[str, Any]]:
        return {item["pk"]: item for item in wire.items("things")}

    async with DynamoDB(wire=wire, max_concurrency=16) as db:
        report = await stream_soak(
            db, wire, "things", read_back, items=items, seed=seed, **settings
        )
    assert wire.in_flight == 0
    return report


@pytest.mark.looptime
@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_on_a_fake_wire(seed: int) -> None:
    report = await fake_soak(seed, 1000)
    assert report.wrong[:10] == []
    for fate in ("processed", "unprocessed", "unknown", "rejected", "found", "missing", "left"):
        assert report.entries[fate], fate


@pytest.mark.looptime
@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_where_streams_are_cancelled(seed: int) -> None:
    report = await fake_soak(seed, 2000, cancelled=True)
    assert report.wrong[:10] == []
    assert report.calls["cancelled"]
    assert report.entries["unknown"]


async def test_nothing_is_lost_through_a_proxy(
    backend: Backend, raw_client: "DynamoDBClient", table: TableFactory
) -> None:
    name = await table()
    async with (
        FaultProxy(backend.endpoint_url, seed=1) as proxy,
        DynamoDB(endpoint_url=proxy.endpoint_url) as db,
        asyncio.timeout(120),
    ):
        report = await stream_soak(
            db,
            proxy,
            name,
            lambda: scan(raw_client, name),
            items=400,
            seed=1,
            faults=SUDDEN_FAULTS,
            retries=(
                Retry(max_retries=2, base_delay=0.0),
                Retry(max_retries=20, base_delay=0.0, on_progress="refund"),
            ),
        )
    assert report.wrong[:10] == []
    assert proxy.in_flight == 0
    assert report.faults[str(Fault.reset_after())]
