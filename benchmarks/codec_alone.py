"""What aiobatch's codec does for one request, and nothing else.

Import it once the codec was chosen: aiobatch chooses when it is imported.
"""

from typing import Any

from aiobatch import codec
from benchmarks.items import Item

SCHEMA = codec.KeySchema.from_names(("pk",))
# As aiobatch does it: bytes that are encoded in one step, and items that are decoded in one.
_STEP = 1 << 15
_ITEMS = 30


def encoded_keys(keys: list[Item]) -> list[bytes]:
    """The fragments of keys."""
    fragments: list[bytes] = []
    while len(fragments) < len(keys):
        codec.encode_keys(
            keys, SCHEMA, lambda key: codec.encode_key(key, SCHEMA, None), fragments, _STEP
        )
    return fragments


def encoded_items(items: list[Item]) -> list[bytes]:
    """The fragments of items; the identities of their keys are made, too."""
    fragments: list[bytes] = []
    identities: list[bytes] = []
    while len(fragments) < len(items):
        codec.encode_items(
            items,
            SCHEMA,
            None,
            lambda item: codec.encode_item(item, SCHEMA, None),
            fragments,
            identities,
            _STEP,
        )
    return fragments


def decoded(answer: bytes, fragments: list[bytes]) -> list[Item]:
    """The items of an answer to a request for these keys."""
    entries = dict(zip(fragments, range(len(fragments)), strict=True))
    found = codec.read_answer(answer, SCHEMA.names, "native").items
    items: list[Any] = [None] * len(fragments)
    while found.take(entries, _ITEMS, [], items):
        pass
    return items


def left_of(answer: bytes) -> int:
    """How many writes an answer leaves over."""
    return len(codec.write_answer(answer, SCHEMA.names).left)
