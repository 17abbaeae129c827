"""The shapes of answers: plain dicts, typed."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = [
    "BatchGetResponse",
    "BatchWriteResponse",
    "InvalidEntry",
    "Item",
    "ItemResponse",
    "Metrics",
    "OrderedBatchGetResponse",
    "RejectedEntry",
    "WriteResponse",
]

Item = dict[str, Any]
"""An item as it is read: attribute names and native Python values."""


class Metrics(TypedDict):
    """What a call cost.

    ``requests`` counts HTTP requests, retries among them; ``retries`` counts entries sent again;
    ``throttled`` counts requests that DynamoDB refused for throttling; ``bytes`` are those of the
    bodies, sent and received; ``seconds`` is the time from the call to its answer.
    """

    requests: int
    retries: int
    throttled: int
    bytes: int
    seconds: float


class RejectedEntry(TypedDict):
    """An entry that DynamoDB refused for its own fault, at its position in the caller's list.

    ``item`` is the caller's own item or key; ``code`` and ``message`` are DynamoDB's.
    """

    index: int
    item: Any
    code: str
    message: str


class InvalidEntry(TypedDict):
    """An entry of a stream that DynamoDB would refuse: it was not sent.

    ``item`` is the caller's own item or key, at position ``index`` of the source; ``path`` and
    ``reason`` say where and why, as in ``InvalidItem``.
    """

    index: int
    item: Any
    path: str
    reason: str


class BatchGetResponse(TypedDict):
    """The answer of ``batch_get_item``.

    Over distinct keys, ``Count`` and the lengths of ``MissingKeys``, ``UnprocessedKeys`` and
    ``RejectedKeys`` add up. Keys are the caller's own objects.
    """

    Items: list[Item]
    Count: int
    MissingKeys: list[Any]
    UnprocessedKeys: list[Any]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]
    RejectedKeys: NotRequired[list[RejectedEntry]]


class OrderedBatchGetResponse(TypedDict):
    """The answer of ``batch_get_item(ordered=True)``: ``Items`` matches ``keys`` one to one.

    ``None`` stands where there is no item: the key is in ``MissingKeys`` or ``UnprocessedKeys``.
    """

    Items: list[Item | None]
    Count: int
    MissingKeys: list[Any]
    UnprocessedKeys: list[Any]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]
    RejectedKeys: NotRequired[list[RejectedEntry]]


class BatchWriteResponse(TypedDict):
    """The answer of ``batch_write_item``.

    ``ProcessedCount``, ``UnprocessedCount`` and the lengths of ``RejectedItems`` and
    ``UnknownItems`` add up to the input. Items are the caller's own objects.
    """

    ProcessedCount: int
    UnprocessedCount: int
    UnprocessedItems: list[Any]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]
    RejectedItems: NotRequired[list[RejectedEntry]]
    UnknownItems: NotRequired[list[Any]]


class ItemResponse(TypedDict):
    """The answer of ``get``: without ``Item`` where there is none."""

    Item: NotRequired[Item]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[dict[str, Any]]


class WriteResponse(TypedDict):
    """The answer of ``save`` and ``delete``: ``Attributes`` where old values were asked for."""

    Attributes: NotRequired[Item]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[dict[str, Any]]
