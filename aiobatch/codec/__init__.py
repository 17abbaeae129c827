"""The codec: Python values to DynamoDB's JSON and back, key identity, projections, answers.

Pure functions: no clock, loop or socket. The hot ones are those of ``codec.python``, or of its
compiled twin where that is installed: ``codec.choice`` says which.
"""

from __future__ import annotations

import os

from aiobatch.codec.answers import (
    AnswerKeys,
    ReadAnswer,
    WriteAnswer,
    item_answer,
    write_answer,
)
from aiobatch.codec.choice import Codec, choose, implementations
from aiobatch.codec.items import Serialize
from aiobatch.codec.keys import KeySchema
from aiobatch.codec.numbers import Numbers
from aiobatch.codec.projection import Projection, compile_projection
from aiobatch.codec.python import identity_of
from aiobatch.codec.refusal import Malformed, Refusal

#: The codec of this process.
CODEC = choose(os.environ)

encode_item = CODEC.encode_item
encode_items = CODEC.encode_items
encode_key = CODEC.encode_key
encode_keys = CODEC.encode_keys
encode_values = CODEC.encode_values
decode_item = CODEC.decode_item
read_answer = CODEC.read_answer

__all__ = [
    "CODEC",
    "AnswerKeys",
    "Codec",
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
    "encode_items",
    "encode_key",
    "encode_keys",
    "encode_values",
    "identity_of",
    "implementations",
    "item_answer",
    "read_answer",
    "write_answer",
]
