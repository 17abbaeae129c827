"""Every script as a command, and the proof that none is without its tests."""

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from aiobotocore.session import AioSession

from tests.backends import Backend
from tests.conftest import REGION
from tests.examples.scripts import EXAMPLES, ROOT, SCRIPTS

# The last line that each prints.
LAST_LINES = {
    "after_an_error": "Written at the second attempt: 35",
    "basic_get": "Missing: [{'pk': 'user#nobody', 'sk': 'user#nobody'}]",
    "checkout": "Refused: There is no product spoon",
    "cleanup_sessions": "Deleted 61 expired sessions",
    "consistent_read": "Wrote 3 users and read 3 back",
    "csv_import": "Imported 30 products",
    "dashboard": "  theme dark, 12 orders",
    "delete_items": "Deleted 3 users",
    "extra_retries": "With a policy: 60 users, 0 keys left after 4 requests",
    "leftovers_by_hand": "Read 50 users",
    "load_file": "sensor#7,1000,broken",
    "many_keys": "Got 150 items in 2 requests",
    "native_numbers": "order#3: quantity 2 is of type int",
    "projection": "Attributes: email, first_name, id, last_name",
    "put_items": "Unprocessed: 0",
    "reserved_words": "Without placeholders: the same",
    "save_if_new": "Created user-002, user-003, user-004; 2 were there",
}
# It logs a warning, and that is what it shows.
EXPECTED_ERRORS = {"leftovers_by_hand": "25 keys unprocessed\n"}

SECONDS = 120.0


def command(script: str, arguments: Sequence[str] = ()) -> list[str]:
    # Sockets and sessions left open are told on standard error.
    warn = ("-W", "default::ResourceWarning")
    return [sys.executable, *warn, "-m", f"examples.{script}", *arguments]


@pytest.fixture(scope="module")
def finished() -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """Every script, started with its embedded server, a few at a time."""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(script),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {script: pool.submit(run, script) for script in SCRIPTS}
        yield runs
        for one in runs.values():
            one.cancel()


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_runs_with_an_embedded_server(
    script: str, finished: dict[str, Future[subprocess.CompletedProcess[str]]]
) -> None:
    done = finished[script].result()
    assert (done.returncode, done.stderr) == (0, EXPECTED_ERRORS.get(script, ""))
    assert done.stdout.splitlines()[-1] == LAST_LINES[script]


async def run(
    script: str, *arguments: str, **environment: str
) -> tuple[int | None, list[str], str]:
    process = await asyncio.create_subprocess_exec(
        *command(script, arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    return process.returncode, out.decode().splitlines(), err.decode()


async def tables_of_examples(endpoint_url: str) -> list[str]:
    async with AioSession().create_client(
        "dynamodb", region_name=REGION, endpoint_url=endpoint_url
    ) as client:
        found = await client.list_tables()
    return [name for name in found["TableNames"] if name.startswith("aiobatch-example")]


@pytest.mark.parametrize("script", ["put_items", "leftovers_by_hand"])
async def test_an_endpoint_is_used_and_left_clean(script: str, backend: Backend) -> None:
    status, out, err = await run(script, "--endpoint-url", backend.endpoint_url)
    assert (status, err) == (0, EXPECTED_ERRORS.get(script, ""))
    assert out[-1] == LAST_LINES[script]
    assert not await tables_of_examples(backend.endpoint_url)


async def test_the_settings_of_the_environment_are_used(backend: Backend) -> None:
    status, out, err = await run(
        "csv_import", "--aws", AWS_ENDPOINT_URL_DYNAMODB=backend.endpoint_url
    )
    assert (status, out, err) == (0, [LAST_LINES["csv_import"]], "")
    assert not await tables_of_examples(backend.endpoint_url)


async def test_aws_is_not_made_to_fail() -> None:
    status, out, err = await run("extra_retries", "--aws")
    assert (status, out) == (2, [])
    assert "leave out --aws" in err


async def test_an_endpoint_where_nothing_listens(unused_tcp_port: int) -> None:
    status, out, err = await run(
        "put_items",
        "--endpoint-url",
        f"http://127.0.0.1:{unused_tcp_port}",
        AWS_MAX_ATTEMPTS="1",
    )
    assert (status, out) == (1, [])
    assert err.startswith("error: ")
    assert "Traceback" not in err


# ---------------------------------------------------------------- nothing is forgotten


def mains_under_test() -> set[str]:
    """The scripts whose `main` a test function of this directory awaits."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.AsyncFunctionDef):
                continue
            if not function.name.startswith("test_"):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
                    module, _, name = ast.unparse(node.value.func).partition(".")
                    if name == "main":
                        found.add(module)
    return found


def test_no_script_is_without_a_test() -> None:
    assert SCRIPTS
    assert set(SCRIPTS) - mains_under_test() == set()
    assert set(LAST_LINES) == set(SCRIPTS)


def test_every_file_is_a_script_or_known_not_to_be_one() -> None:
    others = {path.stem for path in EXAMPLES.glob("*.py")} - set(SCRIPTS)
    assert others == {"__init__", "_support", "models"}


def test_the_table_lists_every_script() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[`(\w+)`\]\(\1\.py\) \| \S", text, re.MULTILINE)
    assert sorted(listed) == SCRIPTS
