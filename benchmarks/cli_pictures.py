"""Pictures of the command's output, at 80 and 140 columns: ``make cli-pictures``.

The display is the command's own, shown at moments of a load against a fake clock, so that the
pictures change only when the display does.
"""

import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from aiobatch.cli.display import Display
from aiobatch.cli.watch import Watch

WIDTHS = (80, 140)


class Stopped(Watch):
    """Counters at a moment."""

    at = 42.0

    @property
    def seconds(self) -> float:
        return self.at


def picture(width: int) -> str:
    """A load at work, at its end, and an export that was interrupted."""
    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, highlight=False
    )
    watch = Stopped()
    console.print("$ aiobatch load places.csv --table places --create-table pk:S")
    display = Display("places.csv → places", "rows", watch, console=console)
    display.say("created table places")
    for second, items in ((37.0, 512_310), (42.0, 586_412)):
        watch.at = second
        watch.units = items * 1.0
        display.update(items=items, share=items / 1_000_000)
        moment = display.render()
        if second == 42.0:
            watch.under_way, watch.throttled, watch.retried = 16, 3, 75
            display.update(rejected=2)
            moment = display.render()
            console.print(moment)
    watch.at, watch.requests, watch.units, watch.under_way = 71.6, 40_003, 1_000_000.0, 0
    display.update(items=999_998, share=1.0)
    display.say(f"999,998 rows written, 2 rejected ({display.costs_in_words()})")
    for line, reason in (
        (51_204, "height: is not a number"),
        (760_011, "has 9 cells, and the line of names 11"),
    ):
        display.say(f"places.csv, line {line}: {reason}", "yellow")
    display.say(
        "rejected rows: places.rejected.csv, the reasons: places.rejected.csv.reasons.jsonl",
        "yellow",
    )
    console.print()
    console.print("$ aiobatch export places.json.gz --table places")
    watch = Stopped()
    display = Display("places → places.json.gz", "items", watch, console=console)
    watch.at, watch.under_way, watch.units = 3.0, 8, 1800.0
    display.update(items=80_312)
    console.print(display.render())
    display.say("stopping: what is under way gets its answer; once more to stop at once")
    display.say("so far: 81,020 items, 0 of 8 segments read")
    display.say("to go on: aiobatch export places.json.gz --table places")
    console.print()
    console.print("$ aiobatch load places.csv --table place")
    display.say(
        "error: there is no table place here (DescribeTable: ResourceNotFoundException). Check its"
        " name, --region and --endpoint-url; load makes it with --create-table",
        "red",
    )
    made = console.export_svg(title="aiobatch", unique_id=f"aiobatch-{width}")
    # The reader's own font, and nothing from elsewhere.
    return re.sub(r"@font-face \{.*?\n\s*\}\n", "", made, flags=re.DOTALL)


def main(directory: Path) -> None:
    """Write the pictures into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        path = directory / f"command-{width}.svg"
        path.write_text(picture(width), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
