"""The airports of the demo, as a Parquet file and as items."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.demo import airports


def write_parquet(path: Path, count: int | None = None) -> dict[str, dict[str, Any]]:
    """Write the airports into a file, sorted by their keys, and return them by key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = sorted(airports(count), key=lambda airport: str(airport["icao"]))
    pq.write_table(pa.Table.from_pylist(found), path)
    return {airport["icao"]: airport for airport in found}


def as_attributes(airport: dict[str, Any]) -> dict[str, Any]:
    """What a table holds of an airport; numbers are compared as numbers."""
    return {
        name: {"S": value} if isinstance(value, str) else {"N": Decimal(str(value))}
        for name, value in airport.items()
    }


def with_numbers(item: dict[str, Any]) -> dict[str, Any]:
    """An item of a scan, to be compared with the former."""
    return {
        name: {"N": Decimal(value["N"])} if "N" in value else value for name, value in item.items()
    }


async def scan(client: Any, table: str, key: str) -> dict[str, Any]:
    """All items of a table by their key, a string."""
    found = {}
    async for page in client.get_paginator("scan").paginate(TableName=table):
        found.update({item[key]["S"]: with_numbers(item) for item in page["Items"]})
    return found
