"""``make soak``: large loads through every fault at once, each account compared with the table.

First on a fake wire and virtual time, seed by seed; then once through a FaultProxy in front of each
backend, over sockets; then a small call beside a load of a million entries. The exit code is 1 if
any account disagrees with what the table holds, or if the small call had to wait.
"""

import argparse
import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from aiobotocore.session import AioSession

from aiobatch import DynamoDB, Retry
from aiobatch.testing import FakeWire, Fault, FaultProxy
from benchmarks.virtual_time import on_virtual_time
from tests.backends import Backend, BackendPool
from tests.faults.soak import ALL_FAULTS, SLOWING_FAULTS, SUDDEN_FAULTS, SoakReport, scan, soak

if TYPE_CHECKING:
    pass

LATENCY = 0.005
PROXY_ROUND = 800
# Throttling at random, however slow the client goes, drives it to its slowest pace, at which
# a request holds one entry: rarer, so that a run ends within minutes.
FAULTS = {
    fault: share / 50 if fault in SLOWING_FAULTS else share for fault, share in ALL_FAULTS.items()
}
CREDENTIALS: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing",
}
HEADER = (
    f"{'run':>12} {'items':>8} {'requests':>9} {'faults':>8} {'processed':>10} {'unprocessed':>11}"
    f" {'unknown':>8} {'rejected':>8} {'found':>8} {'missing':>8} {'wrong':>6} {'seconds':>8}"
)


def row(name: str, items: int, requests: int, report: SoakReport, seconds: float) -> str:
    ended = report.entries
    return (
        f"{name:>12} {items:8,} {requests:9,} {sum(report.faults.values()):8,}"
        f" {ended['processed']:10,} {ended['unprocessed']:11,} {ended['unknown']:8,}"
        f" {ended['rejected']:8,} {ended['found']:8,} {ended['missing']:8,}"
        f" {len(report.wrong):6} {seconds:8.1f}"
    )


async def on_a_fake_wire(items: int, seed: int) -> tuple[SoakReport, int]:
    wire = FakeWire({"things": ("pk",)}, seed=seed, max_concurrency=64)

    async def read_back() -> dict[str, dict[str, Any]]:
        return {item["pk"]: item for item in wire.items("things")}

    async with DynamoDB(wire=wire) as db:
        # Every fourth seed ends some calls by a timeout, too.
        report = await soak(
            db,
            wire,
            "things",
            read_back,
            items=items,
            seed=seed,
            faults=FAULTS,
            largest_call=4_000,
            timeouts=0.3 if seed % 4 == 3 else 0.0,
        )
    return report, len(wire.requests)


async def through_a_proxy(backend: Backend, items: int, seed: int) -> tuple[SoakReport, int]:
    table = "aiobatch-soak"
    async with (
        AioSession().create_client(
            "dynamodb", endpoint_url=backend.endpoint_url, **CREDENTIALS
        ) as client,
        FaultProxy(backend.endpoint_url, seed=seed) as proxy,
        DynamoDB(endpoint_url=proxy.endpoint_url, **CREDENTIALS) as db,
    ):
        await client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        await client.get_waiter("table_exists").wait(TableName=table)
        try:
            report = await soak(
                db,
                proxy,
                table,
                lambda: scan(client, table),
                items=items,
                seed=seed,
                largest_call=60,
                # Throttling slows a client down by design; the runs on virtual time have it.
                faults=SUDDEN_FAULTS,
                retries=(
                    Retry(max_retries=0),
                    Retry(max_retries=2, base_delay=0.0),
                    Retry(max_retries=20, base_delay=0.0, on_progress="refund"),
                ),
            )
        finally:
            await client.delete_table(TableName=table)
        return report, len(proxy.requests)


def in_rounds(backend: Backend, items: int) -> tuple[SoakReport, int]:
    """Round by round, each with a client that has learnt nothing.

    A partial answer to a lone entry is a throttling, so faults at random would end at the slowest
    pace, and a test in real time would wait for it.
    """
    total, requests = SoakReport(), 0
    for seed, start in enumerate(range(0, items, PROXY_ROUND), 1):
        size = min(PROXY_ROUND, items - start)
        report, sent = asyncio.run(through_a_proxy(backend, size, seed))
        requests += sent
        total.calls.update(report.calls)
        total.entries.update(report.entries)
        total.faults.update(report.faults)
        total.wrong.extend(report.wrong)
    return total, requests


async def beside_a_load(entries: int) -> float:
    """How many round trips ten keys take while so many entries are being deleted."""
    loop = asyncio.get_running_loop()
    wire = FakeWire({"users": ("pk",)})
    wire.always(Fault.latency(LATENCY))
    async with DynamoDB(wire=wire) as db:
        keys = [{"pk": f"{n:07}"} for n in range(entries)]
        load = asyncio.create_task(db.batch_write_item(keys, "users", operation="delete"))
        # Until it is encoded and well under way.
        await asyncio.sleep(20 * LATENCY)
        assert len(wire.requests) > 16
        began = loop.time()
        await db.batch_get_item(keys[:10], "users")
        seconds = loop.time() - began
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    return seconds / LATENCY


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--proxy-items", type=int, default=20_000)
    parser.add_argument("--backends", default="ministack,dynalite")
    parser.add_argument("--beside", type=int, default=1_000_000)
    given = parser.parse_args()
    logging.getLogger("aiobatch").setLevel(logging.ERROR)
    wrong: list[str] = []
    met: set[str] = set()

    def show(name: str, items: int, result: tuple[SoakReport, int], began: float) -> None:
        report, requests = result
        wrong.extend(report.wrong)
        met.update(report.faults)
        print(row(name, items, requests, report, time.perf_counter() - began), flush=True)

    print(HEADER, flush=True)
    for seed in range(given.seeds):
        began = time.perf_counter()
        result = on_virtual_time(on_a_fake_wire(given.items, seed))
        show(f"seed {seed}", given.items, result, began)
    with BackendPool() as pool:
        for name in filter(None, given.backends.split(",")):
            began = time.perf_counter()
            result = in_rounds(pool.get(name), given.proxy_items)
            show(name, given.proxy_items, result, began)
    print(f"{len(met)} kinds of faults were met")
    trips = 0.0
    if given.beside:
        trips = on_virtual_time(beside_a_load(given.beside))
        print(f"ten keys beside a load of {given.beside:,} entries: {trips:.2f} round trips")
    for what in wrong[:20]:
        print(f"wrong: {what}")
    return int(bool(wrong) or trips > 2.0)


if __name__ == "__main__":
    raise SystemExit(main())
