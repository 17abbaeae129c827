"""The key names of each table: told by the caller's requests or by DescribeTable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiobatch.codec import KeySchema

__all__ = ["KeyBook"]

_DOUBTED_AGAIN_AFTER = 10.0


class KeyBook:
    """What has been learnt so far. Learnt names are dropped when a schema error says otherwise."""

    def __init__(self) -> None:
        self._schemas: dict[str, KeySchema] = {}
        self._learning: dict[str, asyncio.Lock] = {}
        self._doubted_at: dict[str, float] = {}

    def get(self, table: str) -> KeySchema | None:
        """The table's key schema, if it is known."""
        return self._schemas.get(table)

    def turn(self, table: str) -> asyncio.Lock:
        """Held while a table is being described, so that it is described once."""
        return self._learning.setdefault(table, asyncio.Lock())

    def describe(self, table: str, schema: KeySchema) -> None:
        """DescribeTable told the schema."""
        self._schemas[table] = schema

    def learn(self, table: str, names: Sequence[str]) -> None:
        """DynamoDB accepted keys with these names."""
        if table not in self._schemas:
            self._schemas[table] = KeySchema(tuple(names), ordered=False)

    def may_doubt(self, table: str, now: float) -> bool:
        """Whether to ask again for names that refuse what a caller has, which notes that it is.

        Not within ten seconds of the last time: callers may have wrong keys again and again.
        """
        before = self._doubted_at.get(table)
        if before is not None and now - before < _DOUBTED_AGAIN_AFTER:
            return False
        self._doubted_at[table] = now
        return True

    def forget(self, table: str) -> None:
        """What is known of this table was wrong."""
        self._schemas.pop(table, None)
