"""aiobatch: an asyncio-native batch client for Amazon DynamoDB."""

from aiobatch.client import DynamoDB
from aiobatch.errors import (
    AccessDenied,
    AiobatchError,
    BatchError,
    BatchTimeout,
    ClientClosed,
    ConditionFailed,
    InvalidItem,
    KeyNamesUnknown,
    ServiceError,
    TableNotFound,
    Throttled,
    TransactionFailed,
    WireError,
)
from aiobatch.loader import Loader, LoaderStats
from aiobatch.responses import (
    BatchGetResponse,
    BatchWriteResponse,
    InvalidEntry,
    Item,
    ItemResponse,
    Metrics,
    OrderedBatchGetResponse,
    RejectedEntry,
    WriteResponse,
)
from aiobatch.retry import Retry
from aiobatch.streams.reader import ItemStream
from aiobatch.streams.report import ReadReport, WriteReport
from aiobatch.streams.writer import BatchWriter

__all__ = [
    "AccessDenied",
    "AiobatchError",
    "BatchError",
    "BatchGetResponse",
    "BatchTimeout",
    "BatchWriteResponse",
    "BatchWriter",
    "ClientClosed",
    "ConditionFailed",
    "DynamoDB",
    "InvalidEntry",
    "InvalidItem",
    "Item",
    "ItemResponse",
    "ItemStream",
    "KeyNamesUnknown",
    "Loader",
    "LoaderStats",
    "Metrics",
    "OrderedBatchGetResponse",
    "ReadReport",
    "RejectedEntry",
    "Retry",
    "ServiceError",
    "TableNotFound",
    "Throttled",
    "TransactionFailed",
    "WireError",
    "WriteReport",
    "WriteResponse",
]
