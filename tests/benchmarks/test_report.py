"""What is told of the measurements, and whether the targets are reached."""

from typing import Any

import pytest

from benchmarks.figures import find
from benchmarks.markdown import places_in
from benchmarks.peers import NATIVE, NATIVE_LISTS, PLAIN, PYDYNOX, PYDYNOX_LISTS, ROOT
from benchmarks.report import blocks
from benchmarks.targets import Target, targets
from tests.benchmarks.results import results

EMPTY: dict[str, Any] = {"rows": [], "lists": [], "guide": None, "versions": {}, "missing": []}


def find_target(found: list[Target], *words: str) -> Target:
    (one,) = [target for target in found if all(word in target.what for word in words)]
    return one


def test_targets_that_are_reached_and_missed() -> None:
    found = targets(results())
    assert find_target(found, "gets per CPU", "native", "a call a request").measured == "30.0x"
    assert find_target(found, "gets per CPU", "native", "a call a request").reached is True
    assert find_target(found, "puts per second", "a call a request", "pydynox").measured == "6.0x"
    assert find_target(found, "stall", "native").reached is True
    missed = find_target(found, "stall", "plain")
    assert missed.reached is False
    assert missed.measured == "12.0 ms, of which its own CPU time 6.00 ms"
    assert find_target(found, "seconds", "gets n").reached is True
    squared = find_target(found, "seconds", "puts n")
    assert (squared.reached, squared.measured) == (False, "2.00")
    assert find_target(found, "memory", "puts n").reached is True
    assert find_target(found, "streamed get").reached is True
    assert find_target(found, "streamed write").measured == (
        "700 at most of 10,000 (700 of 1,000); it adds 1.00 MB"
    )


def test_a_stream_that_holds_ever_more_misses_its_target() -> None:
    measured = results()
    measured["lists"][-1]["held"] = 8_000
    assert find_target(targets(measured), "streamed write").reached is False


def test_what_was_not_measured_is_never_reached() -> None:
    found = targets(EMPTY)
    assert len(found) == 20
    assert all(target.reached is None for target in found)
    assert all(target.measured.startswith("not measured: ") for target in found)


def test_a_client_that_did_not_run_is_named() -> None:
    measured = results()
    measured["rows"] = [one for one in measured["rows"] if one["variant"] != NATIVE]
    found = targets(measured)
    assert find_target(found, "gets per CPU", "native", "a call a request").measured == (
        f"not measured: {NATIVE} did not run"
    )
    assert find_target(found, "gets per CPU", "plain", "a call a request").reached is True


def test_calls_over_long_lists_are_held_to_a_peers_faster_way() -> None:
    measured = results()
    put = {"section": "canned", "op": "put", "shape": "wide"}
    for variant, of, items in (
        (NATIVE_LISTS, NATIVE, 6_000),
        (PYDYNOX_LISTS, PYDYNOX, 100),
        (PYDYNOX_LISTS, PYDYNOX, 3_000),
    ):
        row = find(measured["rows"], variant=of, **put)
        assert row is not None
        runs: list[Any] = [{**run, "items": items, "seconds": 1.0} for run in row["runs"]]
        measured["rows"] = [one for one in measured["rows"] if one["variant"] != variant]
        measured["rows"].append({**row, "variant": variant, "runs": runs})
        if variant == NATIVE_LISTS:
            continue
        told = find_target(targets(measured), "puts per second", "calls of 16")
        slower = find(measured["rows"], variant=PYDYNOX, **put)
        assert slower is not None
        alone = slower["runs"][0]["items"] / slower["runs"][0]["seconds"]
        assert told.measured.startswith(f"{6_000 / max(alone, items):.1f}x")


def test_every_place_of_the_page_is_written() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    made = blocks(results())
    assert set(places_in(page)) == set(made) - {"bench:summary"}


def test_the_blocks_tell_the_figures() -> None:
    made = {name: "\n".join(lines) for name, lines in blocks(results()).items()}
    assert "Python 3.11.7 on Linux x86_64, 2 CPUs (One), uvloop" in made["bench:environment"]
    assert "| aiobatch, native codec         |              3,000 |" in made["bench:canned"]
    assert "30.0x" in made["bench:canned"]
    assert "![Items a CPU second](plots/throughput.svg)" in made["bench:canned"]
    assert "12.0 (6.00)" in made["bench:stalls"]
    assert "10 ms x 16" in made["bench:latency"]
    assert "dynalite, puts" in made["bench:backends"]
    assert "iter_get" in made["bench:lists"]
    assert "50x" in made["bench:guide"]
    assert "100" in made["bench:guide"]
    assert made["bench:missing"].count("aiodynamo") == 1
    assert "FAILED: it crashed (canned get, canned put)" in made["bench:missing"]


def test_nothing_measured_is_said() -> None:
    made = blocks({**EMPTY, "environment": results()["environment"]})
    for name in ("canned", "stalls", "latency", "backends", "lists", "guide", "summary"):
        assert "Nothing was measured." in made[f"bench:{name}"]
        assert not any("plots/" in line for line in made[f"bench:{name}"])
    assert "Everything was measured." in made["bench:missing"]


@pytest.mark.parametrize("variant", [NATIVE, PLAIN])
def test_the_summary_has_each_client(variant: str) -> None:
    told = "\n".join(blocks(results())["bench:summary"])
    assert "gets a CPU second" in told
    assert {NATIVE: "3,000", PLAIN: "600"}[variant] in told
