"""The measurements as Markdown: a block for each place in the documentation. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.demo import GUIDE
from benchmarks.figures import (
    Row,
    Run,
    find,
    held,
    matches,
    number,
    of_runs,
    per_cpu_second,
    per_second,
    ratios,
    spread,
    stall,
    times,
)
from benchmarks.items import SHAPES
from benchmarks.markdown import as_table
from benchmarks.peers import AIOBOTOCORE, LABELS, LIMITS, PYDYNOX, SOCKETS
from benchmarks.targets import targets

NOTE = "<!-- Written by `make bench`. Do not edit. -->"
NOTHING = "Nothing was measured."
PLOTS = {
    "bench:canned": ("throughput", "Items a CPU second"),
    "bench:stalls": ("stalls", "Longest stalls of the event loop"),
    "bench:latency": ("latency", "Items a second by latency and concurrency"),
    "bench:lists": ("lists", "Time, memory and items held over n items"),
}
"""The file that ``benchmarks.plots`` draws, and its alternative text."""


def blocks(results: dict[str, Any]) -> dict[str, list[str]]:
    """Each block by the name of its place."""
    return {
        name: [NOTE, "", *_plot(name, lines), *lines, ""]
        for name, lines in ((name, make(results)) for name, make in PLACES.items())
    }


def _plot(name: str, lines: list[str]) -> list[str]:
    """The picture above a block, where there is one and something to see in it."""
    if name not in PLOTS or lines == [NOTHING]:
        return []
    return [f"![{PLOTS[name][1]}](plots/{PLOTS[name][0]}.svg)", ""]


def environment(results: dict[str, Any]) -> list[str]:
    """What the figures were measured with."""
    told = results["environment"]
    lines = [
        f"Measured on {told['date']} with Python {told['python']} on {told['system']},"
        f" {told['cpus']} CPUs ({told['processor']}), {told['loop']};"
        f" `make {told['target']}`, {told['minutes']:.0f} minutes.",
        "",
    ]
    rows = [["client", "versions"]]
    rows += [
        [LABELS[name], ", ".join(f"{package} {found}" for package, found in versions.items())]
        for name, versions in results["versions"].items()
        if versions
    ]
    return [*lines, *(as_table(rows) if len(rows) > 1 else [NOTHING])]


def targets_table(results: dict[str, Any]) -> list[str]:
    """What had to be shown."""
    answers = {True: "yes", False: "**no**", None: "**not measured**"}
    rows = [["target", "wanted", "measured", "reached"]]
    rows += [
        [target.what, target.wanted, target.measured, answers[target.reached]]
        for target in targets(results)
    ]
    return as_table(rows)


def _rate(value: float) -> str:
    return number(value)


def _requests(row: Row) -> str:
    asked = [run.get("requests") for run in row["runs"]]
    counted = [count for count in asked if count is not None]
    if len(counted) < len(asked) or not counted:
        return "-"
    items = sum(run["items"] for run in row["runs"])
    return f"{items / sum(counted):.1f}" if sum(counted) else "-"


def _peak(row: Row) -> str:
    return number(max(run["peak_mb"] for run in row["runs"]))


def _against(rows: Sequence[Row], row: Row, other: str, figure: Callable[[Run], float]) -> str:
    workload = {name: value for name, value in row.items() if name not in ("variant", "runs")}
    there = find(rows, variant=other, **workload)
    if there is None or row["variant"] == other:
        return "-"
    return ratios(row, there, figure).text(times)


def canned(results: dict[str, Any]) -> list[str]:
    """Rates against canned answers."""
    rows: list[Row] = results["rows"]
    lines: list[str] = []
    for shape, meaning in SHAPES.items():
        for op in ("get", "put"):
            here = [r for r in rows if matches(r, section="canned", shape=shape, op=op)]
            if not here:
                continue
            count = f"{len(here[0]['runs'])} runs"
            amount = "100-key gets" if op == "get" else "25-item puts"
            lines += [f"**{amount} of {shape} items** ({meaning}), median of {count}:", ""]
            table = [
                [
                    "client",
                    "items a CPU second",
                    "against aiobotocore",
                    "items a second",
                    "against pydynox",
                    "items a request",
                    "peak MB",
                ]
            ]
            table += [
                [
                    LABELS[row["variant"]],
                    of_runs(row, per_cpu_second).text(_rate),
                    _against(rows, row, AIOBOTOCORE, per_cpu_second),
                    of_runs(row, per_second).text(_rate),
                    _against(rows, row, PYDYNOX, per_second),
                    _requests(row),
                    _peak(row),
                ]
                for row in here
            ]
            lines += [*as_table(table), ""]
    return lines + server_share(rows) if lines else [NOTHING]


def server_share(rows: Sequence[Row]) -> list[str]:
    """How busy the server was: it must not be what is measured."""
    shares = {
        row["variant"]: max((run.get("server_cpu") or 0.0) / run["seconds"] for run in row["runs"])
        for row in sorted(rows, key=lambda row: row["variant"])
        if row["section"] == "canned" and row["variant"] not in LIMITS
    }
    if not shares:
        return []
    for row in rows:
        if row["section"] == "canned" and row["variant"] in shares:
            share = max((run.get("server_cpu") or 0.0) / run["seconds"] for run in row["runs"])
            shares[row["variant"]] = max(shares[row["variant"]], share)
    busiest = max(shares, key=lambda name: shares[name])
    return [
        f"The server used at most {shares[busiest]:.0%} of a processor while a client was measured"
        f" ({LABELS[busiest]}); its own ceiling is the row “{LABELS[SOCKETS]}”.",
    ]


def stalls(results: dict[str, Any]) -> list[str]:
    """The longest stalls of the loop."""
    rows: list[Row] = [row for row in results["rows"] if row["section"] == "stalls"]
    if not rows:
        return [NOTHING]
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    table = [["client", *(f"{shape}: ms (own CPU)" for shape in shapes)]]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        cells = [LABELS[variant]]
        for shape in shapes:
            row = find(rows, variant=variant, shape=shape)
            cells.append(
                "-"
                if row is None
                else f"{of_runs(row, stall).text(number)} ({number(of_runs(row, held).median)})"
            )
        table.append(cells)
    meanings = [f"- {shape}: {SHAPES[shape]}" for shape in shapes]
    return [
        f"Gets at concurrency {rows[0]['concurrency']}, median of {len(rows[0]['runs'])} runs, and"
        " their range; in brackets what of it the process's own CPU time accounts for. The items:",
        "",
        *meanings,
        "",
        *as_table(table),
    ]


def latency(results: dict[str, Any]) -> list[str]:
    """Rates at a distance."""
    rows: list[Row] = [row for row in results["rows"] if row["section"] == "latency"]
    if not rows:
        return [NOTHING]
    lines: list[str] = []
    for op in dict.fromkeys(row["op"] for row in rows):
        points = sorted(
            {(row["latency_ms"], row["concurrency"]) for row in rows if row["op"] == op}
        )
        table = [["client", *(f"{ms:g} ms x {count}" for ms, count in points)]]
        for variant in dict.fromkeys(row["variant"] for row in rows if row["op"] == op):
            cells = [LABELS[variant]]
            for ms, count in points:
                row = find(rows, op=op, variant=variant, latency_ms=ms, concurrency=count)
                cells.append("-" if row is None else number(of_runs(row, per_second).median))
            table.append(cells)
        lines += [
            f"**{op}s** of wide items a second, by latency and concurrency:",
            "",
            *as_table(table),
            "",
        ]
    return lines[:-1]


def backends(results: dict[str, Any]) -> list[str]:
    """Rates against real servers."""
    rows: list[Row] = [row for row in results["rows"] if row["section"] == "backends"]
    if not rows:
        return [NOTHING]
    servers = list(dict.fromkeys(row["server"] for row in rows))
    table = [["client", *(f"{server}, {op}s" for server in servers for op in ("get", "put"))]]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        cells = [LABELS[variant]]
        for server in servers:
            for op in ("get", "put"):
                row = find(rows, server=server, op=op, variant=variant)
                cells.append(
                    "-"
                    if row is None
                    else f"{of_runs(row, per_second).text(number)};"
                    f" {number(of_runs(row, per_cpu_second).median)} a CPU second"
                )
        table.append(cells)
    return [
        "Wide items a second, and a CPU second of the client. The servers are the limit here:",
        "",
        *as_table(table),
    ]


def lists(results: dict[str, Any]) -> list[str]:
    """One call over many items."""
    measured: list[dict[str, Any]] = results["lists"]
    if not measured:
        return [NOTHING]
    names = {
        "get": "batch_get_item",
        "put": "batch_write_item",
        "stream": "iter_get",
        "bulk": "bulk_write",
    }
    table = [["call", "n", "seconds", "items/s", "MB added", "items held", "longest stall, ms"]]
    table += [
        [
            f"{names[one['op']]}, {LABELS[one['variant']]}",
            f"{one['n']:,}",
            number(one["seconds"]),
            number(one["n"] / one["seconds"]),
            number(one["peak_mb"] - one["before_mb"]),
            f"{one['held']:,}",
            f"{number(one['stall_ms'])} ({number(one['held_ms'])})",
        ]
        for one in measured
    ]
    return as_table(table)


def guide(results: dict[str, Any]) -> list[str]:
    """The guide's table, and the cost."""
    measured = results["guide"]
    if not measured:
        return [NOTHING]
    table = [["operation", "one by one", "batch", "measured", "guide claims"]]
    table += [
        [
            row["name"],
            f"{row['individual']:.2f} s",
            f"{row['batch']:.3f} s",
            f"{row['individual'] / row['batch']:.0f}x",
            GUIDE[row["name"]],
        ]
        for row in measured["compared"]
    ]
    cost = [
        [
            "100 items",
            "requests one by one",
            "requests in batches",
            "units one by one",
            "units in batches",
        ]
    ]
    cost += [
        [
            op,
            f"{both['individual']['requests']:,}",
            f"{both['batch']['requests']:,}",
            f"{both['individual']['units']:,.1f}",
            f"{both['batch']['units']:,.1f}",
        ]
        for op, both in measured["cost"].items()
    ]
    return [
        f"With {measured['latency_ms']:g} ms added to each answer of dynalite:",
        "",
        *as_table(table),
        "",
        "Batches cost fewer requests and the same capacity:",
        "",
        *as_table(cost),
    ]


def missing(results: dict[str, Any]) -> list[str]:
    """What was not measured, and why."""
    if not results["missing"]:
        return ["Everything was measured."]
    lines: dict[tuple[str, str], list[str]] = {}
    for one in results["missing"]:
        lines.setdefault((one["who"], one["why"]), []).append(one["where"])
    return [
        f"- **{LABELS.get(who, who)}**: {why} ({', '.join(dict.fromkeys(places))})"
        for (who, why), places in lines.items()
    ]


def summary(results: dict[str, Any]) -> list[str]:
    """The few figures that a README has room for."""
    rows: list[Row] = results["rows"]
    table = [
        [
            "20 values an item, canned answers",
            "gets a CPU second",
            "puts a CPU second",
            "longest stall, ms",
        ]
    ]
    for variant in LABELS:
        if variant == SOCKETS:
            continue
        found = [
            find(rows, section="canned", shape="wide", op=op, variant=variant)
            for op in ("get", "put")
        ]
        if all(row is None for row in found):
            continue
        stalled = find(rows, section="stalls", shape="wide", variant=variant)
        cells = [
            "-" if row is None else number(of_runs(row, per_cpu_second).median) for row in found
        ]
        longest = "-" if stalled is None else number(of_runs(stalled, stall).median)
        table.append([LABELS[variant], *cells, longest])
    if len(table) == 1:
        return [NOTHING]
    told = results["environment"]
    return [*as_table(table), "", f"Python {told['python']}, {told['cpus']} CPUs, {told['loop']}."]


def headline(results: dict[str, Any], **workload: str) -> str:
    """One line for the terminal, as soon as a workload is done."""
    rows = [row for row in results["rows"] if matches(row, **workload)]
    figure = stall if workload["section"] == "stalls" else per_cpu_second
    best = [
        f"{row['variant']} {number(spread(figure(run) for run in row['runs']).median)}"
        for row in rows
        if row["runs"]
    ]
    return ", ".join(best)


PLACES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "bench:environment": environment,
    "bench:targets": targets_table,
    "bench:missing": missing,
    "bench:canned": canned,
    "bench:stalls": stalls,
    "bench:latency": latency,
    "bench:backends": backends,
    "bench:lists": lists,
    "bench:guide": guide,
    "bench:summary": summary,
}
"""The places in the documentation, and what makes their blocks."""
