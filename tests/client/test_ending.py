"""Calls that are ended from outside: closed, timed out, cancelled. Section 4's account."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiobatch import BatchError, BatchTimeout, ClientClosed, DynamoDB, Retry
from tests.client.conftest import Connect
from tests.client.server import Asked, Reply, Server, obliging

KEYS = [{"pk": f"{n:03}"} for n in range(250)]


@pytest.fixture(params=["direct", "aiobotocore"])
def wire(request: pytest.FixtureRequest) -> Any:
    return request.param


class Stuck:
    """Answers the first requests and keeps the others waiting."""

    def __init__(self, answered: int) -> None:
        self.left = answered
        self.stuck = asyncio.Event()

    async def __call__(self, asked: Asked) -> Reply:
        self.left -= 1
        if self.left < 0:
            self.stuck.set()
            await asyncio.get_running_loop().create_future()
        return obliging(asked)


async def stuck_call(server: Server, answered: int, call: Awaitable[Any]) -> "asyncio.Task[Any]":
    """Start a call and wait until it waits for the server."""
    server.script = script = Stuck(answered)
    task = asyncio.ensure_future(call)
    async with asyncio.timeout(5):
        await script.stuck.wait()
    return task


async def test_closing_ends_a_read_with_its_account(server: Server, connect: Connect) -> None:
    db = connect(max_concurrency=1)
    call = await stuck_call(server, 1, db.batch_get_item(KEYS, "users"))
    await db.aclose()
    # It is over by now: aclose() waits for the calls that it ends.
    assert call.done()
    with pytest.raises(ClientClosed, match="the client was closed") as caught:
        await call
    response = caught.value.response
    assert response is not None
    assert response["Items"] == KEYS[:100]
    assert response["UnprocessedKeys"] == KEYS[100:]
    assert response["MissingKeys"] == []
    assert response["Metrics"]["requests"] == 2
    assert "002" not in str(caught.value)
    await server.closed_by_the_client()
    assert len(server.asked) == 2


async def test_closing_ends_a_write_with_its_account(server: Server, connect: Connect) -> None:
    db = connect(max_concurrency=1, key_names={"users": ("pk",)})
    call = await stuck_call(server, 2, db.batch_write_item(KEYS, "users"))
    await db.aclose()
    with pytest.raises(ClientClosed) as caught:
        await call
    response = caught.value.response
    assert response is not None
    assert response["ProcessedCount"] == 50
    # What was in flight may have been written.
    assert len(response["UnknownItems"]) == 25
    assert response["UnprocessedCount"] == len(response["UnprocessedItems"]) == 175
    everything = [
        id(item) for name in ("UnknownItems", "UnprocessedItems") for item in response[name]
    ]
    assert len(set(everything)) == 200
    assert set(everything) < {id(item) for item in KEYS}


@pytest.mark.parametrize("call", ["get", "save", "delete", "query"])
async def test_closing_ends_single_calls(call: str, server: Server, connect: Connect) -> None:
    db = connect()
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "get": lambda: db.get(KEYS[0], "users"),
        "save": lambda: db.save(KEYS[0], "users", fail_if_exists=True),
        "delete": lambda: db.delete(KEYS[0], "users"),
        "query": lambda: anext(
            db.query("users", "pk = :v", expression_attribute_values={":v": "a"})
        ),
    }
    task = await stuck_call(server, 0, calls[call]())
    await db.aclose()
    with pytest.raises(ClientClosed):
        await task


async def test_closing_between_the_pages_of_a_query(server: Server, connect: Connect) -> None:
    page = {"Items": [{"pk": {"S": "a"}}], "LastEvaluatedKey": {"pk": {"S": "a"}}}
    server.script = lambda asked: Reply.json(page)
    db = connect()
    query = db.query("users", "pk = :v", expression_attribute_values={":v": "a"})
    assert await anext(query) == {"pk": "a"}
    await db.aclose()
    with pytest.raises(ClientClosed):
        await anext(query)
    assert len(server.asked) == 1


async def test_closing_while_it_opens(
    server: Server, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, opened = asyncio.Event(), asyncio.Event()

    class SlowSession:
        def client(self, *_: Any, **__: Any) -> Any:
            return self

        async def __aenter__(self) -> Any:
            opening.set()
            await opened.wait()
            raise AssertionError("it was closed before it opened")

        async def __aexit__(self, *_: object) -> None: ...

    for use in (
        lambda db: db.__aenter__(),
        lambda db: db.get(KEYS[0], "users"),
        lambda db: db.batch_get_item(KEYS, "users"),
    ):
        opening.clear()
        db = connect(session=SlowSession())
        task = asyncio.ensure_future(use(db))  # type: ignore[no-untyped-call]
        await opening.wait()
        await db.aclose()
        with pytest.raises(ClientClosed):
            await task
    assert server.connections == 0


async def test_closing_one_owner_leaves_the_calls_of_others(
    server: Server, connect: Connect
) -> None:
    one, other = connect(), connect()
    server.script = script = Stuck(0)
    release = asyncio.get_running_loop().create_future()

    async def wait_once(asked: Asked) -> Reply:
        script.stuck.set()
        await release
        return obliging(asked)

    server.script = wait_once
    call = asyncio.ensure_future(other.batch_get_item(KEYS[:1], "users"))
    await script.stuck.wait()
    await one.aclose()
    release.set_result(None)
    assert (await call)["Count"] == 1


# --- timeouts ---


async def test_a_timeout_of_a_read(server: Server, connect: Connect) -> None:
    db = await connect(max_concurrency=1).__aenter__()  # to open takes long on a busy machine
    server.script = Stuck(2)
    with pytest.raises(BatchTimeout, match=r"the timeout of 0\.5 s passed") as caught:
        await db.batch_get_item(KEYS, "users", timeout=0.5, ordered=True)
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert isinstance(error, BatchError)
    assert error.response["Items"] == [*KEYS[:200], *[None] * 50]
    assert error.response["Count"] == 200
    assert error.response["UnprocessedKeys"] == KEYS[200:]
    assert len(server.asked) == 3
    # The client is as good as before.
    server.script = None
    assert (await db.batch_get_item(KEYS, "users", timeout=30))["Count"] == 250


async def test_a_timeout_of_a_write(server: Server, connect: Connect) -> None:
    db = await connect(max_concurrency=2, key_names={"users": ("pk",)}).__aenter__()
    server.script = Stuck(3)
    with pytest.raises(BatchTimeout) as caught:
        await db.batch_write_item(KEYS, "users", timeout=0.5)
    response = caught.value.response
    assert response["ProcessedCount"] == 75
    assert len(response["UnknownItems"]) == 50
    assert response["UnprocessedCount"] == len(response["UnprocessedItems"]) == 125
    assert "RejectedItems" not in response


async def test_no_time_at_all_sends_nothing(server: Server, connect: Connect) -> None:
    async with connect() as db:
        for call in (
            db.batch_get_item(KEYS, "users", timeout=0),
            db.batch_write_item(KEYS, "users", timeout=0),
        ):
            with pytest.raises(BatchTimeout):
                await call
        assert server.asked == []


async def test_a_timeout_while_leftovers_wait(server: Server, connect: Connect) -> None:
    """Throttled all the time: the wait ends with the timeout, and the account is true."""
    server.script = lambda asked: Reply.error("ProvisionedThroughputExceededException")
    db = await connect(retry=Retry(base_delay=60, max_delay=60)).__aenter__()
    with pytest.raises(BatchTimeout) as caught:
        await db.batch_write_item(KEYS[:30], "users", operation="delete", timeout=0.5)
    response = caught.value.response
    # Refused whole: nothing was written.
    assert response["UnprocessedItems"] == KEYS[:30]
    assert "UnknownItems" not in response
    assert response["Metrics"]["throttled"] == len(server.asked)


async def test_a_timeout_of_the_callers_own_is_a_plain_one(
    server: Server, connect: Connect
) -> None:
    server.script = Stuck(0)
    db = connect()
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            await db.batch_get_item(KEYS, "users", timeout=60)
    assert not isinstance(caught.value, BatchTimeout)


# --- cancellation ---


@pytest.mark.parametrize("call", ["read", "write", "get"])
async def test_a_cancelled_call_leaves_nothing_behind(
    call: str, server: Server, connect: Connect
) -> None:
    db = connect(max_concurrency=2)
    calls: dict[str, Callable[[DynamoDB], Awaitable[Any]]] = {
        "read": lambda db: db.batch_get_item(KEYS, "users"),
        "write": lambda db: db.batch_write_item(KEYS, "users", operation="delete"),
        "get": lambda db: db.get(KEYS[0], "users"),
    }
    for _ in range(3):
        before = asyncio.all_tasks()
        task = await stuck_call(server, 0, calls[call](db))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        # The requests were abandoned with their connections, not left to end some time.
        await server.closed_by_the_client()
        assert asyncio.all_tasks() <= before
    server.script = None
    # Both slots are there again.
    assert (await db.batch_get_item(KEYS, "users"))["Count"] == 250


async def test_cancelling_one_call_leaves_the_others(server: Server, connect: Connect) -> None:
    db = connect(max_concurrency=4)
    task = await stuck_call(server, 0, db.batch_get_item(KEYS, "users"))
    server.script = None
    other = await db.batch_get_item(KEYS, "orders")
    assert other["Count"] == 250
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_cancelling_while_leftovers_wait(server: Server, connect: Connect) -> None:
    refused = asyncio.Event()

    def throttle(asked: Asked) -> Reply:
        refused.set()
        return Reply.error("ThrottlingException")

    server.script = throttle
    db = connect(retry=Retry(base_delay=60, max_delay=60))
    task = asyncio.ensure_future(db.batch_get_item(KEYS, "users"))
    await refused.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
