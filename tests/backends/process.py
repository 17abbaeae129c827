"""Backends that are processes: start on a free loopback port, wait until they answer, end."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tests.backends.model import BackendUnavailable

LEASH = Path(__file__).with_name("leash.py")
SECONDS_TO_START = 30.0
SECONDS_TO_END = 5.0
# Another process can take the free port between our looking and the server's binding.
ATTEMPTS = 3


@contextlib.contextmanager
def running_server(
    name: str,
    command: Callable[[int], list[str]],
    environment: Callable[[int], Mapping[str, str]] = lambda port: {},
) -> Iterator[str]:
    """Runs `command(port)` until the block ends, and yields its URL once it answers."""
    with tempfile.TemporaryDirectory(prefix=f"aiobatch-{name}-") as scratch:
        log = Path(scratch, "output.log")
        for attempt in range(1, ATTEMPTS + 1):
            port = free_port()
            with log.open("wb") as output:
                process = _start(command(port), environment(port), Path(scratch), output)
            try:
                if _answers_in_time(process, port):
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                end(process)
            if attempt == ATTEMPTS:
                raise BackendUnavailable(
                    f"{name} did not answer on 127.0.0.1 after {ATTEMPTS} attempts. "
                    f"Its last output:\n{log.read_text(errors='replace')[-2000:]}"
                )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether an HTTP server answers at the URL, whatever it says."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()


def _start(
    command: list[str], environment: Mapping[str, str], directory: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -I and -S: the leash needs no site-packages, and starts faster without them.
        [sys.executable, "-I", "-S", str(LEASH), *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def _answers_in_time(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        if answers(f"http://127.0.0.1:{port}"):
            # Not somebody else's server on the port that ours failed to bind.
            return process.poll() is None
        time.sleep(0.05)
    return False


def end(process: subprocess.Popen[bytes], seconds: float = SECONDS_TO_END) -> None:
    """Let go of a process that ends with its standard input; one that takes longer is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
