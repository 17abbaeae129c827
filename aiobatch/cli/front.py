"""``demo`` and ``bench``: what ``make demo`` and ``make bench`` run.

The demo's few modules are in the wheel, as they stand in the checkout; the benchmarks need the
checkout, since each peer has an environment of its own there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from aiobatch.cli.codes import Exit

__all__ = ["bench", "demo"]

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent
_SHIPPED = _PACKAGE / "cli" / "shipped"


def demo(arguments: Sequence[str]) -> int:
    """Run the demo, with its own arguments."""
    missing = [name for name in ("airportsdata", "moto", "flask") if find_spec(name) is None]
    if missing:
        print(
            f"aiobatch demo needs {', '.join(missing)}: pip install 'aiobatch[demo]'",
            file=sys.stderr,
        )
        return int(Exit.FAILED)
    place = _place_of("demo.py")
    if place is None:
        print("aiobatch demo: this installation lacks the demo's files", file=sys.stderr)
        return int(Exit.FAILED)
    return _run("demo", place, arguments)


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks, with their own arguments."""
    place = _place_of("bench.py")
    if place is None:
        print(
            "aiobatch bench needs a checkout of the repository, where each peer has an environment"
            " of its own: run `make bench` in one",
            file=sys.stderr,
        )
        return int(Exit.FAILED)
    return _run("bench", place, arguments)


def _place_of(name: str) -> Path | None:
    for place in (_CHECKOUT, _SHIPPED):
        if (place / "benchmarks" / name).is_file():
            return place
    return None


def _run(name: str, place: Path, arguments: Sequence[str]) -> int:
    sys.path.insert(0, str(place))
    return int(importlib.import_module(f"benchmarks.{name}").main(list(arguments)))
