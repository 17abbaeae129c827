"""The plots. Equal figures give equal files: no dates, no random ids."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, Run, matches, number, of_runs, per_cpu_second, per_second, stall
from benchmarks.peers import (
    AIOBOTOCORE,
    BARE,
    BARE_NATIVE,
    BARE_PLAIN,
    LABELS,
    NATIVE,
    NATIVE_LISTS,
    PLAIN,
    PLAIN_AIOBOTOCORE,
    PLAIN_LISTS,
    PYDYNOX,
    PYDYNOX_LISTS,
    SOCKETS,
)

_COLOURS = {
    NATIVE: "#0b5d3b",
    PLAIN: "#2f9e6b",
    PLAIN_AIOBOTOCORE: "#93cfae",
    NATIVE_LISTS: "#06402a",
    PLAIN_LISTS: "#1f7a50",
    PYDYNOX: "#c8553d",
    PYDYNOX_LISTS: "#9c3f2c",
    "aiodynamo": "#e09f3e",
    AIOBOTOCORE: "#33658a",
    "aioboto3": "#86bbd8",
    "boto3-assist": "#7d6b91",
    BARE_NATIVE: "#6b6b6b",
    BARE_PLAIN: "#848484",
    BARE: "#b0b0b0",
}
_CALLS = {
    "get": ("batch_get_item", "-"),
    "put": ("batch_write_item", ":"),
    "stream": ("iter_get", "--"),
    "bulk": ("bulk_write", "-."),
}
_ANSWERS = {
    "small": "answers of 13 KB",
    "wide": "answers of 58 KB",
    "nested": "answers of 85 KB",
    "long": "1 MB: 20 values an item",
    "dense": "1 MB: 460 values an item",
}
_SETTINGS: Any = {
    "svg.hashsalt": "aiobatch",
    "svg.fonttype": "path",  # looks the same everywhere
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "axes.axisbelow": True,
}


def draw(results: dict[str, Any], directory: Path) -> list[Path]:
    """Draw what there are figures for, and return the files."""
    import matplotlib as mpl

    mpl.use("svg")
    directory.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    with mpl.rc_context(_SETTINGS):
        for name, plot in (
            ("throughput", _throughput),
            ("stalls", _stalls),
            ("latency", _latency),
            ("lists", _lists),
        ):
            figure = plot(results)
            if figure is not None:
                path = directory / f"{name}.svg"
                figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
                made.append(path)
    return made


def _figure(columns: int, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    # A Figure of its own: pyplot would keep it, and wants a display.
    figure = Figure(figsize=(9, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _plain(axis: Any) -> None:
    """Write 10,000 for 10 to the power of 4, and nothing at the small ticks."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}" if value else "0"))
    axis.set_minor_formatter(NullFormatter())


def _bars(axis: Any, rows: list[Row], figure: Callable[[Run], float], title: str) -> None:
    spreads = [of_runs(row, figure) for row in rows]
    places = range(len(rows), 0, -1)
    axis.barh(
        places,
        [found.median for found in spreads],
        xerr=[
            [found.median - found.low for found in spreads],
            [found.high - found.median for found in spreads],
        ],
        color=[_COLOURS[row["variant"]] for row in rows],
        error_kw={"ecolor": "#444444", "elinewidth": 0.8},
    )
    axis.set_yticks(places, [LABELS[row["variant"]] for row in rows])
    for place, found in zip(places, spreads, strict=True):
        axis.annotate(
            number(found.median),
            (found.high, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    axis.set_xscale("log")
    # Bars begin at a whole power of ten, and the longest leaves room for its figure.
    least, most = min(found.low for found in spreads), max(found.high for found in spreads)
    begin = 10 ** math.floor(math.log10(max(least, 0.01) / 1.5))
    axis.set_xlim(begin, begin * (max(most, 2 * begin) / begin) ** 1.3)
    _plain(axis.xaxis)
    axis.minorticks_off()
    axis.set_title(title, loc="left")
    axis.grid(axis="x", color="#eeeeee")


def _throughput(results: dict[str, Any]) -> Any:
    rows: list[Row] = [
        row
        for row in results["rows"]
        if matches(row, section="canned", shape="wide") and row["variant"] != SOCKETS
    ]
    if not rows:
        return None
    figure, axes = _figure(2, 3.6)
    for axis, op in zip(axes, ("get", "put"), strict=True):
        _bars(axis, [row for row in rows if row["op"] == op], per_cpu_second, f"{op}s")
        axis.set_xlabel("items a CPU second")
    axes[1].set_yticklabels([])
    figure.suptitle("Items of 20 values a CPU second of the client (higher is better)")
    return figure


def _stalls(results: dict[str, Any]) -> Any:
    rows: list[Row] = [row for row in results["rows"] if row["section"] == "stalls"]
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    if not rows:
        return None
    figure, axes = _figure(len(shapes), 3.6)
    for axis, shape in zip(axes, shapes, strict=True):
        _bars(axis, [row for row in rows if row["shape"] == shape], stall, _ANSWERS[shape])
        axis.set_xlabel("ms")
        if axis is not axes[0]:
            axis.set_yticklabels([])
    figure.suptitle("Longest stall of the event loop, gets at concurrency 16 (lower is better)")
    return figure


def _latency(results: dict[str, Any]) -> Any:
    rows: list[Row] = [row for row in results["rows"] if matches(row, section="latency", op="get")]
    latencies = sorted({row["latency_ms"] for row in rows})
    if not rows:
        return None
    figure, axes = _figure(len(latencies), 3.8)
    for axis, latency in zip(axes, latencies, strict=True):
        here = [row for row in rows if row["latency_ms"] == latency]
        for variant in dict.fromkeys(row["variant"] for row in here):
            points = sorted(
                (row["concurrency"], of_runs(row, per_second).median)
                for row in here
                if row["variant"] == variant
            )
            ours = variant.startswith("aiobatch")
            axis.plot(
                [point[0] for point in points],
                [point[1] for point in points],
                marker="o",
                markersize=3,
                linewidth=2 if ours else 1,
                linestyle="--" if variant == BARE else "-",
                color=_COLOURS[variant],
                label=LABELS[variant],
            )
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        counts = sorted({row["concurrency"] for row in here})
        axis.set_xticks(counts, [str(count) for count in counts])
        _plain(axis.yaxis)
        axis.minorticks_off()
        axis.set_title(f"{latency:g} ms", loc="left")
        axis.set_xlabel("concurrency")
        axis.grid(color="#eeeeee")
    axes[0].set_ylabel("items a second")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Gets of items of 20 values a second, by latency and concurrency")
    return figure


def _lists(results: dict[str, Any]) -> Any:
    measured: list[dict[str, Any]] = results["lists"]
    if not measured:
        return None
    figure, axes = _figure(3, 4.0)
    for variant in dict.fromkeys(one["variant"] for one in measured):
        for op, (name, style) in _CALLS.items():
            points = sorted(
                (one["n"], one["seconds"], one["peak_mb"] - one["before_mb"], one["held"])
                for one in measured
                if one["op"] == op and one["variant"] == variant
            )
            for axis, position in zip(axes, (1, 2, 3), strict=True):
                # A list of writes holds what the caller holds anyway.
                if points and not (position == 3 and op == "put"):
                    axis.plot(
                        [point[0] for point in points],
                        [point[position] for point in points],
                        marker="o",
                        markersize=3,
                        color=_COLOURS[variant],
                        linestyle=style,
                        label=f"{name}, {LABELS[variant]}",
                    )
    counts = sorted({one["n"] for one in measured})
    for axis, title in zip(axes, ("seconds", "memory added, MB", "items held"), strict=True):
        axis.set_title(title, loc="left")
        axis.set_xlabel("n")
        axis.set_xscale("log")
        if title.startswith("memory"):
            axis.set_yscale("symlog", linthresh=1)
            axis.set_ylim(0, 1.5 * axis.get_ylim()[1])
        else:
            axis.set_yscale("log")
        _plain(axis.yaxis)
        axis.minorticks_off()
        axis.set_xticks(counts, [_short(count) for count in counts])
        axis.grid(color="#eeeeee")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("One call over n items of 5 values: lists and streams")
    return figure


def _short(count: int) -> str:
    for size, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:g}{name}"
    return str(count)
