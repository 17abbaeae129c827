"""``python -m benchmarks.fleet``: a fleet of workers on one table, and one process by itself.

``--write FILE`` puts the figures into a page that has the places ``fleet``, ``waves`` and
``one-process``. The first two are simulated, on no machine's account; the last is of this machine.
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet.one_process import codec_name, measure
from benchmarks.fleet.simulation import Fleet, Outcome, simulate
from benchmarks.fleet.waves import rate_used
from benchmarks.items import SHAPES
from benchmarks.markdown import NoPlace, as_table, check_places, write_blocks
from benchmarks.virtual_time import on_virtual_time

PLACES = ("fleet", "waves", "one-process")
QUOTA = 40_000
"""Units a second: a table's default quota."""
NEW_TABLE = 4_000
"""Writes a second that a new on-demand table takes."""
SHARE = 0.9
UNITS = {"long": 10}
"""Units that an item costs, where it is not one: one a KB."""
FLEETS = (
    *(Fleet(workers, NEW_TABLE, 20.0) for workers in (1, 10, 100, 1000)),
    *(Fleet(workers, NEW_TABLE, 20.0, share=SHARE) for workers in (1, 10, 100, 1000)),
    Fleet(100, NEW_TABLE, 20.0, jitter=0.0),
    Fleet(1000, QUOTA, 5.0),
    Fleet(1000, QUOTA, 5.0, share=SHARE),
)
SPREADS = (0.0, 0.1, 0.3)
TASKS_A_SLOT = (1, 2, 4, 8)


def fleet_block(outcomes: Sequence[Outcome]) -> list[str]:
    """The table of the simulation."""
    rows = [
        [
            *("workers", "table, units/s", "maxWriteUnits", "jitter", "units/s"),
            *("of the table's", "requests/least", "refused", "longest wait, s"),
        ]
    ]
    for outcome in outcomes:
        fleet = outcome.fleet
        share = "none" if fleet.share is None else f"{fleet.share * fleet.rate:,.0f}"
        rows.append(
            [
                *(f"{fleet.workers:,}", f"{fleet.rate:,.0f}", share, f"{fleet.jitter:g}"),
                f"{outcome.entries / outcome.elapsed:,.0f}",
                f"{outcome.of_the_rate:.0%}",
                f"{outcome.requests_by_least:.2f}",
                f"{outcome.refused:,}",
                f"{outcome.stall:.1f}",
            ]
        )
    return as_table(rows)


def waves_block(slots: int = 100) -> list[str]:
    """The table of how well a divided rate is used."""
    head = ["partitions a slot"]
    rows = [head + [f"sizes ±{spread:.0%}" if spread else "equal sizes" for spread in SPREADS]]
    for tasks in TASKS_A_SLOT:
        used = [rate_used(slots, tasks, spread=spread) for spread in SPREADS]
        rows.append([str(tasks), *(f"{one:.0%}" for one in used)])
    return as_table(rows)


def one_process_block() -> list[str]:
    """The table of one process."""
    rows = [["items", "items/s of processor time", "units/s", "of 40,000 units/s"]]
    for written in measure():
        units = written.items_a_second * UNITS.get(written.shape, 1)
        rows.append(
            [
                SHAPES[written.shape].partition(":")[0],
                f"{written.items_a_second:,.0f}",
                f"{units:,.0f}",
                f"{units / QUOTA:.0%}",
            ]
        )
    machine = f"{platform.machine()}, Python {platform.python_version()}, {codec_name()} codec"
    return [*as_table(rows), "", f"{machine}."]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or write them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures into this page")
    parser.add_argument("--only", choices=PLACES, action="append", help="only these figures")
    options = parser.parse_args(arguments)
    wanted = options.only or PLACES
    try:
        if options.write is not None:
            check_places(options.write, PLACES)
        blocks = {}
        if "fleet" in wanted:
            outcomes = []
            for fleet in FLEETS:
                outcomes.append(on_virtual_time(simulate(fleet)))
                print(fleet_block(outcomes[-1:])[-1], flush=True)
            blocks["fleet"] = fleet_block(outcomes)
        if "waves" in wanted:
            blocks["waves"] = waves_block()
        if "one-process" in wanted:
            blocks["one-process"] = one_process_block()
        if options.write is not None:
            write_blocks(options.write, blocks)
    except NoPlace as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for block in blocks.values():
        print("\n".join(["", *block]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
