"""Killed at random moments and started again: what comes out equals what went in."""

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aiobatch import DynamoDB
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend, read_selection
from tests.bulk import rows
from tests.bulk.kills import (
    differences,
    killed_load,
    killed_scan,
    wrong_export,
    wrong_letters,
)
from tests.conftest import TableFactory

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

ROWS = 3000
KILLS = 6
FAULTS = {
    Fault.partial(0.5): 0.1,
    Fault.reset_before(): 0.02,
    Fault.reset_after(): 0.02,
    Fault.internal_error(): 0.02,
    Fault.truncated(): 0.02,
}


# One backend is enough for what happens in our own process: the fastest of those selected.
SELECTED = read_selection(os.environ).selected
BACKEND = "ministack" if "ministack" in SELECTED else SELECTED[0]


@pytest.mark.parametrize("backend", [BACKEND], indirect=True)
@pytest.mark.parametrize(("kills", "faults"), [(KILLS, None), (2, FAULTS)], ids=["kills", "faults"])
async def test_a_killed_load_ends_as_if_it_had_run_through(
    backend: Backend,
    raw_client: "DynamoDBClient",
    table: TableFactory,
    kills: int,
    faults: dict[Fault, float] | None,
    tmp_path: Path,
) -> None:
    total = range(ROWS)
    middle = ROWS // 2
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    rows.write(files[0], total[:middle])
    rows.write(files[1], total[middle:])
    name = await table()
    settings = {
        "table_name": name,
        "sources": [str(file) for file in files],
        "checkpoint": True,
        # A kill costs what is in hand, and what was done since the last checkpoint.
        "max_concurrency": 4,
        "max_pending": 50,
        "checkpoint_every": 0.01,
    }
    async with FaultProxy(backend.endpoint_url, seed=7) as proxy, asyncio.timeout(120):
        loaded = await killed_load(
            proxy, settings, kills=kills, total=ROWS, seed=kills, faults=faults
        )
    assert (loaded.kills, loaded.starts) == (kills, kills + 1)
    assert await differences(raw_client, name, total) == []
    letters = [tmp_path / "a.rejected.csv", tmp_path / "b.rejected.csv"]
    assert wrong_letters(letters, total) == []
    assert loaded.last["resumed_at"] > 0
    assert loaded.last["done"] == loaded.last["rows"] == ROWS
    assert loaded.last["rejected"] == ROWS // rows.BROKEN_EVERY
    if not faults:
        assert loaded.accepted <= 1.35 * ROWS
    # Neither a checkpoint nor a lock is left.
    left = {path.name for path in tmp_path.iterdir()}  # noqa: ASYNC240
    assert not [name for name in left if "checkpoint" in name]


ITEMS = 1500
PAGE = 20


ODD = [{"pk": f"odd {number}"} for number in range(60)]


async def filled(backend: Backend, name: str, more: list[dict[str, str]] | None = None) -> None:
    async with DynamoDB(endpoint_url=backend.endpoint_url) as db:
        items = [rows.item(row) for row in range(ITEMS)]
        await db.batch_write_item([*items, *(more or [])], name)


@pytest.mark.parametrize("backend", [BACKEND], indirect=True)
@pytest.mark.parametrize("output", ["out.json", "out.json.gz", "out.csv"])
async def test_a_killed_export_holds_each_item_once(
    backend: Backend, table: TableFactory, output: str, tmp_path: Path
) -> None:
    name = await table()
    await filled(backend, name)
    path = tmp_path / output
    settings = {
        "table_name": name,
        "output": str(path),
        "total_segments": 4,
        "page_size": PAGE,
        "max_concurrency": 4,
        "checkpoint_every": 0.02,
    }
    total = len(rows.last_rows(range(ITEMS), broken=True))
    async with FaultProxy(backend.endpoint_url) as proxy, asyncio.timeout(120):
        ended = await killed_scan(
            proxy, "export", settings, kills=3, pages=total // PAGE, seed=len(output)
        )
    assert (ended.kills, ended.starts) == (3, 4)
    assert ended.last["items"] == total
    assert ended.last["resumed_at"] > 0
    assert await asyncio.to_thread(wrong_export, path, range(ITEMS)) == []
    # Neither a part, nor a checkpoint, nor a lock is left.
    assert [each.name for each in tmp_path.iterdir()] == [output]  # noqa: ASYNC240


@pytest.mark.parametrize("backend", [BACKEND], indirect=True)
async def test_a_killed_get_holds_each_item_once(
    backend: Backend, table: TableFactory, tmp_path: Path
) -> None:
    name = await table()
    await filled(backend, name)
    path = tmp_path / "out.json.gz"
    keys = list(rows.last_rows(range(ITEMS), broken=True))
    lines = [f"{key}\nnone {number}\n" for number, key in enumerate(keys)]
    (tmp_path / "keys.csv").write_text(f"pk\n{''.join(lines)}")
    settings = {
        "table_name": name,
        "sources": str(tmp_path / "keys.csv"),
        "output": str(path),
        "max_pending": 4 * 2 * PAGE,
        "max_concurrency": 4,
        "checkpoint_every": 0.02,
    }
    async with FaultProxy(backend.endpoint_url) as proxy, asyncio.timeout(120):
        ended = await killed_scan(
            proxy,
            "get",
            settings,
            kills=3,
            pages=len(keys) // PAGE,
            operation="BatchGetItem",
            seed=5,
        )
    assert (ended.kills, ended.starts) == (3, 4)
    assert (ended.last["found"], ended.last["missing"]) == (len(keys), len(keys))
    assert ended.last["resumed_at"] > 0
    assert await asyncio.to_thread(wrong_export, path, range(ITEMS)) == []
    assert {each.name for each in tmp_path.iterdir()} == {path.name, "keys.csv"}  # noqa: ASYNC240


@pytest.mark.parametrize("backend", [BACKEND], indirect=True)
async def test_a_killed_copy_is_equal(
    backend: Backend, raw_client: "DynamoDBClient", table: TableFactory, tmp_path: Path
) -> None:
    """But for the items that the target refuses: each of them is a dead letter, once."""
    source, target = await table(), await table("pk", "n", n="N")
    await filled(backend, source, ODD)
    letters = tmp_path / "rejected.json"
    settings = {
        "source": source,
        "target": target,
        "checkpoint": str(tmp_path / "checkpoint"),
        "dead_letters": str(letters),
        "total_segments": 4,
        "page_size": PAGE,
        "max_concurrency": 4,
        "checkpoint_every": 0.02,
    }
    total = len(rows.last_rows(range(ITEMS), broken=True))
    async with FaultProxy(backend.endpoint_url) as proxy, asyncio.timeout(120):
        ended = await killed_scan(proxy, "copy", settings, kills=3, pages=total // PAGE, seed=3)
    assert (ended.kills, ended.starts) == (3, 4)
    assert (ended.last["items"], ended.last["rejected"]) == (total, len(ODD))
    assert ended.last["resumed_at"] > 0
    assert await differences(raw_client, target, range(ITEMS), broken=True) == []
    kept = [json.loads(line)["Item"] for line in letters.read_text().splitlines()]
    assert sorted(item["pk"]["S"] for item in kept) == sorted(item["pk"] for item in ODD)
    assert all(list(item) == ["pk"] for item in kept)
    reasons = letters.with_name("rejected.json.reasons.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in reasons] == list(range(1, 61))
    assert len(list(tmp_path.iterdir())) == 2  # noqa: ASYNC240
