"""What `import aiobatch` costs beyond aiobotocore's own import.

`make test-wheel PYTEST_ARGS="-s -k test_import"` prints it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

THEIRS = "import aiobotocore.session, aiohttp"
OURS = "import aiobatch"
ROUNDS = 9


def printed(code: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def seconds(code: str, compiled: Path) -> float:
    """Processor time in a new process: waiting for a processor does not count.

    As where it is installed, modules are compiled once, by the first round.
    """
    timed = f"import time; began = time.process_time()\n{code}\nprint(time.process_time() - began)"
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)}
    return float(printed(timed, **kept))


def test_it_takes_less_than_half_of_what_aiobotocore_takes(tmp_path: Path) -> None:
    """60 ms are a fourth of it on a quiet machine. On a busy one both grow, and not evenly."""
    theirs, ours = [], []
    for _ in range(ROUNDS):
        theirs.append(seconds(THEIRS, tmp_path))
        ours.append(seconds(OURS, tmp_path))
    beyond = min(ours) - min(theirs)
    print(f"aiobotocore {min(theirs) * 1000:.0f} ms, aiobatch {beyond * 1000:.0f} ms beyond")
    assert beyond < max(0.060, min(theirs) / 2)


def test_it_imports_nothing_else() -> None:
    """No extra, no second library: what makes imports slow unseen."""
    tops = "; import json, sys; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    beyond = set(json.loads(printed(OURS + tops))) - set(json.loads(printed(THEIRS + tops)))
    assert beyond - {"aiobatch", "orjson"} <= {"aiobatch_native"}
