"""The codec: Python values to DynamoDB's JSON and back, key identity, projections, answers.

Pure functions: no clock, loop or socket. The hot ones are re-exported from ``codec.python``; this
is the place where a compiled twin would be chosen instead.
"""

from __future__ import annotations

from aiobatch.codec.answers import (
    AnswerKeys,
    ReadAnswer,
    WriteAnswer,
    item_answer,
    read_answer,
    write_answer,
)
from aiobatch.codec.items import Serialize
from aiobatch.codec.keys import KeySchema
from aiobatch.codec.numbers import Numbers
from aiobatch.codec.projection import Projection, compile_projection
from aiobatch.codec.python import (
    decode_item,
    encode_item,
    encode_key,
    encode_values,
    identity_of,
)
from aiobatch.codec.refusal import Malformed, Refusal

__all__ = [
    "AnswerKeys",
    "KeySchema",
    "Malformed",
    "Numbers",
    "Projection",
    "ReadAnswer",
    "Refusal",
    "Serialize",
    "WriteAnswer",
    "compile_projection",
    "decode_item",
    "encode_item",
    "encode_key",
    "encode_values",
    "identity_of",
    "item_answer",
    "read_answer",
    "write_answer",
]
