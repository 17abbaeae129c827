"""Every block of the documentation runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, Page, Program, fenced
from tests.docs.conftest import Run

READ = [Page.read(path) for path in PAGES]
FRAGMENTS = [group for page in READ for group in page.fragments]
PROGRAMS = [program for page in READ for program in page.programs]
WITH_FILES = [page for page in READ if page.files]

PATIENCE = 120
"""Seconds after which a process is taken to hang."""


@pytest.mark.parametrize("group", FRAGMENTS, ids=lambda group: group[0].place)
async def test_a_fragment_runs(group: list[Block], run: Run) -> None:
    for block in group:
        await run(block)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.block.place)
def test_a_program_runs(
    program: Program, environment: dict[str, str], users: str, tmp_path: Path
) -> None:
    """As a process, with AWS settings that lead to moto, and the tables of the fragments."""
    (tmp_path / "program.py").write_text(program.block.code)
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        # The checkout stands for an installation.
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    if program.output is not None:
        assert ran.stdout == program.output


@pytest.mark.parametrize("page", WITH_FILES, ids=lambda page: page.path.name)
def test_the_files_of_a_page_are_a_green_suite(page: Page, tmp_path: Path) -> None:
    """Without the environment of this suite: such as a reader's suite would be."""
    for block in page.files:
        assert block.file_name is not None
        (tmp_path / block.file_name).write_text(block.code)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PYTEST_", "AIOBATCH_"))
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = sum(
        len(re.findall(r"^(?:async )?def test_", block.code, re.MULTILINE)) for block in page.files
    )
    assert re.search(rf"^{written} passed in", ran.stdout, re.MULTILINE), ran.stdout


def test_every_page_has_been_looked_at() -> None:
    """That there is nothing to run would otherwise pass unseen."""
    python = [block for path in PAGES for block in fenced(path) if block.language == "python"]
    run = [
        *(block for group in FRAGMENTS for block in group),
        *(program.block for program in PROGRAMS),
        *(block for page in WITH_FILES for block in page.files),
    ]
    assert {block.place for block in python} <= {block.place for block in run}
    assert {block.path.name for block in python} >= {
        "README.md",
        "coming-from-boto3-assist.md",
        "testing.md",
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_code_of_ours_is_marked_as_python(path: Path) -> None:
    """So that none gets around its test by being unmarked."""
    for block in fenced(path):
        if block.language == "py" and path.name == "spark.md":
            continue  # it needs Java, Ray or Dask: tests/spark and tests/engines run it
        if block.language == "bash" and path.name == "command-line.md":
            continue  # tests/cli runs it
        assert block.language in ("python", "sh", "text", "toml", "ini", "json"), block.place
        if block.language == "json":
            assert json.loads(block.code), block.place
        assert block.note in ("", "continues", "output"), f"{block.place}: {block.note}"
