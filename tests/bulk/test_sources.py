"""Files, standard input and output, URLs: opened, told apart, and refused in plain words."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiobatch.bulk.errors import MissingExtra, SourceError
from aiobatch.bulk.sources import Source, open_output, read_error, resolve


def test_sources_are_resolved_in_their_order(tmp_path: Path) -> None:
    found = resolve([tmp_path / "b.csv", "s3://bucket/a.jsonl.gz"])
    assert [(source.format, source.is_compressed) for source in found] == [
        ("csv", False),
        ("jsonl", True),
    ]
    assert found[0].path == tmp_path / "b.csv"
    assert found[1].path is None
    assert resolve("-", "csv")[0].is_stdin
    assert resolve("data.txt", "csv") == [Source("data.txt", "csv")]


def test_a_fingerprint_tells_what_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 200_000)
    source = Source(str(path), "csv")
    before = source.fingerprint()
    assert before == source.fingerprint()
    times = path.stat().st_mtime_ns
    seen = {before}
    for position in (0, 199_999):
        content = bytearray(b"x" * 200_000)
        content[position] = ord("y")
        path.write_bytes(content)
        # Even where its size and time are what they were.
        os.utime(path, ns=(times, times))
        seen.add(source.fingerprint())
    os.utime(path, ns=(times, times + 1))
    seen.add(source.fingerprint())
    path.write_bytes(b"x" * 199_999)
    seen.add(source.fingerprint())
    assert len(seen) == 5
    assert Source("-", "csv").fingerprint() is None


def test_outputs_are_compressed_by_their_names(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv.gz"):
        with open_output(str(tmp_path / name)) as out:
            out.write(b"a line\n")
        with Source(str(tmp_path / name), "csv").open() as source:
            assert source.read() == b"a line\n"
    assert gzip.decompress((tmp_path / "b.csv.gz").read_bytes()) == b"a line\n"
    with open_output("memory://there/c.jsonl.gz") as out:
        out.write(b"another\n")
    remote = Source("memory://there/c.jsonl.gz", "jsonl")
    with remote.open() as source:
        assert source.read() == b"another\n"
    assert remote.fingerprint() == remote.fingerprint()
    with pytest.raises(SourceError, match="there is no such file"):
        open_output(str(tmp_path / "no" / "a.csv"))


def test_standard_output_stays_open() -> None:
    program = (
        "from aiobatch.bulk.sources import Source, open_output\n"
        "with Source('-', 'csv').open() as read, open_output('-') as out:\n"
        "    out.write(read.read())\n"
        "print('still there')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], input=b"a\n", capture_output=True, check=True
    )
    assert ran.stdout == b"a\nstill there\n"


def test_errors_of_reading_are_told_with_the_line() -> None:
    for error, told in (
        (EOFError(), "is cut off"),
        (gzip.BadGzipFile("Not a gzipped file (b'secret')"), "is no gzip file"),
        (PermissionError(13, "Permission denied"), "this user may not open it"),
        (OSError(5, "Input/output error"), "cannot be opened or read: Input/output error"),
    ):
        found = read_error("a.csv", error, 7)
        assert found is not None
        assert str(found).startswith(f"a.csv, line 7: {told}")
        assert "secret" not in str(found)
    assert read_error("a.csv", ZeroDivisionError(), 7) is None


def test_a_remote_file_that_is_none() -> None:
    with pytest.raises(SourceError, match=r"memory://there/nothing\.csv: there is no such file"):
        Source("memory://there/nothing.csv", "csv").open()
    with pytest.raises(SourceError, match="there is no such file"):
        Source("memory://there/nothing.csv", "csv").fingerprint()


def test_a_scheme_whose_library_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match=r"s3://bucket/a\.csv: .*s3fs"):
        Source("s3://bucket/a.csv", "csv").open()


def test_a_cut_stream_is_an_eof(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(os.urandom(5000))[:2000])
    with Source(str(path), "csv").open() as source, pytest.raises(EOFError):
        source.read()
