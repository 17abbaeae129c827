"""The blocks of docs/spark.md for Ray and Dask, as the programs that they are."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends import Backend
from tests.conftest import REGION, TableFactory
from tests.docs.blocks import ROOT, fenced

ENGINES = ("dask", "ray")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_program(
    engine: str, table: TableFactory, backend: Backend, tmp_path: Path
) -> None:
    name = await table()
    (block,) = (
        block
        for block in fenced(ROOT / "docs" / "spark.md")
        if block.language == "py" and f"import {engine}" in block.code
    )
    program = tmp_path / "program.py"
    program.write_text(block.code.replace('"users"', repr(name)))
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL_DYNAMODB": backend.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray keeps a token there.
        "HOME": str(tmp_path),
    }

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(program)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    ran = await asyncio.to_thread(run)
    for _ in range(2):
        # Ray gives its own processes 30 s, on a machine however busy. The program has not begun.
        if "timed out during startup" not in ran.stderr:
            break
        ran = await asyncio.to_thread(run)
    assert ran.returncode == 0, ran.stderr
    assert "2000 written" in ran.stdout
    assert "2000 read" in ran.stdout
