"""A short run of the fuzzer, in a process of its own: a crash fails a test, not the whole run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def codec() -> None:
    """The fuzzer takes all codecs at once, so there are no turns."""


def test_damaged_answers_and_odd_items() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.codec.fuzz", "--rounds", "1500", "--seed", "20241124"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Both kinds of end are met, or the damage is too much or too little.
    assert " malformed after 0" in done.stdout
    assert " NoneType after " in done.stdout
    assert " refused" in done.stdout
