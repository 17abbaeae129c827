"""Requests of a stream: over places whose content changes."""

from __future__ import annotations

from collections.abc import Sequence

from aiobatch.engine.requests import REQUEST_ITEMS, BatchWrite, Capacity, WritePart

__all__ = ["MixedWrite", "delete_of", "put_of"]


def put_of(item: bytes) -> bytes:
    """The operation that puts an item."""
    return b'{"PutRequest":{"Item":' + item + b"}}"


def delete_of(key: bytes) -> bytes:
    """The operation that deletes the item of a key."""
    return b'{"DeleteRequest":{"Key":' + key + b"}}"


class MixedWrite(BatchWrite):
    """BatchWriteItem on one table, puts and deletes in one request.

    Args:
        table: the table's name or ARN.
        operations: at each place, an operation as :func:`put_of` and :func:`delete_of` make it.
        identities: at each place, the identity of the key that it writes.
        names: the table's key names.
        capacity: what ConsumedCapacity to ask for.
    """

    def __init__(
        self,
        table: str,
        operations: Sequence[bytes],
        identities: Sequence[bytes],
        names: Sequence[str],
        *,
        capacity: Capacity,
    ) -> None:
        part = WritePart(
            table=table,
            fragments=operations,
            identities=identities,
            # Each operation says itself which it is.
            deletes=False,
            names=names,
        )
        super().__init__([part], capacity=capacity)

    def size(self, entry: int) -> int:
        """The bytes of the operation and its comma."""
        return len(self._fragments[entry]) + 1

    def total(self, entries: Sequence[int]) -> int:
        """The same of many."""
        return sum(len(self._fragments[entry]) for entry in entries) + len(entries)

    def body(self, entries: Sequence[int]) -> bytes:
        """The operations of these entries."""
        operations = b",".join([self._fragments[entry] for entry in entries])
        return REQUEST_ITEMS + self._heads[0] + operations + b"]" + self._end
