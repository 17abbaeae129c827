"""The command in processes of its own, against a server that all tests share."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiobatch import DynamoDB
from tests.backends import Backend, servers
from tests.conftest import REGION


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.splitlines()]


# linux/prctl.h and linux/capability.h.
_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


def obey_permissions() -> None:
    """In a process about to run a command: let what files permit hold for root, too."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for power in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if prctl(_PR_CAPBSET_DROP, power, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "root keeps its power over files")


class Command:
    """Runs `python -m aiobatch` in a directory."""

    def __init__(self, url: str, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": REGION,
            "COLUMNS": "100",
        }

    async def start(
        self, *arguments: str, obeys: bool = False, **more: Any
    ) -> asyncio.subprocess.Process:
        """Start it; one that ``obeys`` is held to the permissions of files even as root."""

        def prepare() -> None:
            # The tests' own process may have been started with SIGINT ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if obeys:
                obey_permissions()

        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "aiobatch",
            *arguments,
            cwd=self.directory,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=prepare,
            **more,
        )

    async def __call__(self, *arguments: str, stdin: bytes = b"", obeys: bool = False) -> Ended:
        process = await self.start(*arguments, obeys=obeys)
        out, err = await asyncio.wait_for(process.communicate(stdin), 180)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture(scope="session")
def server(_isolated_environment: None) -> Iterator[Backend]:
    """ministack, whatever backends are selected: what is tested here is the command."""
    with servers.ministack() as backend:
        yield backend


@pytest.fixture
def command(server: Backend, tmp_path: Path) -> Command:
    return Command(server.endpoint_url, tmp_path)


@pytest.fixture
async def db(server: Backend) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(
        endpoint_url=server.endpoint_url, region_name=REGION, numbers="decimal"
    ) as db:
        yield db


def lines(*rows: Sequence[str]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()
