"""What the measurements must show, and whether they do. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import (
    Row,
    Run,
    find,
    growth,
    held,
    number,
    of_runs,
    per_cpu_second,
    per_second,
    ratios,
    stall,
    times,
)
from benchmarks.peers import (
    AIOBOTOCORE,
    BARE,
    BARE_NATIVE,
    BARE_PLAIN,
    LONG_CALLS,
    NATIVE,
    NATIVE_LISTS,
    PLAIN,
    PLAIN_LISTS,
    PYDYNOX,
    PYDYNOX_LISTS,
)

CALLS = {"a call a request": 0, LONG_CALLS: 1}
"""How a client is called. One that takes a request a call is the same in both."""
STALL_SHAPES = ("wide", "long")
"""Items of about 20 values, in answers of 58 KB and of 1 MB."""
LINEAR = 1.1
"""The exponent up to which growth counts as linear."""
BOUNDED = 1.5
"""How much more a stream may hold when it is ten times as long, to count as bounded."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    Attributes:
        measured: as it is told; what is missing, if it could not be measured.
        reached: None where it could not be measured.
    """

    what: str
    wanted: str
    measured: str
    reached: bool | None


def targets(results: dict[str, Any]) -> list[Target]:
    """All targets, measured or not."""
    rows: list[Row] = results["rows"]
    lists: list[dict[str, Any]] = results["lists"]
    found = [
        _ratio(
            rows,
            f"{op}s per CPU second, {codec} codec, {calls}, against aiobotocore with boto3's types",
            (variants[which], AIOBOTOCORE),
            op,
            per_cpu_second,
            wanted,
        )
        for codec, variants, wanted_of in (
            ("native", (NATIVE, NATIVE_LISTS), {"get": 25, "put": 20}),
            ("plain", (PLAIN, PLAIN_LISTS), {"get": 5, "put": 5}),
        )
        for op, wanted in wanted_of.items()
        for calls, which in CALLS.items()
    ]
    found += [
        _ratio(
            rows,
            f"{op}s per second, native codec, {calls}, against pydynox",
            ((NATIVE, NATIVE_LISTS)[which], _faster(rows, op, (PYDYNOX, PYDYNOX_LISTS)[which])),
            op,
            per_second,
            wanted,
        )
        for op, wanted in (("get", 3), ("put", 2))
        for calls, which in CALLS.items()
    ]
    found += [
        _stall(rows, f"longest stall of the loop at concurrency 16, {codec} codec", variant, wanted)
        for codec, variant, wanted in (("native", NATIVE, 3.0), ("plain", PLAIN, 10.0))
    ]
    found += [_linear(lists, op, what) for op in ("get", "put") for what in ("seconds", "memory")]
    found += [
        _bounded(lists, op, what)
        for op, what in (("stream", "streamed get"), ("bulk", "streamed write"))
    ]
    return found


def _faster(rows: Sequence[Row], op: str, variant: str) -> str:
    """Where a client cuts up long lists itself, its own way of being called that is faster."""
    both = (PYDYNOX, variant)
    of = {"section": "canned", "op": op, "shape": "wide"}
    found = [row for name in both if (row := find(rows, variant=name, **of)) is not None]
    return (
        max(found, key=lambda row: of_runs(row, per_second).median)["variant"] if found else variant
    )


def _missing(what: str, wanted: str, why: str) -> Target:
    return Target(what, wanted, f"not measured: {why}", None)


def _ratio(
    rows: Sequence[Row],
    what: str,
    pair: tuple[str, str],
    op: str,
    figure: Callable[[Run], float],
    wanted: float,
) -> Target:
    of = {"section": "canned", "op": op, "shape": "wide"}
    one, other = (find(rows, variant=variant, **of) for variant in pair)
    if one is None or other is None:
        lacking = pair[0] if one is None else pair[1]
        return _missing(what, f"{wanted:g}x", f"{lacking} did not run")
    ratio = ratios(one, other, figure)
    reached = ratio.median >= wanted
    told = ratio.text(times)
    if not reached:
        told += _limits(rows, pair, of, figure)
    return Target(what, f"{wanted:g}x or more", told, reached)


def _limits(
    rows: Sequence[Row],
    pair: tuple[str, str],
    of: dict[str, str],
    figure: Callable[[Run], float],
) -> str:
    """What the same ratio would be with less work: no more than that is to be had this way."""
    other = find(rows, variant=pair[1], **of)
    codec = BARE_NATIVE if pair[0] in (NATIVE, NATIVE_LISTS) else BARE_PLAIN
    told = ""
    for variant, name in (
        (codec, "the exchange and the codec alone"),
        (BARE, "a session of aiohttp alone"),
    ):
        limit = find(rows, variant=variant, **of)
        if limit is not None and other is not None:
            told += f"; {name}: {times(ratios(limit, other, figure).median)}"
    return told


def _stall(rows: Sequence[Row], what: str, variant: str, wanted: float) -> Target:
    found = [find(rows, section="stalls", variant=variant, shape=shape) for shape in STALL_SHAPES]
    there = [row for row in found if row is not None]
    if len(there) < len(STALL_SHAPES):
        return _missing(what, f"{wanted:g} ms or less", f"{variant} did not run")
    worst = max(there, key=lambda row: of_runs(row, stall).median)
    clock, own = of_runs(worst, stall), of_runs(worst, held)
    told = f"{clock.text(number)} ms, of which its own CPU time {number(own.median)} ms"
    limit = find(rows, section="stalls", variant=BARE, shape=worst["shape"])
    if limit is not None:
        told += f"; the bare exchange: {number(of_runs(limit, stall).median)} ms"
    return Target(what, f"{wanted:g} ms or less", told, clock.median <= wanted)


def _best(lists: Sequence[dict[str, Any]], op: str) -> list[dict[str, Any]]:
    """The measurements of the best variant that ran, by n."""
    for variant in (NATIVE, PLAIN):
        found = [one for one in lists if one["op"] == op and one["variant"] == variant]
        if found:
            return sorted(found, key=lambda one: int(one["n"]))
    found = [one for one in lists if one["op"] == op]
    return sorted(found, key=lambda one: int(one["n"]))


def _linear(lists: Sequence[dict[str, Any]], op: str, what: str) -> Target:
    name = f"{what} of a list call that {op}s n items grows as n to the power of"
    measured = _best(lists, op)
    points = [
        (
            float(one["n"]),
            one["seconds"] if what == "seconds" else one["peak_mb"] - one["before_mb"],
        )
        for one in measured
    ]
    points = [point for point in points if point[1] > 0]
    if len(points) < 2:
        return _missing(name, f"{LINEAR:g} or less", "fewer than two lengths were measured")
    power = growth(points)
    return Target(name, f"{LINEAR:g} or less", f"{power:.2f}", power <= LINEAR)


def _bounded(lists: Sequence[dict[str, Any]], op: str, what: str) -> Target:
    name = f"items that a {what} holds, over the longest stream"
    streams = _best(lists, op)
    if len(streams) < 2:
        return _missing(name, "bounded", f"no {what} ran")
    longest = streams[-1]
    earlier = [one for one in streams if one["n"] <= longest["n"] / 10] or streams[:1]
    reached = longest["held"] <= BOUNDED * max(one["held"] for one in earlier)
    told = (
        f"{longest['held']:,} at most of {longest['n']:,}"
        f" ({max(one['held'] for one in earlier):,} of {earlier[-1]['n']:,});"
        f" it adds {number(max(0.0, longest['peak_mb'] - longest['before_mb']))} MB"
    )
    return Target(name, "bounded", told, reached)
