"""The load generator: so many clients, each of which asks again as soon as it has its answer.

Run as ``python -m benchmarks.dashboard.load JSON``; prints one line of JSON. It is written against
the socket, because a full HTTP client would take more CPU time than the application under test.
Every answer is checked: its status, its length, and the user's name in it.
"""

import asyncio
import contextlib
import json
import math
import re
import sys
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from benchmarks.dashboard.data import USERS, name_of, user_id
from benchmarks.dashboard.loops import run

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class BadAnswer(Exception):
    """The application answered with something else than the dashboard asked for."""


@dataclass(slots=True)
class Plan:
    """What is to be done.

    Attributes:
        port: where the application listens, on 127.0.0.1.
        clients: how many ask at once, each on a connection of its own.
        seconds: how long it counts, after ``warm_up`` seconds that do not count.
        requests: it ends earlier when so many have been answered in the time that counts.
        seed: which users are asked for.
    """

    port: int
    clients: int
    seconds: float
    warm_up: float
    requests: int
    seed: int


@dataclass(slots=True)
class Counted:
    """What was seen. ``answered`` counts all, ``latencies`` are of the time that counts."""

    begins: float
    ends: float
    requests: int
    latencies: list[float] = field(default_factory=list)
    last: float = 0.0
    answered: int = 0

    def note(self, sent: float, now: float) -> bool:
        """Count an answer. Whether there should be another request."""
        self.answered += 1
        if now >= self.ends or len(self.latencies) >= self.requests:
            return False
        if now >= self.begins:
            self.latencies.append(now - sent)
            self.last = now
        return True


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, counted: Counted, random: Random, done: asyncio.Future[None]) -> None:
        self._counted = counted
        self._random = random
        self._done = done
        self._buffer = b""
        self._sent = 0.0
        self._name = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or BadAnswer("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[: end + 2]
        length = _LENGTH.search(head)
        if length is None:
            self._end(BadAnswer("an answer without a length"))
            return
        if len(self._buffer) < end + 4 + int(length[1]):
            return
        body, self._buffer = self._buffer[end + 4 :], b""
        if len(body) != int(length[1]) or not head.startswith(b"HTTP/1.1 200 "):
            self._end(BadAnswer(f"{head.splitlines()[0]!r}: {body[:300]!r}"))
        elif self._name not in body:
            self._end(BadAnswer(f"{self._name!r} is not in {body[:300]!r}"))
        elif self._counted.note(self._sent, time.perf_counter()):
            self._ask()
        else:
            self._end(None)

    def _ask(self) -> None:
        assert self._transport is not None
        number = self._random.randrange(USERS)
        self._name = name_of(number).encode()
        self._sent = time.perf_counter()
        self._transport.write(
            b"GET /api/users/%s/dashboard HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
            % user_id(number).encode()
        )

    def _end(self, error: Exception | None) -> None:
        if not self._done.done():
            if error is None:
                self._done.set_result(None)
            else:
                self._done.set_exception(error)
        if self._transport is not None:
            self._transport.close()


async def generate(plan: Plan) -> dict[str, Any]:
    """Ask, and tell how it went.

    Raises:
        BadAnswer: an answer was not the dashboard that was asked for.
        TimeoutError: the application hangs.
    """
    loop = asyncio.get_running_loop()
    random = Random(plan.seed)
    begins = time.perf_counter() + plan.warm_up
    counted = Counted(begins, begins + plan.seconds, plan.requests)
    clients: list[asyncio.Future[None]] = [loop.create_future() for _ in range(plan.clients)]
    cpu = time.process_time()
    transports: list[asyncio.BaseTransport] = []
    try:
        async with asyncio.timeout(plan.warm_up + plan.seconds + 30):
            for done in clients:
                transport, _ = await loop.create_connection(
                    lambda done=done: Client(counted, random, done),  # type: ignore[misc]
                    "127.0.0.1",
                    plan.port,
                )
                transports.append(transport)
            await asyncio.gather(*clients)
    finally:
        for open_one in transports:
            open_one.close()
        for done in clients:
            done.cancel()
    return told(counted, time.process_time() - cpu)


def told(counted: Counted, cpu: float) -> dict[str, Any]:
    """The figures of a run."""
    latencies = sorted(counted.latencies)
    if not latencies:
        raise BadAnswer("no answer came in the time that counts")
    return {
        "answered": counted.answered,
        "requests": len(latencies),
        "seconds": counted.last - counted.begins,
        "p50": quantile(latencies, 0.50),
        "p99": quantile(latencies, 0.99),
        "cpu": cpu,
    }


def quantile(ordered: list[float], share: float) -> float:
    """The least value that so large a share of all does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(run(generate(Plan(**json.loads(sys.argv[1]))))))
