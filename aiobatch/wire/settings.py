"""How a connection to DynamoDB is configured, with boto3's names and meanings."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.session import Session

from aiobatch.wire.choice import default_config_of, options_of, reason_in_settings

if TYPE_CHECKING:
    from aiobatch.wire.protocol import Wire

__all__ = ["ConnectionSettings", "WireKind"]

WireKind = Literal["auto", "direct", "aiobotocore"]

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 10.0
# DynamoDB closes connections that were idle for 5 to 7 s, and so does dynalite; aiobotocore reuses
# them for 12. A request that meets the closing is in doubt, so they are given up before.
KEEPALIVE_TIMEOUT = 4.0


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ConnectionSettings:
    """What ``DynamoDB(...)`` was told about the connection. ``None`` means what boto3 means by it.

    ``wire`` is one of the caller's own, ``kind`` which of ours to take.

    Raises:
        ValueError: two settings that contradict each other, with what to use instead.
    """

    max_concurrency: int
    region_name: str | None = None
    endpoint_url: str | None = None
    profile_name: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None
    verify: bool | str | None = None
    config: Config | None = None
    session: Any = None
    client: Any = None
    wire: Wire | None = None
    kind: WireKind = "auto"

    def __post_init__(self) -> None:
        given = [
            field.name
            for field in fields(self)
            if field.name not in ("max_concurrency", "kind") and self._is_set(field.name)
        ]
        for whole in ("wire", "client"):
            others = [name for name in given if name != whole]
            if whole in given and others:
                raise ValueError(
                    f"{whole}= brings its own {others[0]}: set it there, or leave {whole}= out"
                )
        if self.session is not None and self.profile_name is not None:
            raise ValueError("session= brings its own profile: set profile_name on the session")
        if self.session is not None and not _makes_async_clients(self.session):
            raise ValueError("session= takes an aioboto3.Session or aiobotocore's AioSession")
        # boto3's has no `async with`, one that is not yet entered has no `meta`.
        if self.client is not None and not (
            hasattr(self.client, "meta") and hasattr(self.client, "__aenter__")
        ):
            raise ValueError(
                "client= takes an open client of aiobotocore or aioboto3:"
                ' async with session.create_client("dynamodb") as client'
            )
        if self.config is not None and not isinstance(self.config, Config):
            raise ValueError("config= takes a botocore Config")
        options = options_of(self.config)
        if options.get("retries") is not None:
            raise ValueError(
                "config.retries would retry inside each retry: use retry=Retry(...) of aiobatch"
            )
        pool = options.get("max_pool_connections")
        if pool is not None and pool < self.max_concurrency:
            raise ValueError(
                f"config.max_pool_connections={pool} is smaller than"
                f" max_concurrency={self.max_concurrency}: requests would queue for a connection."
                " Raise the one or lower the other"
            )
        if self.kind == "direct":
            reason = reason_in_settings(self)
            if reason is not None:
                raise ValueError(f'wire="direct" cannot be taken: {reason}. Use wire="auto"')

    def _is_set(self, name: str) -> bool:
        return getattr(self, name) is not None

    def client_arguments(self) -> dict[str, Any]:
        """The keyword arguments for ``create_client``: the caller's, with one attempt a request."""
        options = options_of(self.config)
        options["retries"] = {"total_max_attempts": 1, "mode": "standard"}
        options.setdefault("max_pool_connections", self.max_concurrency)
        options.setdefault("connect_timeout", CONNECT_TIMEOUT)
        options.setdefault("read_timeout", READ_TIMEOUT)
        # A session's own default would be merged with ours, and of these the one lost.
        if default_config_of(self.session) is None:
            options["connector_args"] = {
                "keepalive_timeout": KEEPALIVE_TIMEOUT,
                **options.get("connector_args", {}),
            }
        config: Config = AioConfig(**options)
        arguments: dict[str, Any] = {"config": config}
        for name in (
            "region_name",
            "endpoint_url",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
            "verify",
        ):
            if self._is_set(name):
                arguments[name] = getattr(self, name)
        return arguments

    def identity(self) -> tuple[Any, ...]:
        """Equal for settings that lead to the same connection, in this environment."""
        values: list[Any] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "config":
                options = options_of(value)
                values.append(options.pop("http_session_cls", None))
                values.append(repr(sorted(options.items())))
            elif field.name in ("session", "client", "wire"):
                values.append(id(value) if value is not None else None)
            else:
                values.append(value)
        # Regions, profiles, endpoints and credentials may all come from the environment.
        environment = hash(tuple(sorted(p for p in os.environ.items() if p[0].startswith("AWS_"))))
        return (*values, environment)


def _makes_async_clients(session: Any) -> bool:
    # boto3's and aioboto3's sessions keep the one that does the work here.
    inner = getattr(session, "_session", session)
    if isinstance(inner, Session) and not isinstance(inner, AioSession):
        return False
    return hasattr(session, "create_client") or hasattr(session, "client")
