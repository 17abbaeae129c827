"""Where the time of a call goes: CPU microseconds an item of about 20 values, part by part.

Run as ``python -m benchmarks.limits``, or ``make speed-limits``. Calls of one request each, of 100
keys or 25 items, sixteen at once, against canned answers, over the direct wire. Each codec has a
process of its own. The parts are measured one by one, in turn with the whole within each round, and
the figures are medians over the rounds. What the parts do not add up to is told too: a part that is
measured alone has the processor's caches for itself, and never waits for an answer.
"""

import argparse
import asyncio
import gc
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import markdown
from benchmarks.adapters import ACCESS_KEY, REGION, SECRET_KEY, Job, bare, sockets
from benchmarks.canned import ROOT, canned_server
from benchmarks.items import ITEMS_A_PUT, KEYS_A_GET, TABLE, answer_to_get, keys, make_items
from benchmarks.loops import run

SHAPE = "wide"
CONCURRENCY = 16
CODECS = {"native": "native", "plain": "python"}
PER_REQUEST = {"get": KEYS_A_GET, "put": ITEMS_A_PUT}
PARTS = {
    "call": "the whole call",
    "sockets": "the bytes over sockets alone",
    "exchange": "what the exchange over aiohttp's connections adds to that",
    "session": "instead, an aiohttp session would add",
    "wire": "what the direct wire adds to the exchange",
    "signing": "of which hash and signature",
    "codec": "encoding and decoding",
    "engine": "all else: arguments, plan, account, tasks",
    "caches": "what the parts do not add up to",
}

Work = Callable[[], Awaitable[object]]


class CannedWire:
    """Answers at once, with what the canned server would answer, and keeps the last bodies."""

    max_concurrency = CONCURRENCY

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers
        self.bodies: dict[str, bytes] = {}

    async def send(self, request: Any) -> bytes:
        self.bodies[request.operation] = request.body
        await asyncio.sleep(0)
        return self._answers[request.operation]

    async def aclose(self) -> None:
        """Nothing is open."""


async def cpu_of(work: Work, requests: int) -> float:
    """CPU seconds a request, sixteen at once."""
    left = requests

    async def pump() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await work()

    gc.collect()
    gc.freeze()
    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(pump())
    took = time.process_time() - began
    gc.unfreeze()
    return took / requests


@dataclass(frozen=True)
class _Credentials:
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    token: str | None = None


def codec_work(op: str) -> Work:
    """What the codec does for one request, and nothing else."""
    from benchmarks import codec_alone

    asked, items = keys(), make_items(SHAPE, ITEMS_A_PUT)
    answer = answer_to_get("t", make_items(SHAPE, KEYS_A_GET))

    async def get() -> None:
        codec_alone.decoded(answer, codec_alone.encoded_keys(asked))

    async def put() -> None:
        codec_alone.encoded_items(items)
        codec_alone.left_of(b'{"UnprocessedItems":{}}')

    return get if op == "get" else put


def signing_work(body: bytes) -> Work:
    """The hash and the signature of one request."""
    from aiobatch.wire.sigv4 import Signer

    signer = Signer(REGION, "dynamodb")
    credentials = _Credentials()

    async def sign() -> None:
        signer.sign(
            credentials,
            time.time(),
            host="localhost",
            target="DynamoDB_20120810.BatchGetItem",
            body_hash=hashlib.sha256(body).hexdigest(),
        )

    return sign


async def measure(url: str, requests: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds an item of every part, by operation, with the codec of this process."""
    from aiobatch import DynamoDB
    from aiobatch.wire.protocol import Request

    table = TABLE.format(shape=SHAPE)
    job = Job(endpoint_url=url, table=table, shape=SHAPE, concurrency=CONCURRENCY)
    asked, items = keys(), make_items(SHAPE, ITEMS_A_PUT)
    canned = CannedWire(
        {
            "BatchGetItem": answer_to_get(table, make_items(SHAPE, KEYS_A_GET)),
            "BatchWriteItem": b'{"UnprocessedItems":{}}',
        }
    )
    settings: dict[str, Any] = {"key_names": {table: ("pk",)}, "max_concurrency": CONCURRENCY}
    async with AsyncExitStack() as stack:
        real = await stack.enter_async_context(
            DynamoDB(
                wire="direct",
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
                **settings,
            )
        )
        alone = await stack.enter_async_context(DynamoDB(wire=canned, **settings))
        over_aiohttp = await stack.enter_async_context(bare.opened(job))
        over_sockets = await stack.enter_async_context(sockets.opened(job))
        wire: Any = (await real._engine()).wire
        await alone.batch_get_item(asked, table)
        await alone.batch_write_item(items, table)
        await real.batch_get_item(asked, table)
        (destination,) = wire._destinations.values()
        head = {"X-Amz-Target": "DynamoDB_20120810.{}", "X-Amz-Date": "-", "Authorization": "-"}
        heads = {
            operation: {**head, "X-Amz-Target": head["X-Amz-Target"].format(operation)}
            for operation in canned.bodies
        }
        get = Request("BatchGetItem", table, canned.bodies["BatchGetItem"])
        put = Request("BatchWriteItem", table, canned.bodies["BatchWriteItem"])
        works: dict[str, dict[str, Work]] = {
            "get": {
                "call": lambda: real.batch_get_item(asked, table),
                "sockets": over_sockets.get,
                "session": over_aiohttp.get,
                "exchange": lambda: destination.usual.post(heads["BatchGetItem"], get.body),
                "wire": lambda: wire.send(get),
                "engine": lambda: alone.batch_get_item(asked, table),
                "signing": signing_work(get.body),
                "codec": codec_work("get"),
            },
            "put": {
                "call": lambda: real.batch_write_item(items, table),
                "sockets": over_sockets.put,
                "session": over_aiohttp.put,
                "exchange": lambda: destination.usual.post(heads["BatchWriteItem"], put.body),
                "wire": lambda: wire.send(put),
                "engine": lambda: alone.batch_write_item(items, table),
                "signing": signing_work(put.body),
                "codec": codec_work("put"),
            },
        }
        return {
            op: await parts(of_op, PER_REQUEST[op], requests, rounds) for op, of_op in works.items()
        }


async def parts(works: dict[str, Work], items: int, requests: int, rounds: int) -> dict[str, float]:
    """What each part adds, in microseconds an item."""
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            samples[name].append(await cpu_of(work, requests) / items * 1e6)
    took = {name: statistics.median(found) for name, found in samples.items()}
    return {
        **took,
        "exchange": took["exchange"] - took["sockets"],
        "session": took["session"] - took["sockets"],
        "wire": took["wire"] - took["exchange"],
        "engine": took["engine"] - took["codec"],
        "caches": took["call"] - took["wire"] - took["engine"],
    }


def table_of(found: dict[str, dict[str, dict[str, float]]], rounds: int) -> list[str]:
    """The figures as Markdown."""
    columns = [(codec, op) for op in PER_REQUEST for codec in found]
    rows = [["CPU microseconds an item", *(f"{op}s, {codec}" for codec, op in columns)]]
    rows += [
        [told, *(f"{found[codec][op][part]:.2f}" for codec, op in columns)]
        for part, told in PARTS.items()
    ]
    return [
        *markdown.as_table(rows),
        "",
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors,"
        f" medians of {rounds} rounds.",
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table; with ``--write``, into a file."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--requests", type=int, default=800, help="a measurement (800)")
    options.add_argument("--write", type=Path, metavar="FILE", help="put the table into this file")
    options.add_argument("--url", help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.url is not None:
        print(json.dumps(run(measure(chosen.url, chosen.requests, chosen.rounds))))
        return
    found = {}
    with canned_server() as url:
        for codec, variable in CODECS.items():
            command = [sys.executable, "-m", "benchmarks.limits", "--url", url]
            command += ["--rounds", str(chosen.rounds), "--requests", str(chosen.requests)]
            told = subprocess.run(
                command,
                check=True,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, "AIOBATCH_CODEC": variable},
            )
            found[codec] = json.loads(told.stdout)
    lines = table_of(found, chosen.rounds)
    print("\n".join(lines))
    if chosen.write is not None:
        note = "<!-- Written by `make speed-limits`. Do not edit. -->"
        markdown.write_into(chosen.write, "limits", [note, "", *lines, ""])


if __name__ == "__main__":
    main()
