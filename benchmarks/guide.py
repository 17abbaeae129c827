"""The guide's table, and what it costs: 100 items one by one, and the same in batches.

Started as ``python -m benchmarks.guide JSON``; prints one line of JSON. It is the demo's
comparison, against a server whose capacity units are DynamoDB's.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY
from benchmarks.demo import COMPARED, airports, compare_calls, key_of
from benchmarks.embedded import placeholder_credentials
from benchmarks.latency import delayed
from benchmarks.loops import run
from benchmarks.tables import own_table
from benchmarks.worker import Channel


def cost_of(answers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The requests and capacity units of some answers."""
    units = 0.0
    for answer in answers:
        told = answer["ConsumedCapacity"]
        for capacity in told if isinstance(told, list) else [told]:
            units += float(capacity["CapacityUnits"])
    return {
        "requests": sum(answer["Metrics"]["requests"] for answer in answers),
        "units": units,
    }


async def measure(endpoint_url: str, latency: float) -> dict[str, Any]:
    """Compare, and count."""
    from aiobatch import DynamoDB

    items = airports(COMPARED)
    keys = [key_of(airport) for airport in items]
    settings: dict[str, Any] = {
        "region_name": REGION,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
    }
    async with own_table(endpoint_url, "aiobatch-bench", "icao") as (table, _):
        async with (
            delayed(endpoint_url, latency) as far,
            DynamoDB(endpoint_url=far, **settings) as db,
        ):
            compared = await compare_calls(db, table, items)
        async with DynamoDB(endpoint_url=endpoint_url, **settings) as db:
            capacity: Any = "TOTAL"
            one_by_one: dict[str, list[Any]] = {
                "get": [await db.get(k, table, return_consumed_capacity=capacity) for k in keys],
                "write": [
                    await db.save(i, table, return_consumed_capacity=capacity) for i in items
                ],
            }
            batched: dict[str, list[Any]] = {
                "get": [await db.batch_get_item(keys, table, return_consumed_capacity=capacity)],
                "write": [
                    await db.batch_write_item(items, table, return_consumed_capacity=capacity)
                ],
            }
    return {
        "latency_ms": latency * 1000,
        "compared": [
            {"name": row.name, "individual": row.individual, "batch": row.batch} for row in compared
        ],
        "cost": {
            op: {"individual": cost_of(one_by_one[op]), "batch": cost_of(batched[op])}
            for op in one_by_one
        },
    }


def main(arguments: list[str]) -> int:
    """Run."""
    told, channel = json.loads(arguments[0]), Channel()
    try:
        with placeholder_credentials():
            outcome = run(measure(told["endpoint_url"], told["latency"]))
    except Exception as error:
        channel.say(failed=f"{type(error).__name__}: {error}")
        raise
    channel.say(**outcome)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
