"""``make soak-bulk``: large loads into ministack, killed at random moments; and their memory.

Without kills at two sizes, whose peaks of memory are to be about the same; with kills, and with
kills through faults. The exit code is 1 if a table differs from its input, if a row cost more
than 1.35 accepted writes, or if a process took more than 200 MB.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiobotocore.session import AioSession

from aiobatch import DynamoDB
from aiobatch.testing import Fault, FaultProxy
from tests.backends import BackendPool
from tests.bulk import rows
from tests.bulk.kills import Killed, killed_load, wrong_letters
from tests.bulk.test_kills import FAULTS

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
            await client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
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


async def differences(endpoint_url: str, table: str, total: int) -> list[str]:
    """Where the table is not what the rows make of it. Read by keys: a scan takes hours here."""
    expected = rows.last_rows(range(total))
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
    f"{'run':>8} {'rows':>10} {'kills':>6} {'writes/row':>11} {'rows/s':>8} {'peak MB':>8}"
    f" {'seconds':>8} {'wrong':>6}"
)


def told(name: str, total: int, loaded: Killed, seconds: float, wrong: list[str]) -> str:
    return (
        f"{name:>8} {total:10,} {loaded.kills:6} {loaded.accepted / total:11.3f}"
        f" {total / seconds:8,.0f} {loaded.peak_kb / 1024:8.0f} {seconds:8.1f} {len(wrong):6}"
    )


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(HEADER, flush=True)
    wrong = []
    with BackendPool() as pool:
        url = pool.get("ministack").endpoint_url
        wrong += await one(url, given.rows // 10, 0, None, given.seed)
        wrong += await one(url, given.rows, given.kills, None, given.seed)
        wrong += await one(url, given.rows, 0, None, given.seed)
        wrong += await one(url, given.rows, given.kills, FAULTS, given.seed)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
