"""The whole engine on virtual time: random calls, faults, cancellations and timeouts at any moment.

What reaches the wire is checked as it comes, every account when its call ends, and that nothing is
left behind when all are over.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import looptime
import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiobatch import BatchError, ClientClosed, DynamoDB, Retry, codec, limits
from aiobatch.engine import loop_time
from aiobatch.errors import ServiceError, WireError
from aiobatch.testing import Entry, FakeWire, Fault
from aiobatch.wire.protocol import Request

CONCURRENCY = 3
RETRIES = (
    Retry(max_retries=0),
    Retry(max_retries=1, base_delay=0.05),
    Retry(max_retries=4, base_delay=0.05),
    Retry.patient(),
)
FAULTS = (
    Fault.throttle(),
    Fault.hot_key_range(),
    Fault.partial(0.5),
    Fault.partial(0.9),
    Fault.internal_error(),
    Fault.internal_error(executed=True),
    Fault.unavailable(),
    Fault.write_conflict(),
    Fault.validation(),
    Fault.reset_before(),
    Fault.reset_after(),
    Fault.hang_up_before(),
    Fault.hang_up_after(),
    Fault.truncated(),
    Fault.wrong_checksum(),
    Fault.late_answer(0.4),
    Fault.late_answer(12.0),
    Fault.silence(),
    Fault.answer_by_arn(),
    Fault.access_denied(),
    Fault.malformed("empty_object"),
    Fault.malformed("stranger"),
    Fault.malformed("twice"),
    Fault.malformed("contradiction"),
    Fault.malformed("unknown_type"),
)
PAUSES = st.sampled_from([0.0, 0.001, 0.01, 0.1, 1.0, 20.0])
_caller: ContextVar["Caller"] = ContextVar("caller")


@dataclass
class Caller:
    """One call, as the wire must see it."""

    operation: str
    values: list[dict[str, Any]]
    retry: Retry
    in_flight: set[str] = field(default_factory=set)
    attempts: Counter[str] = field(default_factory=Counter)
    not_before: dict[str, float] = field(default_factory=dict)
    untimed: bool = False
    task: "asyncio.Task[None] | None" = None
    ended: dict[str, Any] | None = None


class WatchedWire(FakeWire):
    """A fake wire that holds every request to the rules."""

    def __init__(self) -> None:
        super().__init__({"users": ("pk",), "other": ("pk",)})
        self.resent: set[asyncio.Task[Any] | None] = set()
        self.violations: list[AssertionError] = []

    async def send(self, request: Request) -> bytes:
        caller = _caller.get(None)
        if caller is None or request.operation not in ("BatchGetItem", "BatchWriteItem"):
            return await super().send(request)
        try:
            keys = self._check(request, caller)
        except AssertionError as error:
            # The engine would pass it on as the cause of a BatchError.
            self.violations.append(error)
            raise
        caller.in_flight.update(keys)
        task = asyncio.current_task()
        try:
            body = await super().send(request)
        except WireError as error:
            if error.disconnected and task not in self.resent:
                # Sent again at once, and for free.
                self.resent.add(task)
            else:
                self._came_back(caller, keys)
            raise
        except ServiceError as error:
            if error.code != "ValidationException":  # sent again at once, in halves
                self._came_back(caller, keys)
            raise
        finally:
            caller.in_flight.difference_update(keys)
        self._came_back(caller, self._left(request.operation, body, caller, keys))
        return body

    def _check(self, request: Request, caller: Caller) -> list[str]:
        assert len(request.body) <= limits.REQUEST_MAX_BYTES
        asked = orjson.loads(request.body)["RequestItems"]["users"]
        if request.operation == "BatchGetItem":
            keys = [key["pk"]["S"] for key in asked["Keys"]]
            assert caller.operation == "get"
        else:
            written = [next(iter(one.values())) for one in asked]
            found = [next(iter(one.values())) for one in written]
            keys = [one["pk"]["S"] for one in found]
            if caller.operation == "put":
                last = {value["pk"]: value["n"] for value in caller.values}
                for one in found:
                    # Which is also how it is known that no request mixes two calls.
                    assert int(one["n"]["N"]) == last[one["pk"]["S"]], "not the last write"
        most = limits.BATCH_GET_MAX_KEYS
        if request.operation == "BatchWriteItem":
            most = limits.BATCH_WRITE_MAX_OPERATIONS
        assert 1 <= len(keys) <= most
        assert len(set(keys)) == len(keys), "a key twice in one request"
        assert set(keys) <= {value["pk"] for value in caller.values}
        assert not caller.in_flight & set(keys), "a key twice in flight"
        now = asyncio.get_running_loop().time()
        for key in keys:
            assert caller.untimed or now >= caller.not_before.get(key, 0.0) - 1e-5, "too early"
        return keys

    def _left(self, operation: str, body: bytes, caller: Caller, keys: list[str]) -> list[str]:
        try:
            if operation == "BatchGetItem":
                read = codec.read_answer(body, ("pk",), "native")
                named = [*read.left, *(identity for identity, _ in read.items)]
                left = read.left
            else:
                named = left = codec.write_answer(body, ("pk",)).left
            told = [orjson.loads(identity)["pk"]["S"] for identity in named]
            if len(set(told)) < len(told) or not set(told) <= set(keys):
                raise codec.Malformed("it names a key twice, or one that was not sent")
        except codec.Malformed:
            # Which of the entries this leaves over is not for the wire to know.
            caller.untimed = True
            return []
        return [orjson.loads(identity)["pk"]["S"] for identity in left]

    def _came_back(self, caller: Caller, keys: list[str]) -> None:
        now = asyncio.get_running_loop().time()
        for key in keys:
            caller.attempts[key] += 1
            if caller.retry.jitter == 0.0:
                caller.not_before[key] = now + caller.retry.delay(caller.attempts[key], 0.0)


class EngineMachine(RuleBasedStateMachine):
    """Calls of one client, in any order and ended in any way."""

    def __init__(self) -> None:
        super().__init__()
        # Slices of real time make other turns of the loop on a busy machine, and so other examples.
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(loop_time, "LOOP_SLICE", math.inf)
        self.loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), noop_cycles=0)
        self.callers: list[Caller] = []
        self.failures: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.failures.append(context))
        self.count = 0

    @initialize(latency=st.sampled_from([0.0, 0.003, 0.02]))
    def begin(self, latency: float) -> None:
        async def build() -> None:
            self.wire = WatchedWire()
            self.db = DynamoDB(
                wire=self.wire, max_concurrency=CONCURRENCY, key_names={"users": ("pk",)}
            )

        self.latency = latency
        self._run(build())
        self.wire.always(Fault.latency(latency))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    @property
    def running(self) -> list[Caller]:
        return [c for c in self.callers if c.task is not None and not c.task.done()]

    @rule(
        operation=st.sampled_from(["get", "put", "delete"]),
        numbers=st.sampled_from(
            [[], [1], [1, 2, 1, 1], [*range(30), *range(20, 40)], [*range(230)], [*range(60)] * 2]
        ),
        retry=st.sampled_from(RETRIES),
        timeout=st.sampled_from([None, None, None, 0.0, 0.004, 0.06, 0.3, 5.0]),
        faults=st.lists(st.sampled_from(FAULTS), max_size=6),
        pause=PAUSES,
    )
    def call(
        self,
        operation: str,
        numbers: list[int],
        retry: Retry,
        timeout: float | None,
        faults: list[Fault],
        pause: float,
    ) -> None:
        self.wire.script(faults)
        values: list[dict[str, Any]] = []
        for number in numbers:
            self.count += 1
            value: dict[str, Any] = {"pk": f"{number:03}"}
            values.append({**value, "n": self.count} if operation == "put" else value)
        caller = Caller(operation, values, retry)
        self.callers.append(caller)

        async def work() -> None:
            _caller.set(caller)
            try:
                if operation == "get":
                    answer: Any = await self.db.batch_get_item(
                        values, "users", retry=retry, timeout=timeout
                    )
                else:
                    answer = await self.db.batch_write_item(
                        values,
                        "users",
                        operation="put" if operation == "put" else "delete",
                        retry=retry,
                        timeout=timeout,
                    )
            except (BatchError, ClientClosed) as error:
                answer = error.response
            caller.ended = answer

        caller.task = self.loop.create_task(work())
        self._run(asyncio.sleep(pause))

    @rule(rate=st.sampled_from([5.0, 100.0, 2_000.0]))
    def limit(self, rate: float) -> None:
        self.wire.limit("users", read=rate, write=rate)

    @rule(number=st.integers(0, 60))
    def poison(self, number: int) -> None:
        def is_poisoned(entry: Entry) -> bool:
            return bool(entry.value["pk"] == {"S": f"{number:03}"})

        self.wire.always(Fault.validation(), entry=is_poisoned, table="users")

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    @precondition(lambda self: bool(self.running))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.running)).task
        assert task is not None
        task.cancel()

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert self.failures == []
        if hasattr(self, "wire"):
            assert self.wire.violations == []
            assert self.wire.peak_in_flight <= CONCURRENCY
        for caller in self.callers:
            if caller.task is not None and caller.task.done() and not caller.task.cancelled():
                assert caller.task.exception() is None
                assert caller.ended is not None
                self._check(caller, caller.ended)

    def _check(self, caller: Caller, answer: dict[str, Any]) -> None:
        if caller.operation == "get":
            fates = [item["pk"] for item in answer["Items"]]
            fates += [key["pk"] for key in answer["MissingKeys"] + answer["UnprocessedKeys"]]
            fates += [one["item"]["pk"] for one in answer.get("RejectedKeys", [])]
            asked = [value["pk"] for value in caller.values]
            # Until a call comes to tell its keys apart, each stands for itself.
            distinct = fates if not answer["Metrics"]["requests"] else sorted(set(asked))
            assert sorted(fates) == sorted(distinct)
            assert set(fates) == set(asked)
            assert answer["Count"] == len(answer["Items"])
            return
        ended = [
            *answer["UnprocessedItems"],
            *answer.get("UnknownItems", []),
            *(one["item"] for one in answer.get("RejectedItems", [])),
        ]
        assert len({id(value) for value in ended}) == len(ended)
        assert {id(value) for value in ended} <= {id(value) for value in caller.values}
        assert answer["ProcessedCount"] + len(ended) == len(caller.values)
        assert answer["UnprocessedCount"] == len(answer["UnprocessedItems"])

    def teardown(self) -> None:
        try:
            if hasattr(self, "wire"):
                self._end()
        finally:
            self.loop.close()
            self.patches.undo()

    def _end(self) -> None:
        self.wire.clear()
        self.wire.always(Fault.latency(0.01))
        tasks = [caller.task for caller in self.callers if caller.task is not None]

        async def all_end() -> None:
            async with asyncio.timeout(2_000.0):
                await asyncio.gather(*tasks, return_exceptions=True)
                engine = await self.db._engine()
                # Its coroutine ends a turn after the last who waited.
                await asyncio.sleep(0.02)
                assert asyncio.all_tasks() == {asyncio.current_task()}
                assert not engine.backoff._queue
                # Every slot is free again.
                self.wire.peak_in_flight = 0
                await self.db.batch_get_item([{"pk": str(n)} for n in range(500)], "other")
                assert self.wire.peak_in_flight == CONCURRENCY
                await self.db.aclose()
                assert self.wire.in_flight == 0

        self._run(all_end())
        self.nothing_went_wrong()


EngineMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=15, deadline=None, print_blob=True
)
TestEngineMachine = EngineMachine.TestCase
