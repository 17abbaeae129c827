"""Values for the codec's tests: what DynamoDB stores, generated, and how to compare it."""

import math
from decimal import Context, Decimal
from typing import Any

from hypothesis import strategies as st

from aiobatch.limits import (
    NESTING_MAX_LEVELS,
    NUMBER_MAX_DIGITS,
    NUMBER_MAX_EXPONENT,
    NUMBER_MIN_EXPONENT,
)

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


@st.composite
def extremes(draw: st.DrawFn) -> dict[str, Any]:
    """An item at the limits: 31 levels of lists and maps, huge texts, the largest numbers."""
    nines = Decimal("9" * NUMBER_MAX_DIGITS)
    ends = st.sampled_from(
        [
            nines.scaleb(NUMBER_MAX_EXPONENT - NUMBER_MAX_DIGITS + 1, Context(prec=40)),
            Decimal((0, (1,), NUMBER_MIN_EXPONENT)),
            Decimal((1, (9,) * NUMBER_MAX_DIGITS, -20)),
            int(nines),
            0,
        ]
    )
    # All of Unicode but the surrogates, and what JSON escapes.
    characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\/\x00\x1f\x7f\n')
    huge = st.builds(
        lambda text, times: text * times,
        st.text(characters, min_size=1, max_size=8),
        st.integers(1, 4000),
    )
    value = draw(ends | huge | st.binary(max_size=3000) | st.sets(ends, min_size=1) | values(ends))
    room = NESTING_MAX_LEVELS - 2 - _levels(value)
    for in_list in draw(st.lists(st.booleans(), min_size=room - 3, max_size=room)):
        value = [value] if in_list else {draw(names): value}
    return {**draw(items(ends)), "deep": value, "huge": draw(huge)}


def _levels(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


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
