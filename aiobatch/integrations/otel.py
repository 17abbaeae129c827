"""OpenTelemetry: spans and metrics of what a client does, by the names of the conventions.

It needs the extra ``otel``, and an SDK of the application's that takes them in::

    from aiobatch.integrations.otel import OpenTelemetryHook

    db = DynamoDB(hooks=[OpenTelemetryHook()])

Nothing that it reports holds an item, a key or DynamoDB's words about an error.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
except ImportError as error:
    raise ImportError(
        "aiobatch.integrations.otel needs OpenTelemetry: pip install 'aiobatch[otel]'"
    ) from error

from aiobatch.events import (
    CallFinished,
    CallStarted,
    Event,
    LeftoversRequeued,
    RequestFailed,
    RequestFinished,
    RequestSent,
    RequestThrottled,
)

__all__ = ["OpenTelemetryHook"]

# Read here, and not when a hook is made: that may be in a running loop, and it reads files.
_VERSION = version("aiobatch")
_SYSTEM = "aws.dynamodb"
# Advised by the semantic conventions for db.client.operation.duration, in seconds.
_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


class OpenTelemetryHook:
    """A hook for ``DynamoDB(hooks=[...])`` that makes spans and metrics.

    Spans: one for each call, a child of the caller's current span, named like ``BatchGetItem
    users``, with ``db.system.name``, ``db.operation.name``, ``db.operation.batch.size``,
    ``db.collection.name`` (one table) and ``aws.dynamodb.table_names``; for a call that failed,
    ``error.type``, ``db.response.status_code`` and ``aws.request_id``. Throttling and leftovers are
    events on it, and ``aiobatch.*`` attributes have its counts. While a call runs, its span is the
    current one: what an instrumented HTTP client does for it stands below it.

    Metrics: ``db.client.operation.duration`` in seconds for each call; counters
    ``aiobatch.client.requests``, ``aiobatch.client.retries`` (entries sent again) and
    ``aiobatch.client.throttles`` (requests refused).

    Args:
        tracer_provider: where spans go; by default the global one.
        meter_provider: where metrics go; by default the global one.
        request_spans: make a span for each request, too, below that of its call. It shows retries
            and concurrency; a bulk load makes many.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        request_spans: bool = False,
    ) -> None:
        self._tracer = trace.get_tracer("aiobatch", _VERSION, tracer_provider)
        meter = metrics.get_meter("aiobatch", _VERSION, meter_provider)
        self._request_spans = request_spans
        self._calls: dict[int, _Current] = {}
        self._requests: dict[int, _Current] = {}
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._sent = meter.create_counter(
            "aiobatch.client.requests", unit="{request}", description="Requests sent."
        )
        self._retries = meter.create_counter(
            "aiobatch.client.retries", unit="{entry}", description="Entries sent again."
        )
        self._throttles = meter.create_counter(
            "aiobatch.client.throttles",
            unit="{request}",
            description="Requests that DynamoDB refused for throttling.",
        )

    def __call__(self, event: Event, /) -> None:
        """Take notice of an event."""
        match event:
            case CallStarted():
                self._call_started(event)
            case RequestSent() if self._request_spans:
                self._request_sent(event)
            case RequestFinished() if self._request_spans:
                self._request_finished(event)
            case RequestFailed() if self._request_spans:
                self._request_failed(event)
            case RequestThrottled():
                self._noticed(
                    event,
                    "aiobatch.throttled",
                    {
                        "aws.dynamodb.table_names": event.throttled_tables,
                        "aiobatch.throttling_reasons": event.reasons,
                    },
                )
            case LeftoversRequeued():
                told: dict[str, Any] = {
                    "aiobatch.entries": event.entries,
                    "aiobatch.delay": event.delay,
                }
                if event.error_type is not None:
                    told["error.type"] = event.error_type
                self._noticed(event, "aiobatch.requeued", told)
            case CallFinished():
                self._call_finished(event)

    def _call_started(self, event: CallStarted) -> None:
        # Where requests have spans of their own, they are the calls of the database.
        kind = SpanKind.INTERNAL if self._request_spans else SpanKind.CLIENT
        self._calls[event.call] = _Current(
            self._tracer.start_span(
                _name(event), kind=kind, attributes=_attributes(event, event.entries)
            )
        )

    def _call_finished(self, event: CallFinished) -> None:
        common = _common(event)
        if event.error_type is not None:
            common["error.type"] = event.error_type
        self._duration.record(event.seconds, common)
        for counter, count in (
            (self._sent, event.requests),
            (self._retries, event.retries),
            (self._throttles, event.throttled),
        ):
            if count:
                counter.add(count, common)
        current = self._calls.pop(event.call, None)
        if current is None:
            return
        span = current.span
        span.set_attributes(
            {f"aiobatch.{outcome}": count for outcome, count in event.counts.items()}
        )
        span.set_attributes(
            {
                "aiobatch.requests": event.requests,
                "aiobatch.retries": event.retries,
                "aiobatch.throttled": event.throttled,
                "aiobatch.bytes": event.bytes,
            }
        )
        _fail(span, event.error_type, event.request_id)
        current.end()

    def _request_sent(self, event: RequestSent) -> None:
        call = self._calls.get(event.call)
        parent = trace.set_span_in_context(call.span) if call else context.get_current()
        self._requests[event.request] = _Current(
            self._tracer.start_span(
                _name(event),
                context=parent,
                kind=SpanKind.CLIENT,
                attributes=_attributes(event, event.entries)
                | {"aiobatch.request.bytes": event.bytes},
            )
        )

    def _request_finished(self, event: RequestFinished) -> None:
        current = self._requests.pop(event.request, None)
        if current is not None:
            current.span.set_attributes(
                {"aiobatch.left": event.left, "aiobatch.answer.bytes": event.bytes}
            )
            current.end()

    def _request_failed(self, event: RequestFailed) -> None:
        current = self._requests.pop(event.request, None)
        if current is not None:
            if event.status is not None:
                current.span.set_attribute("http.response.status_code", event.status)
            _fail(current.span, event.error_type, event.request_id)
            current.end()

    def _noticed(self, event: Event, name: str, attributes: dict[str, Any]) -> None:
        current = self._calls.get(event.call)
        if current is not None:
            current.span.add_event(name, attributes)


class _Current:
    """A span that is the current one of its task until it ends.

    The events of a call's beginning and end come in one task, and so do those of a request's.
    """

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token = context.attach(trace.set_span_in_context(span))

    def end(self) -> None:
        context.detach(self._token)
        self.span.end()


def _name(event: Event) -> str:
    return f"{event.operation} {event.tables[0]}" if len(event.tables) == 1 else event.operation


def _common(event: Event) -> dict[str, Any]:
    common: dict[str, Any] = {"db.system.name": _SYSTEM, "db.operation.name": event.operation}
    if len(event.tables) == 1:
        common["db.collection.name"] = event.tables[0]
    return common


def _attributes(event: Event, entries: int) -> dict[str, Any]:
    attributes = _common(event) | {"aws.dynamodb.table_names": event.tables}
    # By the conventions, one operation is no batch.
    if entries > 1:
        attributes["db.operation.batch.size"] = entries
    return attributes


def _fail(span: Span, error_type: str | None, request_id: str | None) -> None:
    if error_type is None:
        return
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
    if request_id is not None:
        # Only DynamoDB's own errors have one, and their type is its code.
        span.set_attribute("db.response.status_code", error_type)
        span.set_attribute("aws.request_id", request_id)
