"""The loader over a fake DynamoDB, on virtual time."""

import asyncio
import gc
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Any

import orjson
import pytest
from botocore.exceptions import ProfileNotFound
from hypothesis import assume, given
from hypothesis import strategies as st

from aiobatch import (
    AccessDenied,
    BatchError,
    ClientClosed,
    DynamoDB,
    InvalidItem,
    Loader,
    ModelMismatch,
    Retry,
    ServiceError,
    Throttled,
    codec,
)
from aiobatch.loader import _shape_of
from aiobatch.testing import Entry, FakeWire, Fault

pytestmark = pytest.mark.looptime

GET = "BatchGetItem"


def key(number: int) -> dict[str, str]:
    return {"pk": f"user-{number}"}


def item(number: int) -> dict[str, Any]:
    return {**key(number), "n": number, "tags": [{"deep": {"x"}}]}


@pytest.fixture
def wire() -> FakeWire:
    wire = FakeWire({"users": ("pk",)}, record_bodies=True)
    wire.put("users", [item(number) for number in range(1000)])
    return wire


@pytest.fixture
async def db(wire: FakeWire) -> AsyncIterator[DynamoDB]:
    async with DynamoDB(wire=wire, retry=Retry(max_retries=1)) as db:
        yield db


def is_key(number: int) -> Any:
    def matches(entry: Entry) -> bool:
        return bool(entry.value["pk"] == {"S": f"user-{number}"})

    return matches


def asked_for(wire: FakeWire) -> list[list[str]]:
    bodies = [orjson.loads(request.body or b"") for request in wire.requests]
    return [[one["pk"]["S"] for one in body["RequestItems"]["users"]["Keys"]] for body in bodies]


# --- batches ---


async def test_a_thousand_loads_of_a_hundred_keys_are_one_request(
    db: DynamoDB, wire: FakeWire
) -> None:
    users = db.loader("users")
    found = await asyncio.gather(*[users.load(key(number % 100)) for number in range(1000)])
    assert found == [item(number % 100) for number in range(1000)]
    assert [request.entries for request in wire.requests] == [100]
    stats = users.stats
    assert (stats.loads, stats.joined, stats.batches) == (1000, 900, 1)
    assert (stats.keys, stats.found, stats.missing, stats.failed) == (100, 100, 0, 0)


async def test_more_keys_than_a_batch_has_make_several(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", max_batch=30)
    found = await asyncio.gather(*[users.load(key(number)) for number in range(100)])
    assert found == [item(number) for number in range(100)]
    assert sorted(request.entries for request in wire.requests) == [10, 30, 30, 30]


async def test_missing_items_are_none(db: DynamoDB) -> None:
    users = db.loader("users")
    assert await users.load({"pk": "nobody"}) is None
    assert users.stats.missing == 1


async def test_the_options_of_a_read_are_those_of_a_batch(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader(
        "users",
        projection_expression="#n, tags",
        expression_attribute_names={"#n": "n"},
        consistent_read=True,
    )
    assert await users.load(key(3)) == {"n": 3, "tags": [{"deep": {"x"}}]}
    body = orjson.loads(wire.requests[0].body or b"")
    assert body["RequestItems"]["users"]["ConsistentRead"] is True


async def test_loads_of_another_turn_make_another_batch(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users")
    first = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(users.load(key(2)))
    assert list(await asyncio.gather(first, second)) == [item(1), item(2)]
    assert asked_for(wire) == [["user-1"], ["user-2"]]


async def test_loads_within_max_wait_make_one_batch(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", max_wait=0.010)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def later(number: int) -> Any:
        await asyncio.sleep(number * 0.001)
        return await users.load(key(number))

    assert await asyncio.gather(*map(later, range(9))) == [item(number) for number in range(9)]
    assert [request.entries for request in wire.requests] == [9]
    assert loop.time() - began == pytest.approx(0.010)


async def test_a_batch_that_waits_for_a_slot_is_joined(wire: FakeWire) -> None:
    """Under load there is no slot for each turn of the loop: the batches become larger instead."""
    wire.always(Fault.late_answer(1.0))
    async with DynamoDB(wire=wire, max_concurrency=1) as db:
        users = db.loader("users")

        async def later(number: int) -> Any:
            await asyncio.sleep(number * 0.01)
            return await users.load(key(number))

        loads = [asyncio.create_task(later(number)) for number in range(50)]
        await asyncio.sleep(0.6)
        # The second batch has not left: what it reads is what there is when it does.
        wire.put("users", [{**key(7), "n": "new"}])
        found = await asyncio.gather(*loads)
    assert found == [{**key(7), "n": "new"} if at == 7 else item(at) for at in range(50)]
    assert [request.entries for request in wire.requests] == [1, 49]


async def test_a_full_batch_that_waits_is_not_joined(wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    async with DynamoDB(wire=wire, max_concurrency=1) as db:
        users = db.loader("users", max_batch=20)
        loads = [asyncio.create_task(users.load(key(0)))]
        await asyncio.sleep(0.1)
        for number in range(1, 51):
            loads.append(asyncio.create_task(users.load(key(number))))
            await asyncio.sleep(0)
        assert await asyncio.gather(*loads) == [item(number) for number in range(51)]
    assert [request.entries for request in wire.requests] == [1, 20, 20, 10]


async def test_a_batch_that_a_throttled_table_makes_wait_is_joined(wire: FakeWire) -> None:
    wire.limit("users", read=20.0, burst=0.5)
    async with DynamoDB(wire=wire, retry=Retry.patient()) as db:
        users = db.loader("users")

        async def later(number: int) -> Any:
            await asyncio.sleep(number * 0.01)
            return await users.load(key(number))

        found = await asyncio.gather(*map(later, range(200)))
        engine = await db._engine()
        assert engine.governor("users", "read").pace.rate is not None
        assert engine._slots._semaphore._value == engine.max_concurrency
    assert found == [item(number) for number in range(200)]
    # 200 loads at 200 different times.
    assert users.stats.batches < 40


@pytest.mark.parametrize("why", ["no slot", "throttled"])
async def test_cancelled_while_it_waits_for_its_turn(wire: FakeWire, why: str) -> None:
    async with DynamoDB(wire=wire, max_concurrency=1, key_names={"users": ("pk",)}) as db:
        engine = await db._engine()
        governor = engine.governor("users", "read")
        if why == "throttled":
            now = asyncio.get_running_loop().time()
            governor.spend(10, now)
            governor.pace.throttled(now + 0.01, sent_at=now)
            governor.spend(1000, now)
        else:
            await engine._slots.acquire()
        users = db.loader("users")
        loads = [asyncio.create_task(users.load(key(number))) for number in range(3)]
        await asyncio.sleep(0.5)
        assert wire.requests == []
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        await asyncio.sleep(0)
        if why == "no slot":
            engine._slots.release()
        assert engine._slots._semaphore._value == 1
        assert await users.load(key(7)) == item(7)
    assert [request.entries for request in wire.requests] == [1]


async def test_a_full_batch_does_not_wait(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", max_wait=60.0, max_batch=5)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*[users.load(key(number)) for number in range(5)])
    assert asyncio.get_running_loop().time() == pytest.approx(began)


async def test_no_answer_is_older_than_its_load(db: DynamoDB, wire: FakeWire) -> None:
    """A load of a key that is under way is not answered by what was read before it."""
    wire.always(Fault.late_answer(1.0))
    users = db.loader("users")
    old = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0.5)
    wire.put("users", [{**key(1), "n": "new"}])
    new = asyncio.create_task(users.load(key(1)))
    assert list(await asyncio.gather(old, new)) == [item(1), {**key(1), "n": "new"}]
    assert len(wire.requests) == 2


async def test_equal_keys_of_other_types_are_one() -> None:
    wire = FakeWire({"numbers": {"n": "N"}})
    wire.put("numbers", [{"n": 5}])
    async with DynamoDB(wire=wire) as db:
        numbers = db.loader("numbers")
        found = await asyncio.gather(numbers.load({"n": 5}), numbers.load({"n": 5.0}))
    assert list(found) == [{"n": 5}, {"n": 5}]
    assert [request.entries for request in wire.requests] == [1]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.one_of(
            st.text(min_size=1), st.integers(), st.binary(min_size=1), st.just('a":{"S":"b"}')
        ),
        min_size=1,
        max_size=2,
    )
)
def test_keys_of_one_shape_have_the_same_names_and_types(given: dict[str, Any]) -> None:
    try:
        identity = codec.encode_key(given, None, None)
    except codec.Refusal:
        assume(False)
    schema = codec.KeySchema.from_key(given)
    typed = orjson.loads(identity)
    types = "".join(next(iter(typed[name])) for name in typed).encode()
    assert _shape_of(identity, None) == (tuple(typed), types)
    assert _shape_of(codec.encode_key(given, schema, None), schema) == (tuple(typed), types)


@pytest.mark.parametrize("cached", [False, True])
async def test_each_caller_gets_an_item_of_its_own(db: DynamoDB, cached: bool) -> None:
    users = db.loader("users", cache={} if cached else None)
    found = await asyncio.gather(*[users.load(key(1)) for _ in range(5)])
    for one in found:
        assert one == item(1)
        assert one is not None
        one["tags"][0]["deep"].add("mine")
        one["n"] = -1
    assert await users.load(key(1)) == item(1)


# --- models ---


@dataclass
class User:
    """Refuses a number below 0, as a model does that checks."""

    pk: str
    n: int
    tags: Any = None

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"secret {self.n}")


@pytest.mark.parametrize("cached", [False, True])
async def test_each_caller_gets_an_object_of_its_own(
    db: DynamoDB, wire: FakeWire, cached: bool
) -> None:
    users = db.loader("users", model=User, cache={} if cached else None)
    found = await asyncio.gather(*[users.load(key(1)) for _ in range(5)])
    for one in found:
        assert one == User(**item(1))
        assert one is not None
        one.tags[0]["deep"].add("mine")
        one.n = -1
    assert await users.load(key(1)) == User(**item(1))
    assert await users.load_many([key(2), {"pk": "nobody"}, key(2)]) == [
        User(**item(2)),
        None,
        User(**item(2)),
    ]
    if cached:
        # What was remembered is no object, so loaders of several models may share a cache.
        assert sum(request.entries for request in wire.requests) == 3


@pytest.mark.parametrize("cached", [False, True])
async def test_what_a_model_refuses_harms_its_caller_alone(
    db: DynamoDB, wire: FakeWire, cached: bool
) -> None:
    wire.put("users", [{**key(1), "n": -1}])
    users = db.loader("users", model=User, cache={} if cached else None)
    found = await asyncio.gather(
        *[users.load(key(number)) for number in (0, 1, 1, 2)], return_exceptions=True
    )
    assert [found[0], found[3]] == [User(**item(0)), User(**item(2))]
    for refused in found[1:3]:
        assert isinstance(refused, ModelMismatch)
        assert (refused.model, refused.table_name) == ("User", "users")
        assert isinstance(refused.errors[0], ValueError)
        assert refused.response["Items"] == [{**key(1), "n": -1}]
        assert refused.response["UnprocessedKeys"] == []
        assert "secret" not in str(refused)
        assert refused.__cause__ is refused.__context__ is None
    assert found[1] is not found[2]
    assert [request.entries for request in wire.requests] == [3]
    assert (users.stats.found, users.stats.failed) == (3, 0)
    # Where the answer comes from the cache, too.
    with pytest.raises(ModelMismatch):
        await users.load(key(1))


async def test_load_many_names_the_place_that_a_model_refuses(db: DynamoDB, wire: FakeWire) -> None:
    wire.put("users", [{**key(7), "n": -7}, {**key(8), "n": -8}])
    users = db.loader("users", model=User)
    with pytest.raises(ModelMismatch, match="the item of key 1 ") as caught:
        await users.load_many([key(1), key(7), key(8), key(2)])
    assert list(caught.value.errors) == [1]
    found = await users.load_many([key(1), key(7), {"pk": ""}, key(2)], return_exceptions=True)
    assert [found[0], found[3]] == [User(**item(1)), User(**item(2))]
    assert isinstance(found[1], ModelMismatch)
    assert isinstance(found[2], InvalidItem)


async def test_a_model_holds_the_loop_no_longer_than_a_slice(db: DynamoDB, wire: FakeWire) -> None:
    """Objects of many items are made with others' turns in between."""
    made = turns = 0

    def slow(item: dict[str, Any]) -> int:
        nonlocal made
        began = perf_counter()
        while perf_counter() - began < 0.003:
            pass
        made += 1
        return int(item["n"])

    async def others() -> None:
        nonlocal turns
        while made < 20:
            turns += made > 0
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    found = await db.loader("users", model=slow).load_many([key(number) for number in range(20)])
    assert found == list(range(20))
    await other
    assert turns >= 19


# --- cancellation ---


async def test_a_cancelled_caller_harms_no_other(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    users = db.loader("users")
    loads = [asyncio.create_task(users.load(key(number // 2))) for number in range(10)]
    await asyncio.sleep(0.5)
    loads[0].cancel()
    loads[4].cancel()
    loads[5].cancel()
    found = await asyncio.gather(*loads, return_exceptions=True)
    for at, one in enumerate(found):
        if at in (0, 4, 5):
            assert isinstance(one, asyncio.CancelledError)
        else:
            assert one == item(at // 2)
    assert users.stats.cancelled == 3


async def test_a_key_that_nobody_waits_for_is_not_read(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", max_wait=1.0)
    loads = [asyncio.create_task(users.load(key(number))) for number in range(3)]
    await asyncio.sleep(0.5)
    loads[1].cancel()
    await asyncio.gather(*loads, return_exceptions=True)
    assert asked_for(wire) == [["user-0", "user-2"]]


@pytest.mark.parametrize("when", [0.5, 1.5])
async def test_a_batch_that_nobody_waits_for_is_given_up(
    db: DynamoDB, wire: FakeWire, when: float
) -> None:
    wire.always(Fault.latency(10.0))
    users = db.loader("users", max_wait=1.0)
    before = asyncio.all_tasks()
    loads = [asyncio.create_task(users.load(key(number))) for number in range(3)]
    await asyncio.sleep(when)
    for load in loads:
        load.cancel()
    await asyncio.gather(*loads, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert wire.in_flight == 0
    assert len(wire.requests) == (0 if when < 1.0 else 1)
    # And the loader goes on.
    wire.clear()
    assert await users.load(key(1)) == item(1)


async def test_nobody_joins_a_batch_that_is_given_up(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    users = db.loader("users", cache={})
    first = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0.5)
    first.cancel()
    # This one comes when the first has left, and its batch has not ended yet.
    second = asyncio.create_task(users.load(key(1)))
    assert await second == item(1)
    assert len(wire.requests) == 2


async def test_an_error_that_nobody_waits_for_any_more_is_not_logged(
    db: DynamoDB, wire: FakeWire
) -> None:
    """The loop would complain of an exception that nobody retrieved."""
    wire.always(Fault.access_denied(), entry=is_key(120))
    wire.always(Fault.silence(), entry=is_key(0))
    users = db.loader("users")
    many = asyncio.create_task(users.load_many([key(number) for number in range(150)]))
    await asyncio.sleep(1.0)
    assert users.stats.failed == 50
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    del many
    gc.collect()


async def test_ten_thousand_random_cancellations(wire: FakeWire) -> None:
    """None is stuck, and no other caller is touched."""
    random = Random(5)
    wire.randomly({Fault.latency(0.02): 0.5, Fault.latency(0.3): 0.2}, seed=5)
    wire.randomly({Fault.hot_key_range(): 0.05, Fault.internal_error(): 0.05}, seed=6)
    cancelled = answered = 0
    async with DynamoDB(wire=wire, max_concurrency=8) as db:
        loaders = [
            db.loader("users"),
            db.loader("users", max_wait=0.01, max_batch=20),
            db.loader("users", cache={}),
        ]

        async def handler(number: int) -> None:
            nonlocal cancelled, answered
            await asyncio.sleep(random.random() * 2)
            wanted = random.randrange(1100)
            expected = item(wanted) if wanted < 1000 else None
            load = asyncio.create_task(random.choice(loaders).load(key(wanted)))
            if number % 3 == 0:
                assert await load == expected
                answered += 1
                return
            # From before its first step to after its answer.
            patience = random.choice((0.0, 0.0, 0.001, 0.02, 0.1, 0.4))
            if patience:
                await asyncio.sleep(random.random() * patience)
            else:
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
            asked = load.cancel()
            try:
                assert await load == expected
                assert not asked
            except asyncio.CancelledError:
                assert asked
            cancelled += 1

        async with asyncio.timeout(600), asyncio.TaskGroup() as group:
            for number in range(15_000):
                group.create_task(handler(number))
        for loader in loaders:
            assert not loader._unsent
            assert not loader._open
            assert not loader._under_way
        engine = await db._engine()
        assert engine._slots._semaphore._value == 8
    assert (cancelled, answered) == (10_000, 5_000)
    assert sum(loader.stats.cancelled for loader in loaders) > 2_000
    assert wire.in_flight == 0


# --- errors ---


async def test_a_key_that_is_none_harms_its_caller_alone(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users")
    found = await asyncio.gather(
        users.load(key(1)),
        users.load({"pk": ""}),
        users.load({"pk": 1.5j}),
        users.load("user-1"),
        users.load(key(2)),
        return_exceptions=True,
    )
    assert [found[0], found[4]] == [item(1), item(2)]
    for refused in found[1:4]:
        assert isinstance(refused, InvalidItem)
        assert refused.index is None
    assert [request.entries for request in wire.requests] == [2]


async def test_keys_of_another_shape_harm_their_callers_alone(db: DynamoDB, wire: FakeWire) -> None:
    """Where nothing is known of the table: wrong names, and wrong types, before any good one."""
    users = db.loader("users")
    wrong: list[Any] = [{"id": "a"}, {"pk": 1}, {"pk": 2}, {"pk": 3}, {"pk": "a", "sk": "b"}]
    found = await asyncio.gather(
        *[users.load(one) for one in wrong],
        *[users.load(key(number)) for number in range(50)],
        return_exceptions=True,
    )
    assert found[5:] == [item(number) for number in range(50)]
    for refused in found[:5]:
        assert isinstance(refused, BatchError)
        # The request itself may be wrong, for all that is known where nothing went through.
        assert "RejectedKeys" in refused.response or isinstance(refused.cause, ServiceError)
    # Once the names are known, it is refused before it joins anything.
    await users.load(key(1))
    wire.requests.clear()
    for _ in range(3):
        with pytest.raises(InvalidItem):
            await users.load({"id": "a"})
    # The names might have been old: they are asked for again.
    assert [request.operation for request in wire.requests] == ["DescribeTable"]


async def test_a_rejected_key_harms_its_callers_alone(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.validation(), operation=GET, entry=is_key(7))
    users = db.loader("users")
    given = key(7)
    found = await asyncio.gather(
        *[users.load(key(number)) for number in range(20)],
        users.load(given),
        return_exceptions=True,
    )
    for number in range(20):
        if number != 7:
            assert found[number] == item(number)
    for refused, own in ((found[7], key(7)), (found[20], given)):
        assert isinstance(refused, BatchError)
        [rejected] = refused.response["RejectedKeys"]
        assert rejected["code"] == "ValidationException"
        assert rejected["item"] == own
        assert refused.response["UnprocessedKeys"] == []
        assert "user-7" not in str(refused)
    assert isinstance(found[20], BatchError)
    assert found[20].response["RejectedKeys"][0]["item"] is given


async def test_leftovers_raise_for_their_own_callers(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.partial(entry=is_key(3)), operation=GET)
    users = db.loader("users", retry=Retry(max_retries=2, base_delay=0.01))
    given = key(3)
    found = await asyncio.gather(
        *[users.load(key(number)) for number in range(3)], users.load(given), return_exceptions=True
    )
    assert found[:3] == [item(number) for number in range(3)]
    left = found[3]
    assert isinstance(left, BatchError)
    assert left.response["UnprocessedKeys"] == [given]
    assert left.response["UnprocessedKeys"][0] is given
    assert isinstance(left.cause, Throttled)
    assert "user-3" not in str(left)
    assert len(wire.requests) == 3


async def test_an_error_reaches_every_caller(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.access_denied())
    users = db.loader("users")
    found = await asyncio.gather(
        *[users.load(key(number // 2)) for number in range(10)], return_exceptions=True
    )
    assert len({id(error) for error in found}) == 10
    for at, error in enumerate(found):
        assert isinstance(error, BatchError)
        assert isinstance(error.cause, AccessDenied)
        assert error.response["UnprocessedKeys"] == [key(at // 2)]
    assert users.stats.failed == 5


async def test_an_error_that_is_not_ours_reaches_every_caller(
    db: DynamoDB, wire: FakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(_: object) -> bytes:
        raise LookupError("a hook of the caller's")

    monkeypatch.setattr(wire, "send", send)
    users = db.loader("users")
    found = await asyncio.gather(
        *[users.load(key(number)) for number in range(3)], return_exceptions=True
    )
    for error in found:
        assert isinstance(error, BatchError)
        assert isinstance(error.cause, LookupError)


async def test_a_cancelled_batch_leaves_nobody_waiting(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.silence())
    users = db.loader("users")
    loads = [asyncio.create_task(users.load(key(number))) for number in range(3)]
    await asyncio.sleep(1.0)
    [batch] = [task for task in asyncio.all_tasks() if task.get_name() == "aiobatch-loader"]
    batch.cancel()
    for error in await asyncio.gather(*loads, return_exceptions=True):
        assert isinstance(error, BatchError)
        assert "cancelled" in str(error)


# --- closing ---


async def test_a_load_after_close_is_refused(db: DynamoDB) -> None:
    users = db.loader("users")
    await db.aclose()
    with pytest.raises(ClientClosed):
        await users.load(key(1))
    with pytest.raises(ClientClosed):
        await users.load_many([key(1)])


@pytest.mark.parametrize("max_wait", [0.0, 60.0])
async def test_closing_ends_loads(db: DynamoDB, wire: FakeWire, max_wait: float) -> None:
    wire.always(Fault.silence())
    users = db.loader("users", max_wait=max_wait)
    loads = [asyncio.create_task(users.load(key(number))) for number in range(3)]
    await asyncio.sleep(1.0)
    began = asyncio.get_running_loop().time()
    await db.aclose()
    found = await asyncio.gather(*loads, return_exceptions=True)
    for number, error in enumerate(found):
        assert isinstance(error, ClientClosed)
        assert error.response is not None
        assert error.response["UnprocessedKeys"] == [key(number)]
    assert asyncio.get_running_loop().time() == pytest.approx(began)


def test_loops(wire: FakeWire) -> None:
    """A second live loop is refused; after its loop has closed, a loader opens anew."""
    db = DynamoDB(wire=wire)
    users = db.loader("users")

    async def load() -> Any:
        return await users.load(key(1))

    assert asyncio.run(load()) == item(1)
    assert asyncio.run(load()) == item(1)
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        assert first.run_until_complete(load()) == item(1)
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run_until_complete(load())
    finally:
        for loop in (first, second):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    del db
    gc.collect()


# --- the cache ---


async def test_a_cache_asks_once(db: DynamoDB, wire: FakeWire) -> None:
    cache: dict[bytes, Any] = {}
    users = db.loader("users", cache=cache)
    assert await users.load(key(1)) == item(1)
    assert await users.load({"pk": "nobody"}) is None
    assert await users.load(key(1)) == item(1)
    assert await users.load({"pk": "nobody"}) is None
    assert len(wire.requests) == 2
    assert users.stats.cached == 2
    assert len(cache) == 2
    # Shared by two loaders of a request.
    assert await db.loader("users", cache=cache).load(key(1)) == item(1)
    assert len(wire.requests) == 2


async def test_a_cache_joins_what_is_under_way(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    users = db.loader("users", cache={})
    first = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0.5)
    assert list(await asyncio.gather(first, users.load(key(1)))) == [item(1), item(1)]
    assert len(wire.requests) == 1


async def test_a_failure_is_not_remembered(db: DynamoDB, wire: FakeWire) -> None:
    wire.script([Fault.throttle(), Fault.throttle()])
    users = db.loader("users", cache={})
    with pytest.raises(BatchError):
        await users.load(key(1))
    assert await users.load(key(1)) == item(1)


async def test_clear_and_prime(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", cache={})
    primed: dict[str, Any] = {**key(1), "n": ["primed"]}
    users.prime(key(1), primed)
    primed["n"].append("changed later")
    assert await users.load(key(1)) == {**key(1), "n": ["primed"]}
    assert wire.requests == []
    users.clear(key(1))
    assert await users.load(key(1)) == item(1)
    users.prime(key(2), None)
    assert await users.load(key(2)) is None
    users.clear()
    assert await users.load(key(2)) == item(2)
    with pytest.raises(InvalidItem):
        users.clear({"pk": ""})
    with pytest.raises(RuntimeError, match="cache="):
        db.loader("users").prime(key(1), None)
    db.loader("users").clear(key(1))


@pytest.mark.parametrize("how", ["clear", "clear all", "prime"])
@pytest.mark.parametrize("when", ["unsent", "sent"])
async def test_what_was_cleared_or_primed_meanwhile_stays(
    db: DynamoDB, wire: FakeWire, how: str, when: str
) -> None:
    wire.always(Fault.late_answer(2.0))
    users = db.loader("users", cache={}, max_wait=1.0)
    load = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0.5 if when == "unsent" else 1.5)
    if how == "prime":
        users.prime(key(1), {**key(1), "n": "written"})
    else:
        users.clear(*([key(1)] if how == "clear" else []))
        if when == "sent":
            wire.put("users", [{**key(1), "n": "written"}])
    assert await load == item(1)
    expected = item(1) if (how, when) in {("clear", "unsent"), ("clear all", "unsent")} else None
    assert await users.load(key(1)) == (expected or {**key(1), "n": "written"})


# --- many ---


async def test_load_many(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users")
    wanted = [key(number) for number in range(250)] + [{"pk": "nobody"}, key(0)]
    assert await users.load_many(iter(wanted)) == [
        *[item(number) for number in range(250)],
        None,
        item(0),
    ]
    assert len(wire.requests) == 3
    assert await users.load_many([]) == []
    with pytest.raises(TypeError, match="put a single one into a list"):
        await users.load_many(key(1))


async def test_load_many_with_a_key_that_is_none(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users")
    with pytest.raises(InvalidItem) as caught:
        await users.load_many([key(1), {"pk": ""}])
    assert caught.value.index == 1
    assert wire.requests == []
    found = await users.load_many([key(1), {"pk": ""}, key(2)], return_exceptions=True)
    assert [found[0], found[2]] == [item(1), item(2)]
    assert isinstance(found[1], InvalidItem)


async def test_load_many_with_leftovers(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.partial(entry=lambda one: one.value["pk"]["S"] in ("user-1", "user-2")))
    users = db.loader("users", retry=Retry(max_retries=0))
    wanted = [key(0), key(1), key(2), key(3)]
    with pytest.raises(BatchError):
        await users.load_many(wanted)
    found = await users.load_many(wanted, return_exceptions=True)
    assert [found[0], found[3]] == [item(0), item(3)]
    assert isinstance(found[1], BatchError)
    assert isinstance(found[2], BatchError)


async def test_load_many_cancelled(db: DynamoDB, wire: FakeWire) -> None:
    wire.always(Fault.latency(1.0))
    users = db.loader("users")
    many = asyncio.create_task(users.load_many([key(number) for number in range(150)]))
    await asyncio.sleep(0.1)
    other = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0.1)
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many
    assert await other == item(1)


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"max_batch": 0}, ValueError),
        ({"max_batch": 101}, ValueError),
        ({"max_wait": -1.0}, ValueError),
        ({"max_wait": float("nan")}, ValueError),
        ({"cache": True}, TypeError),
        ({"retry": 3}, TypeError),
        ({"model": "User"}, TypeError),
        ({"projection_expression": "a,,b"}, ValueError),
    ],
)
async def test_settings_that_cannot_be_right(
    db: DynamoDB, settings: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        db.loader("users", **settings)


async def test_a_loader_of_a_module_serves_many_tasks(db: DynamoDB) -> None:
    users = db.loader("users")
    assert isinstance(users, Loader)
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(users.load(key(number)))
    assert users.stats.found == 10


async def test_load_many_takes_what_the_cache_has(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", cache={})
    await users.load(key(1))
    found = await users.load_many([key(number) for number in range(3)])
    assert found == [item(number) for number in range(3)]
    assert asked_for(wire) == [["user-1"], ["user-0", "user-2"]]
    assert users.stats.cached == 1


async def test_clearing_a_loader_without_a_cache_does_nothing(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users")
    users.clear()
    users.clear(key(1))
    loading = asyncio.create_task(users.load(key(1)))
    await asyncio.sleep(0)
    users.clear()
    assert await loading == item(1)


@pytest.mark.parametrize(
    "fault", [Fault.none(), Fault.hot_key_range(), Fault.access_denied()], ids=str
)
async def test_a_caller_that_is_cancelled_at_any_step_harms_no_other(
    fault: Fault, db: DynamoDB, wire: FakeWire
) -> None:
    loop = asyncio.get_running_loop()
    outcomes = set()
    for turns in range(120):
        users = db.loader("users", retry=Retry(max_retries=0))
        wire.script([fault])
        first, second = [asyncio.create_task(users.load(key(number))) for number in (1, 2)]
        joined = asyncio.create_task(users.load(key(1)))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        # Before or after the others whose turn it is.
        if turns % 2:
            loop.call_soon(first.cancel)
        else:
            first.cancel()
        ended = await asyncio.gather(first, second, joined, return_exceptions=True)
        outcomes.add(isinstance(ended[0], asyncio.CancelledError))
        if fault == Fault.none():
            assert list(ended[1:]) == [item(2), item(1)], turns
        else:
            assert all(isinstance(error, BatchError) for error in ended[1:]), turns
        assert wire.unused == 0
    # Too early for its answer, and too late to be cancelled.
    assert outcomes == {True, False}


async def test_a_client_that_cannot_be_opened_tells_every_caller() -> None:
    db = DynamoDB(profile_name="nowhere", region_name="eu-west-1")
    users = db.loader("users")
    found = await asyncio.gather(
        *[users.load(key(number)) for number in range(3)], return_exceptions=True
    )
    await db.aclose()
    assert {type(error) for error in found} == {ProfileNotFound}


async def test_what_is_primed_may_hold_what_no_answer_holds(db: DynamoDB, wire: FakeWire) -> None:
    users = db.loader("users", cache={})
    primed = OrderedDict(key(1) | {"pair": (["a"], ["b"]), "frozen": frozenset({1})})
    users.prime(key(1), primed)
    first, second = await asyncio.gather(users.load(key(1)), users.load(key(1)))
    assert first == second == primed
    assert first is not None
    assert second is not None
    first["pair"][0].append("changed")
    assert second["pair"] == primed["pair"] == (["a"], ["b"])
    assert wire.requests == []


@pytest.mark.parametrize("many", [False, True])
async def test_key_names_of_a_table_that_was_made_anew(
    many: bool, db: DynamoDB, wire: FakeWire
) -> None:
    users = db.loader("users")
    await users.load(key(1))
    # As they were before.
    (await db._engine()).schemas.describe("users", codec.KeySchema.from_names(("old",)))
    if many:
        assert await users.load_many([key(2), key(3)]) == [item(2), item(3)]
    else:
        assert await users.load(key(2)) == item(2)
    assert [request.operation for request in wire.requests].count("DescribeTable") == 1


@pytest.mark.looptime
async def test_who_is_cancelled_as_a_batch_fails_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it fails of: here, of a mistake of ours."""
    loop = asyncio.get_running_loop()

    def fail(*_: Any, **__: Any) -> None:
        # Between the batch's end and what its end is told to.
        loop.call_soon(tasks[0].cancel)
        raise LookupError("a mistake")

    async with DynamoDB(wire=FakeWire({"users": ("pk",)})) as db:
        monkeypatch.setattr("aiobatch.loader.BatchGet.of_table", fail)
        loader = db.loader("users")
        tasks = [asyncio.create_task(loader.load({"pk": name})) for name in "ab"]
        cancelled, failed = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(failed, LookupError)
