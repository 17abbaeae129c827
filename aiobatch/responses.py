"""The shapes of answers: plain dicts, typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NotRequired, TypedDict

if TYPE_CHECKING:
    # Type checkers know it without an installation.
    from typing_extensions import TypeVar
else:
    from typing import TypeVar

__all__ = [
    "BatchGetResponse",
    "BatchWriteResponse",
    "InvalidEntry",
    "Item",
    "ItemResponse",
    "KeysAndAttributes",
    "Metrics",
    "OrderedBatchGetResponse",
    "RejectedEntry",
    "ScanPage",
    "TableGetResponse",
    "TableWriteResponse",
    "TablesGetResponse",
    "TablesWriteResponse",
    "TransactGetResponse",
    "TransactWriteResponse",
    "WriteResponse",
]

Item = dict[str, Any]
"""An item as it is read: attribute names and native Python values."""

if TYPE_CHECKING:
    ItemT = TypeVar("ItemT", default=Item)
else:
    ItemT = TypeVar("ItemT")


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


class BatchGetResponse(TypedDict, Generic[ItemT]):
    """The answer of ``batch_get_item``.

    Over distinct keys, ``Count`` and the lengths of ``MissingKeys``, ``UnprocessedKeys`` and
    ``RejectedKeys`` add up. Keys are the caller's own objects. ``Items`` are dicts, or objects of
    the ``model=``.
    """

    Items: list[ItemT]
    Count: int
    MissingKeys: list[Any]
    UnprocessedKeys: list[Any]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]
    RejectedKeys: NotRequired[list[RejectedEntry]]


class OrderedBatchGetResponse(TypedDict, Generic[ItemT]):
    """The answer of ``batch_get_item(ordered=True)``: ``Items`` matches ``keys`` one to one.

    ``None`` stands where there is no item: the key is in ``MissingKeys`` or ``UnprocessedKeys``.
    """

    Items: list[ItemT | None]
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


class KeysAndAttributes(TypedDict):
    """What ``batch_get`` reads from one table, where keys alone do not say it."""

    keys: Iterable[Any]
    projection_expression: NotRequired[str | None]
    expression_attribute_names: NotRequired[Mapping[str, str] | None]
    consistent_read: NotRequired[bool]
    model: NotRequired[Any]


class TableGetResponse(TypedDict):
    """What ``batch_get`` found in one table; see :class:`BatchGetResponse`."""

    Items: list[Any]
    Count: int
    MissingKeys: list[Any]
    UnprocessedKeys: list[Any]
    RejectedKeys: NotRequired[list[RejectedEntry]]


class TablesGetResponse(TypedDict):
    """The answer of ``batch_get``.

    ``Tables`` has an account for each table, by the caller's name for it. ``Count`` is over all
    tables. ``UnprocessedKeys`` has the tables that have keys left over, with the caller's options,
    and can be passed straight back.
    """

    Tables: dict[str, TableGetResponse]
    Count: int
    UnprocessedKeys: dict[str, Any]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]


class TableWriteResponse(TypedDict):
    """What ``batch_write`` did in one table; see :class:`BatchWriteResponse`.

    Items stand as the caller's own operations: ``Put`` and ``Delete`` objects.
    """

    ProcessedCount: int
    UnprocessedCount: int
    UnprocessedItems: list[Any]
    RejectedItems: NotRequired[list[RejectedEntry]]
    UnknownItems: NotRequired[list[Any]]


class TablesWriteResponse(TypedDict):
    """The answer of ``batch_write``.

    ``Tables`` has an account for each table, by the caller's name for it. The counts are over all
    tables. ``UnprocessedItems`` has the tables that have operations left over, and can be passed
    straight back.
    """

    Tables: dict[str, TableWriteResponse]
    ProcessedCount: int
    UnprocessedCount: int
    UnprocessedItems: dict[str, list[Any]]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]


class ItemResponse(TypedDict, Generic[ItemT]):
    """The answer of ``get``: without ``Item`` where there is none."""

    Item: NotRequired[ItemT]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[dict[str, Any]]


class ScanPage(TypedDict):
    """A page of ``scan_pages``: what one request brought.

    ``ScannedCount`` is before the filter. ``LastEvaluatedKey`` is where the next page begins, with
    exact numbers whatever the client's ``numbers``; the last page has none.
    """

    Items: list[Item]
    Count: int
    ScannedCount: int
    LastEvaluatedKey: NotRequired[Item]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[dict[str, Any]]


class WriteResponse(TypedDict):
    """The answer of ``save``, ``delete`` and ``update``: ``Attributes`` where asked for."""

    Attributes: NotRequired[Item]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[dict[str, Any]]


class TransactGetResponse(TypedDict):
    """The answer of ``transact_get_items``: an item for each operation, or None."""

    Items: list[Any]
    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]


class TransactWriteResponse(TypedDict):
    """The answer of ``transact_write_items``: all operations took effect."""

    Metrics: Metrics
    ConsumedCapacity: NotRequired[list[dict[str, Any]]]
