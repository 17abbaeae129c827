"""The measurements as a table and as a plot."""

import statistics
from pathlib import Path
from typing import Any

from benchmarks.dashboard.figures import LABELS, TARGET, Measured, median, of, rate, ratios, spread
from benchmarks.markdown import as_table

PLACE = "dashboard"
COLOURS = {
    "loader": "#0b6e4f",
    "waiting": "#7fb069",
    "batch": "#3d7ea6",
    "single": "#c1666b",
    "sequential": "#8d99ae",
}


class NoPlotter(Exception):
    """matplotlib is not there."""


def modes_in(runs: list[Measured]) -> list[str]:
    """The modes that were measured, in the order of the table."""
    return [mode for mode in LABELS if any(one.mode == mode for one in runs)]


def counts_in(runs: list[Measured]) -> list[int]:
    """The numbers of clients that were measured."""
    return sorted({one.clients for one in runs})


def table(runs: list[Measured]) -> list[str]:
    """A row for each mode and number of clients: medians over the rounds."""
    rows = [
        [
            "reads",
            "clients",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "DynamoDB requests a request",
            "keys a DynamoDB request",
            "CPU ms a request",
        ]
    ]
    for clients in counts_in(runs):
        for mode in modes_in(runs):
            some = of(runs, mode, clients)
            if some:
                rows.append([LABELS[mode], *_cells(some, clients)])
    return as_table(rows)


def _cells(some: list[Measured], clients: int) -> list[str]:
    return [
        f"{clients}",
        f"{median(some, rate):,.0f}",
        f"{median(some, lambda one: one.p50 * 1000):.1f}",
        f"{median(some, lambda one: one.p99 * 1000):.1f}",
        f"{median(some, lambda one: one.dynamodb / one.answered):.3f}",
        f"{median(some, lambda one: one.keys / one.dynamodb):.1f}",
        f"{median(some, lambda one: one.app_cpu / one.answered * 1000):.2f}",
    ]


def verdicts(runs: list[Measured]) -> list[str]:
    """What the loader makes of one GetItem a key, for each number of clients."""
    lines = []
    for clients in counts_in(runs):
        for mode in ("loader", "waiting"):
            told = [
                f"{spread(found)} times those of {LABELS[other]}"
                for other in ("single", "sequential")
                if (found := ratios(runs, mode, other, clients))
            ]
            if told:
                lines.append(
                    f"{clients} clients, {LABELS[mode]}: the requests a second are"
                    f" {' and '.join(told)}."
                )
    return lines


def target(runs: list[Measured], mode: str) -> str | None:
    """Whether a loader makes ``TARGET`` times the requests a second of single reads at once.

    It is asked of the most clients. None: it was not measured.
    """
    clients = max(counts_in(runs))
    found = ratios(runs, mode, "single", clients)
    if not found:
        return None
    reached = "reached" if statistics.median(found) >= TARGET else "NOT REACHED"
    return f"{LABELS[mode]}: the target of {TARGET:g} times at {clients} clients is {reached}."


def shares(runs: list[Measured]) -> list[str]:
    """Which process was at work how much of the time: the busiest one is the bottleneck."""
    rows = [["reads", "clients", "application", "DynamoDB's stand-in", "load generator"]]
    for clients in counts_in(runs):
        for mode in modes_in(runs):
            some = of(runs, mode, clients)
            if some:
                cpu = [
                    median(some, lambda one: one.app_cpu / one.wall),
                    median(some, lambda one: one.service_cpu / one.wall),
                    median(some, lambda one: one.load_cpu / one.wall),
                ]
                rows.append([LABELS[mode], f"{clients}", *[f"{share:.0%}" for share in cpu]])
    return as_table(rows)


def check_plotter() -> None:
    """Find out before the work whether :func:`draw` can draw. Raises NoPlotter."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise NoPlotter(
            "--plot needs matplotlib, which is not installed here: `make bench-dashboard` has it"
        ) from None


def draw(runs: list[Measured], path: Path, milliseconds: float) -> None:
    """Draw requests a second and latencies over the number of clients."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.hashsalt": "aiobatch",  # equal figures give equal files
        "svg.fonttype": "path",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",
        "axes.axisbelow": True,
    }
    with mpl.rc_context(settings):
        # A Figure of its own: pyplot would keep it, and wants a display.
        figure = Figure(figsize=(9, 3.9), layout="constrained")
        throughput, latency = figure.subplots(1, 2)
        for mode in modes_in(runs):
            _lines(throughput, latency, runs, mode)
        counts = counts_in(runs)
        for axis in (throughput, latency):
            axis.set_xscale("log", base=2)
            axis.set_xticks(counts, [str(count) for count in counts])
            axis.set_xlabel("clients at once")
            axis.grid(color="#eeeeee")
        throughput.set_ylim(bottom=0)
        throughput.set_title("requests a second (higher is better)", loc="left")
        latency.set_yscale("log")
        latency.yaxis.set_major_formatter("{x:g}")
        latency.set_title("ms a client waits: p50, dashed p99", loc="left")
        handles, labels = throughput.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        figure.suptitle(f"The dashboard under uvicorn, DynamoDB {milliseconds:g} ms away")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _lines(throughput: Any, latency: Any, runs: list[Measured], mode: str) -> None:
    counts = [count for count in counts_in(runs) if of(runs, mode, count)]
    some = [of(runs, mode, count) for count in counts]
    style = {"color": COLOURS[mode], "marker": "o", "markersize": 3}
    throughput.plot(
        counts,
        [median(here, rate) for here in some],
        linewidth=2 if mode == "loader" else 1.2,
        label=LABELS[mode],
        **style,
    )
    latency.plot(counts, [median(here, lambda one: one.p50 * 1000) for here in some], **style)
    latency.plot(
        counts,
        [median(here, lambda one: one.p99 * 1000) for here in some],
        linestyle="--",
        linewidth=1,
        **style,
    )
