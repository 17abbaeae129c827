"""The caller's values on their way in: checked and encoded, a slice of them a turn of the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiobatch import codec, limits
from aiobatch.codec import KeySchema
from aiobatch.engine import plan
from aiobatch.engine.loop_time import next_turn, turn_is_over
from aiobatch.errors import InvalidItem

__all__ = [
    "as_list",
    "check_segments",
    "check_table_name",
    "distinct",
    "encode_all",
    "encode_items",
    "encode_keys",
    "encode_one",
    "schema_of_first",
    "unwrapped",
]

EncodedT = TypeVar("EncodedT")

# Bytes that are written before the clock is looked at: a fraction of a millisecond.
_STEP = 32 * 1024

# So many are compared in some microseconds, in one go.
_FEW = 256


def check_table_name(table_name: str) -> None:
    """Raise unless this can be a table's name or ARN."""
    if not isinstance(table_name, str):
        raise TypeError(f"table_name must be a str, not {type(table_name).__name__}")
    if not table_name:
        raise ValueError("table_name is empty: give the table's name or its ARN")


def check_segments(segment: int | None, total_segments: int | None) -> None:
    """Raise unless these name one segment of a scan, or none."""
    if segment is None and total_segments is None:
        return
    if segment is None or total_segments is None:
        raise ValueError("segment and total_segments go together: give both or neither")
    for name, value in (("segment", segment), ("total_segments", total_segments)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 1 <= total_segments <= limits.SCAN_MAX_SEGMENTS:
        raise ValueError(f"total_segments must be 1 to {limits.SCAN_MAX_SEGMENTS:,}")
    if not 0 <= segment < total_segments:
        raise ValueError(
            f"segment must be 0 to total_segments - 1, that is {total_segments - 1}; not {segment}"
        )


def as_list(values: Iterable[Any], what: str) -> list[Any]:
    """The caller's values, or a TypeError for what looks like values but is not."""
    if isinstance(values, Mapping | str | bytes) or not isinstance(values, Iterable):
        raise TypeError(
            f"{what} must be an iterable of {what}, not {type(values).__name__}:"
            " put a single one into a list"
        )
    return list(values)


def unwrapped(value: Any, operation: str) -> Any:
    """The item or key inside boto3's ``{"PutRequest": {"Item": ...}}``, or the value itself.

    Raises:
        codec.Refusal: it is wrapped as the other operation.
    """
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    (name,) = value
    inner, wanted = {
        "PutRequest": ("Item", "put"),
        "DeleteRequest": ("Key", "delete"),
    }.get(name, (None, None))
    request = value[name]
    if inner is None or not isinstance(request, Mapping) or set(request) != {inner}:
        return value
    if wanted != operation:
        raise codec.Refusal(f"is a {name} in a call with operation={operation!r}")
    return request[inner]


async def encode_all(
    values: Iterable[Any],
    encode: Callable[[Any], EncodedT],
    what: str,
    table_name: str | None = None,
) -> list[EncodedT]:
    """Encode each value, letting the loop go in between.

    ``table_name`` is for the error of a call on several tables.

    Raises:
        InvalidItem: DynamoDB would refuse one of them; it tells which, where and why.
    """
    encoded: list[EncodedT] = []
    for index, value in enumerate(values):
        if turn_is_over():
            await next_turn()
        try:
            encoded.append(encode(value))
        except codec.Refusal as refusal:
            raise InvalidItem(
                index, refusal.path, refusal.reason, what=what, table_name=table_name
            ) from refusal.__cause__
    return encoded


async def encode_keys(
    keys: Sequence[Any],
    schema: KeySchema,
    encode: Callable[[Any], bytes],
    table_name: str | None = None,
) -> list[bytes]:
    """Encode keys, letting the loop go in between. ``encode`` does what is not common.

    Raises:
        InvalidItem: DynamoDB would refuse one of them; it tells which, where and why.
    """
    fragments: list[bytes] = []
    await _encode_in_steps(
        lambda: codec.encode_keys(keys, schema, encode, fragments, _STEP),
        fragments,
        len(keys),
        "key",
        table_name,
    )
    return fragments


async def encode_items(
    items: Sequence[Any],
    schema: KeySchema | None,
    serialize: codec.Serialize | None,
    encode: Callable[[Any], tuple[bytes, bytes]],
) -> tuple[list[bytes], list[bytes]]:
    """Encode items, letting the loop go in between. ``encode`` does what is not common.

    Returns:
        Their fragments, and the identities of their keys.

    Raises:
        InvalidItem: DynamoDB would refuse one of them; it tells which, where and why.
    """
    fragments: list[bytes] = []
    identities: list[bytes] = []
    await _encode_in_steps(
        lambda: codec.encode_items(items, schema, serialize, encode, fragments, identities, _STEP),
        fragments,
        len(items),
        "item",
        None,
    )
    return fragments, identities


async def distinct(
    identities: Sequence[bytes], *, keep: str
) -> tuple[Sequence[int], Sequence[int]]:
    """Fold positions with one key into one entry, letting the loop go in between.

    As ``engine.plan.distinct``, which holds the loop 45 ms for 300,000 keys.
    """
    if len(identities) <= _FEW:
        return plan.distinct(identities, keep=keep)
    steps = plan.folding(identities, keep=keep)
    while True:
        if turn_is_over():
            await next_turn()
        try:
            next(steps)
        except StopIteration as end:
            positions, entries = end.value
            return positions, entries


async def _encode_in_steps(
    step: Callable[[], None],
    done: Sequence[bytes],
    count: int,
    what: str,
    table_name: str | None,
) -> None:
    while len(done) < count:
        if turn_is_over():
            await next_turn()
        try:
            step()
        except codec.Refusal as refusal:
            raise InvalidItem(
                len(done), refusal.path, refusal.reason, what=what, table_name=table_name
            ) from refusal.__cause__


def encode_one(value: Any, encode: Callable[[Any], EncodedT], what: str) -> EncodedT:
    """Encode the value of a single-item call.

    Raises:
        InvalidItem: DynamoDB would refuse it.
    """
    try:
        return encode(value)
    except codec.Refusal as refusal:
        raise InvalidItem(None, refusal.path, refusal.reason, what=what) from refusal.__cause__


def schema_of_first(
    keys: list[Any], serialize: codec.Serialize | None, table_name: str | None = None
) -> KeySchema:
    """The key schema that the first key of a call shows, where none is known.

    Raises:
        InvalidItem: the first key is none.
    """
    try:
        codec.encode_key(keys[0], None, serialize)
        return KeySchema.from_key(keys[0], serialize)
    except codec.Refusal as refusal:
        raise InvalidItem(
            0, refusal.path, refusal.reason, what="key", table_name=table_name
        ) from refusal.__cause__
