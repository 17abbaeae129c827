"""The blocks of docs/spark.md run in one session. Those for Spark 3.5 are in test_mapping.py."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TableFactory
from tests.engines.test_docs import ENGINES
from tests.spark.blocks import BLOCKS, compiled, is_for_every_spark
from tests.spark.conftest import LOCAL, in_spark

# The programs of the other engines run in tests/engines.
OURS = [
    block for block in BLOCKS if not any(f"import {engine}" in block.code for engine in ENGINES)
]


def test_the_blocks_are_found() -> None:
    assert len(BLOCKS) == 7
    assert len(OURS) == 5
    assert sum(map(is_for_every_spark, OURS)) == 2


def test_every_module_declares_its_names() -> None:
    from aiobatch.integrations import spark

    assert all(hasattr(spark, name) for name in spark.__all__)
    for info in pkgutil.iter_modules(spark.__path__, "aiobatch.integrations.spark."):
        module = importlib.import_module(info.name)
        for name in module.__all__:
            assert hasattr(module, name), f"{info.name}.{name}"


@pytest.fixture(scope="module")
def spark(start: Any) -> Any:
    return start(LOCAL)


@pytest.mark.spark_long
async def test_sparks_blocks(spark: Any, table: TableFactory, tmp_path: Path) -> None:
    name = await table()
    names: dict[str, Any] = {"spark": spark, "report": str(tmp_path / "report")}

    def run() -> None:
        names["df"] = spark.range(500).selectExpr("concat('user#', id) as pk", "id as n")
        for block in OURS:
            if not is_for_every_spark(block):
                exec(compiled(block, name), names)

    await in_spark(run)
    assert names["total"].processed == 500
