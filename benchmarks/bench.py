"""The benchmarks: aiobatch and its peers side by side, in one run.

Run them with ``make bench``, or in short with ``make bench-quick``; ``--help`` tells the options.
"""

import argparse
import asyncio
import contextlib
import datetime
import io
import json
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import canned, report
from benchmarks.figures import Row, Run
from benchmarks.items import ITEMS_A_PUT, KEYS_A_GET, TABLE, make_items
from benchmarks.loops import loop_name
from benchmarks.markdown import NoPlace, check_places, write_blocks
from benchmarks.peers import (
    LIMITS,
    LISTS,
    NATIVE,
    NOT_ELSEWHERE,
    OURS,
    PLAIN,
    PLAIN_AIOBOTOCORE,
    ROOT,
    VARIANTS,
    Variant,
)
from benchmarks.plots import draw
from benchmarks.progress import Progress
from benchmarks.targets import targets
from benchmarks.workers import Worker, WorkerFailed, WorkerNotAvailable, measuring, run_once

SECTIONS = ("canned", "stalls", "latency", "backends", "lists", "guide")
LISTED = (NATIVE, PLAIN)
INSTEAD = PLAIN_AIOBOTOCORE
"""What makes the list calls where neither of those is there."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        seconds: of one measurement.
        rounds: measurements of each client at each workload, interleaved.
        other_rounds: the same where no target hangs on it.
    """

    shapes: tuple[str, ...] = ("small", "wide", "nested")
    seconds: float = 0.8
    rounds: int = 5
    other_rounds: int = 3
    concurrency: int = 16
    stall_shapes: tuple[str, ...] = ("wide", "long", "dense")
    stall_rounds: int = 5
    latencies: tuple[float, ...] = (1.0, 10.0, 50.0)
    concurrencies: tuple[int, ...] = (1, 4, 16, 64)
    latency_seconds: float = 0.4
    latency_rounds: int = 2
    latency_ops: tuple[str, ...] = ("get", "put")
    backends: tuple[str, ...] = ("ministack", "dynalite")
    backend_rounds: int = 3
    list_lengths: tuple[int, ...] = (10_000, 30_000, 100_000, 300_000)
    stream_lengths: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    guide_latency: float = 0.05


QUICK = Plan(
    shapes=("wide",),
    seconds=0.3,
    rounds=2,
    other_rounds=2,
    stall_shapes=("wide", "long"),
    stall_rounds=2,
    latencies=(10.0,),
    concurrencies=(1, 16),
    latency_seconds=0.2,
    latency_rounds=1,
    latency_ops=("get",),
    backends=("ministack",),
    backend_rounds=1,
    list_lengths=(3_000, 10_000),
    stream_lengths=(3_000, 30_000),
    guide_latency=0.01,
)
TINY = Plan(
    shapes=("small",),
    seconds=0.05,
    rounds=2,
    other_rounds=1,
    concurrency=2,
    stall_shapes=("small",),
    stall_rounds=1,
    latencies=(1.0,),
    concurrencies=(1, 2),
    latency_seconds=0.05,
    latency_rounds=1,
    backends=(),
    backend_rounds=1,
    list_lengths=(200, 400),
    stream_lengths=(200, 400),
    guide_latency=0.0,
)
PLANS = {"full": Plan(), "quick": QUICK, "tiny": TINY}


class Bench:
    """A run of the benchmarks, and what came of it so far."""

    def __init__(self, plan: Plan, variants: Sequence[Variant], server: str) -> None:
        self.plan = plan
        self.variants = variants
        self.server = server
        self.rows: list[Row] = []
        self.lists: list[dict[str, Any]] = []
        self.guide: dict[str, Any] | None = None
        self.missing: list[dict[str, str]] = []
        self.versions: dict[str, dict[str, str]] = {}
        self.loops: set[str] = set()
        self.crashed = False

    def results(self) -> dict[str, Any]:
        """Everything, as it is kept in JSON."""
        return {
            "versions": self.versions,
            "missing": self.missing,
            "rows": self.rows,
            "lists": self.lists,
            "guide": self.guide,
        }

    def lacks(self, who: str, where: str, error: Exception) -> None:
        """Keep, and tell loudly, what is not measured."""
        why = str(error) or type(error).__name__
        if isinstance(error, WorkerNotAvailable):
            said = f"NOT AVAILABLE: {why}"
        else:
            said = f"FAILED: {why}"
            self.crashed = self.crashed or who in OURS
        if not any(one["who"] == who and one["why"] == said for one in self.missing):
            print(f"  ! {who} ({where}): {said}", flush=True)
        self.missing.append({"who": who, "where": where, "why": said})

    # ------------------------------------------------------------ one workload

    @contextlib.asynccontextmanager
    async def _workers(
        self,
        where: str,
        op: str,
        shape: str,
        concurrency: int,
        *,
        url: str,
        without: Container[str] = (),
    ) -> AsyncIterator[dict[str, Worker]]:
        """A worker for each client that can be measured at this workload."""
        async with contextlib.AsyncExitStack() as stack:
            workers: dict[str, Worker] = {}
            for variant in self.variants:
                if variant.name in without:
                    continue
                try:
                    worker = measuring(
                        variant,
                        op,
                        endpoint_url=url,
                        table=TABLE.format(shape=shape),
                        shape=shape,
                        concurrency=concurrency,
                        canned=url == self.server,
                    )
                    workers[variant.name] = await stack.enter_async_context(worker)
                except (WorkerNotAvailable, WorkerFailed) as error:
                    self.lacks(variant.name, where, error)
                else:
                    self.versions[variant.name] = worker.hello["versions"]
                    self.loops.add(worker.hello["loop"])
            yield workers

    async def _interleaved(
        self,
        workers: dict[str, Worker],
        row: Row,
        *,
        seconds: float,
        rounds: int,
        stalls: bool = False,
    ) -> None:
        """Measure all in turn, and again: A B C A B C, so that what drifts weighs alike."""
        where = f"{row['section']} {row['op']} {row['shape']}"
        by_variant = {name: _with(row, name) for name in workers}
        progress = Progress(self._label(row), (rounds + 1) * len(workers))
        done = 0
        for round_number in range(rounds + 1):
            for name, worker in list(workers.items()):
                warming = round_number == 0
                try:
                    run = await self._measured(
                        worker,
                        row,
                        seconds=seconds / 3 if warming else seconds,
                        stalls=stalls,
                    )
                except WorkerFailed as error:
                    progress.clear()
                    self.lacks(name, where, error)
                    del workers[name], by_variant[name]
                    continue
                if not warming:
                    by_variant[name]["runs"].append(run)
                done += 1
                progress.show(done)
        progress.clear()
        self.rows += [made for made in by_variant.values() if made["runs"]]

    async def _measured(self, worker: Worker, row: Row, *, seconds: float, stalls: bool) -> Run:
        on_canned = row["server"] == "canned"
        before = await asyncio.to_thread(canned.stats, self.server) if on_canned else None
        told = await worker.ask(seconds, concurrency=row["concurrency"], stalls=stalls)
        run: Run = told  # type: ignore[assignment]
        if before is not None:
            after = await asyncio.to_thread(canned.stats, self.server)
            requests: int = after["requests"] - before["requests"]
            run["requests"] = requests
            run["server_cpu"] = after["cpu"] - before["cpu"]
            served = requests * (KEYS_A_GET if row["op"] == "get" else ITEMS_A_PUT)
            if run["items"] > served:
                raise WorkerFailed(f"it counts {run['items']} items, and was served {served}")
        return run

    @staticmethod
    def _label(row: Row) -> str:
        far = f", {row['latency_ms']:g} ms" if row["latency_ms"] else ""
        return (
            f"{row['section']}: {row['op']}s of {row['shape']} items on {row['server']}{far},"
            f" concurrency {row['concurrency']}, measurements"
        )

    # --------------------------------------------------------------- the parts

    async def canned(self) -> None:
        """Rates on canned answers."""
        for shape in self.plan.shapes:
            for op in ("get", "put"):
                row = _row("canned", "canned", op, shape, concurrency=self.plan.concurrency)
                where = f"canned {op} {shape}"
                async with self._workers(
                    where, op, shape, self.plan.concurrency, url=self.server
                ) as workers:
                    rounds = self.plan.rounds if shape == "wide" else self.plan.other_rounds
                    await self._interleaved(workers, row, seconds=self.plan.seconds, rounds=rounds)
                self._headline(row)

    async def stalls(self) -> None:
        """The longest stalls of the loop, on canned answers."""
        for shape in self.plan.stall_shapes:
            row = _row("stalls", "canned", "get", shape, concurrency=self.plan.concurrency)
            async with self._workers(
                f"stalls {shape}",
                "get",
                shape,
                self.plan.concurrency,
                url=self.server,
                without=NOT_ELSEWHERE,
            ) as workers:
                await self._interleaved(
                    workers,
                    row,
                    seconds=self.plan.seconds,
                    rounds=self.plan.stall_rounds,
                    stalls=True,
                )
            self._headline(row)

    async def latency(self) -> None:
        """Rates with canned answers that come late."""
        for op in self.plan.latency_ops:
            most = max(self.plan.concurrencies)
            async with self._workers(
                f"latency {op}", op, "wide", most, url=self.server, without=NOT_ELSEWHERE
            ) as workers:
                try:
                    for milliseconds in self.plan.latencies:
                        await asyncio.to_thread(canned.set_latency, self.server, milliseconds)
                        for concurrency in self.plan.concurrencies:
                            await self._interleaved(
                                workers,
                                _row(
                                    "latency",
                                    "canned",
                                    op,
                                    "wide",
                                    latency_ms=milliseconds,
                                    concurrency=concurrency,
                                ),
                                seconds=self.plan.latency_seconds,
                                rounds=self.plan.latency_rounds,
                            )
                finally:
                    await asyncio.to_thread(canned.set_latency, self.server, 0)
            print(f"  latency: {op}s are done", flush=True)

    async def backend(self, name: str, url: str) -> None:
        """Rates against a real server."""
        await _filled(url, TABLE.format(shape="wide"), make_items("wide", KEYS_A_GET))
        for op in ("get", "put"):
            row = _row("backends", name, op, "wide", concurrency=self.plan.concurrency)
            async with self._workers(
                f"{name} {op}",
                op,
                "wide",
                self.plan.concurrency,
                url=url,
                without=(*LIMITS, *LISTS),
            ) as workers:
                await self._interleaved(
                    workers, row, seconds=self.plan.seconds, rounds=self.plan.backend_rounds
                )
            self._headline(row)

    async def one_call(self) -> None:
        """Time and memory of one call over n items."""
        for variant in self.variants:
            if variant.name in LISTED:
                await self._one_call_each(variant)
        if not self.lists:
            for variant in self.variants:
                if variant.name == INSTEAD:
                    await self._one_call_each(variant)
        print("  lists: done", flush=True)

    async def _one_call_each(self, variant: Variant) -> None:
        lengths = {
            "get": self.plan.list_lengths,
            "put": self.plan.list_lengths,
            "stream": self.plan.stream_lengths,
            "bulk": self.plan.stream_lengths,
        }
        progress = Progress(f"lists: calls of {variant.name}", sum(map(len, lengths.values())))
        done = 0
        for op, counts in lengths.items():
            for count in counts:
                arguments = {"endpoint_url": self.server, "op": op, "n": count, **variant.options}
                try:
                    if not variant.installed:
                        raise WorkerNotAvailable(f"{variant.environment} is not installed")
                    told = await run_once(
                        "benchmarks.lists", arguments, 60 + count / 1000, variant.python
                    )
                except (WorkerNotAvailable, WorkerFailed) as error:
                    progress.clear()
                    self.lacks(variant.name, f"one {op} of {count:,}", error)
                    break
                self.lists.append({**told, "variant": variant.name})
                done += 1
                progress.show(done)
        progress.clear()

    async def guided(self, url: str) -> None:
        """The guide's table."""
        arguments = {"endpoint_url": url, "latency": self.plan.guide_latency}
        try:
            self.guide = await run_once("benchmarks.guide", arguments, 180)
        except (WorkerNotAvailable, WorkerFailed) as error:
            self.lacks("the guide's table", "guide", error)
            self.crashed = True
        print("  guide: done", flush=True)

    def _headline(self, row: Row) -> None:
        unit = "ms" if row["section"] == "stalls" else "items a CPU second"
        told = report.headline(
            self.results(),
            section=row["section"],
            server=row["server"],
            shape=row["shape"],
            op=row["op"],
        )
        name = f"{row['section']} {row['op']} {row['shape']} ({row['server']})"
        print(f"  {name}, {unit}: {told or 'nothing was measured'}", flush=True)


def _row(
    section: str, server: str, op: str, shape: str, *, concurrency: int, latency_ms: float = 0.0
) -> Row:
    return {
        "section": section,
        "server": server,
        "op": op,
        "shape": shape,
        "latency_ms": latency_ms,
        "concurrency": concurrency,
        "variant": "",
        "runs": [],
    }


def _with(row: Row, variant: str) -> Row:
    made = row.copy()
    made["variant"], made["runs"] = variant, []
    return made


async def _filled(url: str, table: str, items: list[dict[str, Any]]) -> None:
    """Make the table on a real server, with the items in it."""
    from aiobotocore.session import AioSession

    from aiobatch import DynamoDB
    from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY

    settings: dict[str, Any] = {
        "endpoint_url": url,
        "region_name": REGION,
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
    }
    async with AioSession().create_client("dynamodb", **settings) as raw:
        await raw.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        await raw.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    async with DynamoDB(**settings) as db:
        await db.batch_write_item(items, table)


# ---------------------------------------------------------------------- the run


@contextlib.contextmanager
def _backend(name: str) -> Iterator[str]:
    """A real server. Raises WorkerNotAvailable if it does not start."""
    from tests.backends import BackendUnavailable
    from tests.backends.pool import STARTERS

    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(STARTERS[name]())
        except BackendUnavailable as error:
            raise WorkerNotAvailable(str(error)) from None
        yield started.endpoint_url


def measure(bench: Bench, sections: Sequence[str]) -> None:
    """Do the parts asked for, one after the other."""
    if "canned" in sections:
        asyncio.run(bench.canned())
    if "stalls" in sections:
        asyncio.run(bench.stalls())
    if "latency" in sections:
        asyncio.run(bench.latency())
    if "backends" in sections:
        for name in bench.plan.backends:
            try:
                with _backend(name) as url:
                    asyncio.run(bench.backend(name, url))
            except WorkerNotAvailable as error:
                bench.lacks(name, "backends", error)
    if "lists" in sections:
        asyncio.run(bench.one_call())
    if "guide" in sections:
        try:
            with _backend("dynalite") as url:
                asyncio.run(bench.guided(url))
        except WorkerNotAvailable as error:
            bench.lacks("the guide's table", "guide", error)


def environment(bench: Bench, target: str, minutes: float) -> dict[str, Any]:
    """What the figures are measured with."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": cpus,
        "loop": ", ".join(sorted(bench.loops)) or loop_name(),
        "target": target,
        "minutes": round(minutes, 1),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description="Measure aiobatch and its peers side by side. Each runs in an environment of"
        " its own, which make installs; all ask the same server process.",
    )
    made.add_argument("--plan", choices=PLANS, default="full", help="how much to measure (full)")
    made.add_argument(
        "--only", action="append", metavar="CLIENT", help="measure this client; may be repeated"
    )
    made.add_argument(
        "--section", action="append", choices=SECTIONS, help="do this part; may be repeated"
    )
    made.add_argument(
        "--results",
        type=Path,
        default=ROOT / "benchmarks" / "results" / "bench.json",
        help="where the figures go",
    )
    made.add_argument(
        "--plots", type=Path, metavar="DIRECTORY", help="draw the plots into this directory"
    )
    made.add_argument(
        "--write",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="put the figures into their places in this Markdown file; may be repeated",
    )
    made.add_argument(
        "--write-if-asked",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="as --write, where the file has a place for figures at all; may be repeated",
    )
    made.add_argument(
        "--again",
        action="store_true",
        help="measure nothing: write and draw from the results that are there",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run. The status is 1 if aiobatch failed; peers that fail are told."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    names = [variant.name for variant in VARIANTS]
    for name in options.only or ():
        if name not in names:
            parser().error(f"there is no client {name!r}; there are {', '.join(names)}")
    began, crashed = time.monotonic(), False
    try:
        for path in options.write:  # before the work, not after
            check_places(path, report.PLACES)
        if options.again:
            results = json.loads(options.results.read_text(encoding="utf-8"))
        else:
            results, crashed = _measured(options, began)
        _write(options, results)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (NoPlace, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for target in targets(results):
        mark = {True: "reached", False: "NOT REACHED", None: "NOT MEASURED"}[target.reached]
        print(f"  {mark}: {target.what}: {target.measured} (wanted: {target.wanted})")
    if results["missing"]:
        print("Not measured:")
        print("\n".join(report.missing(results)))
    print(f"Done in {time.monotonic() - began:.0f} s.")
    return 1 if crashed else 0


def _measured(options: argparse.Namespace, began: float) -> tuple[dict[str, Any], bool]:
    variants = [v for v in VARIANTS if not options.only or v.name in options.only]
    sections = options.section or SECTIONS
    print(f"measuring {len(variants)} clients ({options.plan}): {', '.join(sections)}")
    with canned.canned_server() as server:
        bench = Bench(PLANS[options.plan], variants, server)
        try:
            measure(bench, sections)
        finally:
            # What was measured until an interruption is kept too.
            target = "bench" if options.plan == "full" else "bench-quick"
            minutes = (time.monotonic() - began) / 60
            results = {"environment": environment(bench, target, minutes), **bench.results()}
            options.results.parent.mkdir(parents=True, exist_ok=True)
            options.results.write_text(
                json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            print(f"The figures are in {options.results}.")
    return results, bench.crashed


def _write(options: argparse.Namespace, results: dict[str, Any]) -> None:
    blocks = report.blocks(results)
    for path in options.write:
        written = write_blocks(path, blocks)
        print(f"{path}: wrote {', '.join(written)}.")
    for path in options.write_if_asked:
        try:
            written = write_blocks(path, blocks)
        except NoPlace as error:
            print(f"{error}: left as it is.")
        else:
            print(f"{path}: wrote {', '.join(written)}.")
    if options.plots is not None:
        drawn = draw(results, options.plots)
        print(f"Drew {', '.join(path.name for path in drawn)} into {options.plots}.")


if __name__ == "__main__":
    sys.exit(main())
