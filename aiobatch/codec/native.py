"""The compiled codec, ``aiobatch_native``, with what it leaves to Python.

It does the common cases: exact types, plain numbers, answers as DynamoDB writes them. For all else
it calls the plain codec, for the whole item or answer, so that both agree on rare types and on the
texts of errors by construction. Importing this raises ImportError where there is none that fits.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import aiobatch_native

from aiobatch.codec import answers, python
from aiobatch.codec.numbers import (
    NUMBERS,
    Numbers,
    canonical_read,
    decimal_text,
    float_text,
    int_text,
)
from aiobatch.limits import (
    ATTRIBUTE_NAME_MAX_BYTES,
    ITEM_MAX_BYTES,
    NESTING_MAX_LEVELS,
    NUMBER_MAX_DIGITS,
    SORT_KEY_MAX_BYTES,
)

__all__ = [
    "crc32",
    "decode_item",
    "encode_item",
    "encode_items",
    "encode_key",
    "encode_keys",
    "encode_values",
    "read_answer",
]

_INTERFACE: Final = 4

if getattr(aiobatch_native, "INTERFACE", None) != _INTERFACE:
    raise ImportError(
        "the installed aiobatch-native is not of this aiobatch's version: "
        "pip install --upgrade aiobatch aiobatch-native"
    )


def _resume(body: bytes, names: answers.AnswerKeys, numbers: Numbers, given: int) -> answers.Items:
    """Read an answer's items once more, from the one on that the compiled codec left to Python."""
    return answers.items_from(answers.item_answer(body), names, numbers, given)


_codec: Final = aiobatch_native.Codec(
    {
        "Decimal": Decimal,
        "int_text": int_text,
        "float_text": float_text,
        "decimal_text": decimal_text,
        "canonical_read": canonical_read,
        **NUMBERS,
        "encode_item": python.encode_item,
        "encode_key": python.encode_key,
        "encode_values": python.encode_values,
        "decode_item": python.decode_item,
        "not_asked": answers.not_asked,
        "resume": _resume,
    },
    {
        "item_bytes": ITEM_MAX_BYTES,
        "name_bytes": ATTRIBUTE_NAME_MAX_BYTES,
        "key_bytes": SORT_KEY_MAX_BYTES,
        "levels": NESTING_MAX_LEVELS,
        "digits": NUMBER_MAX_DIGITS,
    },
)

encode_item: Final = _codec.encode_item
encode_items: Final = _codec.encode_items
encode_key: Final = _codec.encode_key
encode_keys: Final = _codec.encode_keys
encode_values: Final = _codec.encode_values
decode_item: Final = _codec.decode_item
crc32: Final = aiobatch_native.crc32


def read_answer(body: bytes, names: answers.AnswerKeys, numbers: Numbers) -> answers.ReadAnswer:
    """Do what ``answers.read_answer()`` does."""
    read = _codec.read_answer(body, names, numbers)
    return answers.read_answer(body, names, numbers) if read is None else answers.ReadAnswer(*read)
