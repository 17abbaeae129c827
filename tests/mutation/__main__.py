"""Mutation testing of one module, or of some: how many small changes do the tests notice?

    python -m tests.mutation aiobatch/codec/size.py aiobatch/engine/backoff.py

mutmut changes a copy in build/mutation, so the checkout stays as it is. A module is mutated under
the tests that are named for it here, which must be quick and need no server. A piece that was
interrupted goes on where it was, unless --fresh is given; --again tries what was left once more,
after a test was written for it.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build" / "mutation"

# The pure modules and what puts them together, and the tests that are about them.
TESTS: dict[str, list[str]] = {
    "aiobatch/codec/answers.py": ["tests/codec/test_answers.py", "tests/codec/test_bulk.py"],
    "aiobatch/codec/choice.py": ["tests/codec/test_choice.py"],
    "aiobatch/codec/items.py": ["tests/codec/test_encode.py", "tests/test_models.py"],
    "aiobatch/codec/keys.py": ["tests/codec/test_keys.py"],
    "aiobatch/codec/numbers.py": ["tests/codec/test_numbers.py"],
    "aiobatch/codec/projection.py": ["tests/codec/test_projection.py"],
    "aiobatch/codec/python.py": [
        "tests/codec/test_answers.py",
        "tests/codec/test_bulk.py",
        "tests/codec/test_decode.py",
        "tests/codec/test_encode.py",
        "tests/codec/test_keys.py",
    ],
    "aiobatch/codec/refusal.py": ["tests/codec/test_answers.py", "tests/codec/test_encode.py"],
    "aiobatch/codec/size.py": ["tests/codec/test_size.py"],
    "aiobatch/engine/backoff.py": ["tests/engine/test_backoff.py"],
    "aiobatch/engine/call.py": ["tests/engine/test_call.py"],
    "aiobatch/engine/dispatch.py": [
        "tests/client/test_meetings.py",
        "tests/client/test_stale_names.py",
        "tests/client/test_tables.py",
        "tests/engine/test_dispatch.py",
        "tests/engine/test_single.py",
        "tests/engine/test_tables.py",
        "tests/test_events.py",
    ],
    "aiobatch/engine/ledger.py": ["tests/engine/test_ledger.py"],
    "aiobatch/engine/loop_time.py": ["tests/test_loop_time.py"],
    "aiobatch/engine/metrics.py": ["tests/engine/test_metrics.py"],
    "aiobatch/engine/observer.py": ["tests/engine/test_observer.py"],
    "aiobatch/engine/outcome.py": ["tests/engine/test_outcome.py"],
    "aiobatch/engine/plan.py": ["tests/engine/test_plan.py", "tests/engine/test_tables.py"],
    "aiobatch/engine/pressure.py": ["tests/engine/test_pace.py"],
    "aiobatch/engine/requests.py": [
        "tests/engine/test_requests.py",
        "tests/engine/test_tables.py",
    ],
    "aiobatch/engine/schemas.py": ["tests/engine/test_schemas.py"],
    "aiobatch/engine/tables.py": ["tests/engine/test_tables.py"],
    "aiobatch/retry.py": ["tests/test_retry.py"],
    "aiobatch/updates.py": ["tests/test_updates.py"],
}

_SETTINGS = """
[tool.mutmut]
source_paths = ["aiobatch"]
only_mutate = ["{module}"]
pytest_add_cli_args = [
    "-p", "no:cacheprovider", "-p", "tests.mutation.quick", "--hypothesis-seed=0",
]
pytest_add_cli_args_test_selection = [{tests}]
use_git_change_detection = false
track_dependencies = false
# A change may make a loop endless: three times what the tests take, and 15 s.
timeout_constant = 5.0
timeout_multiplier = 3.0
"""


def prepare(module: str, *, fresh: bool) -> Path:
    """A copy of what the piece needs, with its settings."""
    place = SCRATCH / re.sub(r"\W", "-", module.removesuffix(".py"))
    if fresh:
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    skip = shutil.ignore_patterns("node_modules", "__pycache__")
    for folder in ("aiobatch", "tests"):
        shutil.copytree(ROOT / folder, place / folder, ignore=skip, dirs_exist_ok=True)
    tests = ", ".join(f'"{test}"' for test in TESTS[module])
    settings = (ROOT / "pyproject.toml").read_text() + _SETTINGS.format(module=module, tests=tests)
    (place / "pyproject.toml").write_text(settings)
    return place


def mutmut(place: Path, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode:
        sys.exit(f"mutmut {' '.join(arguments)} failed:\n{ran.stdout[-4000:]}")
    return ran.stdout


def outcomes_in(place: Path) -> dict[str, str]:
    """What became of each mutant so far."""
    return dict(
        line.strip().split(": ", 1)
        for line in mutmut(place, "results", "--all", "true").splitlines()
        if ": " in line and "__mutmut_" in line
    )


def left(outcomes: dict[str, str]) -> list[str]:
    return [name for name, outcome in outcomes.items() if outcome not in ("killed", "timeout")]


def run(module: str, *, fresh: bool, again: bool) -> int:
    """Mutate one module; print what survived, and return how many did."""
    place = prepare(module, fresh=fresh)
    if again:
        # Which tests run which function: a test that was written anew runs others than before.
        (place / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    mutmut(place, "run", "--max-children", "1")
    if again and (names := left(outcomes_in(place))):
        mutmut(place, "run", "--max-children", "1", *names)
    outcomes = outcomes_in(place)
    if not outcomes:
        sys.exit(f"{module}: there was nothing to mutate")
    survivors = left(outcomes)
    for name in survivors:
        print(f"\n{outcomes[name]}: {name}\n{mutmut(place, 'show', name).strip()}")
    killed = len(outcomes) - len(survivors)
    print(
        f"\n{module}: {killed} of {len(outcomes)} mutants killed, {len(survivors)} left", flush=True
    )
    return len(survivors)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--again", action="store_true", help="try what was left once more")
    asked = parser.parse_args()
    for module in asked.modules:
        if module not in TESTS:
            parser.error(f"{module} has no tests named for it: enter them in {__file__}")
    for module in asked.modules:
        run(module, fresh=asked.fresh, again=asked.again)


if __name__ == "__main__":
    main()
