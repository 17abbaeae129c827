"""A table made for a load, where the caller says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orjson import dumps

from aiobatch import intake
from aiobatch.bulk.errors import BulkError
from aiobatch.bulk.table import describe
from aiobatch.engine.metrics import Meter
from aiobatch.errors import ServiceError, TableNotFound
from aiobatch.retry import Retry
from aiobatch.wire.protocol import Request

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["create_table", "parse_keys"]

_LOOK_EVERY: Final = 1.0
_LOOK_FOR: Final = 300.0


def parse_keys(text: str) -> dict[str, str]:
    """Read key attributes with their types, the partition key first.

    Raises ValueError.

    >>> parse_keys("pk:S,sk:N")
    {'pk': 'S', 'sk': 'N'}
    """
    keys: dict[str, str] = {}
    for part in text.split(","):
        name, colon, kind = part.strip().rpartition(":")
        if not colon or not name or kind not in ("S", "N", "B"):
            raise ValueError(
                f"{part.strip()!r} is no key attribute: write its name and its type, S, N or B,"
                " as in pk:S,sk:N"
            )
        keys[name] = kind
    if len(keys) > 2 or len(keys) != text.count(",") + 1:
        raise ValueError("a table has one or two key attributes, of different names")
    return keys


async def create_table(db: DynamoDB, table_name: str, keys: Mapping[str, str]) -> bool:
    """Create a table that is billed by request, and wait until it can be used.

    A table of this name with these keys is left as it is; then it returns False.

    Args:
        db: the client.
        table_name: its name.
        keys: the key attributes with their types, the partition key first.

    Raises:
        BulkError: there is a table of this name with other keys, or it does not become active.
        AccessDenied, ServiceError, WireError: DynamoDB gave no usable answer.
    """
    intake.check_table_name(table_name)
    wanted = {
        "TableName": table_name,
        "KeySchema": [
            {"AttributeName": name, "KeyType": "RANGE" if position else "HASH"}
            for position, name in enumerate(keys)
        ],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    access = db._access()
    access.check()
    made = True
    async with access.under_way():
        engine = await access.engine()
        request = Request("CreateTable", table_name, dumps(wanted))
        try:
            await engine.single(
                request,
                None,
                lambda answer: answer,
                retry=Retry(),
                meter=Meter(0.0, hooks=access.hooks),
            )
        except ServiceError as error:
            # Also what the second of two attempts is told, when the first one's answer was lost.
            if error.code != "ResourceInUseException":
                raise
            made = False
    description = await _active(db, table_name)
    found = {each["AttributeName"]: each["AttributeType"] for each in _definitions(description)}
    there = {each["AttributeName"]: found.get(each["AttributeName"]) for each in _keys(description)}
    if there and list(there.items()) != list(keys.items()):
        told = ",".join(f"{name}:{kind}" for name, kind in there.items())
        raise BulkError(f"table {table_name!r} is there already, with the keys {told}")
    return made


def _definitions(description: Mapping[str, Any]) -> list[dict[str, str]]:
    return list(description.get("AttributeDefinitions", ()))


def _keys(description: Mapping[str, Any]) -> list[dict[str, str]]:
    return sorted(description.get("KeySchema", ()), key=lambda each: str(each["KeyType"]))


async def _active(db: DynamoDB, table_name: str) -> Mapping[str, Any]:
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        try:
            description = (await describe(db, table_name)).description
        except TableNotFound:
            description = {"TableStatus": "CREATING"}  # not everywhere yet
        if description.get("TableStatus", "ACTIVE") in ("ACTIVE", "UPDATING"):
            return description
        if clock() - began > _LOOK_FOR:
            raise BulkError(f"table {table_name!r} has not become active for {_LOOK_FOR:g} s")
        await asyncio.sleep(_LOOK_EVERY)
