"""Values for the codec's tests: what DynamoDB stores, generated, and how to compare it."""

import math
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from aiobatch.limits import NUMBER_MAX_EXPONENT, NUMBER_MIN_EXPONENT

names = st.text(min_size=1, max_size=12)
texts = st.text(max_size=20)
binaries = st.binary(max_size=20)


@st.composite
def decimals(draw: st.DrawFn, *, zeros: bool = True) -> Decimal:
    """Any number that DynamoDB stores, written in any way; with ``zeros``, up to 41 digits."""
    digits = draw(st.text("0123456789", min_size=1, max_size=38))
    first = draw(
        st.integers(-8, 40) | st.integers(NUMBER_MIN_EXPONENT, NUMBER_MAX_EXPONENT),
    )
    significant = digits.lstrip("0") or "0"
    more = "0" * draw(st.integers(0, 3)) if zeros else ""
    text = f"{significant[0]}.{significant[1:]}{more}E{first}"
    if significant == "0":
        text = "0.00"
    return Decimal(draw(st.sampled_from(["", "-"])) + text)


integers = st.integers(-(10**38) + 1, 10**38 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: value == 0 or 1e-129 < abs(value) < 9e125
)
exact_numbers = integers | decimals()
numbers = exact_numbers | floats

keys = texts.filter(bool) | exact_numbers | binaries.filter(bool)


def values(numbers: st.SearchStrategy[Any] = numbers) -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | texts | binaries | numbers
    sets = (
        st.sets(texts, min_size=1, max_size=4)
        | st.frozensets(numbers, min_size=1, max_size=4)
        | st.sets(binaries, min_size=1, max_size=4)
    )
    return st.recursive(
        scalars | sets,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )


def items(numbers: st.SearchStrategy[Any] = numbers) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, values(numbers), max_size=6)


def exact(number: Any) -> Decimal:
    """The number that a value stands for: a float for its shortest text."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def plain(value: Any) -> Any:
    """One form for comparing: numbers by value, and never equal to a bool or to each other's type.

    A set is the set of its elements' forms, so that elements that are one number merge.
    """
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            number = exact(value)
            assert not math.isnan(number)
            return "number", number
        case bytes() | bytearray() | memoryview():
            return "binary", bytes(value)
        case list() | tuple():
            return [plain(element) for element in value]
        case set() | frozenset():
            return "set", frozenset(plain(element) for element in value)
        case dict():
            return {name: plain(element) for name, element in value.items()}
    raise AssertionError(type(value))
