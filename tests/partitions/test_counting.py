"""Tasks that are counted while they run, and the rate that they divide between them."""

import asyncio
import contextlib
import gc
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from aiobatch import DynamoDB
from aiobatch.engine.pressure import Direction, UnitBudget
from aiobatch.partitions import counting, scan_segment, write_partition
from aiobatch.partitions.counting import CounterAddress, Membership, TaskCounter
from aiobatch.partitions.loop import worker_loop
from aiobatch.partitions.pacing import shared
from aiobatch.partitions.settings import JobRate
from tests.conftest import TableFactory

LOOPBACK = "127.0.0.1"


@pytest.fixture
def counter() -> Iterator[TaskCounter]:
    running = TaskCounter(LOOPBACK)
    yield running
    running.close()


class Told:
    """What a task is told, one after the other."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int | None] = asyncio.Queue()

    async def until(self, count: int | None) -> None:
        async with asyncio.timeout(30):
            while await self.queue.get() != count:
                pass


async def join(address: CounterAddress, job: str = "job") -> tuple[Membership, Told]:
    told = Told()
    membership = Membership(address, job, told.queue.put_nowait)
    await membership.join()
    return membership, told


async def test_who_never_joined_has_nothing_to_leave(counter: TaskCounter) -> None:
    told: list[int | None] = []
    await Membership(counter.address, "job", told.append).aclose()
    assert told == []


async def test_tasks_are_told_how_many_they_are(counter: TaskCounter) -> None:
    one, told_one = await join(counter.address)
    await told_one.until(1)
    two, told_two = await join(counter.address)
    await told_one.until(2)
    await told_two.until(2)
    other, told_other = await join(counter.address, "another")
    await told_other.until(1)
    await one.aclose()
    await told_two.until(1)
    for membership in (two, other):
        await membership.aclose()
    assert told_two.queue.empty()


TASK = """
import asyncio, sys
from aiobatch.partitions.counting import CounterAddress, Membership

async def main():
    address = CounterAddress("127.0.0.1", int(sys.argv[1]), sys.argv[2])
    await Membership(address, "job", lambda count: print(count, flush=True)).join()
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_task_that_is_killed_is_counted_no_more(counter: TaskCounter) -> None:
    membership, told = await join(counter.address)
    address = counter.address
    task = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TASK, str(address.port), address.secret), stdout=subprocess.PIPE
    )
    try:
        await told.until(2)
    finally:
        task.kill()
        await task.communicate()
    await told.until(1)
    await membership.aclose()


async def test_who_does_not_know_the_secret_is_not_counted(
    counter: TaskCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "BEAT", 0.01)
    membership, told = await join(counter.address)
    await told.until(1)
    wrong = CounterAddress(LOOPBACK, counter.address.port, "guessed")
    stranger, refused = await join(wrong)
    await refused.until(None)
    for line in (b"\n", b"a b c\n", b"x" * 5_000 + b"\n", b"\xff \xff\n"):
        reader, writer = await asyncio.open_connection(LOOPBACK, counter.address.port)
        writer.write(line)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.transport.abort()
    await told.until(1)
    assert told.queue.empty() or await told.queue.get() == 1
    for one in (membership, stranger):
        await one.aclose()


async def test_whoever_is_silent_is_counted_no_more(
    counter: TaskCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is gone says no goodbye."""
    monkeypatch.setattr(counting, "PATIENCE", 0.2)
    monkeypatch.setattr(counting, "BEAT", 0.02)
    membership, told = await join(counter.address)
    _, writer = await asyncio.open_connection(LOOPBACK, counter.address.port)
    writer.write(f"{counter.address.secret} job\n".encode())
    await told.until(2)
    await told.until(1)
    writer.transport.abort()
    await membership.aclose()


async def test_where_nobody_counts_a_task_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "BEAT", 0.01)
    ending = await asyncio.to_thread(TaskCounter, LOOPBACK)
    membership, told = await join(ending.address)
    await told.until(1)
    await asyncio.to_thread(ending.close)
    await told.until(None)
    # It asks again and again.
    await told.until(None)
    await membership.aclose()


def test_nothing_can_listen_there() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        TaskCounter("192.0.2.1")


def test_a_connection_that_came_just_before_the_end_is_closed_too() -> None:
    """Whatever turn of the loop it is in by then: one left open would warn, and fail the test."""
    for _ in range(30):
        running = TaskCounter(LOOPBACK)
        with socket.create_connection((LOOPBACK, running.address.port), timeout=30) as task:
            running.close()
            # Nobody has answered: it is at its end, or cut off.
            with contextlib.suppress(ConnectionError):
                assert task.recv(1) == b""
        gc.collect()


def test_a_ceiling_is_changed() -> None:
    budget = UnitBudget(100.0)
    budget.spend(100, 0.0)
    assert budget.wait(0.0) == 0.0
    budget.spend(50, 0.0)
    assert budget.wait(0.0) == pytest.approx(0.5)
    budget.change(25.0, 0.0)
    assert budget.rate == 25.0
    assert budget.wait(0.0) == pytest.approx(2.0)
    budget.change(500.0, 1.0)
    assert budget.wait(1.0) == pytest.approx(0.05)
    # What was saved up under the old ceiling is no more than a second of the new one.
    budget.change(10.0, 9.0)
    budget.spend(20, 9.0)
    assert budget.wait(9.0) == pytest.approx(1.0)
    budget.change(10.0, 60.0)
    budget.forget_savings(60.0)
    budget.spend(5, 60.0)
    assert budget.wait(60.0) == pytest.approx(0.5)


async def until_rate(budget: UnitBudget, rate: float) -> None:
    async with asyncio.timeout(30):
        while budget.rate != rate:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_share_follows_the_number_of_tasks(counter: TaskCounter) -> None:
    rate = JobRate(units=1200.0, share=300.0, counter=counter.address, job="job")
    async with DynamoDB(
        max_write_units=rate.share, key_names={"users": ("pk",)}, endpoint_url="http://127.0.0.1:1"
    ) as db:
        budget = (await db._access().engine()).governor("users", "write").budget
        assert budget is not None
        async with shared(db, "users", "write", rate):
            # Alone, it has all of it, and nothing saved up.
            assert budget.rate == 1200.0
            assert budget.wait(asyncio.get_running_loop().time()) == 0.0
            budget.spend(1, asyncio.get_running_loop().time())
            assert budget.wait(asyncio.get_running_loop().time()) > 0.0
            membership, told = await join(counter.address)
            await told.until(2)
            await until_rate(budget, 600.0)
            await membership.aclose()
            await until_rate(budget, 1200.0)
        assert budget.rate == 300.0


def ceiling(table: str, direction: Direction) -> float:
    """What this process may consume of a table now. Call it in a task's thread."""
    here = worker_loop()

    async def ask(client: DynamoDB) -> float:
        budget = (await client._access().engine()).governor(table, direction).budget
        assert budget is not None
        return budget.rate

    (client,) = (
        client
        for connection, client in here._clients.items()
        if getattr(connection, f"max_{direction}_units") is not None
    )
    return here.run(ask(client))


@pytest.mark.parametrize("counted", [True, False])
async def test_a_task_has_the_rate_of_its_job(
    table: TableFactory, endpoint_url: str, counter: TaskCounter, counted: bool
) -> None:
    """Counted, and alone, it has all of it; where nobody counts, the share that it was given."""
    name = await table()
    address = counter.address if counted else CounterAddress(LOOPBACK, 1, "")
    rate = JobRate(units=9_000.0, share=8_000.0, counter=address, job="job")
    seen: list[float] = []

    def rows() -> Iterator[dict[str, Any]]:
        for n in range(2_000):
            # Two slices wait at most: by now the load has begun.
            if n == 1_600:
                seen.append(ceiling(name, "write"))
            yield {"pk": f"{n:05}"}

    def task() -> int:
        write_partition(rows(), name, endpoint_url=endpoint_url, max_write_units=rate).check()
        seen.append(ceiling(name, "write"))
        items = scan_segment(0, 1, name, endpoint_url=endpoint_url, max_read_units=rate)
        next(items)
        seen.append(ceiling(name, "read"))
        found = 1 + sum(1 for _ in items)
        seen.append(ceiling(name, "read"))
        return found

    assert await asyncio.to_thread(task) == 2_000
    its_own = 9_000.0 if counted else 8_000.0
    # A task that is over leaves the process with the share.
    assert seen == [its_own, 8_000.0, its_own, 8_000.0]
