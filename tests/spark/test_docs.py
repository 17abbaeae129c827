"""The blocks of docs/spark.md run: Spark's in one session, Dask's and Ray's as programs."""

import asyncio
import importlib
import os
import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.backends import Backend
from tests.conftest import REGION, TableFactory
from tests.docs.blocks import ROOT, Block, fenced
from tests.spark.conftest import LOCAL, in_spark

BLOCKS = [block for block in fenced(ROOT / "docs" / "spark.md") if block.language == "py"]
PROGRAMS = {
    name: [block for block in BLOCKS if f"import {name}" in block.code] for name in ("dask", "ray")
}


def test_the_blocks_are_found() -> None:
    assert len(BLOCKS) == 6
    assert {name: len(found) for name, found in PROGRAMS.items()} == {"dask": 1, "ray": 1}


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
        for block in BLOCKS:
            if not any(block in found for found in PROGRAMS.values()):
                exec(_compiled(block, name), names)

    await in_spark(run)
    assert names["total"].processed == 500


@pytest.mark.parametrize(
    "engine",
    [
        "dask",
        pytest.param(
            "ray",
            marks=pytest.mark.skipif(
                find_spec("ray") is None,
                reason="Ray is not installed here: .venv-spark/bin/pip install ray",
            ),
        ),
    ],
)
@pytest.mark.spark_long
async def test_a_program(
    engine: str, table: TableFactory, backend: Backend, tmp_path: Path
) -> None:
    name = await table()
    (block,) = PROGRAMS[engine]
    program = tmp_path / "program.py"
    program.write_text(block.code.replace('"users"', repr(name)))
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL_DYNAMODB": backend.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONPATH": str(ROOT),
    }

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(program)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    ran = await asyncio.to_thread(run)
    assert ran.returncode == 0, ran.stderr
    assert "2000 written" in ran.stdout
    assert "2000 read" in ran.stdout


def _compiled(block: Block, table: str) -> Any:
    code = block.code.replace('"users"', repr(table))
    return compile("\n" * (block.line - 1) + code, str(block.path), "exec")
