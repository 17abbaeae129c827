"""What DynamoDB tells of a table: its keys, and what tells it from others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiobatch.codec import KeySchema
from aiobatch.engine.metrics import Meter
from aiobatch.errors import AccessDenied
from aiobatch.single import describe_body
from aiobatch.wire.protocol import Request

if TYPE_CHECKING:
    from aiobatch.client import DynamoDB

__all__ = ["TableIdentity", "describe"]


@dataclass(frozen=True, slots=True)
class TableIdentity:
    """A table, as DynamoDB describes it.

    Attributes:
        name: as the caller named it: a name or an ARN.
        place: the endpoint or region that the client was given.
        arn: its ARN, or None where DescribeTable is denied.
        id: what no other table has, not even a later one of the same name; None if not told.
        schema: its key attributes, or None.
        description: DescribeTable's whole ``Table``; empty where that is denied.
    """

    name: str
    place: str
    arn: str | None = None
    id: str | None = None
    schema: KeySchema | None = None
    description: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"name": self.name, "place": self.place, "arn": self.arn, "id": self.id}


async def describe(db: DynamoDB, table_name: str) -> TableIdentity:
    """Ask DynamoDB for a table; without the permission to, what is known without it.

    Raises:
        TableNotFound, ServiceError, WireError: there is no answer that helps.
    """
    access = db._access()
    access.check()
    place = _place(db)
    async with access.under_way():
        engine = await access.engine()
        meter = Meter(0.0, hooks=access.hooks)
        request = Request("DescribeTable", table_name, describe_body(table_name))
        try:
            description, _ = await engine.single(
                request, None, _table_in, retry=access.retry, meter=meter
            )
        except AccessDenied as error:
            if error.code not in ("AccessDeniedException", "AccessDenied", "NotAuthorized"):
                raise
            return TableIdentity(table_name, place, schema=access.known_schema(engine, table_name))
        schema = KeySchema.from_description(description)
        engine.schemas.describe(table_name, schema)
    identity = description.get("TableId")
    if identity:
        # Emulators give tables of equal names equal ids.
        identity = f"{identity} {description.get('CreationDateTime', '')}".strip()
    return TableIdentity(
        table_name, place, description.get("TableArn"), identity, schema, description
    )


def _table_in(answer: dict[str, Any]) -> dict[str, Any]:
    table = answer.get("Table", {})
    KeySchema.from_description(table)  # raises Malformed if it is none
    return dict(table)


def _place(db: DynamoDB) -> str:
    connection = db._settings.connection
    client = connection.client
    found = (
        (client.meta.endpoint_url if client is not None else None)
        or connection.endpoint_url
        or os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
        or os.environ.get("AWS_ENDPOINT_URL")
        or connection.region_name
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
    )
    return str(found or "the default region")
