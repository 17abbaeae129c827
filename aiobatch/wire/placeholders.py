"""The smallest parameters that botocore accepts for each operation.

They carry the client through its own steps (hooks, endpoint rules, headers); the body that is
sent is ours. The table stands in them because endpoints may depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["OPERATIONS", "method_of", "placeholder"]

_VALUE = {"S": "-"}
_KEY = {"-": _VALUE}

_PARAMETERS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "BatchGetItem": lambda table: {"RequestItems": {table: {"Keys": [_KEY]}}},
    "BatchWriteItem": lambda table: {
        "RequestItems": {table: [{"DeleteRequest": {"Key": _KEY}}]},
    },
    "CreateTable": lambda table: {
        "TableName": table,
        "KeySchema": [{"AttributeName": "-", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "-", "AttributeType": "S"}],
    },
    "DescribeTable": lambda table: {"TableName": table},
    "GetItem": lambda table: {"TableName": table, "Key": _KEY},
    "PutItem": lambda table: {"TableName": table, "Item": _KEY},
    "DeleteItem": lambda table: {"TableName": table, "Key": _KEY},
    "Query": lambda table: {"TableName": table},
    "Scan": lambda table: {"TableName": table},
    "UpdateItem": lambda table: {"TableName": table, "Key": _KEY},
    "TransactGetItems": lambda table: {
        "TransactItems": [{"Get": {"TableName": table, "Key": _KEY}}],
    },
    "TransactWriteItems": lambda table: {
        "TransactItems": [{"Delete": {"TableName": table, "Key": _KEY}}],
    },
}
_METHODS: Mapping[str, str] = {
    "BatchGetItem": "batch_get_item",
    "BatchWriteItem": "batch_write_item",
    "CreateTable": "create_table",
    "DescribeTable": "describe_table",
    "GetItem": "get_item",
    "PutItem": "put_item",
    "DeleteItem": "delete_item",
    "Query": "query",
    "Scan": "scan",
    "UpdateItem": "update_item",
    "TransactGetItems": "transact_get_items",
    "TransactWriteItems": "transact_write_items",
}

OPERATIONS = tuple(_METHODS)


def placeholder(operation: str, table: str) -> dict[str, Any]:
    """Parameters that pass botocore's validation for this operation."""
    return _PARAMETERS[operation](table)


def method_of(operation: str) -> str:
    """The name of the client's method for this operation."""
    return _METHODS[operation]
