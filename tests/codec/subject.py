"""The codec under test: each test of this directory runs over every codec that is there.

``conftest.py`` sets which one is in turn. Tests import these functions instead of the package's,
which are those of one codec alone.
"""

from collections.abc import Mapping
from typing import Any

from aiobatch.codec import (
    AnswerKeys,
    Codec,
    KeySchema,
    Numbers,
    ReadAnswer,
    Serialize,
    implementations,
)

CODECS = implementations()

_in_turn = CODECS["python"]


def take(name: str) -> Codec:
    """Test this codec from now on."""
    global _in_turn
    _in_turn = CODECS[name]
    return _in_turn


def encode_item(
    item: object, schema: KeySchema | None, serialize: Serialize | None
) -> tuple[bytes, bytes]:
    return _in_turn.encode_item(item, schema, serialize)


def encode_key(key: object, schema: KeySchema | None, serialize: Serialize | None) -> bytes:
    return _in_turn.encode_key(key, schema, serialize)


def encode_values(values: Mapping[str, object], serialize: Serialize | None) -> bytes:
    return _in_turn.encode_values(values, serialize)


def decode_item(attributes: Any, numbers: Numbers) -> dict[str, Any]:
    return _in_turn.decode_item(attributes, numbers)


def read_answer(body: bytes, names: AnswerKeys, numbers: Numbers) -> ReadAnswer:
    return _in_turn.read_answer(body, names, numbers)
