"""Opening a wire: the aiobotocore client behind it, and which of the two carries requests."""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from aiobotocore.session import AioSession

from aiobatch.wire.aiobotocore import AiobotocoreWire
from aiobatch.wire.choice import reason_in_client, reason_in_settings
from aiobatch.wire.direct import DirectWire

if TYPE_CHECKING:
    from aiobatch.wire.exchange import Crc32
    from aiobatch.wire.protocol import Wire
    from aiobatch.wire.settings import ConnectionSettings

__all__ = ["open_wire"]

_log = logging.getLogger("aiobatch.wire")


async def open_wire(settings: ConnectionSettings, *, crc32: Crc32 = zlib.crc32) -> Wire:
    """Open the wire that the settings ask for; with ``"auto"``, the fastest that honours them.

    ``crc32`` makes the direct wire's checksums.

    Raises:
        ValueError: the direct wire is insisted on and does not honour a setting.
        botocore.exceptions.BotoCoreError: what boto3 raises for the same settings, such as
            ``NoRegionError`` or ``ProfileNotFound``.
    """
    async with AsyncExitStack() as stack:
        client = settings.client
        if client is None:
            client = await _open_client(settings, stack)
        if settings.kind != "aiobotocore":
            reason = reason_in_settings(settings) or reason_in_client(client)
            if reason is None:
                return DirectWire(client, stack.pop_all(), crc32=crc32)
            if settings.kind == "direct":
                raise ValueError(f'wire="direct" cannot be taken: {reason}. Use wire="auto"')
            _log.debug("requests go through an aiobotocore client: %s", reason)
        return AiobotocoreWire(client, stack.pop_all(), owned=settings.client is None)


async def _open_client(settings: ConnectionSettings, stack: AsyncExitStack) -> Any:
    session = settings.session
    if session is None:
        session = AioSession(profile=settings.profile_name)
    # aioboto3's session has `client`, aiobotocore's `create_client`.
    if hasattr(session, "create_client"):
        await asyncio.to_thread(_warm_up, session)
        opening = session.create_client("dynamodb", **settings.client_arguments())
    else:
        opening = session.client("dynamodb", **settings.client_arguments())
    return await stack.enter_async_context(opening)


def _warm_up(session: Any) -> None:
    """Read botocore's data files for DynamoDB in a thread: parsing them takes tens of ms."""
    loader = session.get_component("data_loader")
    for name in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("dynamodb", name)
    for name in ("endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data(name)
