import decimal
import math
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiobatch.codec import Malformed, Numbers, Refusal, identity_of
from tests.codec.subject import decode_item, encode_item, encode_key
from tests.codec.values import decimals, exact, floats, integers, numbers


def text_of(number: Any) -> str:
    fragment, _ = encode_item({"n": number}, None, None)
    text = orjson.loads(fragment)["n"]["N"]
    assert isinstance(text, str)
    return text


def read(text: Any, mode: Numbers) -> Any:
    return decode_item({"n": {"N": text}}, mode)["n"]


@settings(deadline=None, max_examples=300)
@given(numbers)
def test_a_text_is_the_number(number: Any) -> None:
    assert Decimal(text_of(number)) == exact(number)


@settings(deadline=None, max_examples=300)
@given(numbers, numbers)
def test_texts_are_equal_if_and_only_if_numbers_are(one: Any, other: Any) -> None:
    assert (text_of(one) == text_of(other)) == (exact(one) == exact(other))


@settings(deadline=None, max_examples=300)
@given(decimals(), st.integers(0, 5))
def test_one_number_has_one_text_however_it_is_written(number: Decimal, zeros: int) -> None:
    text = text_of(number)
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert text_of(longer) == text
    # In full, without an exponent, as DynamoDB may send it.
    assert identity_of({"n": {"N": format(number, "f")}}, ["n"]) == encode_key(
        {"n": number}, None, None
    )
    if number == number.to_integral_value():
        assert text_of(int(number)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (Decimal("5.00"), "5"),
        (Decimal("0.5E1"), "5"),
        (0, "0"),
        (-0.0, "0"),
        (Decimal("-0.00"), "0"),
        (Decimal("0E-6176"), "0"),
        (Decimal("0E+999"), "0"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e-5, "0.00001"),
        (0.000001, "0.000001"),
        (0.0000001, "1E-7"),
        (Decimal("-0.00000012"), "-1.2E-7"),
        (1e16, "10000000000000000"),
        (1e23, "100000000000000000000000"),
        (10**37, "1" + "0" * 37),
        (Decimal("1E+37"), "1" + "0" * 37),
        (10**38, "1E+38"),
        (-(10**38), "-1E+38"),
        (1e40, "1E+40"),
        (12 * 10**40, "1.2E+41"),
        (Decimal("1E+125"), "1E+125"),
        (10**125, "1E+125"),
        (7 * 10**125, "7E+125"),  # as many bits as 10**126
        (Decimal("9" * 38 + "E+88"), "9." + "9" * 37 + "E+125"),
        (Decimal("1E-130"), "1E-130"),
        (Decimal("1." + "0" * 36 + "1E-130"), "1." + "0" * 36 + "1E-130"),
    ],
)
def test_canonical_text(number: Any, text: str) -> None:
    assert text_of(number) == text
    fragment, _ = encode_item({"list": [number], "map": {"n": number}, "set": {number}}, None, None)
    assert orjson.loads(fragment) == {
        "list": {"L": [{"N": text}]},
        "map": {"M": {"n": {"N": text}}},
        "set": {"NS": [text]},
    }


@pytest.mark.parametrize(
    "number",
    # str() of an int of so many digits would raise ValueError, in pytest's names of tests too.
    [10**126, -(10**126), 10**5000, 1e126, 1.7e308, Decimal("1E+126"), Decimal("1E+999999")],
    ids=range(7),
)
def test_too_large(number: Any) -> None:
    with pytest.raises(Refusal, match=r"^n: is a number too large"):
        text_of(number)


@pytest.mark.parametrize("number", [1e-131, 5e-324, Decimal("9.9E-131"), Decimal("1E-999999")])
def test_too_small(number: Any) -> None:
    with pytest.raises(Refusal, match=r"^n: is a number too small"):
        text_of(number)


@pytest.mark.parametrize("number", [10**38 + 1, Decimal("1." + "0" * 37 + "1"), Decimal(2**130)])
def test_too_precise(number: Any) -> None:
    with decimal.localcontext(prec=60), pytest.raises(Refusal, match="more than 38 significant"):
        text_of(+number)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (math.nan, "is NaN"),
        (Decimal("NaN"), "is NaN"),
        (Decimal("-NaN123"), "is NaN"),
        (Decimal("sNaN"), "is NaN"),
        (math.inf, "is infinite"),
        (-math.inf, "is infinite"),
        (Decimal("-Infinity"), "is infinite"),
    ],
)
def test_what_is_no_number(number: Any, reason: str) -> None:
    with pytest.raises(Refusal, match=f"^n: {reason}"):
        text_of(number)


def everything(sample: list[Any]) -> list[Any]:
    """All that the codec does with numbers, for a comparison under different contexts."""
    done: list[Any] = []
    for number in sample:
        fragment, identity = encode_item({"n": number}, None, None)
        done += [fragment, identity, encode_key({"n": number}, None, None)]
        parsed = orjson.loads(fragment)
        done += [identity_of(parsed, ["n"])]
        for mode in ("native", "decimal", "strict"):
            decoded = decode_item(parsed, mode)["n"]
            done += [type(decoded), format(decoded, "f") if mode == "decimal" else repr(decoded)]
    return done


HOSTILE: dict[str, Callable[[], decimal.Context]] = {
    "precision": lambda: decimal.Context(prec=5),
    "one digit, all traps": lambda: decimal.Context(
        prec=1, Emin=0, Emax=0, traps=list(decimal.Context().flags)
    ),
    "no traps, rounding up, clamped": lambda: decimal.Context(
        prec=3, rounding=decimal.ROUND_UP, clamp=1, traps=[]
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
@settings(deadline=None, max_examples=60)
@given(sample=st.lists(numbers, min_size=1, max_size=5))
def test_the_ambient_decimal_context_means_nothing(kind: str, sample: list[Any]) -> None:
    expected = everything(sample)
    context = HOSTILE[kind]()
    with decimal.localcontext(context) as ambient:
        done: list[Any] = []
        for number in sample:
            done += everything([number])
        # Nor does the codec leave a mark in it.
        assert not any(ambient.flags.values())
    assert done == expected


def test_small_letters_in_the_ambient_context_mean_nothing() -> None:
    with decimal.localcontext(capitals=0):
        assert text_of(Decimal("1E+100")) == "1E+100"
        assert text_of(Decimal("1E-20")) == "1E-20"


def test_another_thread_has_a_context_of_its_own() -> None:
    done: list[Any] = []

    def work() -> None:
        decimal.setcontext(decimal.Context(prec=2, traps=[decimal.Inexact, decimal.Rounded]))
        done.append(text_of(Decimal("1.23456789")))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["1.23456789"]


# --- Reading ---


@pytest.mark.parametrize(
    ("text", "native", "strict"),
    [
        ("5", 5, 5),
        ("5.0", 5, 5),
        ("5.", 5, 5),
        ("+5", 5, 5),
        ("-5.00", -5, -5),
        ("0", 0, 0),
        ("-0", 0, 0),
        ("0.000", 0, 0),
        ("007", 7, 7),
        ("1E+125", 10**125, 10**125),
        ("1e2", 100, 100),
        ("1.50E1", 15, 15),
        ("5E-1", 0.5, 0.5),
        (".5", 0.5, 0.5),
        ("9" * 38, int("9" * 38), int("9" * 38)),
        ("-" + "9" * 38, -int("9" * 38), -int("9" * 38)),
        ("1" + "0" * 125, 10**125, 10**125),
        ("0." + "0" * 129 + "1", 1e-130, 1e-130),
        ("0.1", 0.1, 0.1),
        ("0.10", 0.1, 0.1),
        ("0.10000000000000001", 0.1, Decimal("0.10000000000000001")),
        ("12345678901234567890.5", 12345678901234567890.5, Decimal("12345678901234567890.5")),
    ],
)
def test_reading(text: str, native: Any, strict: Any) -> None:
    for mode, wanted in (("native", native), ("strict", strict), ("decimal", Decimal(text))):
        got = read(text, mode)  # type: ignore[arg-type]  # a tuple's element is a plain str
        assert got == wanted
        assert type(got) is type(wanted)


@settings(deadline=None, max_examples=300)
@given(decimals())
def test_reading_any_number(number: Decimal) -> None:
    for text in (str(number), format(number, "f"), text_of(number)):
        assert read(text, "decimal") == number
        whole = Fraction(number).denominator == 1
        native = read(text, "native")
        assert native == (int(number) if whole else float(number))
        assert type(native) is (int if whole else float)
        strict = read(text, "strict")
        assert exact(strict) == number
        if type(strict) is Decimal:
            assert not whole
            assert exact(float(number)) != number


@settings(deadline=None, max_examples=200)
@given(integers | floats)
def test_strict_gives_back_what_was_written(number: float) -> None:
    got = read(text_of(number), "strict")
    assert type(got) in (int, type(number))
    # A large float without a fraction comes back as the int that its shortest text names.
    assert type(number)(got) == number


@pytest.mark.parametrize("mode", ["native", "decimal", "strict"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        "+.",
        "E5",
        "1E",
        "1E+",
        " 5",
        "5 ",
        "5\n",
        "1_000",
        "1,5",
        "--5",
        "0x10",
        "1.2.3",
        "NaN",
        "sNaN",
        "nan",
        "Infinity",
        "-inf",
        "\u0665",  # ARABIC-INDIC DIGIT FIVE
        "1.\u0665",
        "\u0665.5",
        "\uff15",  # FULLWIDTH DIGIT FIVE
        "1E126",
        "1E-131",
        "1E999999999999999999999",
        "-1E-999999999999999999999",
        "1" * 39,
        "0." + "1" * 39,
        "1" * 100_000,
        "0" * 100_000,
        "0." + "0" * 100_000 + "1",
        "1E" + "9" * 100_000,
        5,
        5.0,
        True,
        None,
        ["5"],
        {"5": 5},
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_number_is_malformed(text: Any, mode: Numbers) -> None:
    for value in ({"N": text}, {"NS": [text]}, {"L": [{"N": text}]}):
        with pytest.raises(Malformed) as caught:
            decode_item({"n": value}, mode)
        assert len(str(caught.value)) < 100
    if not isinstance(text, dict | list):
        with pytest.raises(Malformed):
            identity_of({"n": {"N": text}}, ["n"])


@settings(deadline=None, max_examples=300)
@given(st.text("0123456789.+-eE_ \u0665", max_size=12) | st.text(max_size=6))
def test_any_text_is_a_number_or_malformed(text: str) -> None:
    outcomes = []
    for mode in ("native", "decimal", "strict"):
        try:
            outcomes.append(exact(read(text, mode)) if mode != "native" else read(text, mode))
        except Malformed:
            outcomes.append(None)
    native, exactly, strict = outcomes
    assert exactly == strict
    assert (native is None) == (exactly is None)


def test_an_unknown_mode_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="numbers must be 'native', 'decimal' or 'strict'"):
        decode_item({}, "float")  # type: ignore[arg-type]
