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
from aiobatch.responses import (
    BatchGetResponse,
    BatchWriteResponse,
    Item,
    ItemResponse,
    Metrics,
    OrderedBatchGetResponse,
    RejectedEntry,
    WriteResponse,
)
from aiobatch.retry import Retry

__all__ = [
    "AccessDenied",
    "AiobatchError",
    "BatchError",
    "BatchGetResponse",
    "BatchTimeout",
    "BatchWriteResponse",
    "ClientClosed",
    "ConditionFailed",
    "DynamoDB",
    "InvalidItem",
    "Item",
    "ItemResponse",
    "KeyNamesUnknown",
    "Metrics",
    "OrderedBatchGetResponse",
    "RejectedEntry",
    "Retry",
    "ServiceError",
    "TableNotFound",
    "Throttled",
    "TransactionFailed",
    "WireError",
    "WriteResponse",
]
