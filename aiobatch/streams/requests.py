"""Requests of a stream: over places whose content changes."""

from __future__ import annotations

from collections.abc import Sequence

from aiobatch.engine.requests import BatchWrite, Capacity, WritePart

__all__ = ["MixedWrite"]


class MixedWrite(BatchWrite):
    """BatchWriteItem on one table, puts and deletes in one request.

    Args:
        table: the table's name or ARN.
        fragments: at each place, an item or a key, encoded.
        identities: at each place, the identity of the key that it writes.
        deletes: at each place, whether it is a key whose item is to be deleted.
        names: the table's key names.
        capacity: what ConsumedCapacity to ask for.
    """

    def __init__(
        self,
        table: str,
        fragments: Sequence[bytes],
        identities: Sequence[bytes],
        deletes: bytearray,
        names: Sequence[str],
        *,
        capacity: Capacity,
    ) -> None:
        part = WritePart(
            table=table,
            fragments=fragments,
            identities=identities,
            deletes=False,
            names=names,
        )
        super().__init__([part], capacity=capacity)
        # Not a copy, since it changes as the fragments do.
        self._deletes = deletes
