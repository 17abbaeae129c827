"""Results as a run would leave them, with figures that are easy to reckon with."""

from typing import Any

from benchmarks.figures import Row, Run
from benchmarks.peers import AIOBOTOCORE, BARE, NATIVE, PLAIN, PYDYNOX


def run(items: int, cpu: float = 1.0, seconds: float = 1.0, **more: Any) -> Run:
    made: Run = {"items": items, "cpu": cpu, "seconds": seconds, "peak_mb": 50.0}
    made.update(more)  # type: ignore[typeddict-item]
    return made


def row(section: str, op: str, shape: str, variant: str, *runs: Run, **more: Any) -> Row:
    made: dict[str, Any] = {
        "section": section,
        "server": "canned",
        "op": op,
        "shape": shape,
        "latency_ms": 0.0,
        "concurrency": 16,
        "variant": variant,
        "runs": list(runs),
        **more,
    }
    return made  # type: ignore[return-value]


def one_list(op: str, n: int, seconds: float, added: float, held: int) -> dict[str, Any]:
    return {
        "op": op,
        "n": n,
        "variant": NATIVE,
        "seconds": seconds,
        "cpu": seconds,
        "before_mb": 40.0,
        "peak_mb": 40.0 + added,
        "held": held,
        "stall_ms": 2.0,
        "held_ms": 1.0,
    }


def results() -> dict[str, Any]:
    rates = {NATIVE: 3_000, PLAIN: 600, AIOBOTOCORE: 100, PYDYNOX: 500, BARE: 9_000}
    rows = [
        row("canned", op, "wide", variant, *(run(rate) for _ in range(3)))
        for op in ("get", "put")
        for variant, rate in rates.items()
    ]
    rows += [
        row("stalls", "get", shape, variant, run(100, stall_ms=stall, held_ms=stall / 2))
        for shape in ("wide", "long")
        for variant, stall in ((NATIVE, 2.0), (PLAIN, 12.0))
    ]
    rows += [
        row("latency", "get", "wide", NATIVE, run(500), latency_ms=10.0, concurrency=count)
        for count in (1, 16)
    ]
    rows += [row("backends", "put", "wide", NATIVE, run(500), server="dynalite")]
    return {
        "environment": {
            "date": "2026-01-02",
            "python": "3.11.7",
            "system": "Linux x86_64",
            "processor": "One",
            "cpus": 2,
            "loop": "uvloop",
            "target": "bench",
            "minutes": 12.3,
        },
        "versions": {NATIVE: {"aiobatch": "0.1.0"}, BARE: {"aiohttp": "3.14.5"}},
        "missing": [
            {"who": "aiodynamo", "where": where, "why": "FAILED: it crashed"}
            for where in ("canned get", "canned put", "canned get")
        ],
        "rows": rows,
        "lists": [
            *(one_list("get", n, n / 1e5, n / 1e3, n) for n in (1_000, 10_000)),
            *(one_list("put", n, (n / 1e5) ** 2, n / 1e3, n) for n in (1_000, 10_000)),
            one_list("stream", 1_000, 0.01, 1, 800),
            one_list("stream", 10_000, 0.1, 1, 900),
            one_list("bulk", 1_000, 0.02, 1, 700),
            one_list("bulk", 10_000, 0.2, 1, 700),
        ],
        "guide": {
            "latency_ms": 50.0,
            "compared": [{"name": "get 100", "individual": 5.0, "batch": 0.1}],
            "cost": {
                "get": {
                    "individual": {"requests": 100, "units": 50.0},
                    "batch": {"requests": 1, "units": 50.0},
                }
            },
        },
    }
