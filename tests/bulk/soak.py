"""``make soak-bulk``: large loads into ministack, killed at random moments; and their memory.

Without kills at two sizes, whose peaks of memory are to be about the same; with kills, and with
kills through faults. Then exports, copies and gets, of fewer rows: each page of a scan takes
ministack as long as its table is large. The exit code is 1 if a table or a file differs from its
input, if a row cost more than 1.35 accepted writes, or if a process took more than 200 MB.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiobotocore.session import AioSession

from aiobatch import DynamoDB
from aiobatch.testing import Fault, FaultProxy
from tests.backends import BackendPool
from tests.bulk import rows
from tests.bulk.kills import Killed, killed_load, killed_scan, wrong_export, wrong_letters
from tests.bulk.test_kills import FAULTS

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

MOST_WRITES_A_ROW = 1.35
MOST_MEMORY_MB = 200.0
CREDENTIALS: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing",
}


async def one(
    endpoint_url: str,
    total: int,
    kills: int,
    faults: Mapping[Fault, float] | None,
    seed: int,
) -> list[str]:
    """Load once; what is wrong."""
    table = f"soak-{total}-{kills}-{'faults' if faults else 'plain'}"
    with tempfile.TemporaryDirectory(prefix="aiobatch-soak-") as scratch:
        file = Path(scratch, "rows.csv")
        await asyncio.to_thread(rows.write, file, range(total))
        async with (
            AioSession().create_client(
                "dynamodb", endpoint_url=endpoint_url, **CREDENTIALS
            ) as client,
            FaultProxy(endpoint_url, seed=seed) as proxy,
        ):
            await create_table(client, table)
            settings = {
                "table_name": table,
                "sources": str(file),
                "checkpoint": True,
                "max_concurrency": 16,
            }
            began = time.perf_counter()
            loaded = await killed_load(
                proxy, settings, kills=kills, total=total, seed=seed, faults=faults, measures=True
            )
            seconds = time.perf_counter() - began
            wrong = await differences(endpoint_url, table, total)
            wrong += await asyncio.to_thread(
                wrong_letters, [file.with_name("rows.rejected.csv")], range(total)
            )
            await client.delete_table(TableName=table)
    cost = loaded.accepted / total
    if loaded.kills < kills:
        wrong.append(f"only {loaded.kills} kills")
    if not faults and cost > MOST_WRITES_A_ROW:
        wrong.append(f"{cost:.3f} accepted writes a row")
    if loaded.peak_kb > MOST_MEMORY_MB * 1024:
        wrong.append(f"{loaded.peak_kb / 1024:.0f} MB")
    print(told("faults" if faults else "plain", total, loaded, seconds, wrong), flush=True)
    for each in wrong:
        print(f"    WRONG: {each}", flush=True)
    return wrong


async def scans(endpoint_url: str, total: int, kills: int, page: int | None, seed: int) -> int:
    """Export, copy and get so many items; how much was wrong."""
    connection = {"endpoint_url": endpoint_url, **CREDENTIALS}
    tables = [f"scans-{total}-{kills}-{page}-{name}" for name in ("source", "target")]
    expected = rows.last_rows(range(total), broken=True)
    wrong = 0
    async with (
        AioSession().create_client("dynamodb", **connection) as client,
        DynamoDB(**connection) as db,
        FaultProxy(endpoint_url, seed=seed) as proxy,
    ):
        for table in tables:
            await create_table(client, table)
        await db.bulk_write((rows.item(row) for row in expected.values()), tables[0])
        with tempfile.TemporaryDirectory(prefix="aiobatch-soak-") as scratch:
            for name, settings in works(Path(scratch), tables, page):
                work = "export" if name.startswith("export") else name
                if work == "get":
                    await asyncio.to_thread(write_keys, Path(scratch, "keys.csv"), expected)
                began = time.perf_counter()
                ended = await killed_scan(
                    proxy,
                    work,
                    settings,
                    kills=kills,
                    pages=-(-len(expected) // (100 if work == "get" else page or 7000)),
                    operation="BatchGetItem" if work == "get" else "Scan",
                    seed=seed,
                    measures=True,
                )
                seconds = time.perf_counter() - began
                if work == "copy":
                    found = await differences(endpoint_url, tables[1], total, broken=True)
                else:
                    found = await asyncio.to_thread(
                        wrong_export, Path(settings["output"]), range(total)
                    )
                if ended.kills < kills:
                    found.append(f"only {ended.kills} kills")
                if ended.peak_kb > MOST_MEMORY_MB * 1024:
                    found.append(f"{ended.peak_kb / 1024:.0f} MB")
                told_as = f"{name}, {f'{page:,}' if page else '1 MB'} a page"
                print(told(told_as, len(expected), ended, seconds, found), flush=True)
                for each in found:
                    print(f"    WRONG: {each}", flush=True)
                wrong += len(found)
                # The proxy keeps a record of all that it was asked.
                proxy.requests.clear()
        for table in tables:
            await client.delete_table(TableName=table)
    return wrong


def works(
    scratch: Path, tables: list[str], page: int | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is run, with its settings."""
    source, target = tables
    scan = {"page_size": page, "max_concurrency": 16}
    for suffix in ("json.gz", "csv", "parquet"):
        output = str(scratch / f"out.{suffix}")
        yield f"export {suffix}", {"table_name": source, "output": output, **scan}
    checkpoint = str(scratch / "copy.checkpoint")
    yield "copy", {"source": source, "target": target, "checkpoint": checkpoint, **scan}
    yield (
        "get",
        {
            "sources": str(scratch / "keys.csv"),
            "table_name": source,
            "output": str(scratch / "got.json.gz"),
            "max_concurrency": 16,
        },
    )


def write_keys(path: Path, keys: Iterable[str]) -> None:
    path.write_text("pk\n" + "".join(f"{key}\n" for key in keys))


async def create_table(client: "DynamoDBClient", table: str) -> None:
    await client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


async def differences(
    endpoint_url: str, table: str, total: int, *, broken: bool = False
) -> list[str]:
    """Where the table is not what the rows make of it. Read by keys: a scan takes hours here."""
    expected = rows.last_rows(range(total), broken=broken)
    never = {rows.key(row) for row in range(total) if rows.is_broken(row)} - expected.keys()
    wrong = []
    keys = ({"pk": key} for key in itertools.chain(list(expected), never))
    async with (
        DynamoDB(endpoint_url=endpoint_url, **CREDENTIALS) as db,
        db.iter_get(keys, table, consistent_read=True) as items,
    ):
        async for item in items:
            row = expected.pop(item["pk"], None)
            if row is None or item != rows.item(row):
                wrong.append(f"{item['pk']} holds row {item.get('n')}, not {row}")
    wrong += [f"{pk} is missing" for pk in expected]
    return wrong[:10]


HEADER = (
    f"{'run':>28} {'rows':>10} {'kills':>6} {'writes/row':>11} {'rows/s':>8} {'peak MB':>8}"
    f" {'seconds':>8} {'wrong':>6}"
)


def told(name: str, total: int, loaded: Killed, seconds: float, wrong: list[str]) -> str:
    return (
        f"{name:>28} {total:10,} {loaded.kills:6} {loaded.accepted / total:11.3f}"
        f" {total / seconds:8,.0f} {loaded.peak_kb / 1024:8.0f} {seconds:8.1f} {len(wrong):6}"
    )


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-scans", action="store_true", help="exports, copies and gets alone")
    given = parser.parse_args()
    print(HEADER, flush=True)
    wrong = 0
    with BackendPool() as pool:
        url = pool.get("ministack").endpoint_url
        for total, kills, faults in (
            (given.rows // 10, 0, None),
            (given.rows, given.kills, None),
            (given.rows, 0, None),
            (given.rows, given.kills, FAULTS),
        ):
            if not given.only_scans:
                wrong += len(await one(url, total, kills, faults, given.seed))
        few, more = given.rows // 50, given.rows // 5
        for total, kills, page in (
            (few, given.kills, few // 200 or 1),
            (few, 0, 2000),
            (more, 0, 2000),
            (more, 0, None),
        ):
            wrong += await scans(url, total, kills, page, given.seed)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
