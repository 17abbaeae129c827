"""Measure the dashboard example in each way of reading: ``python -m benchmarks.dashboard``."""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.dashboard import report
from benchmarks.dashboard.data import TABLE, USERS
from benchmarks.dashboard.figures import LABELS, MAX_WAIT, Measured
from benchmarks.dashboard.load import Plan
from benchmarks.demo import environment
from benchmarks.embedded import placeholder_credentials
from benchmarks.markdown import NoPlace, check_place, write_into
from tests.backends import BackendUnavailable
from tests.backends.process import running_server

ROOT = Path(__file__).resolve().parents[2]
MOST_REQUESTS = 200_000
"""A run ends when so many were answered, however long it should take."""


class LoadTestFailed(Exception):
    """Something did not go as it should. The message is for people."""


# ------------------------------------------------------------------- processes


@contextlib.contextmanager
def service(latency: float) -> Iterator[str]:
    """The stand-in for DynamoDB, ``latency`` seconds away."""
    with running_server(
        "dashboard-service",
        lambda port: [
            *(sys.executable, "-m", "benchmarks.dashboard.service"),
            *(str(port), f"{latency * 1000:g}"),
        ],
        lambda port: {"PYTHONPATH": os.fspath(ROOT)},
    ) as url:
        yield url


@contextlib.contextmanager
def application(mode: str, endpoint_url: str, max_concurrency: int) -> Iterator[str]:
    """The example under uvicorn, one worker, in one way of reading."""
    variables = {
        "PYTHONPATH": os.fspath(ROOT),
        "DASHBOARD_READS": mode,
        "DASHBOARD_ENDPOINT_URL": endpoint_url,
        "DASHBOARD_USERS_TABLE": TABLE,
        "DASHBOARD_MAX_CONCURRENCY": str(max_concurrency),
        "DASHBOARD_MAX_WAIT": str(MAX_WAIT.get(mode, 0.0)),
    }
    with running_server(
        f"dashboard-{mode}",
        lambda port: [
            *(
                sys.executable,
                "-m",
                "uvicorn",
                "--factory",
                "benchmarks.dashboard.modes:create_app",
            ),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--no-access-log", "--log-level", "warning"),
        ],
        lambda port: variables,
    ) as url:
        yield url


def generate(plan: Plan) -> dict[str, Any]:
    """Run the load generator."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.dashboard.load", json.dumps(asdict(plan))],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
            capture_output=True,
            text=True,
            timeout=plan.seconds + plan.warm_up + 60,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise LoadTestFailed("the load generator did not end") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().rsplit("\n", 1)[-1]
        raise LoadTestFailed(f"the load generator failed: {last}") from None
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def fetch(url: str) -> Any:
    """JSON from one of our processes."""
    # No proxy of the user's comes between us and the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return json.load(answer)


# --------------------------------------------------------------------- the run


def measure(mode: str, clients: int, turn: int, urls: tuple[str, str], seconds: float) -> Measured:
    """One run: what the load generator saw, and what the other processes did meanwhile."""
    app, store = urls
    port = urlsplit(app).port
    assert port is not None
    plan = Plan(
        port=port,
        clients=clients,
        seconds=seconds,
        warm_up=min(1.0, seconds / 3),
        requests=MOST_REQUESTS,
        seed=turn,
    )
    app_cpu, before = fetch(f"{app}/bench/cpu"), fetch(f"{store}/stats")
    seen = generate(plan)
    app_cpu, after = fetch(f"{app}/bench/cpu") - app_cpu, fetch(f"{store}/stats")
    return Measured(
        mode=mode,
        clients=clients,
        round=turn,
        answered=seen["answered"],
        requests=seen["requests"],
        seconds=seen["seconds"],
        p50=seen["p50"],
        p99=seen["p99"],
        dynamodb=sum(after["operations"].values()) - sum(before["operations"].values()),
        keys=after["keys"] - before["keys"],
        wall=plan.seconds + plan.warm_up,
        app_cpu=app_cpu,
        service_cpu=after["cpu"] - before["cpu"],
        load_cpu=seen["cpu"],
    )


def run(options: argparse.Namespace) -> list[Measured]:
    """All rounds. Within a round the modes take turns, so that a busy machine is so for all."""
    runs: list[Measured] = []
    with service(options.latency / 1000) as store:
        for turn in range(options.rounds):
            for mode in options.modes:
                with application(mode, store, options.max_concurrency) as app:
                    for clients in options.clients:
                        one = measure(mode, clients, turn, (app, store), options.seconds)
                        runs.append(one)
                        print(
                            f"round {turn + 1}, {LABELS[mode]}, {clients} clients:"
                            f" {one.rate:,.0f} requests/s, p50 {one.p50 * 1000:.1f} ms,"
                            f" p99 {one.p99 * 1000:.1f} ms"
                        )
    return runs


def measured_with(options: argparse.Namespace) -> list[str]:
    """What the figures were measured with, and how."""
    parser = "httptools" if find_spec("httptools") else "h11"
    loop = "uvloop" if find_spec("uvloop") else "asyncio's loop"
    machine = environment(f"FastAPI {version('fastapi')}, uvicorn {version('uvicorn')}")
    return [
        f"Measured with {machine}: one worker, {parser}, {loop},"
        f" `max_concurrency={options.max_concurrency}`.",
        f"Medians of {options.rounds} runs of {options.seconds:g} s. Each request is for one of"
        f" {USERS:,} users at random: 4 keys.",
        f"DynamoDB's stand-in answers from memory, in a process of its own, {options.latency:g} ms"
        " after it was asked; the load generator is a third process.",
        "CPU is the application's. What each process was at work, in parts of one CPU:",
    ]


def block(runs: list[Measured], options: argparse.Namespace) -> list[str]:
    """The measured part of the README."""
    return [
        "<!-- Written by `make bench-dashboard`. Do not edit. -->",
        "",
        *report.table(runs),
        "",
        *[f"- {line}" for line in report.verdicts(runs)],
        "",
        *measured_with(options),
        "",
        *report.shares(runs),
        "",
    ]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dashboard",
        description="Put the dashboard example under load: with the loader that all requests share,"
        " with one batch call a request, and with one GetItem a key.",
    )
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[8, 32, 128], help="how many at once (8 32 128)"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run (4)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--latency", type=float, default=5.0, help="ms to DynamoDB (5)")
    parser.add_argument("--max-concurrency", type=int, default=16, help="of the client (16)")
    parser.add_argument("--modes", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures into this file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them into this SVG file")
    options = parser.parse_args(arguments)
    if min(options.clients) < 1 or options.rounds < 1 or options.max_concurrency < 1:
        parser.error("--clients, --rounds and --max-concurrency must be 1 or more")
    if not 0 < options.seconds <= 600 or not 0 <= options.latency <= 5000:
        parser.error("--seconds must be over 0 and at most 600, --latency from 0 to 5000")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write. The exit status is 1 if something failed, not if it was slow."""
    options = parse(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a pipe too, lines come as they are made
    try:
        if options.write is not None:
            check_place(options.write, report.PLACE)
        if options.plot is not None:
            report.check_plotter()
        with placeholder_credentials():
            runs = run(options)
        print("\n" + "\n".join(block(runs, options)))
        for mode in ("loader", "waiting"):
            told = report.target(runs, mode)
            if told is not None:
                print(told)
        if options.write is not None:
            write_into(options.write, report.PLACE, block(runs, options))
            print(f"The figures are in {options.write}.")
        if options.plot is not None:
            report.draw(runs, options.plot, options.latency)
            print(f"The plot is in {options.plot}.")
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (LoadTestFailed, BackendUnavailable, NoPlace, report.NoPlotter) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
