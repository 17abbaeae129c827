"""DynamoDB's numbers: text that depends on the value alone, and back to Python.

Everything here works on text and ``int``. ``decimal``'s contexts are the caller's, with a precision
and traps of their own in each thread or task, so nothing here does arithmetic in one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal

from orjson import JSONDecodeError, dumps, loads

from aiobatch.codec.refusal import Malformed, Refusal
from aiobatch.limits import NUMBER_MAX_DIGITS, NUMBER_MAX_EXPONENT, NUMBER_MIN_EXPONENT

__all__ = [
    "NUMBERS",
    "Number",
    "Numbers",
    "canonical",
    "canonical_read",
    "decimal_text",
    "float_text",
    "int_text",
]

Numbers = Literal["native", "decimal", "strict"]
Number = int | float | Decimal

# Plain notation from 0.000001 to 38 digits before the point, scientific beyond. The lower end is
# where str(Decimal) changes over too, so that most texts are canonical as Python writes them.
_PLAIN_MIN_EXPONENT: Final = -6
_PLAIN_MAX_EXPONENT: Final = NUMBER_MAX_DIGITS - 1

_INT_LIMIT: Final = 10**NUMBER_MAX_DIGITS
_INT_MAX_BITS: Final = (10 ** (NUMBER_MAX_EXPONENT + 1)).bit_length()

# DynamoDB may write any number in full: a sign, "0.", 130 places, 37 more digits. Longer is none.
_TEXT_MAX_LENGTH: Final = 200

_shape = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?").fullmatch
# As this codec writes numbers in plain notation: no trailing zeros after a point, no "-0".
_plain = re.compile(r"-?(?:[0-9]+\.[0-9]*[1-9]|[1-9][0-9]*)").fullmatch
# An int without leading zeros: canonical, up to 38 digits.
_whole = re.compile(r"[1-9][0-9]*").fullmatch
_ONE_TO_NINE: Final = frozenset("123456789")
# An int of so many characters fits into 64 bits, which is what orjson reads exactly.
_SURELY_64_BITS: Final = 18

_NO_NUMBER = "is not a number"
_TOO_LARGE = (
    "is a number too large for DynamoDB, which stores magnitudes below 1E+126: "
    "store it as a string, or scale it"
)
_TOO_SMALL = (
    "is a number too small for DynamoDB, which stores magnitudes from 1E-130 (and 0): "
    "round it, or store it as a string"
)
_TOO_PRECISE = (
    "is a number of more than 38 significant digits, the most that DynamoDB stores: "
    "round it, or store it as a string"
)
_NAN = "is NaN, which DynamoDB cannot store: leave it out, or store None"
_INFINITE = "is infinite, which DynamoDB cannot store: leave it out, or store a string"


def _parse(text: str) -> tuple[str, str, int]:
    """Take a number's text apart: sign, significant digits, the last digit's power of ten.

    Zero has no digits and no sign. Raises Refusal if it is not a number that DynamoDB stores.
    """
    match = _shape(text)
    if match is None:
        raise Refusal(_NO_NUMBER)
    sign, whole, fraction, exponent = match.groups("")
    written = whole + fraction
    if not written:
        raise Refusal(_NO_NUMBER)
    significant = written.lstrip("0")
    digits = significant.rstrip("0")
    if not digits:
        return "", "", 0
    last = int(exponent or 0) - len(fraction) + len(significant) - len(digits)
    first = last + len(digits) - 1
    if first > NUMBER_MAX_EXPONENT:
        raise Refusal(_TOO_LARGE)
    if first < NUMBER_MIN_EXPONENT:
        raise Refusal(_TOO_SMALL)
    if len(digits) > NUMBER_MAX_DIGITS:
        raise Refusal(_TOO_PRECISE)
    return "-" if sign == "-" else "", digits, last


def canonical(text: str) -> str:
    """Write a number the one way in which this codec writes its value.

    Raises Refusal if DynamoDB would not store it: more than 38 significant digits, or a magnitude
    outside 1E-130 to 9.99E+125.
    """
    return _written(*_parse(text))


def canonical_read(text: str) -> str:
    """Do the same with a number that the service sent. Raises Malformed if it is none."""
    if type(text) is str and len(text) <= NUMBER_MAX_DIGITS and _whole(text):
        return text
    return _written(*_checked(text))


def _written(sign: str, digits: str, last: int) -> str:
    if not digits:
        return "0"
    first = last + len(digits) - 1
    if not _PLAIN_MIN_EXPONENT <= first <= _PLAIN_MAX_EXPONENT:
        point = "." if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{point}{digits[1:]}E{first:+d}"
    if last >= 0:
        return f"{sign}{digits}{'0' * last}"
    if first >= 0:
        return f"{sign}{digits[: first + 1]}.{digits[first + 1 :]}"
    return f"{sign}0.{'0' * (-first - 1)}{digits}"


def int_text(value: int) -> str:
    """Write an int. Raises Refusal like canonical()."""
    if -_INT_LIMIT < value < _INT_LIMIT:
        return str(value)
    # Before str(), which is quadratic and which Python itself refuses beyond some thousand digits.
    if value.bit_length() > _INT_MAX_BITS:
        raise Refusal(_TOO_LARGE)
    return canonical(str(value))


def float_text(value: float) -> str:
    """Write a float as its shortest text that reads back as the same float, 0.1 as 0.1.

    Raises Refusal for NaN and infinities, and like canonical().
    """
    # orjson writes the digits of repr() in half its time.
    text = dumps(value).decode()
    if text[-2:] == ".0":
        return text[:-2] if value else "0"
    if "e" in text:
        return canonical(text)
    if text == "null":
        raise Refusal(_NAN if value != value else _INFINITE)
    # Between 1E-5 and 1E+16 it is plain and ends in no zero: canonical already.
    return text


def decimal_text(value: Decimal) -> str:
    """Write a Decimal exactly. Raises Refusal for NaN and infinities, and like canonical()."""
    # Of the ambient context, str() reads the case of the E alone.
    text = str(value)
    if len(text) <= NUMBER_MAX_DIGITS and (_plain(text) or text.isdecimal()):
        return text
    if not value.is_finite():
        raise Refusal(_NAN if value.is_nan() else _INFINITE)
    return canonical(text)


def _checked(text: str) -> tuple[str, str, int]:
    """Take apart a number that the service sent. Raises Malformed if it is none."""
    if type(text) is str and len(text) <= _TEXT_MAX_LENGTH:
        try:
            return _parse(text)
        except Refusal:
            pass
    raise Malformed("a number in it is not one that DynamoDB stores")


def _native(text: str) -> int | float:
    if text.isdecimal():
        # Other scripts' digits are decimal too, and int() would read them.
        if len(text) <= NUMBER_MAX_DIGITS and text.isascii():
            return int(text)
    elif (
        # Digits with a minus before, a point in between, or both. float() takes twice as long as
        # orjson, and a regular expression as long as these methods together.
        text.lstrip("-").replace(".", "", 1).isdecimal()
        and (
            (len(text) <= NUMBER_MAX_DIGITS and text[-1] in _ONE_TO_NINE)
            if "." in text
            else len(text) <= _SURELY_64_BITS
        )
    ):
        try:
            number: int | float = loads(text)
        except JSONDecodeError:
            pass  # such as "--5", ".5" and "007.5"
        else:
            return number
    sign, digits, last = _checked(text)
    if last >= 0:
        return int(f"{sign}{digits}{'0' * last}" if digits else "0")
    return float(text)


def _strict(text: str) -> Number:
    number = _native(text)
    if type(number) is int or float_text(number) == text:
        return number
    return number if float_text(number) == canonical(text) else Decimal(text)


def _decimal(text: str) -> Decimal:
    # The constructor is exact whatever the context.
    if not (
        len(text) <= NUMBER_MAX_DIGITS and (_plain(text) or (text.isdecimal() and text.isascii()))
    ):
        _checked(text)
    return Decimal(text)


#: The decoders by the caller's ``numbers=``. They raise Malformed for what is not a number, and
#: AttributeError or TypeError for what is not even text, which decode_item() turns into Malformed.
NUMBERS: Final[dict[str, Callable[[str], Number]]] = {
    "native": _native,
    "decimal": _decimal,
    "strict": _strict,
}
