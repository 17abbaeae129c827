"""The demo: it does what it tells, and does not end well if anything came out wrong."""

import asyncio
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiobotocore.session import AioSession
from aiohttp import web

from aiobatch import DynamoDB
from benchmarks import demo
from benchmarks.embedded import embedded_server, placeholder_credentials
from benchmarks.latency import _forward_late, delayed
from benchmarks.markdown import write_into
from benchmarks.progress import Progress
from benchmarks.tables import own_table
from tests.backends import Backend
from tests.conftest import REGION

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120.0
COUNT = 120

Count = Callable[[], Awaitable[int]]


# ---------------------------------------------------------------- as a command


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "default::ResourceWarning", "-m", "benchmarks.demo", *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_it_runs_with_an_embedded_server(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{demo.BEGIN}\nlast figures\n{demo.END}\nafter\n", encoding="utf-8")
    status, out, err = await run(
        "--limit", str(COUNT), "--latency", "0.002", "--write", str(readme)
    )
    assert (status, err) == (0, "")
    assert f"{COUNT} airports of airportsdata" in out
    assert f"wrote {COUNT} airports" in out
    assert f"read {COUNT} back: every value is equal" in out
    assert f"{COUNT} are left" in out
    assert "with 2 ms added to each answer" in out

    steps = rows(out, "step")
    assert [(row[0], row[1], row[2]) for row in steps] == [
        ("write", "120", "6"),  # five puts of 25 at most, and the key names
        ("read", "120", "2"),
        ("delete", "0", "0"),
    ]
    for step, _, _, seconds, pace, units in steps[:2]:
        assert float(seconds) >= 0.0, step
        assert float(pace.replace(",", "")) > 0.0, step
        assert float(units.replace(",", "")) > 0.0, step
    compared = rows(out, "operation")
    assert [(row[0], row[4]) for row in compared] == [
        ("get 100", "35x"),
        ("write 100", "15x"),
        ("mixed 100", "13x"),
    ]
    assert all(re.fullmatch(r"\d+x", row[3]) for row in compared)

    written = readme.read_text(encoding="utf-8")
    assert written.startswith(f"before\n{demo.BEGIN}\n")
    assert written.endswith(f"{demo.END}\nafter\n")
    assert "last figures" not in written
    assert rows(written, "step") == steps
    assert rows(written, "operation") == compared
    assert "Python 3." in written


def rows(text: str, first_header: str) -> list[list[str]]:
    """The cells of the table whose first header is this one."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first_header} "):
            break
    next(lines)
    cells = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells.append([cell.strip() for cell in line.strip("|").split("|")])
    return cells


async def test_it_runs_against_an_endpoint(backend: Backend) -> None:
    status, out, err = await run(
        *("--endpoint-url", backend.endpoint_url, "--limit", "100", "--latency", "0")
    )
    assert (status, err) == (0, "")
    assert "read 100 back: every value is equal" in out
    assert len(rows(out, "operation")) == 3
    assert not await tables_of_the_demo(backend.endpoint_url)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda put: None, "was written and not found"),
        (lambda put: {**put, "lat": {"N": "0"}}, "wrote lat = "),
        (lambda put: {**put, "new": {"S": "x"}}, "came back with other attributes"),
    ],
    ids=["lost", "altered", "added to"],
)
async def test_a_server_that_does_not_keep_what_it_takes_is_found_out(
    spoil: Callable[[dict[str, Any]], dict[str, Any] | None], told: str
) -> None:
    code = demo.airports(100)[42]["icao"]
    with embedded_server() as behind:
        async with spoiling(behind, code, spoil) as endpoint_url:
            status, out, err = await run(
                *("--endpoint-url", endpoint_url, "--limit", "100", "--latency", "0")
            )
        left = await tables_of_the_demo(behind)
    assert status == 1
    assert err.startswith(f"error: airport {code}")
    assert told in err
    assert "Traceback" not in err
    assert "every value is equal" not in out
    assert not left, "it has to clean up all the same"


@contextlib.asynccontextmanager
async def spoiling(
    endpoint_url: str, code: str, spoil: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> AsyncIterator[str]:
    """A server that claims to have written an airport and has written something else."""

    def spoilt(writes: list[Any]) -> list[Any]:
        kept = []
        for write in writes:
            item = write["PutRequest"]["Item"]
            if item["icao"] == {"S": code}:
                item = spoil(item)
            if item is not None:
                kept.append({"PutRequest": {"Item": item}})
        return kept

    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.BaseRequest) -> web.Response:
            body = await request.read()
            if request.headers["X-Amz-Target"].endswith(".BatchWriteItem"):
                asked = json.loads(body)
                asked["RequestItems"] = {
                    table: spoilt(writes) for table, writes in asked["RequestItems"].items()
                }
                body = json.dumps(asked).encode()
            headers = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in ("host", "content-length", "accept-encoding")
            }
            headers["Accept-Encoding"] = "identity"
            async with session.post(endpoint_url, data=body, headers=headers) as answer:
                kept = {
                    name: value
                    for name, value in answer.headers.items()
                    if name.lower().startswith("x-amz") or name.lower() == "content-type"
                }
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        runner = web.ServerRunner(web.Server(handle, access_log=None))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def tables_of_the_demo(endpoint_url: str) -> list[str]:
    async with AioSession().create_client(
        "dynamodb", region_name=REGION, endpoint_url=endpoint_url
    ) as client:
        found = await client.list_tables()
    return [name for name in found["TableNames"] if name.startswith("aiobatch-demo")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--limit", "99"], "--limit must be 100 or more"),
        (["--latency", "-0.1"], "--latency must be seconds, 0 or more"),
        (["--latency", "nan"], "--latency must be seconds, 0 or more"),
        (["--endpoint-url", "https://127.0.0.1:1"], "use --latency 0"),
    ],
)
def test_options_that_cannot_be(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("text", [None, "no markers", f"{demo.BEGIN}{demo.END}" * 2])
def test_a_file_without_a_place_for_the_figures_is_refused_at_once(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert demo.main(["--write", str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert str(path) in printed.err
    assert "airports" not in printed.out


def test_a_server_that_is_not_there(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    endpoint_url = f"http://127.0.0.1:{unused_tcp_port}"
    assert demo.main(["--endpoint-url", endpoint_url, "--limit", "100"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


# ---------------------------------------------------------------- its steps


def test_the_airports_are_real_and_all_there() -> None:
    airports = demo.airports(None)
    assert len(airports) == 28_298
    assert len({airport["icao"] for airport in airports}) == 28_298
    assert sum(airport["elevation"] > demo.TOO_HIGH for airport in airports) == 69
    assert demo.airports(100) == airports[:100]


@pytest.fixture
async def db(endpoint_url: str) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(endpoint_url=endpoint_url, region_name=REGION) as db:
        yield db


@pytest.fixture
async def stage(endpoint_url: str) -> AsyncIterator[tuple[str, Count]]:
    async with own_table(endpoint_url, "aiobatch-demo", "icao") as made:
        yield made


@pytest.fixture(scope="module")
def some() -> list[demo.Airport]:
    """A hundred airports, of which the last five are above 10,000 ft."""
    airports = demo.airports(None)
    high = [airport for airport in airports if airport["elevation"] > demo.TOO_HIGH]
    return airports[:95] + high[:5]


async def test_the_steps(db: DynamoDB, stage: tuple[str, Count], some: list[demo.Airport]) -> None:
    table, count = stage
    written = await demo.load(db, table, some)
    assert (written.name, written.items) == ("write", 100)
    assert written.requests in (4, 5)  # with the key names, unless they are known
    assert written.units
    read = await demo.read_back(db, table, some)
    assert (read.name, read.items, read.requests) == ("read", 100, 1)
    deleted, left = await demo.delete_high(db, table, some, count)
    assert (deleted.name, deleted.items, deleted.requests, left) == ("delete", 5, 1, 95)
    assert await count() == 95

    compared = await demo.compare_calls(db, table, some)
    assert [row.name for row in compared] == list(demo.GUIDE)
    assert all(row.individual > 0 and row.batch > 0 for row in compared)


async def test_slices_make_calls_and_lose_nothing(
    db: DynamoDB,
    stage: tuple[str, Count],
    some: list[demo.Airport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, count = stage
    monkeypatch.setattr(demo, "SLICE", 30)
    assert (await demo.load(db, table, some)).items == await count() == 100
    read = await demo.read_back(db, table, some)
    assert (read.items, read.requests) == (100, 4)


async def test_a_lost_airport_is_found_out(
    db: DynamoDB, stage: tuple[str, Count], some: list[demo.Airport]
) -> None:
    table, count = stage
    await demo.load(db, table, some)
    await db.delete(demo.key_of(some[7]), table)
    with pytest.raises(demo.DemoFailed, match=f"{some[7]['icao']} was written and not found"):
        await demo.read_back(db, table, some)
    with pytest.raises(demo.DemoFailed, match="holds 94 airports, but 95 should be left"):
        await demo.delete_high(db, table, some, count)


async def test_an_altered_airport_is_found_out(
    db: DynamoDB, stage: tuple[str, Count], some: list[demo.Airport]
) -> None:
    table, _ = stage
    await demo.load(db, table, some)
    await db.save({**some[7], "lat": some[7]["lat"] + 1e-9}, table)
    with pytest.raises(demo.DemoFailed, match=f"{some[7]['icao']}: wrote lat"):
        await demo.read_back(db, table, some)


async def test_an_airport_that_is_still_there_is_found_out(
    db: DynamoDB,
    stage: tuple[str, Count],
    some: list[demo.Airport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, count = stage
    await demo.load(db, table, some)
    delete = db.batch_write_item

    async def then_write_again(*args: Any, **kwargs: Any) -> Any:
        answer = await delete(*args, **kwargs)
        await db.save(some[-1], table)
        return answer

    monkeypatch.setattr(db, "batch_write_item", then_write_again)
    with pytest.raises(demo.DemoFailed, match="1 airports are still there"):
        await demo.delete_high(db, table, some, count)


async def test_the_comparison_counts(
    db: DynamoDB,
    stage: tuple[str, Count],
    some: list[demo.Airport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls that do not do their work are no comparison."""
    read = db.batch_get_item

    async def read_less(keys: Any, *args: Any, **kwargs: Any) -> Any:
        return await read(keys[1:], *args, **kwargs)

    monkeypatch.setattr(db, "batch_get_item", read_less)
    with pytest.raises(demo.DemoFailed, match="read 99 airports of 100"):
        await demo.compare_calls(db, stage[0], some)


# ---------------------------------------------------------------- its report


def test_the_table_of_steps() -> None:
    step = demo.Step("write")
    metrics = {"requests": 40, "seconds": 0.5}
    step.add(1000, {"Metrics": metrics, "ConsumedCapacity": [{"CapacityUnits": 40.0}]})
    step.add(500, {"Metrics": metrics, "ConsumedCapacity": [{"CapacityUnits": 20.5}]})
    untold = demo.Step("read")
    untold.add(0, {"Metrics": {"requests": 0, "seconds": 0.0}})
    assert demo.steps_table([step, untold]) == [
        "| step  | items | requests | seconds | items/s | capacity units |",
        "| ----- | ----: | -------: | ------: | ------: | -------------: |",
        "| write | 1,500 |       80 |    1.00 |   1,500 |           60.5 |",
        "| read  |     0 |        0 |    0.00 |       - |         untold |",
    ]


def test_the_table_of_the_comparison() -> None:
    assert demo.comparison_table([demo.Compared("get 100", 5.2, 0.1)]) == [
        "| operation | one by one |   batch | measured | guide claims |",
        "| --------- | ---------: | ------: | -------: | -----------: |",
        "| get 100   |     5.20 s | 0.100 s |      52x |          35x |",
    ]


def test_what_is_written_is_what_was_measured(tmp_path: Path) -> None:
    step, compared = demo.Step("write", 10, 1, 2.0, 0.5), demo.Compared("get 100", 5.0, 0.5)
    block = demo.readme_block("moto 1.2", [step], [compared], "50 ms")
    path = tmp_path / "README.md"
    path.write_text(f"a\n{demo.BEGIN}\n\\1 old {demo.END}\nb\n", encoding="utf-8")
    write_into(path, demo.PLACE, block)
    write_into(path, demo.PLACE, block)  # and again: nothing piles up
    text = path.read_text(encoding="utf-8")
    assert text == "\n".join(["a", demo.BEGIN, *block, demo.END, "b", ""])
    assert demo.steps_table([step])[2] in text
    assert demo.comparison_table([compared])[2] in text
    assert "with 50 ms added" in text
    assert "moto 1.2" in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_line_is_rewritten_on_a_terminal() -> None:
    stream = Terminal()
    line = Progress("writing", 2000, stream=stream)
    line.show(10)
    line.show(1500)
    line.clear()
    assert re.fullmatch(
        r"\r\x1b\[K  writing: 10 of 2,000, [\d,]+ a second"
        r"\r\x1b\[K  writing: 1,500 of 2,000, [\d,]+ a second"
        r"\r\x1b\[K",
        stream.getvalue(),
    )


def test_progress_is_a_line_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([100.0, 100.5, 102.0, 103.0, 104.5])
    monkeypatch.setattr("benchmarks.progress.time", SimpleNamespace(monotonic=ticks.__next__))
    stream = io.StringIO()
    line = Progress("writing", 2000, stream=stream)
    for done in (10, 500, 700, 1500):
        line.show(done)
    line.clear()
    assert stream.getvalue().splitlines() == [
        "  writing: 500 of 2,000, 250 a second",
        "  writing: 1,500 of 2,000, 333 a second",
    ]


# ---------------------------------------------------------------- the distance


async def test_what_passes_the_distance_is_what_was_sent(
    stage: tuple[str, Count], some: list[demo.Airport], endpoint_url: str
) -> None:
    table, count = stage
    async with (
        delayed(endpoint_url, 0.001) as far,
        DynamoDB(endpoint_url=far, region_name=REGION) as db,
    ):
        # Several kilobytes each way, and connections side by side.
        await demo.load(db, table, some)
        await demo.read_back(db, table, some)
    assert await count() == len(some)


class Arrivals:
    """What is written, and when."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        self.seen.append((asyncio.get_running_loop().time(), data))

    async def drain(self) -> None:
        pass


@pytest.mark.looptime
async def test_each_piece_is_held_for_its_own_time() -> None:
    reader, arrivals = asyncio.StreamReader(), Arrivals()
    late = asyncio.create_task(_forward_late(reader, cast("Any", arrivals), 5.0))
    reader.feed_data(b"one")
    await asyncio.sleep(2.0)
    reader.feed_data(b"two")
    await asyncio.sleep(4.0)
    reader.feed_eof()
    await late
    assert [data for _, data in arrivals.seen] == [b"one", b"two"]
    assert [at for at, _ in arrivals.seen] == pytest.approx([5.0, 7.0])
    assert asyncio.get_running_loop().time() == pytest.approx(11.0)


async def test_distance_is_for_plain_http_alone() -> None:
    with pytest.raises(ValueError, match="http:// addresses only"):
        async with delayed("https://127.0.0.1:1", 0.1):
            pass


def test_nothing_of_the_environment_is_changed_for_good() -> None:
    before = dict(os.environ)
    with placeholder_credentials():
        assert os.environ["AWS_ACCESS_KEY_ID"] != before["AWS_ACCESS_KEY_ID"]
    assert dict(os.environ) == before
