"""Standard input that says nothing for a while, or for ever."""

import asyncio
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from aiobatch import DynamoDB
from aiobatch.bulk import LoadFailed, SourceError, estimate, fetch, load
from aiobatch.bulk.checkpoint import Mark
from aiobatch.bulk.pipe import Pipe, is_pipe
from aiobatch.bulk.slices import Slices
from aiobatch.bulk.sources import Source
from aiobatch.testing import FakeWire, Fault


class Stdin:
    """What ``sys.stdin`` is to us."""

    def __init__(self, buffer: BinaryIO) -> None:
        self.buffer = buffer


@pytest.fixture
def mouth(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a pipe; what is written into this end comes out of it."""
    out, into = os.pipe()
    with open(out, "rb") as stream:
        monkeypatch.setattr(sys, "stdin", Stdin(stream))
        yield into
        os.close(into)


def pk_of(wire: FakeWire) -> set[str]:
    return {item["pk"] for item in wire.items("things")}


def test_a_pipe_is_read_like_a_file(mouth: int) -> None:
    assert is_pipe(sys.stdin.buffer)
    pipe = Pipe(sys.stdin.buffer)
    os.write(mouth, b"one\ntwo\nhal")
    assert pipe.readline() == b"one\n"
    assert pipe.has_line()
    assert pipe.readline() == b"two\n"
    assert not pipe.has_line()
    writer = threading.Thread(target=os.write, args=(mouth, b"f\n" + b"x" * 50_000))
    writer.start()
    assert pipe.readline() == b"half\n"
    assert pipe.read(50_000) == b"x" * 50_000
    writer.join()
    pipe.close()
    os.write(mouth, b"not closed\n")
    assert sys.stdin.buffer.readline() == b"not closed\n"


def test_what_was_read_ahead_comes_first(mouth: int) -> None:
    os.write(mouth, b"one\ntwo\n")
    assert sys.stdin.buffer.readline() == b"one\n"
    os.write(mouth, b"three\n")
    with Pipe(sys.stdin.buffer) as pipe:
        assert [pipe.readline(), pipe.readline()] == [b"two\n", b"three\n"]


def test_who_waits_can_be_told_to_give_up(mouth: int) -> None:
    pipe = Pipe(sys.stdin.buffer)
    teller = threading.Thread(target=pipe.give_up)
    teller.start()
    with pytest.raises(SourceError, match="not read any further"):
        pipe.readline()
    teller.join()
    # For good, whatever comes.
    os.write(mouth, b"more\n")
    with pytest.raises(SourceError):
        pipe.readline()
    pipe.close()


def test_a_file_or_a_buffer_is_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with (tmp_path / "a").open("rb") as file:
        assert not is_pipe(file)
    assert not is_pipe(io.BytesIO())


def test_a_file_that_was_given_up_before_it_was_opened_is_read(tmp_path: Path) -> None:
    """Files never keep anybody waiting, and are read as before."""
    (tmp_path / "a.jsonl").write_text('{"pk": "a"}\n')
    sources = [Source(str(tmp_path / "a.jsonl"), "jsonl")]
    slices = Slices(sources, None, Mark(), [None])
    slices.give_up()
    assert len(slices.next()) == 1
    slices.close()


async def test_rows_of_a_pipe_are_written_as_they_come(
    db: DynamoDB, wire: FakeWire, mouth: int
) -> None:
    """A pipe that stays open holds no row back."""
    loading = asyncio.create_task(load(db, "-", "things", format="jsonl"))
    for number in range(3):
        os.write(mouth, b'{"pk": "%d"}\n' % number)
        async with asyncio.timeout(10):
            while len(pk_of(wire)) <= number:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await asyncio.wait_for(loading, 10)
    assert "3 rows done" in caught.value.__notes__[0]
    assert pk_of(wire) == {"0", "1", "2"}


async def test_dead_letters_do_not_wait_for_the_pipe(
    db: DynamoDB, wire: FakeWire, mouth: int, tmp_path: Path
) -> None:
    letters = tmp_path / "bad.jsonl"
    loading = asyncio.create_task(
        load(db, "-", "things", format="jsonl", dead_letters=letters, checkpoint_every=0.0)
    )
    rows = [b"{broken}\n" if n % 2 else b'{"pk": "%d"}\n' % n for n in range(9)]
    os.write(mouth, b"".join(rows))
    async with asyncio.timeout(10):
        while len(pk_of(wire)) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        while not letters.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(loading, 10)
    assert letters.read_bytes() == b"{broken}\n" * 4


async def test_items_of_keys_in_a_pipe_come_as_they_are_asked_for(
    db: DynamoDB, wire: FakeWire, mouth: int, tmp_path: Path
) -> None:
    await db.batch_write_item([{"pk": str(n)} for n in range(5)], "things")
    seen: list[int] = []
    getting = asyncio.create_task(
        fetch(
            db,
            "-",
            "things",
            tmp_path / "out.json",
            format="jsonl",
            on_progress=lambda report: seen.append(report.found),
        )
    )
    for number in range(3):
        os.write(mouth, b'{"pk": "%d"}\n' % number)
        async with asyncio.timeout(10):
            while number + 1 not in seen:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(getting, 10)


async def test_a_load_that_fails_does_not_wait_for_the_pipe(
    db: DynamoDB, wire: FakeWire, mouth: int
) -> None:
    wire.script([Fault.access_denied()] * 50, operation="BatchWriteItem")
    os.write(mouth, b'{"pk": "a"}\n')
    with pytest.raises(LoadFailed, match="AccessDenied"):
        await asyncio.wait_for(load(db, "-", "things", format="jsonl"), 10)


@pytest.mark.parametrize("turns", [0, 1, 50, 1000])
@pytest.mark.parametrize("work", ["load", "get", "estimate"])
async def test_cancelling_does_not_wait_for_the_pipe(
    db: DynamoDB, wire: FakeWire, mouth: int, tmp_path: Path, work: str, turns: int
) -> None:
    async def run() -> object:
        if work == "load":
            return await load(db, "-", "things", format="jsonl")
        if work == "get":
            return await fetch(db, "-", "things", tmp_path / "out.json", format="jsonl")
        return await estimate("-", format="jsonl")

    running = asyncio.create_task(run())
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)


def test_what_is_no_pipe() -> None:
    closed = io.BytesIO()
    closed.close()
    assert not is_pipe(closed)

    class Nowhere(io.RawIOBase):
        """As a test's stand-in for standard input: it has no place to wait at."""

    assert not is_pipe(Nowhere())  # type: ignore[arg-type]


def test_what_was_read_ahead_needs_no_waiting() -> None:
    ears, mouth = os.pipe()
    with os.fdopen(ears, "rb") as stream, os.fdopen(mouth, "wb", buffering=0) as writer:
        pipe = Pipe(stream)
        writer.write(b"0123456789")
        taken = []
        for _ in range(3):
            buffer = bytearray(4)
            count = pipe.raw.readinto(memoryview(buffer))
            taken.append(bytes(buffer[:count]))
        assert taken == [b"0123", b"4567", b"89"]
        raw = pipe.raw
        pipe.close()
        raw.close()
        # Standard input is the process's, not ours to close.
        assert not stream.closed
