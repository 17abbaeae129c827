"""The commands in this process: dry runs, options, summaries, and wrong arguments."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiobotocore.session import AioSession
from typer.testing import CliRunner, Result

from aiobatch import DynamoDB, bulk
from aiobatch.__main__ import main
from aiobatch.bulk.table import TableIdentity
from aiobatch.cli import front
from aiobatch.cli.app import app
from aiobatch.cli.commands import _bytes
from tests.backends import Backend
from tests.cli.conftest import lines
from tests.conftest import REGION

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

Run = Callable[..., Result]


@pytest.fixture
def run(server: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("COLUMNS", "100")

    def invoke(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["aiobatch", *arguments])
        return CliRunner().invoke(app, arguments)

    return invoke


@pytest.fixture
def loaded(run: Run, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A table with 40 items, and their file, `rows.csv`."""
    name = f"t-{abs(hash(request.node.nodeid))}"
    rows = [(f"key {n}", str(n)) for n in range(40)]
    (tmp_path / "rows.csv").write_bytes(lines(("pk", "n:N"), *rows))
    ended = run("load", "rows.csv", "--table", name, "--create-table", "pk:S")
    assert ended.exit_code == 0, ended.output
    return name


def events(ended: Result) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in ended.stdout.splitlines()]


def test_a_dry_run_of_a_load_looks_at_the_table(run: Run, loaded: str, tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text('{"pk": "a"}\n{"n": 1}\n')
    planned = run("load", "more.jsonl", "--table", loaded, "--dry-run", "--json")
    assert planned.exit_code == 3
    summary = events(planned)[-1]
    assert summary | {"rows": 2, "would_write": 1, "would_reject": 1, "write_units": 1} == summary
    # A table that is not there has no keys to look for.
    planned = run("load", "more.jsonl", "--table", "not-there", "--dry-run")
    assert planned.exit_code == 0
    assert "2, of which 0 would be rejected" in planned.stderr
    assert "table not-there is not there: --create-table would make it" in planned.stderr
    planned = run("delete", "more.jsonl", "rows.csv", "--table", loaded, "--dry-run")
    assert planned.exit_code == 3
    assert "delete      41 items in 2 requests or more" in planned.stderr
    assert "41 write units at least" in planned.stderr


def test_a_dry_run_of_a_scan_tells_what_it_would_cost(run: Run, loaded: str) -> None:
    for arguments in (
        ("count", loaded),
        ("export", "out.json", "--table", loaded),
        ("copy", loaded, "elsewhere"),
    ):
        planned = run(*arguments, "--dry-run")
        assert planned.exit_code == 0, planned.output
        assert "dry run: nothing is read" in planned.stderr
        assert "40, " in planned.stderr
        assert not Path("out.json.part").exists()
    once = events(run("count", loaded, "--dry-run", "--json"))[-1]
    assert once["items"] == 40
    assert once["bytes"] > 0
    twice = events(run("count", loaded, "--dry-run", "--json", "--consistent"))[-1]
    assert twice["read_units"] == 2 * once["read_units"] > 0


@pytest.fixture
async def client(server: Backend) -> "AsyncIterator[DynamoDBClient]":
    async with AioSession().create_client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=server.endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    ) as client:
        yield client


@pytest.fixture
async def indexed(client: "DynamoDBClient") -> AsyncIterator[str]:
    """A table with a secondary index that one of its two items is in."""
    name = "with-an-index"
    await client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "city", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-city",
                "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    await client.put_item(TableName=name, Item={"pk": {"S": "a"}, "city": {"S": "Oslo"}})
    await client.put_item(TableName=name, Item={"pk": {"S": "b"}, "n": {"N": "5"}})
    yield name
    await client.delete_table(TableName=name)


def test_an_index_is_read_instead(run: Run, indexed: str) -> None:
    assert run("count", indexed).stdout == "2\n"
    assert run("count", indexed, "--index", "by-city").stdout == "1\n"
    planned = run("count", indexed, "--index", "by-city", "--dry-run")
    assert planned.exit_code == 0, planned.output
    # An index that is not there has no size, and must not be given the table's.
    planned = run("count", indexed, "--index", "by-town", "--dry-run")
    assert planned.exit_code == 1
    assert "table with-an-index has no index by-town; there are: by-city" in planned.stderr


def test_what_was_ended_early_goes_on(run: Run, loaded: str, server: Backend) -> None:
    def stop(_: object) -> None:
        raise LookupError

    async def end_early() -> None:
        async with DynamoDB(endpoint_url=server.endpoint_url, region_name=REGION) as db:
            kept: dict[str, Any] = {"on_progress": stop, "checkpoint_every": 0}
            with pytest.raises(LookupError):
                await bulk.export(db, loaded, "out.json", page_size=10, total_segments=1, **kept)
            with pytest.raises(LookupError):
                await bulk.fetch(db, "rows.csv", loaded, "got.json", **kept)

    # The place of a table is that of the client, however it was told.
    asyncio.run(end_early())
    here = ("--endpoint-url", server.endpoint_url)
    exported = run("export", "out.json", "--table", loaded, *here)
    assert exported.exit_code == 0, exported.output
    assert "goes on behind item 10" in exported.stderr
    got = run("get", "rows.csv", "--table", loaded, "--output", "got.json", *here)
    assert got.exit_code == 0, got.output
    assert "goes on behind key 40" in got.stderr
    for name in ("out.json", "got.json"):
        assert len(set(Path(name).read_bytes().splitlines())) == 40


def test_what_fails_before_it_has_begun_has_no_figures(run: Run, loaded: str) -> None:
    ended = run("export", "none/out.json", "--table", loaded, "--json")
    assert ended.exit_code == 1
    error, summary = events(ended)
    assert (error["event"], error["type"]) == ("error", "CheckpointError")
    assert summary["exit_code"] == 1
    assert "items" not in summary


def test_the_size_of_a_table_that_may_not_be_described_is_not_known(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def describe(_db: DynamoDB, table_name: str) -> TableIdentity:
        return TableIdentity(table_name, "here")  # as where it is denied

    monkeypatch.setattr("aiobatch.cli.commands.describe", describe)
    planned = run("count", "things", "--dry-run")
    assert planned.exit_code == 1
    assert "the size of table things is not known" in planned.stderr
    assert "0 items" not in planned.stderr


def test_filters_and_their_placeholders(run: Run, loaded: str) -> None:
    some = ("--filter", "#n < :n", "--names", '{"#n": "n"}', "--values", '{":n": 10}')
    assert run("count", loaded, *some).stdout == "10\n"
    counted = run("count", loaded, *some, "--json")
    summary = events(counted)[-1]
    assert (summary["items"], summary["scanned"], summary["finished"]) == (10, 40, True)
    exported = run(
        "export", "out.csv", "--table", loaded, "--columns", "n, pk", "--types", "n:N", *some
    )
    assert exported.exit_code == 0, exported.output
    head, *rows = Path("out.csv").read_text().splitlines()
    assert head == "n:N,pk"
    assert sorted(rows) == sorted(f"{n},key {n}" for n in range(10))


def test_a_copy_to_another_place_has_a_client_of_its_own(
    run: Run, loaded: str, server: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("load", "rows.csv", "--table", f"{loaded}-2", "--create-table", "pk:S")
    assert made.exit_code == 0
    assert run("delete", "rows.csv", "--table", f"{loaded}-2").exit_code == 0
    # By the environment nothing would be found.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    here = ("--endpoint-url", server.endpoint_url)
    assert run("count", f"{loaded}-2", *here).stdout == "0\n"
    there = ("--to-endpoint-url", server.endpoint_url.replace("127.0.0.1", "localhost"))
    copied = run("copy", loaded, f"{loaded}-2", *here, *there, "--json")
    assert copied.exit_code == 0, copied.output
    assert events(copied)[-1]["items"] == 40
    assert run("count", f"{loaded}-2", *here).stdout == "40\n"


def test_keys_that_are_none_are_told_one_by_one(run: Run, loaded: str, tmp_path: Path) -> None:
    (tmp_path / "keys.jsonl").write_text('{"pk": "key 1"}\n{"pk": 5}\n{"pk": "key 99"}\n')
    got = run("get", "keys.jsonl", "--table", loaded, "--output", "out.jsonl", "--json")
    assert got.exit_code == 3
    assert "keys.jsonl, line 2: pk: " in got.stderr
    assert "3 keys: 1 found, 1 missing, 1 rejected" in got.stderr
    summary = events(got)[-1]
    assert (summary["keys"], summary["found"], summary["exit_code"]) == (3, 1, 3)
    assert Path("out.jsonl").read_text() == '{"pk":"key 1","n":1}\n'


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["get", "a.csv", "--table", "t", "--json"], "name --output"),
        (
            ["load", "a.csv", "-t", "t", "--checkpoint", "c", "--no-checkpoint"],
            "exclude each other",
        ),
        (["count", "t", "--names", "[1]"], "--names must be a JSON object"),
        (["count", "t", "--values", "5"], "--values must be a JSON object"),
    ],
    ids=["get", "checkpoint", "names", "values"],
)
def test_options_that_contradict_each_other(run: Run, arguments: list[str], word: str) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 2, ended.output
    assert word in " ".join(ended.output.split())


def test_no_checkpoint_is_kept_if_so_asked(run: Run, loaded: str) -> None:
    Path("rows.csv.checkpoint").write_text("not looked at")
    assert run("load", "rows.csv", "--table", loaded, "--no-checkpoint").exit_code == 0
    assert run("load", "rows.csv", "--table", loaded).exit_code == 1


def test_what_cannot_be_imported_for_another_reason_is_no_missing_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "aiobatch.cli.app", None)
    with pytest.raises(ImportError, match=r"aiobatch\.cli\.app"):
        main()


def test_sizes_are_for_people() -> None:
    sizes = (0, 1023, 1024, 1536 * 1024, 5 * 1024**3, 5 * 1024**4)
    told = ["0 bytes", "1,023 bytes", "1.0 KB", "1.5 MB", "5.0 GB", "5,120.0 GB"]
    assert [_bytes(size) for size in sizes] == told


# ---------------------------------------------------------------------- demo and bench


def test_the_demo_says_what_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "find_spec", lambda name: None if name == "moto" else name)
    ended = run("demo")
    assert ended.exit_code == 1
    assert "aiobatch demo needs moto: pip install 'aiobatch[demo]'" in ended.stderr


def test_without_their_files_they_say_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an installation: the benchmarks are not in the wheel."""
    for place in ("_CHECKOUT", "_SHIPPED"):
        monkeypatch.setattr(front, place, tmp_path)
    ended = run("bench")
    assert ended.exit_code == 1
    assert "aiobatch bench needs a checkout of the repository" in ended.stderr
    ended = run("demo")
    assert ended.exit_code == 1
    assert "this installation lacks the demo's files" in ended.stderr


def test_the_benchmarks_get_their_own_arguments(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    (tmp_path / "benchmarks" / "bench.py").write_text(
        "def main(arguments):\n    print('told', arguments)\n    return 5\n"
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    # In a wheel only the shipped files are there.
    monkeypatch.setattr(front, "_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(front, "_SHIPPED", tmp_path)
    ended = run("bench", "--rounds", "2", "--help")
    assert ended.exit_code == 5
    assert ended.stdout == "told ['--rounds', '2', '--help']\n"
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
