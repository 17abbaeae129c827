"""A schema from a sample of items."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch.integrations.spark.inference import Kind, infer


def of(*values: Any) -> Kind:
    return infer([{"x": value} for value in values]).fields["x"]


def test_plain_kinds() -> None:
    values: list[Any] = ["a", b"a", True, None, [], {}, {"s"}, Decimal(1)]
    assert [of(value).name for value in values] == [
        *("string", "binary", "boolean", "null", "list", "map", "list", "number")
    ]


def test_null_and_missing_give_way() -> None:
    assert of(None, "a", None) == Kind("string")
    assert infer([{"a": "x"}, {"b": b"y"}]).fields == {"a": Kind("string"), "b": Kind("binary")}
    assert of([None], [], [Decimal(1)]).element == Kind("number", digits=1)


def test_maps_are_merged() -> None:
    kind = of({"a": {"b": "x"}}, {"a": {"c": [b"y"]}}, {"d": None})
    assert kind.fields["a"].fields == {
        "b": Kind("string"),
        "c": Kind("list", element=Kind("binary")),
    }
    assert kind.fields["d"] == Kind("null")


@given(
    st.lists(
        st.tuples(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(-60, 60)).map(
            lambda pair: Decimal(f"{pair[0]}E{pair[1]}")
        ),
        min_size=1,
        max_size=4,
    )
)
def test_every_number_has_room(numbers: list[Decimal]) -> None:
    kind = of(*numbers)
    for number in numbers:
        text = f"{number:f}".lstrip("-")
        whole, _, fraction = text.partition(".")
        assert len(whole.lstrip("0")) <= kind.digits
        assert len(fraction.rstrip("0")) <= kind.scale


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([{"a": "x"}, {"a": Decimal(1)}], "attribute a is a string in one item and a number"),
        ([{"a": {"b": "x"}}, {"a": {"b": b""}}], r"attribute a\.b is a string"),
        ([{"a": [True, "x"]}], r"attribute a\[\] is a boolean in one item and a string"),
        ([], "no item to infer a schema from"),
    ],
)
def test_what_has_no_schema(items: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        infer(items)
