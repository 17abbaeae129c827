"""The command in processes of its own, against a server that all tests share."""

import asyncio
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

    async def start(self, *arguments: str, **more: Any) -> asyncio.subprocess.Process:
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
            # The tests' own process may have been started with SIGINT ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **more,
        )

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> Ended:
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
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
