"""The proxy does what it says: held to plain HTTP, in front of a server that tells what it got."""

import asyncio
import runpy
import socket
import sys
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from aiobatch.testing import Fault, FaultProxy, pytest_plugin
from aiobatch.testing.messages import Reply
from aiobatch.testing.pytest_plugin import MakeFaultProxy
from aiobatch.testing.pytest_plugin import fault_proxy as fault_proxy

TARGET = "DynamoDB_20120810."


class Behind:
    """A server that answers every request with the same JSON and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.answer = b'{"UnprocessedItems":{}}'
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        self.asked.append((request.headers["X-Amz-Target"], body))
        headers = {"x-amz-crc32": str(zlib.crc32(self.answer)), "x-amzn-RequestId": "BEHIND"}
        return web.Response(body=self.answer, headers=headers)

    def items(self) -> list[Any]:
        """The operations of the last batch that arrived."""
        (table,) = orjson.loads(self.asked[-1][1])["RequestItems"].values()
        return table["Keys"] if isinstance(table, dict) else list(table)


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    server = Behind()
    runner = web.ServerRunner(web.Server(server.handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


PUTS = {"t": [{"PutRequest": {"Item": {"pk": {"S": str(n)}}}} for n in range(10)]}
GETS = {
    "t": {
        "Keys": [{"pk": {"S": str(n)}} for n in range(10)],
        "ConsistentRead": True,
        "ProjectionExpression": "#a",
        "ExpressionAttributeNames": {"#a": "pk"},
    }
}


async def ask(
    session: aiohttp.ClientSession, proxy: FaultProxy, requests: Any, operation: str
) -> tuple[int, dict[str, Any]]:
    """One batch; its answer, once its checksum is known to be right."""
    async with session.post(
        proxy.endpoint_url,
        data=orjson.dumps({"RequestItems": requests}),
        headers={"X-Amz-Target": TARGET + operation},
    ) as answer:
        body = await answer.read()
        assert answer.headers["x-amz-crc32"] == str(zlib.crc32(body))
        return answer.status, orjson.loads(body)


async def test_what_meets_no_fault_passes_byte_for_byte(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    behind.answer = b'{ "UnprocessedItems" : { } }'
    async with FaultProxy(behind.url) as proxy:
        body = b'{"RequestItems": {"t": [ {"PutRequest": {"Item": {"pk": {"S": "1"}}}} ]}}'
        async with session.post(
            proxy.endpoint_url, data=body, headers={"X-Amz-Target": TARGET + "BatchWriteItem"}
        ) as answer:
            assert await answer.read() == behind.answer
            assert answer.headers["x-amzn-RequestId"] == "BEHIND"
    assert behind.asked == [(TARGET + "BatchWriteItem", body)]


async def test_a_partial_answer_is_a_true_one(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    async with FaultProxy(behind.url) as proxy:
        proxy.script([Fault.partial(0.3)])
        status, answer = await ask(session, proxy, PUTS, "BatchWriteItem")
        assert (status, proxy.unused) == (200, 0)
        left = answer["UnprocessedItems"]["t"]
        # What came back was not sent on, is as it was sent, and nothing is missing.
        assert len(left) == 3
        assert sorted(map(str, left + behind.items())) == sorted(map(str, PUTS["t"]))
        assert proxy.requests[0].refused == 3


async def test_leftover_keys_come_back_with_all_their_options(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    behind.answer = b'{"Responses":{"t":[]},"UnprocessedKeys":{}}'
    async with FaultProxy(behind.url) as proxy:
        proxy.script([Fault.partial(entry=lambda entry: entry.value["pk"]["S"] in "147")])
        _, answer = await ask(session, proxy, GETS, "BatchGetItem")
    left = answer["UnprocessedKeys"]["t"]
    assert [key["pk"]["S"] for key in left.pop("Keys")] == ["1", "4", "7"]
    assert left == {name: value for name, value in GETS["t"].items() if name != "Keys"}
    assert len(behind.items()) == 7


async def test_a_throttled_request_never_arrives(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    async with FaultProxy(behind.url) as proxy:
        proxy.script([Fault.throttle(), Fault.throttling_exception()])
        for member in ("ThrottlingReasons", "throttlingReasons"):
            status, answer = await ask(session, proxy, PUTS, "BatchWriteItem")
            assert status == 400
            assert answer[member][0]["reason"].startswith("TableWrite")
    assert behind.asked == []


async def test_buckets_run_on_the_clock_that_is_given(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    now = 0.0
    async with FaultProxy(behind.url, clock=lambda: now) as proxy:
        proxy.limit("t", write=4)
        taken = []
        for now in (0.0, 0.0, 1.0, 1.25, 100.0):  # noqa: B007 (the clock reads it)
            status, answer = await ask(session, proxy, PUTS, "BatchWriteItem")
            left = len(answer.get("UnprocessedItems", {}).get("t", [])) if status == 200 else 10
            taken.append(10 - left)
        assert taken == [4, 0, 4, 1, 4]
        assert proxy.taken("t", "write") == 13


async def test_answers_are_cut_by_size(behind: Behind, session: aiohttp.ClientSession) -> None:
    items = [{"pk": {"S": str(n)}, "v": {"S": "x" * 1_000}} for n in range(10)]
    behind.answer = orjson.dumps({"Responses": {"t": items}, "UnprocessedKeys": {}})
    async with FaultProxy(behind.url) as proxy:
        for room, come in ((3_500, 3), (1, 1), (None, 10)):
            proxy.cut(room)
            _, answer = await ask(session, proxy, GETS, "BatchGetItem")
            left = answer["UnprocessedKeys"].get("t", {"Keys": []})["Keys"]
            assert (len(answer["Responses"]["t"]), len(left)) == (come, 10 - come)


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [
        (Fault.reset_before(), False),
        (Fault.reset_after(), True),
        (Fault.hang_up_before(), False),
        (Fault.hang_up_after(), True),
        (Fault.truncated(), True),
    ],
)
async def test_a_connection_that_ends_ends(
    fault: Fault, arrives: bool, behind: Behind, session: aiohttp.ClientSession
) -> None:
    async with FaultProxy(behind.url) as proxy:
        proxy.script([fault])
        expected: type[Exception] = {
            "reset": aiohttp.ClientOSError,
            "hang": aiohttp.ServerDisconnectedError,
            "trunc": aiohttp.ClientPayloadError,
        }[next(p for p in ("reset", "hang", "trunc") if fault.name.startswith(p))]
        with pytest.raises(expected):
            await ask(session, proxy, PUTS, "BatchWriteItem")
        # "Written, but the answer lost" is told from "never written".
        assert len(behind.asked) == arrives
        assert (await ask(session, proxy, PUTS, "BatchWriteItem"))[0] == 200
        assert proxy.faults_met == {fault.name: 1}


async def test_silence_lasts_until_somebody_gives_up(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    async with FaultProxy(behind.url) as proxy:
        proxy.script([Fault.silence(executed=True)])
        asking = asyncio.create_task(ask(session, proxy, PUTS, "BatchWriteItem"))
        async with asyncio.timeout(10):
            while not behind.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not asking.done()
        assert proxy.in_flight == 1
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert proxy.in_flight == 0


async def test_a_wrong_checksum_is_wrong(behind: Behind, session: aiohttp.ClientSession) -> None:
    async with FaultProxy(behind.url) as proxy:
        proxy.script([Fault.wrong_checksum()])
        with pytest.raises(AssertionError):
            await ask(session, proxy, PUTS, "BatchWriteItem")


async def test_latency_passes_by_the_sleep_that_is_given(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with FaultProxy(behind.url, sleep=sleep) as proxy:
        proxy.always(Fault.latency(3.0), Fault.latency(1.0))
        proxy.script([Fault.partial(0.5)])
        await ask(session, proxy, PUTS, "BatchWriteItem")
        # Half before, half after; and a fault may come on top.
        assert slept == [2.0, 2.0]
        assert proxy.requests[0].fault == "partial"


async def test_rules_are_about_what_they_name(
    behind: Behind, session: aiohttp.ClientSession
) -> None:
    behind.answer = b'{"Responses":{},"UnprocessedKeys":{},"UnprocessedItems":{}}'
    async with FaultProxy(behind.url) as proxy:
        proxy.script([Fault.throttle()], operation="BatchGetItem")
        proxy.always(Fault.validation(), table="arn:aws:dynamodb:eu-west-1:1:table/other")
        assert (await ask(session, proxy, PUTS, "BatchWriteItem"))[0] == 200
        assert (await ask(session, proxy, {"other": PUTS["t"]}, "BatchWriteItem"))[0] == 400
        assert (await ask(session, proxy, GETS, "BatchGetItem"))[0] == 400
        proxy.clear()
        assert (await ask(session, proxy, {"other": PUTS["t"]}, "BatchWriteItem"))[0] == 200
        assert [seen.status for seen in proxy.requests] == [200, 400, 400, 200]
        # Bodies hold items: they are kept only where that is asked for.
        assert all(seen.body is None for seen in proxy.requests)


async def test_the_fixture_starts_and_stops_proxies(
    behind: Behind,
    session: aiohttp.ClientSession,
    fault_proxy: MakeFaultProxy,
) -> None:
    first = await fault_proxy(behind.url)
    second = await fault_proxy(behind.url, record_bodies=True)
    assert first.endpoint_url != second.endpoint_url
    await ask(session, second, PUTS, "BatchWriteItem")
    assert second.requests[0].body == orjson.dumps({"RequestItems": PUTS})


async def test_a_proxy_listens_while_it_is_open_and_on_this_machine_only(behind: Behind) -> None:
    proxy = FaultProxy(behind.url)
    with pytest.raises(RuntimeError, match="async with"):
        _ = proxy.endpoint_url
    async with proxy:
        host, _, port = proxy.endpoint_url.removeprefix("http://").partition(":")
        assert host == "127.0.0.1"
        with pytest.raises(RuntimeError, match="already"):
            await proxy.__aenter__()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0
    with pytest.raises(ValueError, match="http"):
        FaultProxy("127.0.0.1:8000")


async def test_a_server_that_is_gone_is_told_by_the_status(
    session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with (
        FaultProxy(f"http://127.0.0.1:{port}") as proxy,
        session.post(
            proxy.endpoint_url,
            data=orjson.dumps({"RequestItems": PUTS}),
            headers={"X-Amz-Target": TARGET + "BatchWriteItem"},
        ) as answer,
    ):
        assert answer.status == 502
        assert "did not answer" in caplog.text


@pytest.mark.parametrize(
    "fault",
    [Fault.reset_after(), Fault.hang_up_before(), Fault.truncated(), Fault.none()],
    ids=str,
)
async def test_a_client_that_gave_up_leaves_nothing_behind(
    fault: Fault, behind: Behind, session: aiohttp.ClientSession
) -> None:
    go_on = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await go_on.wait()

    async with FaultProxy(behind.url, sleep=sleep) as proxy, asyncio.timeout(30):
        proxy.always(Fault.late_answer(1.0), Fault.latency(1.0))
        proxy.script([fault])
        asking = asyncio.create_task(ask(session, proxy, PUTS, "BatchWriteItem"))
        while not proxy.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        server = proxy._runner.server if proxy._runner is not None else None
        assert server is not None
        while any(connection.transport for connection in server.connections):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        go_on.set()
        while proxy.in_flight:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        # The next client is served as before.
        assert (await ask(session, proxy, PUTS, "BatchWriteItem"))[0] == 200


async def test_what_is_not_dynamodbs_passes_as_it_is(session: aiohttp.ClientSession) -> None:
    seen: list[tuple[str, str, str | None]] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.method, request.raw_path, request.headers.get("Accept-Encoding")))
        return web.Response(text="ready")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with FaultProxy(f"http://127.0.0.1:{runner.addresses[0][1]}") as proxy:
            proxy.always(Fault.throttle())
            url = f"{proxy.endpoint_url}/health?deep=1"
            async with session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
                assert (answer.status, await answer.text()) == (200, "ready")
            (record,) = proxy.requests
            assert (record.operation, record.tables, record.fault) == ("", (), None)
    finally:
        await runner.cleanup()
    assert seen == [("GET", "/health?deep=1", "gzip")]


async def test_closing_a_proxy_twice_or_before_it_was_open_does_nothing(behind: Behind) -> None:
    proxy = FaultProxy(behind.url)
    await proxy.aclose()
    async with proxy:
        assert proxy.endpoint_url
        await proxy.aclose()
    with pytest.raises(RuntimeError, match="async with"):
        _ = proxy.endpoint_url


async def test_a_proxy_that_cannot_listen_leaves_nothing_open(
    behind: Behind, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(site: web.TCPSite) -> None:
        raise OSError("no port is free")

    proxy = FaultProxy(behind.url)
    with monkeypatch.context() as patch:
        patch.setattr(web.TCPSite, "start", start)
        with pytest.raises(OSError, match="no port"):
            await proxy.__aenter__()
    # It can be opened again: no session of the first attempt is left, which would be warned of.
    async with proxy:
        assert (await ask(session, proxy, PUTS, "BatchWriteItem"))[0] == 200


def test_without_pytest_asyncio_the_fixture_is_pytests_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    def fixture(name: str) -> Any:
        made.append(name)
        return lambda function: function

    monkeypatch.setitem(sys.modules, "pytest_asyncio", None)
    monkeypatch.setattr(pytest, "fixture", fixture)
    found = runpy.run_path(pytest_plugin.__file__)
    assert made == ["fault_proxy"]
    assert found["fault_proxy"] is found["_fault_proxy"]


class Abandoned(FaultProxy):
    """Its client goes away while a request arrives, or before its answer is written."""

    def __init__(self, url: str, go: asyncio.Event) -> None:
        super().__init__(url)
        self.go = go

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._always:
            self.go.set()
        return await super()._handle(request)

    async def _answer(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        self.go.set()
        while request.transport is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return await super()._answer(request, reply)


@pytest.mark.parametrize("sent", [50, 100], ids=["half a request", "a request"])
async def test_a_client_that_is_gone_is_no_error(
    behind: Behind, caplog: pytest.LogCaptureFixture, sent: int
) -> None:
    go = asyncio.Event()
    async with asyncio.timeout(10), Abandoned(behind.url, go) as proxy:
        if sent == 100:
            proxy.always(Fault.truncated())
        port = int(proxy.endpoint_url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST / HTTP/1.1\r\nX-Amz-Target: {TARGET}BatchWriteItem\r\nContent-Length: 100\r\n"
        writer.write(head.encode() + b"Host: here\r\n\r\n" + b" " * sent)
        await go.wait()
        writer.transport.abort()
    # The proxy has ended, and with it all that it was asked.
    assert caplog.text == ""
    assert len(proxy.requests) == (sent == 100)
