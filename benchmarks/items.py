"""The items that are moved, and DynamoDB's JSON for them by a second, slow, obvious codec.

Peers run this in environments of their own, so it needs nothing but Python.
"""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Item = dict[str, Any]

KEYS_A_GET = 100
ITEMS_A_PUT = 25
TABLE = "bench-{shape}"
"""Its answers hold the first 100 items, whatever was asked."""
KEYED_TABLE = "bench-keyed-{shape}"
"""Every key has the first item, but for the key."""
SHAPES = {
    "small": "5 values",
    "wide": "20 values: strings, integers, floats, booleans",
    "nested": "about 30 values in lists and maps",
    "long": "20 values, 10 KB: an answer of 1 MB",
    "dense": "about 460 small values in lists and maps, 10 KB: an answer of 1 MB",
}
CITIES = ("Zürich", "São Paulo", "Reykjavík", "Kyoto", "Łódź", "Cape Town", "Perth")
FILLER = (
    "The quay was empty but for a crate of lemons and a dog that slept beside it, and nobody in"
    " the town could tell who had left either of them there. "
)


def key_of(number: int) -> str:
    """The partition key of an item; all are of one length, so that the server can find them."""
    return f"k{number:09d}"


def keys(count: int = KEYS_A_GET) -> list[Item]:
    """The keys of the first items."""
    return [{"pk": key_of(number)} for number in range(count)]


def make_item(shape: str, number: int) -> Item:
    """One item, the same at every call."""
    item: Item = {"pk": key_of(number)}
    match shape:
        case "small":
            item |= {
                "name": f"Customer {number}",
                "visits": number * 37 % 1009,
                "balance": number * 7.31 + 0.07,
                "active": number % 3 == 0,
            }
        case "wide":
            item |= _wide(number)
        case "nested":
            item |= {
                "profile": {
                    "name": {"given": f"Ada {number}", "family": "Ångström"},
                    "address": {"street": f"{number} Main Street", "city": _city(number)},
                    "age": 18 + number % 60,
                },
                "tags": ["new", "paid", f"group-{number % 9}"],
                "orders": [
                    {
                        "id": number * 10 + position,
                        "total": 19.99 * (position + 1),
                        "lines": [
                            {"sku": f"SKU-{position}-{line}", "quantity": line + 1}
                            for line in range(2)
                        ],
                        "paid": position % 2 == 0,
                    }
                    for position in range(3)
                ],
                "note": None,
            }
        case "long":
            item |= _wide(number)
            # What is 10 KB stands in ten of the twenty values.
            texts = [name for name, value in item.items() if type(value) is str and name != "pk"]
            for position, name in enumerate(texts):
                item[name] = f"{item[name]} {position}: {FILLER * 9}"[:1260]
        case "dense":
            item["rows"] = [
                {
                    "at": 1_700_000_000 + number * 60 + row,
                    "value": (number + 1) * (row + 1) / 7,
                    "unit": ("mm", "hPa", "K")[row % 3],
                    "valid": row % 5 != 0,
                    "window": [row, row + 1, row * 2.5],
                }
                for row in range(66)
            ]
        case _:
            raise ValueError(f"there is no shape {shape!r}; there are {', '.join(SHAPES)}")
    return item


def _city(number: int) -> str:
    return CITIES[number % len(CITIES)]


def _wide(number: int) -> Item:
    return {
        "name": f"Customer {number}",
        "email": f"customer.{number}@example.com",
        "street": f"{number * 3 % 997} Harbour Road",
        "city": _city(number),
        "country": ("CH", "BR", "IS", "JP", "PL", "ZA", "AU")[number % 7],
        "phone": f"+41 44 {number:07d}",
        "segment": ("trial", "standard", "enterprise")[number % 3],
        "remark": 'Says "call me back" — mornings only',
        "created": 1_700_000_000 + number,
        "visits": number * 37 % 1009,
        "orders": number % 113,
        "points": number * 1_000_003,
        "level": number % 12,
        "balance": number * 7.31 + 0.07,
        "discount": (number % 40) / 100,
        "latitude": 47.3769 + number / 9_973,
        "longitude": 8.5417 - number / 7_919,
        "active": number % 3 == 0,
        "newsletter": number % 2 == 0,
    }


def make_items(shape: str, count: int) -> list[Item]:
    """The first items of a shape."""
    return [make_item(shape, number) for number in range(count)]


def values_in(value: Any) -> int:
    """How many scalars there are."""
    if isinstance(value, dict):
        return sum(values_in(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(values_in(inner) for inner in value)
    return 1


# ------------------------------------------------------------- the second codec


def to_attribute(value: Any) -> dict[str, Any]:
    """A Python value as DynamoDB's JSON has it."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            # DynamoDB drops the zeros at the end.
            return {"N": repr(value).removesuffix(".0")}
        case list():
            return {"L": [to_attribute(inner) for inner in value]}
        case dict():
            return {"M": to_attributes(value)}
        case _:
            raise TypeError(f"no item here holds a {type(value).__name__}")


def to_attributes(item: Item) -> dict[str, Any]:
    """An item as DynamoDB's JSON has it."""
    return {name: to_attribute(value) for name, value in item.items()}


def from_attribute(attribute: dict[str, Any]) -> Any:
    """The Python value of what DynamoDB's JSON has."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return float(value)
        case "L":
            return [from_attribute(inner) for inner in value]
        case "M":
            return from_attributes(value)
        case "S" | "BOOL":
            return value
        case _:
            raise ValueError(f"no item here holds a {kind}")


def from_attributes(attributes: dict[str, Any]) -> Item:
    """The item of what DynamoDB's JSON has."""
    return {name: from_attribute(attribute) for name, attribute in attributes.items()}


def with_decimals(value: Any) -> Any:
    """The same with Decimals for floats, which boto3's TypeSerializer insists on."""
    match value:
        case float():
            return Decimal(repr(value))
        case list():
            return [with_decimals(inner) for inner in value]
        case dict():
            return {name: with_decimals(inner) for name, inner in value.items()}
        case _:
            return value


def answer_to_get(table: str, items: Iterable[Item]) -> bytes:
    """The body of a BatchGetItem's answer, as DynamoDB spells it."""
    answer = {
        "Responses": {table: [to_attributes(item) for item in items]},
        "UnprocessedKeys": {},
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


# ------------------------------------------------------------------- the checks


class UnequalWork(Exception):
    """A peer did not do what the others do, so its time means nothing."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are one, whatever types of numbers they use."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[name]) for name, value in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(same(*pair) for pair in zip(one, other, strict=True))
        )
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return float(one) == float(other)
    return type(one) is type(other) and bool(one == other)


def check_items(found: Any, expected: list[Item], what: str) -> None:
    """Raises UnequalWork unless the items are those expected, in any order."""
    if not isinstance(found, list) or len(found) != len(expected):
        count = len(found) if isinstance(found, list) else "no list"
        raise UnequalWork(f"{what}: {count} items where {len(expected)} belong")
    by_key = {item["pk"]: item for item in found}
    for item in expected:
        there = by_key.get(item["pk"])
        if there is None:
            raise UnequalWork(f"{what}: item {item['pk']} is missing")
        for name, value in item.items():
            if not same(value, there.get(name)):
                raise UnequalWork(f"{what}: {item['pk']} has {there.get(name)!r} as its {name}")
        if there.keys() != item.keys():
            raise UnequalWork(f"{what}: {item['pk']} has other attributes")
