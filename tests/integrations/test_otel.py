"""OpenTelemetry's own in-memory exporters tell what arrives there."""

import asyncio
import builtins
import contextlib
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, Span, SpanKind, StatusCode

from aiobatch import AiobatchError, BatchError, Delete, DynamoDB, Put, TableNotFound
from aiobatch.integrations.otel import OpenTelemetryHook
from aiobatch.testing import FakeWire, Fault
from aiobatch.wire.protocol import Request

pytestmark = pytest.mark.looptime

TABLES = {"users": ("pk",), "orders": ("pk",)}
SECRET = "confidential"


class Telemetry:
    """Providers, and what they were given."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader])

    def hook(self, **settings: Any) -> OpenTelemetryHook:
        return OpenTelemetryHook(
            tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **settings
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def close(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


class Tracing(FakeWire):
    """A wire with an instrumented HTTP client: each exchange is a span."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__(TABLES)
        self._tracer = telemetry.tracer_provider.get_tracer("http")

    async def send(self, request: Request) -> bytes:
        with self._tracer.start_as_current_span("POST"):
            return await super().send(request)


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire(TABLES)


def client(wire: FakeWire, hook: OpenTelemetryHook) -> DynamoDB:
    return DynamoDB(wire=wire, hooks=[hook], key_names=TABLES)


def items(count: int) -> list[dict[str, Any]]:
    return [{"pk": f"{SECRET}{n}"} for n in range(count)]


def plain(span: ReadableSpan) -> dict[str, Any]:
    return {
        name: value
        for name, value in (span.attributes or {}).items()
        if not name.startswith("aiobatch.")
    }


Calls = dict[str, Callable[[DynamoDB], Awaitable[object]]]
CALLS: Calls = {
    "one request": lambda db: db.batch_write_item(items(5), "users"),
    "many requests": lambda db: db.batch_write_item(items(60), "users"),
    "a single item": lambda db: db.get({"pk": "a"}, "users"),
    "a load": lambda db: db.loader("users").load({"pk": "a"}),
    "a stream": lambda db: db.bulk_write(items(60), "users"),
}


@pytest.mark.parametrize("fault", [None, Fault.reset_after(), Fault.access_denied()])
@pytest.mark.parametrize("requests", [False, True])
@pytest.mark.parametrize("call", CALLS)
async def test_what_is_done_for_a_call_stands_below_it(
    call: str, requests: bool, fault: Fault | None, telemetry: Telemetry
) -> None:
    wire = Tracing(telemetry)
    if fault is not None:
        wire.script([fault])
    tracer = telemetry.tracer_provider.get_tracer("test")
    async with client(wire, telemetry.hook(request_spans=requests)) as db:
        with tracer.start_as_current_span("handler") as handler:
            with contextlib.suppress(AiobatchError):
                await CALLS[call](db)
            assert trace.get_current_span() is handler
    by_id = {span.context.span_id: span for span in telemetry.spans if span.context is not None}

    def above(span: ReadableSpan) -> ReadableSpan:
        assert span.parent is not None
        return by_id[span.parent.span_id]

    exchanges = [span for span in telemetry.spans if span.name == "POST"]
    assert len(exchanges) == len(wire.requests) > 0
    for exchange in exchanges:
        below = above(exchange)
        if requests:
            assert below.kind is SpanKind.CLIENT
            below = above(below)
        assert below.name.endswith(" users")
        assert above(below).name == "handler"


async def test_a_call_that_is_cancelled_leaves_the_callers_span_as_it_was(
    telemetry: Telemetry,
) -> None:
    wire = Tracing(telemetry)
    wire.always(Fault.silence())
    tracer = telemetry.tracer_provider.get_tracer("test")
    async with client(wire, telemetry.hook(request_spans=True)) as db:
        with tracer.start_as_current_span("handler") as handler:
            for call in ("one request", "many requests", "a single item"):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await CALLS[call](db)
                assert trace.get_current_span() is handler


async def test_a_call_is_a_span_below_the_callers(wire: FakeWire, telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("test")
    async with client(wire, telemetry.hook()) as db:
        with tracer.start_as_current_span("handler") as handler:
            await db.batch_write_item(items(30), "users")
            assert trace.get_current_span() is handler
    call, parent = telemetry.spans
    assert parent.name == "handler"
    assert call.name == "BatchWriteItem users"
    assert call.kind is SpanKind.CLIENT
    assert call.parent is not None
    assert call.parent.span_id == handler.get_span_context().span_id
    assert plain(call) == {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "BatchWriteItem",
        "db.operation.batch.size": 30,
        "db.collection.name": "users",
        "aws.dynamodb.table_names": ("users",),
    }
    assert call.attributes is not None
    assert call.attributes["aiobatch.processed"] == 30
    assert call.attributes["aiobatch.requests"] == 2
    assert call.status.status_code is StatusCode.UNSET
    assert call.instrumentation_scope is not None
    assert call.instrumentation_scope.name == "aiobatch"


async def test_one_item_is_no_batch_and_several_tables_are_no_collection(
    wire: FakeWire, telemetry: Telemetry
) -> None:
    async with client(wire, telemetry.hook()) as db:
        await db.get({"pk": SECRET}, "users")
        await db.batch_write({"users": [Put({"pk": "a"})], "orders": [Delete({"pk": "a"})]})
    get, batch = telemetry.spans
    assert "db.operation.batch.size" not in plain(get)
    assert batch.name == "BatchWriteItem"
    assert "db.collection.name" not in plain(batch)
    assert plain(batch)["aws.dynamodb.table_names"] == ("users", "orders")
    assert plain(batch)["db.operation.batch.size"] == 2


async def test_a_call_that_fails(wire: FakeWire, telemetry: Telemetry) -> None:
    async with client(wire, telemetry.hook()) as db:
        with pytest.raises(TableNotFound):
            await db.get({"pk": SECRET}, "nobody")
        wire.always(Fault.truncated(), operation="BatchWriteItem")
        with pytest.raises(BatchError):
            await db.batch_write_item(items(3), "users")
    refused, unknown = telemetry.spans
    assert refused.status.status_code is StatusCode.ERROR
    told = plain(refused)
    assert told["error.type"] == told["db.response.status_code"] == "ResourceNotFoundException"
    assert told["aws.request_id"]
    assert plain(unknown)["error.type"] == "WireError"
    assert "db.response.status_code" not in plain(unknown)
    assert unknown.attributes is not None
    assert unknown.attributes["aiobatch.unknown"] == 3


async def test_throttling_is_told_on_the_span(wire: FakeWire, telemetry: Telemetry) -> None:
    wire.script([Fault.throttle(), Fault.partial(0.5)])
    async with client(wire, telemetry.hook()) as db:
        await db.batch_write_item(items(10), "users")
    [call] = telemetry.spans
    assert [event.name for event in call.events] == [
        "aiobatch.throttled",
        "aiobatch.requeued",
        "aiobatch.requeued",
    ]
    assert dict(call.events[0].attributes or {}) == {
        "aws.dynamodb.table_names": ("users",),
        "aiobatch.throttling_reasons": ("TableWriteProvisionedThroughputExceeded",),
    }


async def test_spans_of_requests(wire: FakeWire, telemetry: Telemetry) -> None:
    wire.script([Fault.throttle()])
    async with client(wire, telemetry.hook(request_spans=True)) as db:
        await db.batch_write_item(items(30), "users")
    *requests, call = telemetry.spans
    assert call.kind is SpanKind.INTERNAL
    assert len(requests) == 3
    for span in requests:
        assert span.kind is SpanKind.CLIENT
        assert span.parent is not None
        assert call.context is not None
        assert span.parent.span_id == call.context.span_id
    failed = [span for span in requests if span.status.status_code is StatusCode.ERROR]
    assert len(failed) == 1
    assert plain(failed[0])["error.type"] == "ProvisionedThroughputExceededException"
    assert plain(failed[0])["http.response.status_code"] == 400
    assert plain(failed[0])["aws.request_id"]


async def test_metrics(wire: FakeWire, telemetry: Telemetry) -> None:
    wire.always(Fault.latency(0.02))
    wire.script([Fault.throttle()], operation="PutItem")
    async with client(wire, telemetry.hook()) as db:
        for _ in range(3):
            await db.get({"pk": SECRET}, "users")
        await db.save({"pk": SECRET}, "users")
        with pytest.raises(TableNotFound):
            await db.get({"pk": SECRET}, "nobody")
    points = telemetry.points("db.client.operation.duration")
    by_kind = {
        (point.attributes["db.operation.name"], point.attributes.get("error.type")): point
        for point in points
    }
    assert set(by_kind) == {
        ("GetItem", None),
        ("PutItem", None),
        ("GetItem", "ResourceNotFoundException"),
    }
    gets = by_kind["GetItem", None]
    assert gets.count == 3
    assert gets.sum == pytest.approx(0.06, abs=0.01)
    assert gets.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
    assert dict(gets.attributes) == {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "GetItem",
        "db.collection.name": "users",
    }
    assert sum(point.value for point in telemetry.points("aiobatch.client.requests")) == 6
    assert [point.value for point in telemetry.points("aiobatch.client.throttles")] == [1]
    assert [point.value for point in telemetry.points("aiobatch.client.retries")] == [1]


async def test_a_cancelled_call_leaves_no_span_open(wire: FakeWire, telemetry: Telemetry) -> None:
    wire.always(Fault.latency(1.0))
    hook = telemetry.hook(request_spans=True)
    async with client(wire, hook) as db:
        call = asyncio.create_task(db.batch_write_item(items(30), "users"))
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert [plain(span)["error.type"] for span in telemetry.spans] == ["CancelledError"] * 3
    assert not hook._calls
    assert not hook._requests


async def test_nothing_that_is_reported_holds_content(wire: FakeWire, telemetry: Telemetry) -> None:
    wire.script([Fault.validation(SECRET), Fault.truncated(), Fault.partial(0.5)])
    async with client(wire, telemetry.hook(request_spans=True)) as db:
        await db.batch_write_item(items(30), "users")
    assert telemetry.spans
    assert SECRET not in "".join(span.to_json() for span in telemetry.spans)


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.split(".")[0] == "opentelemetry":
            raise ImportError(name)
        return whole(name, *arguments, **keywords)

    monkeypatch.delitem(sys.modules, "aiobatch.integrations.otel")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'aiobatch\[otel\]'"):
        importlib.import_module("aiobatch.integrations.otel")


class BrokenTracer(NoOpTracer):
    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        raise RuntimeError("the exporter is gone")


class BrokenTracers(NoOpTracerProvider):
    def get_tracer(self, *args: Any, **kwargs: Any) -> NoOpTracer:
        return BrokenTracer()


async def test_a_tracer_that_fails_harms_neither_calls_nor_metrics(
    wire: FakeWire, telemetry: Telemetry
) -> None:
    hook = OpenTelemetryHook(
        tracer_provider=BrokenTracers(),
        meter_provider=telemetry.meter_provider,
        request_spans=True,
    )
    wire.script([Fault.throttle()])
    async with client(wire, hook) as db:
        answer = await db.batch_write_item(items(25), "users")
    assert answer["ProcessedCount"] == 25
    assert [point.value for point in telemetry.points("aiobatch.client.requests")] == [2]
