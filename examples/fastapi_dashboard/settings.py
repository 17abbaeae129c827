"""What the environment says. Region and credentials are AWS's own variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the data is."""

    endpoint_url: str | None = None
    users_table: str = "app-table"
    products_table: str = "products"
    max_concurrency: int = 16
    max_wait: float = 0.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read ``DASHBOARD_ENDPOINT_URL``, ``_USERS_TABLE``, ``_PRODUCTS_TABLE`` and so on.

        Raises:
            ValueError: a setting cannot be right.
        """

        def setting(name: str, default: str) -> str:
            return environment.get(f"DASHBOARD_{name}", "").strip() or default

        concurrency = setting("MAX_CONCURRENCY", str(cls().max_concurrency))
        if not concurrency.isdecimal() or int(concurrency) < 1:
            raise ValueError("DASHBOARD_MAX_CONCURRENCY must be a whole number, 1 or more")
        try:
            max_wait = float(setting("MAX_WAIT", "0"))
        except ValueError:
            max_wait = -1.0
        if not 0 <= max_wait <= 1:
            raise ValueError("DASHBOARD_MAX_WAIT must be seconds, from 0 to 1")
        return cls(
            endpoint_url=setting("ENDPOINT_URL", "") or None,
            users_table=setting("USERS_TABLE", cls().users_table),
            products_table=setting("PRODUCTS_TABLE", cls().products_table),
            max_concurrency=int(concurrency),
            max_wait=max_wait,
        )
