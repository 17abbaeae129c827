"""The dashboard application as a process of its own: uvicorn on a free loopback port."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.backends.process import running_server

ROOT = Path(__file__).resolve().parents[2]
APP = "examples.fastapi_dashboard.app:app"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """An application that answers, and where its data is."""

    url: str
    endpoint_url: str
    users_table: str
    products_table: str


def command(port: int) -> list[str]:
    return [
        *(sys.executable, "-W", "default", "-m", "uvicorn", APP),
        *("--host", "127.0.0.1", "--port", str(port), "--no-access-log"),
    ]


def environment(endpoint_url: str, name: str) -> dict[str, str]:
    return {
        "PYTHONPATH": os.fspath(ROOT),
        "DASHBOARD_ENDPOINT_URL": endpoint_url,
        "DASHBOARD_USERS_TABLE": f"{name}-users",
        "DASHBOARD_PRODUCTS_TABLE": f"{name}-products",
    }


def prepare(variables: Mapping[str, str]) -> None:
    """Make the tables and put the sample into them, as a user of the example would."""
    subprocess.run(
        [sys.executable, "-m", "examples.fastapi_dashboard.sample"],
        env={**os.environ, **variables},
        check=True,
        timeout=120,
    )


@contextlib.contextmanager
def dashboard(endpoint_url: str, name: str) -> Iterator[Dashboard]:
    variables = environment(endpoint_url, name)
    with running_server("dashboard", command, lambda port: variables) as url:
        yield Dashboard(
            url,
            endpoint_url,
            variables["DASHBOARD_USERS_TABLE"],
            variables["DASHBOARD_PRODUCTS_TABLE"],
        )
