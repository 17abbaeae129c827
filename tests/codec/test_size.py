from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiobatch.codec import KeySchema, Refusal
from aiobatch.codec.size import attribute_size, binary_size, item_size
from aiobatch.limits import ITEM_MAX_BYTES
from tests.codec.subject import encode_item
from tests.codec.values import items


def size_of(item: dict[str, Any]) -> int:
    fragment, _ = encode_item(item, None, None)
    return item_size(orjson.loads(fragment))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("é\N{GRINNING FACE}", 6),
        (b"", 0),
        (b"abcd", 4),
        (None, 1),
        (True, 1),
        (0, 1),
        (5, 2),
        (55, 2),
        (-555, 3),
        (500, 2),
        (Decimal("0.0005"), 2),
        (Decimal("1E+125"), 2),
        (Decimal("1.5E-100"), 2),
        (int("1" * 38), 20),
        ([], 3),
        ({}, 3),
        ([1, "ab"], 3 + (1 + 2) + (1 + 2)),
        ({"ab": 1, "é": None}, 3 + (1 + 2 + 2) + (1 + 2 + 1)),
        ({"abc", "d"}, 4),
        ({1, 222}, 2 + 3),
        ({b"abc", b"d"}, 4),
    ],
    ids=repr,
)
def test_sizes_as_documented(value: Any, size: int) -> None:
    assert size_of({"name": value}) == 4 + size


@settings(deadline=None, max_examples=100)
@given(items())
def test_json_is_always_longer(item: dict[str, Any]) -> None:
    fragment, _ = encode_item(item, None, None)
    assert len(fragment) > size_of(item)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=10))
def test_the_size_of_binary(value: bytes) -> None:
    fragment, _ = encode_item({"b": value}, None, None)
    typed = orjson.loads(fragment)["b"]
    assert binary_size(typed["B"]) == attribute_size(typed) == len(value)


def test_an_item_of_exactly_400_kb() -> None:
    schema = KeySchema.from_names(("pk",))
    names_and_key = len("pk") + len("a") + len("text")
    room = ITEM_MAX_BYTES - names_and_key
    for text in ("x" * room, "é" * (room // 2) + "x" * (room % 2), '"' * room):
        fragment, _ = encode_item({"pk": "a", "text": text}, schema, None)
        assert len(fragment) > ITEM_MAX_BYTES
        with pytest.raises(Refusal) as caught:
            encode_item({"pk": "a", "text": text + "x"}, schema, None)
        assert caught.value.path == ""
        assert caught.value.reason.startswith("is 409601 bytes as DynamoDB counts")
    blob = b"x" * (room)
    assert encode_item({"pk": "a", "text": blob}, schema, None)
    with pytest.raises(Refusal, match="is 409601 bytes"):
        encode_item({"pk": "a", "text": blob + b"x"}, schema, None)


def test_long_json_of_a_small_item_is_fine() -> None:
    fragment, _ = encode_item({"list": [1] * 50_000}, None, None)
    assert len(fragment) > ITEM_MAX_BYTES
    assert size_of({"list": [1] * 50_000}) == 4 + 3 + 50_000 * 3
