"""The files that exports and fetches write: whole under their names, or not there."""

import gzip
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pytest

from aiobatch import DynamoDB
from aiobatch.bulk import CheckpointError, FormatError, SourceError, export, fetch
from aiobatch.bulk.checkpoint import CheckpointFile
from aiobatch.bulk.export import ExportReport
from aiobatch.bulk.fetch import FetchReport
from aiobatch.bulk.formats.typed import typed_of
from aiobatch.bulk.output import LocalOutput
from aiobatch.bulk.place import ScanCheckpoint
from aiobatch.testing import FakeWire, Fault
from tests.backends import Backend
from tests.bulk.test_kills import BACKEND
from tests.conftest import TableFactory

on_one_backend = pytest.mark.parametrize("backend", [BACKEND], indirect=True)


@pytest.fixture
async def real(backend: Backend) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=backend.endpoint_url, numbers="decimal") as db:
        yield db


@pytest.fixture
async def filled(real: DynamoDB, table: TableFactory) -> str:
    """A table with 60 items, one of which has a set."""
    name = await table()
    items: list[dict[str, Any]] = [{"pk": f"item {n:02}", "n": n} for n in range(59)]
    await real.batch_write_item([*items, {"pk": "item 59", "tags": {"a"}}], name)
    return name


def names_in(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


def told(path: Path) -> list[str]:
    return sorted(orjson.loads(line)["Item"]["pk"]["S"] for line in path.read_bytes().splitlines())


ALL = [f"item {n:02}" for n in range(60)]


async def test_arguments_of_exports_are_checked_at_once(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("a.json", {"types": {"n": "N"}}, "types= is not for DynamoDB JSON"),
        ("a.jsonl", {"columns": ["pk"]}, "columns= is for CSV and Parquet"),
        ("a.csv", {"columns": ["pk"], "types": {"n": "N"}}, r"are no columns: \['n'\]"),
        ("a.json", {"total_segments": 0}, "total_segments must be 1 or more"),
        ("a.json", {"format": "xml"}, "format must be one of"),
    ]
    for name, keywords, words in wrong:
        with pytest.raises(ValueError, match=words):
            await export(db, "things", tmp_path / name, **keywords)
    with pytest.raises(ValueError, match="columns= is for CSV and Parquet"):
        await fetch(db, tmp_path / "a.csv", "things", tmp_path / "a.jsonl", columns=["pk"])
    assert wire.requests == []


@on_one_backend
async def test_an_export_without_a_checkpoint(real: DynamoDB, filled: str, tmp_path: Path) -> None:
    path = tmp_path / "out.json"

    def stop(_: ExportReport) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await export(real, filled, path, checkpoint=False, page_size=10, on_progress=stop)
    assert names_in(tmp_path) == {"out.json.part"}
    report = await export(real, filled, path, checkpoint=False, checkpoint_every=0)
    assert (report.items, report.resumed_at, report.checkpoint) == (60, 0, None)
    assert told(path) == ALL
    assert names_in(tmp_path) == {"out.json"}


@on_one_backend
async def test_an_item_that_the_format_cannot_hold_ends_the_export(
    real: DynamoDB, filled: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(FormatError, match=r"attribute tags: is a set"):
        await export(real, filled, path, total_segments=1)
    # What was written of its page is behind the checkpoint, and is cut off when it is gone on with.
    assert names_in(tmp_path) == {"out.jsonl.part", "out.jsonl.checkpoint"}
    report = await export(real, filled, path, types={"tags": "SS"}, checkpoint=tmp_path / "other")
    assert report.items == len(path.read_bytes().splitlines()) == 60
    # Of columns, only when the whole table has been read: nothing of that is lost.
    with pytest.raises(FormatError, match=r"All items stand in .*out\.csv\.part, in DynamoDB JSON"):
        await export(real, filled, tmp_path / "out.csv", columns=["pk", "n"], types={"n": "N"})
    assert told(tmp_path / "out.csv.part") == ALL


@on_one_backend
async def test_a_full_disk(
    real: DynamoDB, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json.gz"

    def fails(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    def stop(_: ExportReport) -> None:
        raise LookupError

    kept: dict[str, Any] = {"page_size": 20, "total_segments": 1, "checkpoint_every": 0}
    with pytest.raises(LookupError):
        await export(real, filled, path, on_progress=stop, **kept)
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(SourceError, match=r"out\.json\.gz\.part: cannot be written: No space left"):
        await export(real, filled, path, **kept)
    monkeypatch.undo()
    report = await export(real, filled, path, **kept)
    assert (report.resumed_at, report.items) == (20, 60)
    content = gzip.decompress(path.read_bytes())
    assert sorted(orjson.loads(line)["Item"]["pk"]["S"] for line in content.splitlines()) == ALL


@on_one_backend
async def test_a_checkpoint_that_cannot_be_written(
    real: DynamoDB, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"

    def save(checkpoint: ScanCheckpoint, _: object) -> None:
        raise CheckpointError(str(checkpoint.path), "cannot be written: No space left on device")

    monkeypatch.setattr(ScanCheckpoint, "save", save)
    with pytest.raises(CheckpointError, match="No space left"):
        await export(real, filled, path)
    # Neither the file nor the lock is held.
    monkeypatch.undo()
    assert (await export(real, filled, path)).items == 60


@on_one_backend
async def test_a_kill_after_the_last_step(
    real: DynamoDB, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has its name, and the checkpoint is still there."""
    path = tmp_path / "out.json"
    closed = ScanCheckpoint.close
    monkeypatch.setattr(
        ScanCheckpoint, "close", lambda checkpoint, *, remove: closed(checkpoint, remove=False)
    )
    await export(real, filled, path)
    monkeypatch.undo()
    assert names_in(tmp_path) == {"out.json", "out.json.checkpoint"}
    report = await export(real, filled, path)
    assert (report.finished, report.resumed_at, report.scanned) == (True, 60, 0)
    assert told(path) == ALL
    assert names_in(tmp_path) == {"out.json"}


@on_one_backend
@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet", "out.jsonl"])
async def test_a_table_without_items(
    real: DynamoDB, table: TableFactory, tmp_path: Path, name: str
) -> None:
    report = await export(real, await table(), tmp_path / name)
    assert (report.items, report.finished) == (0, True)
    assert names_in(tmp_path) == {name}
    if name == "out.csv.gz":
        assert gzip.decompress((tmp_path / name).read_bytes()) == b""


@on_one_backend
async def test_compressed_columns(real: DynamoDB, filled: str, tmp_path: Path) -> None:
    path = tmp_path / "out.csv.gz"
    await export(real, filled, path, types={"n": "N"})
    head, first, *rest = gzip.decompress(path.read_bytes()).decode().splitlines()
    # The key first, then the others by their names.
    assert head == "pk,n:N,tags:SS"
    assert len([first, *rest]) == 60
    assert names_in(tmp_path) == {"out.csv.gz"}


@on_one_backend
async def test_an_export_to_a_url(real: DynamoDB, filled: str) -> None:
    memory = fsspec.filesystem("memory")
    report = await export(
        real,
        filled,
        "memory://bucket/out.csv",
        columns=["n", "pk", "tags"],
        types={"n": "N", "tags": "SS"},
        checkpoint_every=0,
    )
    assert (report.items, report.checkpoint) == (60, None)
    head, *rows = memory.cat_file("/bucket/out.csv").decode().splitlines()
    assert head == "n:N,pk,tags:SS"
    assert len(rows) == 60
    with pytest.raises(FormatError, match="tags"):
        await export(real, filled, "memory://bucket/out.jsonl")


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def output(*parts: str) -> LocalOutput:
        return LocalOutput(tmp_path.joinpath(*parts), "jsonl", None, None)

    with pytest.raises(SourceError, match="there is no such directory"):
        output("no", "out.jsonl").open(0, complete=False)
    out = output("out.jsonl")
    out.open(0, complete=False)
    # A directory of the same name has come meanwhile.
    (tmp_path / "out.jsonl").mkdir()
    with pytest.raises(SourceError, match="cannot be written: Is a directory"):
        out.finish()
    (tmp_path / "out.jsonl").rmdir()

    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    out = output("out.jsonl")
    out.open(0, complete=False)
    raw, out._raw = out._raw, Full()  # type: ignore[assignment]
    with pytest.raises(SourceError, match=r"part: cannot be written: No space left on device"):
        out.add([typed_of({"pk": "a"})])
    out._raw = raw
    out.close()
    out.close()

    def refuses(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuses)
    with pytest.raises(SourceError, match="this user may not write there"):
        output("out.jsonl").open(0, complete=False)


# ---------------------------------------------------------------------- items by their keys


async def test_many_items_are_fetched_into_a_url(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    wire.put("things", [{"pk": f"key {n}", "n": Decimal("1.50")} for n in range(1200)])
    (tmp_path / "keys.csv").write_text("pk\n" + "".join(f"key {n}\n" for n in range(1300)))
    seen: list[tuple[int, int]] = []

    def look(live: FetchReport) -> None:
        seen.append((live.found, live.missing))

    report = await fetch(
        db, tmp_path / "keys.csv", "things", "memory://there/out.jsonl", on_progress=look
    )
    assert (report.keys, report.found, report.missing, report.finished) == (1300, 1200, 100, True)
    assert seen == sorted(seen)
    assert seen[-1] == (1200, 100)
    lines = fsspec.filesystem("memory").cat_file("/there/out.jsonl").splitlines()
    assert orjson.loads(lines[0])["n"] == 1.5
    assert len({orjson.loads(line)["pk"] for line in lines}) == 1200
    assert report.in_words() == "1,300 keys: 1,200 found, 100 missing"


async def test_rows_that_are_no_keys_are_told_by_their_places(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    wire.put("things", [{"pk": "a"}, {"pk": "z"}])
    (tmp_path / "keys.csv").write_text("pk,n:N\nz,1\nb,x\n,2\n" + "c\n" * 30)
    parquet.write_table(pa.table({"pk": ["a", None]}), tmp_path / "keys.parquet")
    (tmp_path / "text.jsonl").write_text('{"pk": "' + "x" * 3000 + '"}\n')
    files = [tmp_path / name for name in ("keys.parquet", "text.jsonl", "keys.csv")]
    report = await fetch(db, files, "things", tmp_path / "out.csv")
    assert (report.keys, report.found, report.rejected) == (36, 2, 34)
    # The first ones tell what is wrong with a file.
    assert len(report.reasons) == 20
    begin = [reason.removeprefix(str(tmp_path) + os.sep) for reason in report.reasons[:5]]
    assert begin[0].startswith("keys.parquet, row 2: pk: ")
    assert begin[1].startswith("text.jsonl, line 1: pk: ")
    assert begin[2] == "keys.csv, line 3: n: is not a number"
    assert begin[3].startswith("keys.csv, line 4: pk: ")
    assert begin[4] == "keys.csv, line 5: has 1 cells, and the line of names 2"
    assert report.in_words().endswith(", 34 rejected")
    assert sorted((tmp_path / "out.csv").read_text().split()) == ["a", "pk", "z"]


async def test_a_get_that_cannot_be_written(
    db: DynamoDB, wire: FakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.put("things", [{"pk": "a", "tags": {"x"}}])
    (tmp_path / "keys.csv").write_text("pk\na\n")
    before = names_in(tmp_path)
    with monkeypatch.context() as patch:

        def save(checkpoint: CheckpointFile, _: object) -> None:
            raise CheckpointError(str(checkpoint.path), "cannot be written: No space left")

        patch.setattr(CheckpointFile, "save", save)
        with pytest.raises(CheckpointError, match="No space left"):
            await fetch(db, tmp_path / "keys.csv", "things", tmp_path / "out.json")
    assert not any(request.operation == "BatchGetItem" for request in wire.requests)
    with pytest.raises(FormatError, match="attribute tags: is a set"):
        await fetch(db, tmp_path / "keys.csv", "things", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    # Neither of them holds a lock: there is nothing but what is needed to go on.
    report = await fetch(db, tmp_path / "keys.csv", "things", tmp_path / "out.json")
    assert report.found == 1
    assert not {name for name in names_in(tmp_path) - before if name.endswith(".lock")}
    # A block of nothing but rejected rows asks for nothing.
    (tmp_path / "none.csv").write_text("id\n5\n")
    report = await fetch(db, tmp_path / "none.csv", "things", tmp_path / "none.json")
    assert (report.keys, report.rejected, report.found) == (1, 1, 0)
    assert (tmp_path / "none.json").read_bytes() == b""


async def test_keys_of_a_table_that_nobody_may_describe(
    db: DynamoDB, wire: FakeWire, tmp_path: Path
) -> None:
    """The rows are taken as they are."""
    wire.always(Fault.access_denied(), operation="DescribeTable")
    wire.put("things", [{"pk": "a", "n": 1}])
    (tmp_path / "keys.csv").write_text("pk\na\nb\n")
    report = await fetch(db, tmp_path / "keys.csv", "things", tmp_path / "out.json")
    assert (report.found, report.missing) == (1, 1)
    (tmp_path / "broken.csv.gz").write_bytes(b"pk\na\n")
    with pytest.raises(SourceError, match="is no gzip file"):
        await fetch(db, tmp_path / "broken.csv.gz", "things", tmp_path / "two.json")
    assert not (tmp_path / "two.json").exists()
