"""Exports, copies and counts over real backends, and exports that are ended in the midst."""

import gzip
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiobatch import DynamoDB
from aiobatch.bulk import (
    CheckpointError,
    SourceError,
    copy,
    count,
    export,
    fetch,
    load,
)
from aiobatch.bulk.export import ExportReport, default_export_checkpoint
from tests.backends import Backend
from tests.conftest import TableFactory

EVERY_TYPE: list[dict[str, Any]] = [
    {
        "pk": "all",
        "text": 'ÄÖ, "quoted"\nsecond line\t\u2028',
        "empty": "",
        "whole": 7,
        "long": Decimal("12345678901234567890123456789012345678"),
        "small": Decimal("1E-128"),
        "large": Decimal("9.5E+120"),
        "yes": True,
        "nothing": None,
        "binary": b"\x00\xff raw",
        "strings": {"a", "b"},
        "numbers": {Decimal("1.5"), Decimal(2)},
        "binaries": {b"x", b"y"},
        "list": [1, "two", {"three": [None, b"4", {Decimal("0.1")}]}],
        "map": {"inner": {"deep": [True, False]}},
    },
    {"pk": "bare"},
    {"pk": "Item", "Item": {"M": "S"}},
]


class Stop(Exception):
    """What a test ends an export with."""


@pytest.fixture
async def db(backend: Backend) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=backend.endpoint_url, numbers="decimal") as db:
        yield db


def many(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"item {n}", "n": n, "text": "x" * 50} for n in range(count)]


async def items_of(db: DynamoDB, table: str) -> dict[str, Any]:
    return {item["pk"]: item async for item in db.scan(table, consistent_read=True)}


def names_in(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


def exported(path: Path) -> list[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [orjson.loads(line)["Item"] for line in content.splitlines()]


@pytest.mark.parametrize("name", ["out.json", "out.json.gz", "out.csv", "out.parquet"])
async def test_what_is_exported_and_loaded_is_equal(
    db: DynamoDB, table: TableFactory, tmp_path: Path, name: str
) -> None:
    source, target = await table(), await table()
    await db.batch_write_item([*EVERY_TYPE, *many(120)], source)
    path = tmp_path / name
    report = await export(db, source, path, total_segments=3, page_size=20)
    assert report.finished
    assert report.items == len(EVERY_TYPE) + 120
    assert report.segments_done == 3
    # CSV and Parquet tell the types in their headers; the empty string needs none of its own.
    loaded = await load(db, path, target)
    assert loaded.rejected == 0
    assert await items_of(db, target) == await items_of(db, source)
    assert names_in(tmp_path) == {name}


async def test_an_export_that_is_cancelled_goes_on(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source = await table()
    await db.batch_write_item(many(200), source)
    path = tmp_path / "out.json.gz"
    for _ in range(3):

        def stop(report: ExportReport) -> None:
            if report.items - report.resumed_at >= 40:
                raise Stop

        with pytest.raises(Stop):
            await export(
                db,
                source,
                path,
                total_segments=2,
                page_size=20,
                on_progress=stop,
                checkpoint_every=0.0,
            )
        assert not path.exists()
        assert default_export_checkpoint(path).exists()
        # What stands behind the checkpoint is cut off.
        with path.with_name("out.json.gz.part").open("ab") as part:
            part.write(b"cut in the midst of a")
    report = await export(db, source, path, page_size=20)
    assert report.resumed_at >= 120
    names = sorted(item["pk"]["S"] for item in exported(path))
    assert names == sorted(item["pk"] for item in many(200))


async def test_a_checkpoint_of_other_work_is_refused(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source, other = await table(), await table()
    await db.batch_write_item(many(30), source)
    path = tmp_path / "out.json"

    def stop(report: ExportReport) -> None:
        raise Stop

    with pytest.raises(Stop):
        await export(db, source, path, page_size=10, total_segments=2, on_progress=stop)
    for arguments, word in (
        ({"consistent_read": True}, "selection"),
        ({"total_segments": 5}, "segments"),
    ):
        with pytest.raises(CheckpointError, match=word):
            await export(db, source, path, **arguments)
    with pytest.raises(CheckpointError, match="table"):
        await export(db, other, path)
    path.with_name("out.json.part").write_bytes(b"")
    with pytest.raises(SourceError, match="was changed"):
        await export(db, source, path)


async def test_places_that_cannot_be_written(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source = await table()
    with pytest.raises(SourceError, match="no such directory"):
        await export(db, source, tmp_path / "none" / "out.json", checkpoint=False)
    (tmp_path / "dir.json").mkdir()
    with pytest.raises(SourceError, match="is a directory"):
        await export(db, source, tmp_path / "dir.json")
    with pytest.raises(SourceError, match="format"):
        await export(db, source, tmp_path / "out.txt")
    with pytest.raises(ValueError, match="only a local file"):
        await export(db, source, "-", format="jsonl", checkpoint=True)


async def test_copies_are_equal_and_counted(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source, target = await table(), await table()
    await db.batch_write_item([*EVERY_TYPE, *many(100)], source)
    saved = tmp_path / "copy.checkpoint"

    def stop(report: Any) -> None:
        raise Stop

    with pytest.raises(Stop):
        await copy(
            db, source, target, checkpoint=saved, page_size=20, total_segments=2, on_progress=stop
        )
    report = await copy(db, source, target, checkpoint=saved, page_size=20)
    assert report.finished
    assert report.resumed_at > 0
    assert report.items == len(EVERY_TYPE) + 100
    assert await items_of(db, target) == await items_of(db, source)
    assert not names_in(tmp_path)
    counted = await count(db, target, total_segments=2, consistent_read=True)
    assert counted.items == counted.scanned == len(EVERY_TYPE) + 100
    some = await count(
        db, target, filter_expression="n < :n", expression_attribute_values={":n": 10}
    )
    assert (some.items, some.scanned) == (10, counted.items)
    with pytest.raises(ValueError, match="same table"):
        await copy(db, source, source)


async def test_items_are_fetched_by_their_keys(
    db: DynamoDB, table: TableFactory, tmp_path: Path
) -> None:
    source = await table()
    await db.batch_write_item([*EVERY_TYPE, *many(50)], source)
    keys = tmp_path / "keys.jsonl"
    lines = [orjson.dumps({"pk": f"item {n}", "more": 1}) for n in range(40, 60)]
    keys.write_bytes(b"\n".join([*lines, b'{"pk": 5}', b"{broken", b'{"pk": "all"}']) + b"\n")
    out = tmp_path / "items.json"
    report = await fetch(db, keys, source, out)
    assert (report.keys, report.found, report.missing, report.rejected) == (23, 11, 10, 2)
    assert [reason.split(":")[0] for reason in report.reasons] == [
        f"{keys}, line 21",
        f"{keys}, line 22",
    ]
    stored = await items_of(db, source)
    target = await table()
    await load(db, out, target)
    fetched = await items_of(db, target)
    assert fetched == {key: stored[key] for key in fetched}
    assert len(fetched) == 11
