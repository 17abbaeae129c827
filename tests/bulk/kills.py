"""Work that is killed at random moments, and started again until it ends by itself."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiobatch import codec
from aiobatch.bulk.formats import open_reader
from aiobatch.bulk.sources import resolve
from aiobatch.testing import Entry, Fault, FaultProxy
from tests.bulk import rows
from tests.bulk.memory import peak_kb

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Killed:
    """What came of it.

    Attributes:
        starts: how often it was started.
        kills: how often it was killed.
        accepted: writes that the table took, as answers told.
        requests: how many of the kind that the kills were told by.
        last: what the last process printed.
        peak_kb: the most memory that any of them took.
    """

    starts: int = 0
    kills: int = 0
    accepted: int = 0
    requests: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    peak_kb: int = 0


class _Killer:
    """Kills a process when so many writes have come by, on the way to the table."""

    def __init__(self, process: asyncio.subprocess.Process, after: int, *, measures: bool) -> None:
        self._measures = measures
        self._process = process
        self._left = after
        self.peak_kb = 0
        self.has_killed = False

    def sees(self, _entry: Entry) -> bool:
        self._left -= 1
        if self._left == 0 and self._process.returncode is None:
            if self._measures:
                self.peak_kb = peak_kb(self._process.pid)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
                self.has_killed = True
        return False


async def killed_load(
    proxy: FaultProxy,
    settings: Mapping[str, Any],
    *,
    kills: int,
    total: int,
    seed: int,
    faults: Mapping[Fault, float] | None = None,
    measures: bool = False,
) -> Killed:
    """Load through a proxy, killed so many times at random moments.

    Args:
        proxy: in front of the table.
        settings: for the child, without its endpoint.
        kills: how often.
        total: how many rows there are: the kills are spread over them.
        seed: for the moments.
        faults: what the proxy does at random.
        measures: look at the memory of those that are killed, too.
    """
    moments = random.Random(seed)
    told = Killed()
    given = json.dumps({**settings, "endpoint_url": proxy.endpoint_url})
    while True:
        process = await _start("load", given)
        told.starts += 1
        after = moments.randint(1, 2 * total // (kills + 2)) if told.kills < kills else 0
        killer = _Killer(process, after, measures=measures)
        proxy.clear()
        proxy.always(Fault.none(), operation="BatchWriteItem", entry=killer.sees)
        if faults:
            proxy.randomly(faults, seed=seed + told.starts, operation="BatchWriteItem")
        output, errors = await process.communicate()
        told.peak_kb = max(told.peak_kb, killer.peak_kb)
        if killer.has_killed:
            told.kills += 1
            continue
        if process.returncode != 0:
            raise AssertionError(f"the load failed: {errors.decode()[-3000:]}")
        told.last = json.loads(output)
        told.peak_kb = max(told.peak_kb, told.last["peak_kb"])
        told.accepted = _accepted(proxy)
        return told


async def killed_scan(
    proxy: FaultProxy,
    work: str,
    settings: Mapping[str, Any],
    *,
    kills: int,
    pages: int,
    seed: int,
    operation: str = "Scan",
    measures: bool = False,
) -> Killed:
    """Export, copy or get through a proxy, killed so many times at random moments.

    Args:
        proxy: in front of the table.
        work: see ``tests.bulk.child``.
        settings: for the child, without its endpoint.
        kills: how often.
        pages: how many requests it takes without a kill: the kills are spread over them.
        seed: for the moments.
        operation: the requests that are counted.
        measures: look at the memory of those that are killed, too.
    """
    moments = random.Random(seed)
    told = Killed()
    given = json.dumps({**settings, "endpoint_url": proxy.endpoint_url})
    while True:
        before = _count(proxy, operation)
        process = await _start(work, given)
        told.starts += 1
        ended = asyncio.ensure_future(process.communicate())
        if told.kills < kills:
            after = before + moments.randint(1, 2 * pages // (kills + 2))
            while _count(proxy, operation) < after and not ended.done():
                await asyncio.wait([ended], timeout=0.002)
            # Not always at a request: it also writes, syncs, and brings the file into its form.
            await asyncio.wait([ended], timeout=moments.uniform(0.0, 0.03))
            if not ended.done():
                if measures:
                    told.peak_kb = max(told.peak_kb, peak_kb(process.pid))
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        output, errors = await ended
        if process.returncode == -signal.SIGKILL:
            told.kills += 1
            continue
        if process.returncode != 0:
            raise AssertionError(f"{work} failed: {errors.decode()[-3000:]}")
        told.last = json.loads(output)
        told.peak_kb = max(told.peak_kb, told.last["peak_kb"])
        told.accepted = _accepted(proxy)
        told.requests = _count(proxy, operation)
        return told


async def _start(work: str, settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bulk.child",
        work,
        settings,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def _count(proxy: FaultProxy, operation: str) -> int:
    return sum(request.operation == operation for request in proxy.requests)


def _accepted(proxy: FaultProxy) -> int:
    return sum(
        request.entries - request.refused
        for request in proxy.requests
        if request.operation == "BatchWriteItem" and request.status == 200
    )


async def differences(
    client: "DynamoDBClient", table: str, total: range, *, broken: bool = False
) -> list[str]:
    """Where a table is not what the rows make of it; by key, and at most a few of them."""
    expected = rows.last_rows(total, broken=broken)
    wrong = []
    async for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for typed in page["Items"]:
            item = codec.decode_item(typed, "native")
            row = expected.pop(item["pk"], None)
            if row is None or item != rows.item(row):
                wrong.append(f"{item['pk']} holds row {item.get('n')}, not {row}")
    wrong += [f"{pk} is missing" for pk in expected]
    return wrong[:10]


def wrong_export(path: Path, total: range) -> list[str]:
    """Where a file does not hold each item of a table once, as it is; at most a few of them."""
    source = resolve(path)[0]
    expected = rows.last_rows(total, broken=True)
    wrong = []
    with source.open() as stream:
        for row in open_reader(stream, source.format).rows():
            assert row.item is not None, row.reason
            number = expected.pop(row.item["pk"], None)
            if number is None or row.item != rows.item(number):
                wrong.append(f"{row.item['pk']} is there twice, or holds row {row.item.get('n')}")
    wrong += [f"{pk} is missing" for pk in expected]
    return wrong[:10]


def wrong_letters(letters: Sequence[Path], total: range) -> list[str]:
    """Where the dead letters are not each broken row, once and in order."""
    found = []
    reasons = 0
    for path in letters:
        header, *lines = path.read_text().splitlines(keepends=True)
        assert header == rows.HEADER
        found += lines
        reasons += len(path.with_name(f"{path.name}.reasons.jsonl").read_text().splitlines())
    expected = list(rows.broken(total))
    if found == expected and reasons == len(expected):
        return []
    return [f"{len(found)} dead letters and {reasons} reasons for {len(expected)} broken rows"]
