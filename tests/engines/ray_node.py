"""A Ray of one node, started ahead of the program that uses it, and ended with the block.

A program could leave that to `ray.init()`, which gives Ray's node 30 seconds to be known. Within
them, two agents in Python have to be up, because the node waits for the ports that they chose; a
busy machine takes longer. Here the ports are given, so the node waits for nobody, and it has no
dashboard and no monitor of logs to start beside it.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.backends.process import LEASH, end, free_port

SECONDS_TO_START = 180.0
SECONDS_TO_END = 30.0
# A port can be taken between our looking and Ray's binding.
ATTEMPTS = 3
# How long parts of Ray wait for each other, where nobody else sets the end.
PATIENCE = {
    "RAY_gcs_server_port_wait_time_s": "150",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
}


class RayUnavailable(Exception):
    """Ray did not start. The message has the ends of its logs."""


@contextlib.contextmanager
def ray_node(home: Path, more: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run Ray, and yield the environment of a program that uses it.

    Args:
        home: where Ray keeps the token by which its processes and its users know each other.
        more: the environment of Ray's workers: they have the node's, and not the program's.

    Raises:
        RayUnavailable: it did not start.
    """
    environment = {"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", **PATIENCE, **more}
    for attempt in range(1, ATTEMPTS + 1):
        # Not a directory of pytest's: the names of Ray's sockets would be too long for the system.
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as scratch:
            directory = Path(scratch)
            with (directory / "output.log").open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(LEASH), *_command(directory)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            try:
                address = _address_in_time(process, directory)
                if address is not None:
                    yield {**environment, "RAY_ADDRESS": address}
                    return
            finally:
                end(process, SECONDS_TO_END)
            if attempt == ATTEMPTS:
                raise RayUnavailable(
                    f"Ray did not start in {ATTEMPTS} attempts of up to {SECONDS_TO_START:.0f} s."
                    f"\n{_logs(directory)}"
                )


def _command(directory: Path) -> list[str]:
    return [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"),
        *("--node-ip-address=127.0.0.1", "--port=0", "--num-cpus=2"),
        f"--object-store-memory={100 << 20}",
        f"--temp-dir={directory}",
        *("--include-dashboard=false", "--include-log-monitor=false", "--disable-usage-stats"),
        *(
            f"--{name}={free_port()}"
            for name in (
                "dashboard-port",
                "dashboard-agent-listen-port",
                "dashboard-agent-grpc-port",
                "metrics-export-port",
                "runtime-env-agent-port",
            )
        ),
    ]


def _address_in_time(process: subprocess.Popen[bytes], directory: Path) -> str | None:
    deadline = time.monotonic() + SECONDS_TO_START
    # Ray writes it when the node is up.
    told = directory / "ray_current_cluster"
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            address = told.read_text().strip()
            if address:
                return address
        time.sleep(0.05)
    return None


def _logs(directory: Path) -> str:
    """The ends of what it printed and logged."""
    found = [directory / "output.log"]
    for pattern in ("raylet.*", "gcs_server.*", "runtime_env_agent.*", "dashboard_agent.*"):
        found += sorted(directory.glob(f"session_2*/logs/{pattern}"))
    ends = ((path, path.read_text(errors="replace").strip()[-2000:]) for path in found)
    return "\n".join(f"--- {path.name}\n{end}" for path, end in ends if end)
