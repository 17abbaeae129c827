"""Loads over real sockets: every type arrives as it stood in the file."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import airportsdata

from aiobatch import DynamoDB
from aiobatch.bulk import load
from aiobatch.bulk.formats import FormatName, open_writer
from aiobatch.testing import FakeWire, FaultProxy
from tests.backends import Backend
from tests.bulk.test_kills import FAULTS
from tests.conftest import TableFactory

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

AIRPORTS = Path(airportsdata.__file__).with_name("airports.csv")


def every_type(number: int) -> dict[str, Any]:
    return {
        "pk": f"item {number}",
        "text": 'quoted "text",\nin two lines',
        "empty": "",
        "whole": number,
        "exact": Decimal("-12345678901234567890.123456789012345678"),
        "tiny": Decimal("1E-130"),
        "binary": b"\x00\xff",
        "no binary": b"",
        "yes": True,
        "nothing": None,
        "texts": {"a", "b"},
        "numbers": {Decimal("1.5"), Decimal(number)},
        "binaries": {b"a", b"\xfe"},
        "list": [1, "two", [None], {"three": {Decimal(3)}}],
        "no list": [],
        "map": {"a.b": {"c": False}},
        "no map": {},
    }


def write(path: Path, format: FormatName, items: list[dict[str, Any]]) -> None:
    with path.open("wb") as file:
        writer = open_writer(file, format)
        for item in items:
            writer.write(item)
        writer.close()


async def test_every_type_arrives(
    backend: Backend, raw_client: "DynamoDBClient", table: TableFactory, tmp_path: Path
) -> None:
    items = [every_type(number) for number in range(60)]
    async with (
        FaultProxy(backend.endpoint_url, seed=3) as proxy,
        DynamoDB(endpoint_url=proxy.endpoint_url, numbers="decimal") as db,
        asyncio.timeout(60),
    ):
        proxy.randomly(FAULTS, seed=3, operation="BatchWriteItem")
        formats: list[FormatName] = ["dynamodb-json", "csv", "parquet"]
        for format in formats:
            name = await table()
            path = tmp_path / format
            await asyncio.to_thread(write, path, format, items)
            report = await load(db, path, name, format=format)
            assert (report.written, report.rejected) == (60, 0)
            keys = [{"pk": item["pk"]} for item in items]
            read = await db.batch_get_item(keys, name, ordered=True, consistent_read=True)
            assert read["Items"] == items
            again = await load(db, path, name, format=format, operation="delete")
            assert again.written == 60
            left = await raw_client.scan(TableName=name, ConsistentRead=True)
            assert left["Count"] == 0


async def test_the_airports_are_loaded_from_their_file_as_it_is(tmp_path: Path) -> None:
    wire = FakeWire({"airports": ("icao",)})
    async with DynamoDB(wire=wire) as db:
        report = await load(
            db,
            AIRPORTS,
            "airports",
            types={"elevation": "N", "lat": "N", "lon": "N"},
            checkpoint=tmp_path / "checkpoint",
            dead_letters=tmp_path / "rejected.csv",
        )
    places = airportsdata.load("ICAO")
    assert report.written == len(places) > 28_000
    assert report.rejected == 0
    assert report.bytes_done == report.bytes_total
    loaded = {item["icao"]: item for item in wire.items("airports")}
    assert loaded == {
        code: {name: value for name, value in place.items() if value != ""}
        for code, place in places.items()
    }
