"""What a load would cost, in capacity units, by the sizes of its items.

Source of the rules: "Read/write capacity" and "DynamoDB item sizes and formats" in AWS's Developer
Guide; the units' sizes stand in ``aiobatch.limits``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orjson import loads

from aiobatch.bulk.checkpoint import Mark
from aiobatch.bulk.formats import check_types
from aiobatch.bulk.slices import Slices
from aiobatch.bulk.sources import resolve
from aiobatch.bulk.threads import Worker
from aiobatch.codec import KeySchema, Refusal, encode_item, encode_key
from aiobatch.codec.size import item_size
from aiobatch.limits import READ_UNIT_BYTES, WRITE_UNIT_BYTES

__all__ = ["Cost", "estimate", "read_units", "size_of", "write_units"]


def write_units(size: int) -> int:
    """The capacity units of writing an item of so many bytes: one for each KB begun.

    >>> write_units(1), write_units(1024), write_units(1025)
    (1, 1, 2)
    """
    return max(1, -(-size // WRITE_UNIT_BYTES))


def read_units(size: int, *, consistent: bool = False) -> float:
    """The capacity units of reading an item of so many bytes: a half for each 4 KB begun.

    >>> read_units(4096), read_units(4097, consistent=True)
    (0.5, 2.0)
    """
    return max(1, -(-size // READ_UNIT_BYTES)) * (1.0 if consistent else 0.5)


def size_of(item: Any) -> int:
    """The bytes of an item, as DynamoDB counts them.

    Raises ``aiobatch.codec.Refusal`` for what DynamoDB cannot hold.
    """
    return item_size(loads(encode_item(item, None, None)[0]))


@dataclass(slots=True)
class Cost:
    """What a load would send.

    Rows of one key are counted one by one, though those that come close together are written once.

    Attributes:
        rows: all rows of the files.
        refused: how many of them would go to the dead letters.
        bytes: of the items together.
        largest: bytes of the largest item.
        write_units: capacity units to write them all, without secondary indexes. Of a delete, the
            least: DynamoDB counts the item that is deleted.
        read_units: capacity units to read them all one by one, eventually consistent.
    """

    rows: int = 0
    refused: int = 0
    bytes: int = 0
    largest: int = 0
    write_units: int = 0
    read_units: float = 0.0

    @property
    def items(self) -> int:
        """How many rows would be written."""
        return self.rows - self.refused

    def add(self, size: int) -> None:
        """Count an item of so many bytes."""
        self.rows += 1
        self.bytes += size
        self.largest = max(self.largest, size)
        self.write_units += write_units(size)
        self.read_units += read_units(size)

    def refuse(self) -> None:
        """Count a row that would not be written."""
        self.rows += 1
        self.refused += 1


async def estimate(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    operation: Literal["put", "delete"] = "put",
    format: str | None = None,
    types: Mapping[str, str] | None = None,
    key_names: Sequence[str] | None = None,
) -> Cost:
    r"""Read files as :func:`aiobatch.bulk.load` does, and send nothing.

    Args:
        sources: as for ``load``.
        operation: as for ``load``.
        format: as for ``load``.
        types: as for ``load``.
        key_names: the table's key attributes, the partition key first: rows without them are
            counted as refused. None: they are not looked at.

    Raises:
        ValueError, SourceError, FormatError, MissingExtra: as ``load`` does.

    Example::

        import asyncio
        from pathlib import Path
        from aiobatch.bulk import estimate

        rows = "pk,sk,age:N\nuser#9,profile,39\n"
        await asyncio.to_thread(Path("users.csv").write_text, rows)
        cost = await estimate("users.csv", key_names=("pk", "sk"))
        print(cost.items, cost.refused, cost.largest, cost.write_units)
    """
    files = resolve(sources, format)
    checked = check_types(types)
    schema = KeySchema.from_names(key_names) if key_names is not None else None
    slices = Slices(files, checked, Mark(), [None] * len(files))
    cost = Cost()

    def next_sizes() -> list[int | None]:
        return [_size(row.item, operation, schema) for _, row in slices.next()]

    async with Worker("aiobatch-estimate") as worker:
        try:
            while sizes := await worker.run(next_sizes, slices.give_up):
                for size in sizes:
                    if size is None:
                        cost.refuse()
                    else:
                        cost.add(size)
        finally:
            await worker.run(slices.close)
    return cost


def _size(item: dict[str, Any] | None, operation: str, schema: KeySchema | None) -> int | None:
    """The size of what would be sent for a row; None if nothing would."""
    if item is None:
        return None
    try:
        if operation == "put":
            return item_size(loads(encode_item(item, schema, None)[0]))
        if schema is not None:
            item = {name: item[name] for name in schema.names if name in item}
        return item_size(loads(encode_key(item, schema, None)))
    except Refusal:
        return None
