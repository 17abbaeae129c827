"""The load test of the dashboard: its stand-in for DynamoDB, its generator, its report, a run."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from aiobatch import DynamoDB, ServiceError
from benchmarks.dashboard import report
from benchmarks.dashboard.__main__ import ROOT, fetch, main, parse, service
from benchmarks.dashboard.data import TABLE, items_of
from benchmarks.dashboard.figures import LABELS, Measured
from benchmarks.dashboard.load import BadAnswer, Plan, generate, quantile
from benchmarks.markdown import markers
from tests.conftest import REGION

# --- the stand-in ---


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with service(0.0) as url:
        yield url


async def test_the_stand_in_answers_what_it_is_asked(store: str) -> None:
    items = [item for number in (3, 999) for item in items_of(number)]
    keys = [{"pk": item["pk"], "sk": item["sk"]} for item in items]
    before = await asyncio.to_thread(fetch, f"{store}/stats")
    async with DynamoDB(endpoint_url=store, region_name=REGION) as db:
        answer = await db.batch_get_item([*keys, {"pk": "nobody", "sk": "x"}], TABLE, ordered=True)
        assert answer["Items"] == [*items, None]
        assert (await db.get(keys[0], TABLE))["Item"] == items[0]
        assert "Item" not in await db.get({"pk": "nobody", "sk": "x"}, TABLE)
        with pytest.raises(ServiceError):
            await db.delete(keys[0], TABLE)
    after = await asyncio.to_thread(fetch, f"{store}/stats")
    assert after["keys"] - before["keys"] == len(keys) + 1 + 2
    assert after["operations"]["GetItem"] - before["operations"].get("GetItem", 0) == 2
    assert after["operations"]["BatchGetItem"] - before["operations"].get("BatchGetItem", 0) == 1


# --- the generator ---


def canned(answer: bytes) -> asyncio.Protocol:
    class Canned(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.write(answer)

    return Canned()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 3\r\n\r\nbad", "500 Oops"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "is not in"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "without a length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}more", "200 OK"),
    ],
    ids=["status", "another-user", "no-length", "too-long"],
)
async def test_the_generator_takes_no_wrong_answer(answer: bytes, told: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: canned(answer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BadAnswer, match=told):
            await generate(Plan(port, clients=2, seconds=5, warm_up=0, requests=10, seed=0))


def test_quantiles_are_values_that_were_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1.0)) == (50, 99, 100)
    assert quantile([7.0], 0.5) == quantile([7.0], 0.99) == 7.0
    assert quantile([1.0, 2.0, 3.0], 0.5) == 2.0


# --- the report ---

ONE = Measured(
    mode="loader",
    clients=8,
    round=0,
    answered=1000,
    requests=900,
    seconds=1.0,
    p50=0.010,
    p99=0.025,
    dynamodb=250,
    keys=4000,
    wall=1.25,
    app_cpu=1.0,
    service_cpu=0.25,
    load_cpu=0.5,
)
BEGIN, END = markers(report.PLACE)
RUNS = [
    ONE,
    replace(ONE, round=1, seconds=2.0),
    replace(ONE, mode="single", requests=300, dynamodb=4000),
    replace(ONE, mode="single", round=1, requests=200, dynamodb=4000),
]


def test_the_table_has_medians() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.table(RUNS)]
    assert rows[2] == [LABELS["loader"], "8", "675", "10.0", "25.0", "0.250", "16.0", "1.00"]
    assert rows[3] == [LABELS["single"], "8", "250", "10.0", "25.0", "4.000", "1.0", "1.00"]


def test_the_verdict_compares_runs_of_one_round() -> None:
    (line,) = report.verdicts(RUNS)
    assert line.startswith(f"8 clients, {LABELS['loader']}: ")
    assert "2.6 (2.2-3.0) times those of" in line
    told = report.target(RUNS, "loader")
    assert told is not None
    assert told.endswith("NOT REACHED.")
    faster = [replace(one, seconds=0.1) if one.mode == "loader" else one for one in RUNS]
    told = report.target(faster, "loader")
    assert told is not None
    assert told.endswith("is reached.")
    assert report.target(RUNS, "waiting") is None
    assert report.target([ONE], "loader") is None


@pytest.mark.parametrize("text", [None, "none", f"{BEGIN} {BEGIN} {END}"])
def test_a_file_without_a_place_is_told_before_the_work(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    assert main(["--write", str(page)]) == 1
    told = capsys.readouterr()
    assert "error:" in told.err
    assert "round 1" not in told.out


@pytest.mark.parametrize(
    "wrong",
    ["--clients 0", "--rounds 0", "--seconds 0", "--seconds nan", "--latency -1", "--modes x"],
)
def test_settings_that_cannot_be_are_refused(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(wrong.split())
    assert "usage:" in capsys.readouterr().err


# --- a run ---


def test_a_short_run_writes_its_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    options = "--rounds 1 --seconds 0.5 --clients 4 --latency 1 --modes loader batch single"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dashboard", *options.split(), "--write", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {
        cells[0]: cells
        for line in page.read_text().splitlines()
        if len(cells := re.split(r" *\| *", line.strip("| "))) == 8
    }
    assert float(rows[LABELS["single"]][5]) == 4.0
    assert float(rows[LABELS["batch"]][5]) == 1.0
    assert 0 < float(rows[LABELS["loader"]][5]) <= 1.0
    assert float(rows[LABELS["batch"]][6]) == 4.0


def test_a_generator_without_an_application_fails() -> None:
    plan = Plan(1, clients=1, seconds=1, warm_up=0, requests=1, seed=0)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dashboard.load", json.dumps(asdict(plan))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "ConnectionRefusedError" in done.stderr
