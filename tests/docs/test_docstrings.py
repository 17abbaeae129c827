"""The examples in the package's docstrings run."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, examples
from tests.docs.conftest import Run

MODULES = sorted((ROOT / "aiobatch").rglob("*.py"))
FOUND = [
    pytest.param(block, id=f"{path.parent.name}/{name}")
    for path in MODULES
    for name, block in examples(path)
]
WITH_DOCTESTS = [path for path in MODULES if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("block", FOUND)
async def test_an_example_runs(block: Block, run: Run) -> None:
    await run(block)


@pytest.mark.parametrize("path", WITH_DOCTESTS, ids=lambda path: path.stem)
def test_doctests_hold(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted
    assert not failed


def test_the_examples_are_found() -> None:
    names = {str(param.id) for param in FOUND}
    assert {
        "aiobatch/client.DynamoDB",
        "aiobatch/client.DynamoDB.batch_get_item",
        "aiobatch/client.DynamoDB.batch_write_item",
        "aiobatch/client.DynamoDB.query",
        "testing/faults.Fault",
        "testing/proxy.FaultProxy",
        "testing/script.Faulty.limit",
    } <= names


def test_an_example_is_never_empty() -> None:
    for param in FOUND:
        (block,) = param.values
        assert isinstance(block, Block)
        assert block.code.strip(), block.place
        # An ellipsis stands for something that nobody has run.
        assert "\n    ...\n" not in block.code, block.place
        assert "\n...\n" not in block.code, block.place
