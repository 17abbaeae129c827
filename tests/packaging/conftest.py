"""The distributions, built once, and environments that have nothing but them.

These tests are a run of their own: `make test-wheel`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(os.environ.get("AIOBATCH_DIST_TOOLS", ROOT / ".venv-dist" / "bin"))
PATIENCE = 900
"""Seconds after which a command is taken to hang: the compiled codec takes minutes to build."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command without the environment of this suite; what it printed."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PYTEST_", "AIOBATCH_", "PYTHONPATH", "VIRTUAL_ENV"))
    }
    ran = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, f"{' '.join(map(str, command))}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(TOOLS / "python", "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (path,) = dist.glob("aiobatch-*.tar.gz")
    return path


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("aiobatch-*-py3-none-any.whl")
    return path


@pytest.fixture(scope="session")
def native_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo here: the wheel of the compiled codec was not built")
    out = tmp_path_factory.mktemp("native")
    run(TOOLS / "maturin", "build", "--release", "--locked", "-m", "native/Cargo.toml", "-o", out)
    (path,) = out.glob("aiobatch_native-*.whl")
    return path


Environment = Callable[..., Path]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Makes an environment with these packages, of the pinned versions; its Python."""

    def make(*packages: str, pins: str = "high.lock.txt") -> Path:
        python = tmp_path / "venv" / "bin" / "python"
        run(TOOLS / "uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
        install = ("pip", "install", "--quiet", "--python", python)
        run(TOOLS / "uv", *install, "--constraint", ROOT / "requirements" / pins, *packages)
        return python

    return make
