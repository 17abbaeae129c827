"""Checkpoints on disk: what was written is read, and only by the load that it is of."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch.bulk import durable
from aiobatch.bulk.checkpoint import Checkpoint, CheckpointFile, Mark
from aiobatch.bulk.durable import FileLock, write_atomically
from aiobatch.bulk.errors import CheckpointError
from aiobatch.bulk.formats import Position

numbers = st.integers(0, 2**63)
checkpoints = st.builds(
    Checkpoint,
    table=st.dictionaries(st.sampled_from(["name", "arn", "id", "place"]), st.text() | st.none()),
    options=st.dictionaries(st.text(), st.text() | st.lists(st.text())),
    files=st.lists(st.dictionaries(st.text(), st.text() | numbers)),
    mark=st.builds(Mark, numbers, st.builds(Position, numbers, numbers, numbers)),
    done=numbers,
    written=numbers,
    rejected=numbers,
    dead_letters=st.dictionaries(numbers, st.tuples(numbers, numbers)),
    missing=numbers,
    length=numbers,
    complete=st.booleans(),
)


@given(checkpoints)
def test_a_checkpoint_is_read_as_it_was_written(checkpoint: Checkpoint) -> None:
    assert Checkpoint.loaded(checkpoint.dumped()) == checkpoint


@given(checkpoints, st.data())
def test_half_a_checkpoint_is_none(checkpoint: Checkpoint, data: st.DataObject) -> None:
    content = checkpoint.dumped().rstrip()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match="is not a checkpoint"):
        Checkpoint.loaded(content[:cut])


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"5", b"\xff", b'{"version": 1}'])
def test_what_is_no_checkpoint_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a checkpoint: name another file"):
        CheckpointFile(tmp_path / "c").open(LOAD)
    assert (tmp_path / "c").read_bytes() == content


TABLE: dict[str, Any] = {"name": "t", "place": "here", "arn": "arn:t", "id": "1 2026"}
FILE: dict[str, Any] = {"name": "/a.csv", "size": 5, "modified": "7", "digest": "d"}
LOAD = Checkpoint(
    table=TABLE,
    options={"operation": "put", "formats": ["csv"], "types": {}},
    files=[FILE],
)


def saved(tmp_path: Path, checkpoint: Checkpoint = LOAD) -> CheckpointFile:
    file = CheckpointFile(tmp_path / "c")
    assert file.open(LOAD) is None
    file.save(replace(checkpoint, done=3))
    file.close()
    return file


def test_a_load_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    file = saved(tmp_path)
    found = file.open(LOAD)
    assert found == replace(LOAD, done=3)
    file.close(remove=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"table": {**TABLE, "id": "2 2027"}}, "a table of the same name, 't', that was deleted"),
        ({"table": {**TABLE, "id": "2 2027", "name": "u"}}, "on table 't' at here"),
        ({"table": {**TABLE, "id": None, "place": "there"}}, "on table 't' at here"),
        ({"options": {**LOAD.options, "operation": "delete"}}, "operation 'put', not 'delete'"),
        ({"options": {**LOAD.options, "formats": ["jsonl"]}}, "formats"),
        ({"options": {**LOAD.options, "types": {"a": "N"}}}, "types"),
        ({"files": [{**FILE, "name": "/b.csv"}]}, "other files: /a.csv"),
        ({"files": [FILE, FILE]}, "other files"),
        ({"files": [{**FILE, "size": 6}]}, "/a.csv has been changed"),
        ({"files": [{**FILE, "modified": "8"}]}, "/a.csv has been changed"),
        ({"files": [{**FILE, "digest": "e"}]}, "/a.csv has been changed"),
    ],
)
def test_a_checkpoint_of_another_load_is_refused(
    other: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = saved(tmp_path)
    content = file.path.read_bytes()
    with pytest.raises(CheckpointError, match=told) as caught:
        file.open(replace(LOAD, **other))
    assert caught.value.path == str(file.path)
    assert file.path.read_bytes() == content
    # The lock is given back.
    assert file.open(LOAD) is not None
    file.close()


def test_the_same_table_at_another_endpoint_is_the_same(tmp_path: Path) -> None:
    file = saved(tmp_path)
    assert file.open(replace(LOAD, table={**TABLE, "place": "a proxy"})) is not None
    file.close()


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path)
    content = json.loads(file.path.read_bytes())
    file.path.write_text(json.dumps({**content, "version": 2}))
    with pytest.raises(CheckpointError, match="is of version 2, and this aiobatch reads 1"):
        file.open(LOAD)


def test_two_loads_cannot_share_a_checkpoint(tmp_path: Path) -> None:
    one, two = CheckpointFile(tmp_path / "c"), CheckpointFile(tmp_path / "c")
    assert one.open(LOAD) is None
    with pytest.raises(CheckpointError, match="another run is using it"):
        two.open(LOAD)
    one.close()
    assert two.open(LOAD) is None
    two.close()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from aiobatch.bulk.durable import FileLock\n"
        "lock = FileLock(pathlib.Path(sys.argv[1]))\n"
        "assert lock.acquire()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "lock"
    ended = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert ended.returncode == -9
    assert path.exists()
    lock = FileLock(path)
    assert lock.acquire()
    lock.release()


def test_a_write_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    write_atomically(path, b"old")

    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(CheckpointError, match="cannot be written: No space left on device"):
        CheckpointFile(path).save(LOAD)
    assert path.read_bytes() == b"old"


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such directory"):
        CheckpointFile(tmp_path / "no" / "c").open(LOAD)


def test_a_lock_whose_file_was_removed_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had it removes the file while we wait between opening it and locking it."""
    path, locked = tmp_path / "lock", durable._lock
    removed: list[int] = []

    def lock(handle: int) -> bool:
        if len(removed) < 2:
            path.unlink()
            if removed:
                # Another one has made it anew.
                path.touch()
            removed.append(handle)
        return locked(handle)

    monkeypatch.setattr(durable, "_lock", lock)
    mine = FileLock(path)
    assert mine.acquire()
    assert len(removed) == 2
    # It is held: on the file that others find.
    assert not FileLock(path).acquire()
    mine.release()
    mine.release()
    assert not path.exists()


def test_a_lock_that_the_file_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    really = os.close

    def refuses(_handle: int) -> bool:
        raise OSError(95, "Operation not supported")

    def close(handle: int) -> None:
        closed.append(handle)
        really(handle)

    monkeypatch.setattr(durable, "_lock", refuses)
    monkeypatch.setattr(os, "close", close)
    with pytest.raises(CheckpointError, match="cannot be written: Operation not supported"):
        CheckpointFile(tmp_path / "c").open(LOAD)
    assert len(closed) == 1
