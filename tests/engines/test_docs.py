"""The blocks of docs/spark.md for Ray and Dask, as the programs that they are."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends import Backend
from tests.conftest import REGION, TableFactory
from tests.docs.blocks import ROOT, fenced
from tests.engines.ray_node import RayUnavailable, ray_node

# What this file has programs of.
ENGINES = ("dask", "ray")


@pytest.fixture(scope="session")
def environment(backend: Backend) -> dict[str, str]:
    """What sends a program to the backend."""
    return {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_DYNAMODB": backend.endpoint_url}


@pytest.fixture(scope="session")
def ray_environment(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What makes a program use a Ray that is up, as well."""
    with contextlib.ExitStack() as stack:
        try:
            running = ray_node(tmp_path_factory.mktemp("home"), environment)
            found = stack.enter_context(running)
        except RayUnavailable as error:
            pytest.fail(str(error), pytrace=False)
        yield found


async def run(engine: str, table: str, directory: Path, environment: dict[str, str]) -> str:
    """Run the engine's program about this table, and return what it printed."""
    (block,) = (
        block
        for block in fenced(ROOT / "docs" / "spark.md")
        if block.language == "py" and f"import {engine}" in block.code
    )
    program = directory / "program.py"
    program.write_text(block.code.replace('"users"', repr(table)))
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(program)],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


async def test_dask(table: TableFactory, environment: dict[str, str], tmp_path: Path) -> None:
    told = await run("dask", await table(), tmp_path, environment)
    assert "2000 written" in told
    assert "2000 read" in told


async def test_ray(table: TableFactory, ray_environment: dict[str, str], tmp_path: Path) -> None:
    told = await run("ray", await table(), tmp_path, ray_environment)
    assert "2000 written" in told
    assert "2000 read" in told
