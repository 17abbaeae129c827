"""The command as users meet it: processes, pipes, signals, exit codes."""

import asyncio
import gzip
import re
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import airportsdata
import orjson
import pytest
from typer.testing import CliRunner

from aiobatch import DynamoDB
from aiobatch.bulk.create import create_table
from aiobatch.cli.app import app
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend
from tests.bulk.test_backends import AIRPORTS
from tests.cli.conftest import Command, lines

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return path.name


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def many(count: int) -> bytes:
    return lines(("pk", "n:N"), *((f"key {n}", str(n)) for n in range(count)))


async def test_files_go_in_and_out(command: Command, db: DynamoDB, tmp_path: Path) -> None:
    name = write(tmp_path / "places.csv", many(60))
    loaded = await command("load", name, "--table", "round", "--create-table", "pk:S", "--json")
    assert loaded.code == 0, loaded.err
    assert loaded.events[-1] | {"seconds": 0} == {
        "event": "summary",
        "exit_code": 0,
        "table": "round",
        "rows": 60,
        "written": 60,
        "rejected": 0,
        "resumed_at": 0,
        "finished": True,
        "seconds": 0,
        "checkpoint": None,
        "dead_letters": [],
        **{
            name: loaded.events[-1][name]
            for name in ("requests", "under_way", "throttled", "retried", "capacity_units")
        },
    }
    assert loaded.events[-1]["capacity_units"] == 60
    assert "created table round" in loaded.err

    counted, exported, got = await asyncio.gather(
        command("count", "round"),
        command("export", "out.json.gz", "--table", "round", "--segments", "2"),
        command(
            "get",
            "-",
            "--format",
            "csv",
            "--table",
            "round",
            "--output-format",
            "jsonl",
            stdin=b"pk\nkey 7\nnone\n",
        ),
    )
    assert (counted.code, counted.out) == (0, "60\n")
    assert exported.code == 0, exported.err
    items = [
        orjson.loads(line)["Item"]
        for line in gzip.decompress((tmp_path / "out.json.gz").read_bytes()).splitlines()
    ]
    assert sorted(int(item["n"]["N"]) for item in items) == list(range(60))
    assert (got.code, got.out) == (0, '{"pk":"key 7","n":7}\n')
    assert "2 keys: 1 found, 1 missing" in got.err

    made = await command("load", "out.json.gz", "--table", "copied", "--create-table", "pk:S")
    assert made.code == 0
    copied = await command("copy", "round", "copied", "--checkpoint", "copy.checkpoint")
    assert copied.code == 0, copied.err
    deleted = await command("delete", name, "--table", "round")
    assert deleted.code == 0, deleted.err
    assert "60 rows deleted" in deleted.err
    assert [item async for item in db.scan("round")] == []
    assert len([item async for item in db.scan("copied")]) == 60
    assert names_in(tmp_path) == {"places.csv", "out.json.gz"}


async def test_the_airports_are_loaded_from_their_file_as_it_is(
    command: Command, db: DynamoDB
) -> None:
    """All of them, though the file has nothing to do with us."""
    ended = await command(
        *("load", str(AIRPORTS), "--table", "airports", "--create-table", "icao:S"),
        *("--types", "elevation:N,lat:N,lon:N", "--json"),
    )
    assert ended.code == 0, ended.err
    places = airportsdata.load("ICAO")
    summary = ended.events[-1]
    assert (summary["written"], summary["rejected"]) == (len(places), 0)
    # Some of them: ministack takes as long for the table as for a page of it.
    some = [{"icao": code} for code in list(places)[:: len(places) // 500]]
    read = await db.batch_get_item(some, "airports", ordered=True)
    assert [item and item["icao"] for item in read["Items"]] == [key["icao"] for key in some]
    for item in read["Items"]:
        assert item is not None
        place = places[item["icao"]]
        numbers = {name: Decimal(str(place[name])) for name in ("elevation", "lat", "lon")}
        assert item == {name: value for name, value in place.items() if value != ""} | numbers


async def test_what_is_wrong_is_told_with_file_and_line(
    command: Command, db: DynamoDB, tmp_path: Path
) -> None:
    big = "x" * 410_000
    secret = "do-not-print"
    rows = lines(
        ("pk", "n:N"),
        ("a", "1"),
        ("b", secret),
        ("", "3"),
        (big, "4"),
        ("c", "5"),
        ("d", "6", "too many"),
    )
    name = write(tmp_path / "bad.csv", rows)
    planned = await command("load", name, "--table", "bad", "--create-table", "pk:S", "--dry-run")
    assert planned.code == 3
    assert "6, of which 4 would be rejected" in planned.err
    loaded = await command("load", name, "--table", "bad", "--create-table", "pk:S")
    assert loaded.code == 3, loaded.err
    assert "2 rows written, 4 rejected" in loaded.err
    assert "bad.csv, line 3: n: is not a number" in loaded.err
    assert "bad.csv, line 7: " in loaded.err
    assert secret not in loaded.err + loaded.out
    reasons = (tmp_path / "bad.rejected.csv.reasons.jsonl").read_bytes()
    assert [orjson.loads(line)["line"] for line in reasons.splitlines()] == [3, 4, 5, 7]
    assert {item["pk"]: item["n"] async for item in db.scan("bad")} == {
        "a": Decimal(1),
        "c": Decimal(5),
    }
    # The dead letters of before are not overwritten.
    again = await command("load", name, "--table", "bad")
    assert again.code == 1
    assert "bad.rejected.csv" in again.err

    cut = gzip.compress(many(5000))[:-2000]
    name = write(tmp_path / "cut.csv.gz", cut)
    ended = await command("load", name, "--table", "bad")
    assert ended.code == 1
    assert "cut.csv.gz, line " in ended.err
    assert "cut off" in ended.err


async def test_a_copy_tells_what_the_target_refuses(
    command: Command, db: DynamoDB, tmp_path: Path
) -> None:
    secret = "do-not-print"
    rows = [{"pk": f"key {n}", **({"n": n} if n % 4 else {}), "text": secret} for n in range(40)]
    name = write(tmp_path / "rows.jsonl", b"\n".join(map(orjson.dumps, rows)))
    for table, keys in (("wide", "pk:S"), ("narrow", "pk:S,n:N")):
        made = await command("load", name, "--table", table, "--create-table", keys)
        assert made.code == (0 if table == "wide" else 3), made.err
        (tmp_path / "rows.rejected.jsonl").unlink(missing_ok=True)
        (tmp_path / "rows.rejected.jsonl.reasons.jsonl").unlink(missing_ok=True)
    ended = await command("copy", "wide", "narrow", "--json")
    assert ended.code == 3, ended.err
    assert "30 items copied, 10 rejected" in ended.err
    assert ended.err.count("wide.rejected.json, line ") == 5
    assert "and 5 more" in ended.err
    assert "rejected items: wide.rejected.json, the reasons: wide.rejected.json.re" in ended.err
    assert secret not in ended.err
    summary = ended.events[-1]
    assert (summary["items"], summary["rejected"]) == (30, 10)
    assert summary["dead_letters"] == ["wide.rejected.json"]
    [reason] = {
        orjson.loads(line)["reason"]
        for line in (tmp_path / "wide.rejected.json.reasons.jsonl").read_bytes().splitlines()
    }
    assert "key" in reason
    again = await command("load", "wide.rejected.json", "--table", "wide")
    assert (again.code, "10 rows written" in again.err) == (0, True)
    few = await command(
        "copy", "wide", "narrow", "--dead-letters", "few.json", "--max-rejected", "2"
    )
    assert few.code == 4, few.err
    assert "max_rejected" in few.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["load"], "FILE"),
        (["load", "a.csv"], "--table"),
        (["load", "a.csv", "--table", "t", "--create-table", "pk"], "key attribute"),
        (["load", "a.csv", "--table", "t", "--types", "x"], "types"),
        (["load", "a.csv", "--table", "t", "--concurrency", "0"], "concurrency"),
        (["load", "a.csv", "--table", "t", "--format", "xml"], "format"),
        (["export", "-", "--table", "t", "--json"], "name a file"),
        (["count", "t", "--values", "{broken"], "not JSON"),
        (["count"], "name one table"),
        (["count", "t", "--table", "u"], "name one table"),
        (["unknown"], "unknown"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(arguments: list[str], word: str) -> None:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 2, ended.output
    assert word in ended.output


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["load", "-", "--table", "t"], "format"),
        (["load", "none.csv", "--table", "missing"], "there is no table missing here"),
        (["export", "x.txt", "--table", "missing"], "format"),
        (["count", "missing"], "there is no table missing here"),
        (["count", "--table", "missing"], "there is no table missing here"),
        (["copy", "missing", "t"], "there is no table missing here"),
        (["count", "t", "--profile", "nobody"], "nobody"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_fails_at_once(command: Command, arguments: list[str], word: str) -> None:
    ended = await command(*arguments)
    assert ended.code == 1, ended.err
    assert word in ended.err
    assert "Traceback" not in ended.err


async def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['typer'] = None; from aiobatch.__main__ import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"pip install 'aiobatch[cli]'" in err


async def test_the_demo_runs(command: Command) -> None:
    ended = await command("demo", "--limit", "100", "--latency", "0")
    assert ended.code == 0, ended.err
    assert "every value is equal" in ended.out


async def test_help_tells_the_exit_codes(command: Command) -> None:
    ended = await command("load", "--help")
    assert ended.code == 0
    assert "3 finished, but rows were" in ended.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_load_says_how_to_go_on(
    command: Command, db: DynamoDB, tmp_path: Path, number: signal.Signals
) -> None:
    name = write(tmp_path / "long.csv", many(3000))
    table = f"long-{number.name}"
    arguments = ("load", name, "--table", table, "--create-table", "pk:S", "--checkpoint", "c p")
    process = await command.start(*arguments, "--max-write-units", "400", "--json")
    assert process.stdout is not None
    # An event: the load runs.
    while b'"progress"' not in (line := await asyncio.wait_for(process.stdout.readline(), 30)):
        assert line
    process.send_signal(number)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 128 + number, err
    assert f"to go on: aiobatch load long.csv --table {table}" in err.decode()
    assert "--checkpoint 'c p'" in err.decode()
    stored = len([item async for item in db.scan(table, consistent_read=True)])
    assert 0 < stored < 3000
    again = await command(*arguments)
    assert again.code == 0, again.err
    assert "goes on behind row" in again.err
    assert len([item async for item in db.scan(table, consistent_read=True)]) == 3000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("rows", [b"", b'{"pk": "a"}\n'], ids=["silent", "one row"])
async def test_a_silent_pipe_keeps_nobody_waiting(
    command: Command, db: DynamoDB, number: signal.Signals, rows: bytes
) -> None:
    table = f"piped-{number.name}-{len(rows)}"
    arguments = ("load", "-", "--format", "jsonl", "--table", table, "--create-table", "pk:S")
    process = await command.start(*arguments)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(rows)
    assert b"created table" in await asyncio.wait_for(process.stderr.readline(), 30)
    if rows:
        # It was read, and is written though the pipe stays open.
        async with asyncio.timeout(30):
            while [item async for item in db.scan(table)] != [{"pk": "a"}]:
                pass
    process.send_signal(number)
    asked = asyncio.get_running_loop().time()
    # The pipe is not closed: communicate() would do so.
    err = await asyncio.wait_for(process.stderr.read(), 30)
    assert await process.wait() == 128 + number
    assert asyncio.get_running_loop().time() - asked < 5
    if rows:
        assert b"it begins at the first row: aiobatch load -" in err
    assert b"Traceback" not in err
    process.stdin.close()


async def test_an_interrupted_get_goes_on(
    command: Command, server: Backend, db: DynamoDB, tmp_path: Path
) -> None:
    name = write(tmp_path / "rows.csv", many(3000))
    assert (await command("load", name, "--table", "got", "--create-table", "pk:S")).code == 0
    arguments = ("get", name, "--table", "got", "--output", "out.json", "--concurrency", "1")
    async with FaultProxy(server.endpoint_url) as slow:
        slow.always(Fault.latency(0.1), operation="BatchGetItem")
        process = await command.start(*arguments, "--json", "--endpoint-url", slow.endpoint_url)
        assert process.stdout is not None
        while b'"progress"' not in (line := await asyncio.wait_for(process.stdout.readline(), 30)):
            assert line
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130, err
    assert b"to go on: aiobatch get rows.csv --table got" in err
    assert 0 < orjson.loads(out.splitlines()[-1])["keys"] < 3000
    assert names_in(tmp_path) == {"rows.csv", "out.json.part", "out.json.checkpoint"}
    again = await command(*arguments)
    assert again.code == 0, again.err
    assert "goes on behind key" in again.err
    lines = (tmp_path / "out.json").read_bytes().splitlines()
    numbers = [int(orjson.loads(line)["Item"]["n"]["N"]) for line in lines]
    assert sorted(numbers) == list(range(3000))
    assert names_in(tmp_path) == {"rows.csv", "out.json"}


async def test_items_come_out_while_the_keys_come_in(command: Command, tmp_path: Path) -> None:
    name = write(tmp_path / "rows.csv", many(5))
    assert (await command("load", name, "--table", "in-out", "--create-table", "pk:S")).code == 0
    process = await command.start(
        *("get", "-", "--format", "csv", "--table", "in-out", "--output-format", "jsonl")
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"pk\nkey 3\n")
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    assert orjson.loads(line) == {"pk": "key 3", "n": 3}
    process.send_signal(signal.SIGINT)
    err = await asyncio.wait_for(process.stderr.read(), 30)
    assert await process.wait() == 130
    assert b"so far: 1 key: 1 found" in err
    assert b"Traceback" not in err
    process.stdin.close()


async def test_a_reader_that_goes_away_ends_it(command: Command, tmp_path: Path) -> None:
    rows = lines(("pk", "text"), *((f"key {n}", "x" * 2000) for n in range(300)))
    name = write(tmp_path / "wide.csv", rows)
    assert (await command("load", name, "--table", "wide", "--create-table", "pk:S")).code == 0
    process = await command.start("export", "-", "--table", "wide")
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readexactly(100)
    process.stdout._transport.close()  # type: ignore[attr-defined]
    err = await asyncio.wait_for(process.stderr.read(), 30)
    assert await process.wait() == 141
    assert b"Traceback" not in err
    assert b"Error" not in err


@pytest.fixture
async def closed(db: DynamoDB, tmp_path: Path) -> AsyncIterator[Path]:
    """Tables ``few`` and ``elsewhere``, and a directory with a file that nobody may write into."""
    write(tmp_path / "few.csv", many(3))
    await create_table(db, "few", {"pk": "S"})
    await create_table(db, "elsewhere", {"other": "S"})
    await db.batch_write_item([{"pk": f"key {n}", "n": n} for n in range(3)], "few")
    directory = tmp_path / "closed"
    await asyncio.to_thread(directory.mkdir)
    (directory / "bad.csv").write_bytes(b"pk,n:N\na,x\n")
    directory.chmod(0o555)
    yield directory
    directory.chmod(0o755)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["export", "closed/out.json", "--table", "few"], "closed/out.json.checkpoint"),
        (["export", "closed/out.json", "--table", "few", "--no-checkpoint"], "closed/out.json"),
        (["get", "few.csv", "--table", "few", "-o", "closed/out.json"], "closed/out.json"),
        (["load", "few.csv", "--table", "few", "--checkpoint", "closed/c"], "checkpoint closed/c"),
        (
            ["load", "closed/bad.csv", "--table", "few"],
            "dead letters closed/bad.rejected.csv",
        ),
        (
            ["load", "closed/bad.csv", "--table", "few", "--dead-letters", "closed/d.csv"],
            "dead letters closed/d.csv",
        ),
        (["copy", "few", "elsewhere", "--dead-letters", "closed/d"], "dead letters closed/d"),
        (["copy", "few", "elsewhere", "--checkpoint", "closed/c"], "checkpoint closed/c"),
    ],
    ids=" ".join,
)
async def test_where_it_may_not_write(
    command: Command, closed: Path, arguments: list[str], place: str
) -> None:
    before = names_in(closed)
    ended = await command(*arguments, obeys=True)
    assert ended.code == 1, ended.err
    assert place in ended.err
    assert "this user may not write there: name another place" in ended.err
    assert "Traceback" not in ended.err
    assert names_in(closed) == before


@pytest.mark.parametrize("arguments", [["load", "shut.csv"], ["export", "none/out.json"]])
@pytest.mark.usefixtures("closed")
async def test_what_is_not_to_be_opened(
    command: Command, tmp_path: Path, arguments: list[str]
) -> None:
    write(tmp_path / "shut.csv", many(3))
    (tmp_path / "shut.csv").chmod(0)
    ended = await command(*arguments, "--table", "few", obeys=True)
    assert ended.code == 1
    told = {
        "load": "shut.csv: this user may not open it",
        "export": "none/out.json.checkpoint: there is no such directory",
    }
    assert told[arguments[0]] in ended.err
    ended = await command("load", "none.csv", "--table", "few")
    assert ended.code == 1
    assert "none.csv: there is no such file" in ended.err


async def test_the_documented_commands_run(command: Command, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```bash\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    write(tmp_path / "places.csv", lines(("pk", "height:N"), ("berlin", "34"), ("oslo", "23")))
    (tmp_path / "block.sh").write_text(
        f'set -euo pipefail\naiobatch() {{ "{sys.executable}" -m aiobatch "$@"; }}\n{block}'
    )
    process = await asyncio.create_subprocess_exec(
        "bash",
        "block.sh",
        cwd=tmp_path,
        env=command.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err
    assert out == b'2\n{"pk":"berlin","height":34}\n'
    assert names_in(tmp_path) == {"places.csv", "places.json.gz", "block.sh"}
