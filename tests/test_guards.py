"""The guards do notice what they are there for."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError

import aiobatch
from tests.guards import LoopErrors, leaked_tasks

SOCKET = """
import socket
with socket.socket() as s:
    s.connect(('127.0.0.1', 9))
"""


def in_the_package(source: str) -> Callable[[], None]:
    """Code that runs as if it stood in a module of the package."""
    code = compile(source, str(Path(aiobatch.__path__[0], "pretended.py")), "exec")
    return lambda: exec(code, {})


@pytest.mark.parametrize(
    "source",
    ["import time; time.sleep(0.001)", f"open({__file__!r}).read()", SOCKET],
    ids=["sleep", "file", "socket"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_blocking_call_of_the_package_fails(source: str) -> None:
    with pytest.raises(BlockingError):
        in_the_package(source)()


def test_it_may_block_where_no_loop_runs() -> None:
    in_the_package("import time; time.sleep(0.001)")()


async def test_others_may_block() -> None:
    time.sleep(0.001)  # noqa: ASYNC251 - what this test is about


async def test_a_task_left_behind_is_noticed() -> None:
    before = asyncio.all_tasks()
    task = asyncio.create_task(asyncio.sleep(60), name="left")
    assert [text.split(":")[0] for text in await leaked_tasks(before)] == ["left"]
    task.cancel()
    assert await leaked_tasks(before) == []


def test_what_the_loop_logs_is_noticed() -> None:
    # Not asyncio's own logger: the guard around this test listens there.
    with LoopErrors("pretended") as errors:
        logging.getLogger("pretended").error("Task exception was never retrieved")
    assert errors.messages == ["Task exception was never retrieved"]
