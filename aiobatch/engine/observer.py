"""Tells the hooks of a call what happens in it. A call without hooks has no observer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import count

from aiobatch.engine.ledger import State
from aiobatch.engine.loop_time import loop_time
from aiobatch.engine.metrics import Meter
from aiobatch.engine.pressure import Direction, Governor
from aiobatch.events import (
    CallFinished,
    CallStarted,
    CapacityConsumed,
    Event,
    Hook,
    LeftoversRequeued,
    RateChanged,
    RequestFailed,
    RequestFinished,
    RequestSent,
    RequestThrottled,
)

__all__ = ["Observer", "counts_of", "observing"]

_log = logging.getLogger("aiobatch.events")
_calls = count(1)
_requests = count(1)

_ENDED = [state for state in State if state is not State.PENDING]


def observing(
    meter: Meter, operation: str, tables: tuple[str, ...], entries: int
) -> Observer | None:
    """Tell that a call begins, and return its observer; None where nobody wants to know."""
    hooks = meter.hooks
    if _log.isEnabledFor(logging.DEBUG):
        hooks = [*hooks, _log_event]
    if not hooks:
        return None
    observer = Observer(hooks, meter, operation, tables, entries)
    meter.told = observer.consumed
    return observer


def counts_of(counts: Mapping[State, int]) -> dict[str, int]:
    """How many entries ended in which way."""
    return {state.name.lower(): counts[state] for state in _ENDED if counts[state]}


class Observer:
    """Makes the events of one call and tells them.

    Args:
        hooks: who is told.
        meter: counts what the call costs; it may have counted for another before.
        operation: the API operation.
        tables: the tables of the call.
        entries: how many entries it has.
    """

    def __init__(
        self,
        hooks: Sequence[Hook],
        meter: Meter,
        operation: str,
        tables: tuple[str, ...],
        entries: int,
    ) -> None:
        self._hooks = hooks
        self._meter = meter
        self._before = (meter.requests, meter.retries, meter.throttled, meter.bytes)
        self._began = loop_time()
        self._call = next(_calls)
        self._operation = operation
        self._tables = tables
        self._tell(
            CallStarted(call=self._call, operation=operation, tables=tables, entries=entries)
        )

    def sent(self, tables: tuple[str, ...], entries: int, size: int) -> int:
        """A request leaves. Returns its number."""
        number = next(_requests)
        self._tell(
            RequestSent(
                call=self._call,
                operation=self._operation,
                tables=tables,
                request=number,
                entries=entries,
                bytes=size,
            )
        )
        return number

    def answered(
        self,
        request: int,
        tables: tuple[str, ...],
        *,
        entries: int,
        left: int,
        size: int,
        seconds: float,
    ) -> None:
        """A request was answered."""
        self._tell(
            RequestFinished(
                call=self._call,
                operation=self._operation,
                tables=tables,
                request=request,
                entries=entries,
                left=left,
                bytes=size,
                seconds=seconds,
            )
        )

    def failed(
        self,
        request: int,
        tables: tuple[str, ...],
        *,
        entries: int,
        error: BaseException,
        seconds: float,
    ) -> None:
        """A request was not answered, or with an error."""
        self._tell(
            RequestFailed(
                call=self._call,
                operation=self._operation,
                tables=tables,
                request=request,
                entries=entries,
                error_type=_type_of(error) or "",
                status=getattr(error, "status", None) or None,
                request_id=getattr(error, "request_id", None),
                seconds=seconds,
            )
        )

    def throttled(
        self,
        tables: tuple[str, ...],
        guilty: tuple[str, ...],
        reasons: Sequence[Mapping[str, object]],
    ) -> None:
        """A whole request was throttled."""
        self._tell(
            RequestThrottled(
                call=self._call,
                operation=self._operation,
                tables=tables,
                throttled_tables=guilty,
                reasons=tuple(str(reason["reason"]) for reason in reasons if reason.get("reason")),
            )
        )

    def requeued(
        self, tables: tuple[str, ...], entries: int, delay: float, cause: BaseException | None
    ) -> None:
        """Entries wait to be sent again."""
        self._tell(
            LeftoversRequeued(
                call=self._call,
                operation=self._operation,
                tables=tables,
                entries=entries,
                delay=delay,
                error_type=_type_of(cause),
            )
        )

    def paced(self, table: str, direction: Direction, governor: Governor) -> None:
        """The pace of a table may have changed."""
        rate = governor.rate_to_tell()
        if rate is not None:
            self._tell(
                RateChanged(
                    call=self._call,
                    operation=self._operation,
                    tables=(table,),
                    direction=direction,
                    rate=rate,
                )
            )

    def consumed(self, units: float) -> None:
        """An answer told what it consumed."""
        self._tell(
            CapacityConsumed(
                call=self._call, operation=self._operation, tables=self._tables, units=units
            )
        )

    def finished(self, counts: Mapping[str, int], error: BaseException | None) -> None:
        """The call is over."""
        meter = self._meter
        now = (meter.requests, meter.retries, meter.throttled, meter.bytes)
        requests, retries, throttled, size = (
            after - before for after, before in zip(now, self._before, strict=True)
        )
        self._tell(
            CallFinished(
                call=self._call,
                operation=self._operation,
                tables=self._tables,
                entries=sum(counts.values()),
                counts=counts,
                requests=requests,
                retries=retries,
                throttled=throttled,
                bytes=size,
                seconds=loop_time() - self._began,
                error_type=_type_of(error),
                request_id=getattr(error, "request_id", None),
            )
        )

    def _tell(self, event: Event) -> None:
        for hook in self._hooks:
            try:
                hook(event)
            except Exception as error:
                # Only its class: the error's words are not ours to put into a log.
                _log.warning(
                    "the hook %s raised %s at a %s, which is ignored",
                    getattr(hook, "__qualname__", type(hook).__qualname__),
                    type(error).__name__,
                    type(event).__name__,
                )


def _log_event(event: Event) -> None:
    """A hook that logs. Events hold nothing that must not be logged."""
    _log.debug("%s", event)


def _type_of(error: BaseException | None) -> str | None:
    """DynamoDB's code for an error, or its class."""
    if error is None:
        return None
    code = getattr(error, "code", None)
    return code if isinstance(code, str) and code else type(error).__name__
