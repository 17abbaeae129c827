"""Types of attributes, for formats that do not tell them: by name, in texts and in JSON values."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from aiobatch.bulk.formats.plain import parse_json
from aiobatch.bulk.formats.rows import Broken
from aiobatch.codec import Malformed, Refusal, decode_item
from aiobatch.codec.numbers import canonical

__all__ = ["TYPES", "check_types", "from_cell", "from_json", "parse_types", "split_header"]

#: What an attribute may be declared as. JSON is any JSON value; DDB is one with DynamoDB's types,
#: such as {"L": [{"N": "1"}]}, which holds every value exactly.
TYPES: Final = ("S", "N", "B", "BOOL", "SS", "NS", "BS", "JSON", "DDB")

_SURELY_SHORT: Final = 18


def check_types(types: Mapping[str, str] | None) -> dict[str, str]:
    """Check types given by attribute. Raises ValueError for one that is not in ``TYPES``."""
    checked = dict(types or {})
    for name, kind in checked.items():
        if kind not in TYPES:
            raise ValueError(
                f"the type of {name!r} must be one of {', '.join(TYPES)}, not {kind!r}"
            )
    return checked


def parse_types(text: str) -> dict[str, str]:
    """Read types as they stand on a command line.

    Raises ValueError for what is not of this form.

    >>> parse_types("elevation:N,tags:SS")
    {'elevation': 'N', 'tags': 'SS'}
    """
    types = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, kind = part.rpartition(":")
        if not colon or not name:
            raise ValueError(f'types are given as "name:TYPE,name:TYPE", not {part!r}')
        types[name] = kind.upper()
    return check_types(types)


def split_header(cell: str) -> tuple[str, str | None]:
    """Take a column's name and type apart: ``elevation:N``. A name may hold a colon itself."""
    name, colon, kind = cell.rpartition(":")
    return (name, kind) if colon and name and kind in TYPES else (cell, None)


def _number(value: Any) -> int | float | Decimal:
    if type(value) in (int, float, Decimal):
        return value  # type: ignore[no-any-return]
    if type(value) is not str:
        raise Broken("is not a number")
    if len(value) <= _SURELY_SHORT and value.isdigit() and value.isascii():
        return int(value)
    try:
        return Decimal(canonical(value.strip()))
    except Refusal as refusal:
        raise Broken(refusal.reason) from None


def _binary(value: Any) -> bytes:
    try:
        return a2b_base64(value, strict_mode=True)
    except (Base64Error, TypeError, ValueError):
        raise Broken("is not base64, which is how binary is written") from None


def _string(value: Any) -> str:
    if type(value) is not str:
        raise Broken("is not a string")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Broken("is neither true nor false")
    return value


def _set_of(element: Callable[[Any], Any]) -> Callable[[Any], set[Any]]:
    def read(value: Any) -> set[Any]:
        if type(value) is not list or not value:
            raise Broken("is not a JSON array with something in it, which is how sets are written")
        return {element(each) for each in value}

    return read


def _typed(value: Any) -> Any:
    try:
        return decode_item({"value": value}, "decimal")["value"]
    except Malformed as error:
        raise Broken(error.reason.replace("in it ", "", 1)) from None


_FROM_JSON: Final[dict[str, Callable[[Any], Any]]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "SS": _set_of(_string),
    "NS": _set_of(_number),
    "BS": _set_of(_binary),
    "JSON": lambda value: value,
    "DDB": _typed,
}


def from_json(types: Mapping[str, str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make what converts the declared attributes of an item that was read from plain JSON.

    ``null`` is DynamoDB's NULL whatever the type. What it makes raises Broken.
    """
    readers = {name: _FROM_JSON[kind] for name, kind in types.items()}

    def convert(item: dict[str, Any]) -> dict[str, Any]:
        for name, read in readers.items():
            value = item.get(name)
            if value is not None:
                item[name] = _at(name, read, value)
        return item

    return convert


def _boolean_cell(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise Broken("is neither true nor false")
    return word == "true"


def _json_cell(kind: str) -> Callable[[str], Any]:
    read = _FROM_JSON[kind]
    return lambda text: read(parse_json(text))


_FROM_CELL: Final[dict[str, Callable[[str], Any]]] = {
    "N": _number,
    "B": _binary,
    "BOOL": _boolean_cell,
    **{kind: _json_cell(kind) for kind in ("SS", "NS", "BS", "JSON", "DDB")},
}


def from_cell(columns: Iterable[tuple[str, str]]) -> Callable[[list[str]], dict[str, Any]]:
    """Make what turns the cells of a CSV row into an item, given the columns' names and types.

    An empty cell is no attribute. What it makes raises Broken.
    """
    readers = [(name, _FROM_CELL.get(kind)) for name, kind in columns]

    def convert(cells: list[str]) -> dict[str, Any]:
        item: dict[str, Any] = {}
        for (name, read), text in zip(readers, cells, strict=True):
            if text:
                item[name] = text if read is None else _at(name, read, text)
        return item

    return convert


def _at(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except Broken as broken:
        raise Broken(broken.reason, name) from None
