"""Sizes and capacity units, and what a load would send."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch.bulk import SourceError, estimate
from aiobatch.bulk.cost import Cost, read_units, size_of, write_units


@given(st.integers(0, 400 * 1024))
def test_units_are_begun_ones(size: int) -> None:
    assert (write_units(size) - 1) * 1024 < max(size, 1) <= write_units(size) * 1024
    consistent = read_units(size, consistent=True)
    assert (consistent - 1) * 4096 < max(size, 1) <= consistent * 4096
    assert read_units(size) == consistent / 2


@pytest.mark.parametrize(
    ("item", "size"),
    [({"pk": "a"}, 3), ({"pk": "ä", "n": 12345}, 4 + 1 + 4), ({"b": b"xyz", "l": [True]}, 4 + 6)],
)
def test_sizes_are_dynamodbs(item: dict[str, Any], size: int) -> None:
    assert size_of(item) == size


def test_a_cost_adds_up() -> None:
    cost = Cost()
    for size in (10, 1500, 5000):
        cost.add(size)
    cost.refuse()
    assert cost == Cost(4, 1, 6510, 5000, 1 + 2 + 5, 0.5 + 0.5 + 1.0)
    assert cost.items == 3


async def test_a_load_is_estimated_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pk,n:N\na,1\nb,x\n,3\n")
    (tmp_path / "b.jsonl").write_text('{"pk": "c"}\n{\n')
    files = [tmp_path / "a.csv", tmp_path / "b.jsonl"]
    cost = await estimate(files, key_names=("pk",))
    assert (cost.rows, cost.refused, cost.write_units) == (5, 3, 2)
    assert cost.bytes == (2 + 1 + 1 + 2) + (2 + 1)
    # Without the key names, a row without a key is taken for an item.
    assert (await estimate(files)).refused == 2
    deletes = await estimate(files, operation="delete", key_names=("pk",))
    assert (deletes.items, deletes.bytes) == (2, 6)
    # Without the key names, nobody knows what of an item is its key.
    assert await estimate(files, operation="delete") == await estimate(files)
    with pytest.raises(SourceError, match="no such file"):
        await estimate(tmp_path / "c.csv")
