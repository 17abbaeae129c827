import contextlib
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiobatch.codec import Malformed, Numbers
from tests.codec.subject import decode_item, encode_item
from tests.codec.values import items, plain

MODES: list[Numbers] = ["native", "decimal", "strict"]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ({"S": ""}, ""),
        ({"S": "é"}, "é"),
        ({"BOOL": True}, True),
        ({"BOOL": False}, False),
        ({"NULL": True}, None),
        ({"B": ""}, b""),
        ({"B": "AP8="}, b"\x00\xff"),
        ({"SS": ["a", "b"]}, {"a", "b"}),
        ({"BS": ["YQ==", ""]}, {b"a", b""}),
        ({"L": []}, []),
        ({"M": {}}, {}),
        ({"L": [{"S": "a"}, {"M": {"b": {"L": [{"NULL": True}]}}}]}, ["a", {"b": [None]}]),
        ({"M": {"": {"S": "a"}}}, {"": "a"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", MODES)
def test_types(typed: Any, value: Any, mode: Numbers) -> None:
    decoded = decode_item({"a": typed}, mode)
    assert decoded == {"a": value}
    assert type(decoded["a"]) is type(value)


def test_numbers_inside() -> None:
    numbers = {"NS": ["1", "2.5"]}
    item = {"a": {"L": [numbers, {"M": {"b": numbers}}]}}
    assert decode_item(item, "native") == {"a": [{1, 2.5}, {"b": {1, 2.5}}]}


def test_members_of_a_native_set_that_are_one_float_merge() -> None:
    numbers = {"a": {"NS": ["0.1", "0.10000000000000000001"]}}
    assert decode_item(numbers, "native") == {"a": {0.1}}
    assert len(decode_item(numbers, "strict")["a"]) == 2


MALFORMED: list[Any] = [
    None,
    5,
    "text",
    ["S"],
    {},
    {"S": "a", "N": "5"},
    {"SS": ["a"], "S": "a"},
    {"s": "a"},
    {"X": "a"},
    {"": "a"},
    {"S": None},
    {"S": 5},
    {"S": ["a"]},
    {"B": None},
    {"B": 5},
    {"B": ["YQ=="]},
    {"B": "YQ"},
    {"B": "YQ==YQ=="},
    {"B": "Y Q=="},
    {"B": "===="},
    {"B": "é"},
    {"BOOL": "true"},
    {"BOOL": 1},
    {"BOOL": None},
    {"NULL": False},
    {"NULL": 1},
    {"NULL": None},
    {"M": None},
    {"M": []},
    {"M": "a"},
    {"M": {"b": "a"}},
    {"M": {"b": {"S": 5}}},
    {"L": None},
    {"L": {}},
    {"L": "S"},
    {"L": ["S"]},
    {"L": [{}]},
    {"L": [{"S": 5}]},
    {"SS": None},
    {"SS": "ab"},
    {"SS": {"a": "b"}},
    {"SS": ["a", 5]},
    {"SS": [["a"]]},
    {"SS": [{"S": "a"}]},
    {"NS": "12"},
    {"NS": [1]},
    {"NS": ["x"]},
    {"BS": "YQ=="},
    {"BS": ["YQ"]},
    {"BS": [None]},
]


@pytest.mark.parametrize("typed", MALFORMED, ids=str)
def test_malformed(typed: Any) -> None:
    for mode in MODES:
        for attributes in ({"fine": {"S": "a"}, "a": typed}, {"a": {"L": [typed]}}):
            with pytest.raises(Malformed) as caught:
                decode_item(attributes, mode)
            # The text is one of a few sentences, and no error behind it holds the content.
            assert "in it" in caught.value.reason
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None or isinstance(
                caught.value.__context__, Malformed
            )


@pytest.mark.parametrize("attributes", [None, 5, "text", [], [("a", {"S": "b"})]], ids=str)
def test_no_item(attributes: Any) -> None:
    with pytest.raises(Malformed):
        decode_item(attributes, "native")


def nested(levels: int, tag: str) -> Any:
    typed: Any = {"S": "a"}
    for _ in range(levels):
        typed = {"L": [typed]} if tag == "L" else {"M": {"m": typed}}
    return {"a": typed}


@pytest.mark.parametrize("tag", ["L", "M"])
def test_depth(tag: str) -> None:
    assert decode_item(nested(31, tag), "native")
    for levels in (32, 33, 100, 500, sys.getrecursionlimit() * 20):
        with pytest.raises(Malformed, match="nested deeper than DynamoDB stores"):
            decode_item(nested(levels, tag), "native")


# Anything that JSON can say, with DynamoDB's tags more often than chance would have it.
tags = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("5"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(tags, inner, min_size=1, max_size=2)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=500)
@given(json_values, st.sampled_from(MODES))
def test_any_json_is_an_item_or_malformed(parsed: Any, mode: Numbers) -> None:
    before = orjson.dumps(parsed, option=orjson.OPT_NON_STR_KEYS) if _fits(parsed) else b""
    for attributes in (parsed, {"a": parsed}):
        with contextlib.suppress(Malformed):
            assert type(decode_item(attributes, mode)) is dict
    if before:
        assert orjson.dumps(parsed) == before


def _fits(parsed: Any) -> bool:
    try:
        orjson.dumps(parsed)
    except TypeError:  # an integer beyond 64 bits
        return False
    return True


@settings(deadline=None, max_examples=100)
@given(items())
def test_what_is_read_can_be_written_back_as_it_was(item: dict[str, Any]) -> None:
    fragment, _ = encode_item(item, None, None)
    for mode in ("decimal", "strict"):
        again, _ = encode_item(decode_item(orjson.loads(fragment), mode), None, None)
        assert plain(decode_item(orjson.loads(again), "decimal")) == plain(
            decode_item(orjson.loads(fragment), "decimal")
        )
