"""The loop that a process keeps for its tasks: it ends, and forks do without it."""

import asyncio
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from aiobatch import partitions
from aiobatch.partitions.loop import worker_loop

PROGRAM = """
import os, sys
from aiobatch import partitions
from aiobatch.partitions.loop import worker_loop


async def told():
    return os.getpid()


parents = worker_loop()
assert parents.run(told()) == os.getpid()
child = os.fork()
if not child:
    # The parent's thread is not here: its loop would never answer.
    own = worker_loop()
    assert own is not parents
    assert own.run(told()) == os.getpid()
    sys.exit(7)
_, status = os.waitpid(child, 0)
assert worker_loop() is parents
assert parents.run(told()) == os.getpid()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 7, ended.stderr


def test_the_next_task_starts_a_new_one() -> None:
    first = worker_loop()
    assert worker_loop() is first
    partitions.close()
    assert not first.is_alive
    # Closing what is closed does nothing.
    partitions.close()
    assert worker_loop() is not first


def test_a_loop_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiobatch.partitions.loop._SECONDS_TO_CLOSE", 0.01)
    here = worker_loop()
    hangs, goes_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        while not goes_on.is_set():
            pass

    here.loop.call_soon_threadsafe(hang)
    hangs.wait()
    partitions.close()
    # Its thread is still in it, so it is not closed under it; it ends by itself.
    seen = [here.is_alive]
    goes_on.set()
    here._thread.join()
    assert [*seen, here.is_alive] == [True, False]
    here.loop.run_until_complete(_settled())
    here.loop.close()


async def _settled() -> None:
    """Let the tasks that were stopped in the midst come to their end."""
    others: Any = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
