"""The codecs alone: microseconds an item to decode an answer and to encode a put.

Run as ``python -m benchmarks.codec``. A second table has the two steps in which the event loop is
held by an answer of 1 MB: parsing it, and decoding its largest item. The reference of the first is what a user of boto3 or aiobotocore runs:
botocore's parser or serializer with boto3's ``TypeDeserializer`` or ``TypeSerializer``.

Each figure is the median of several rounds, the codecs in turn within a round, so that a slow
moment of the machine meets them all, and is time of the processor. The garbage collector is off
while a round runs: it would charge one codec for what another left behind.
"""

import argparse
import gc
import json
import platform
import statistics
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from time import process_time
from typing import Any

import botocore.session
from boto3.dynamodb.types import (  # type: ignore[import-untyped]
    TypeDeserializer,
    TypeSerializer,
)
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from aiobatch.codec import KeySchema, implementations

TABLE = "codec"
PAGE = 100
SCHEMA = KeySchema.from_names(("pk", "sk"))
TARGET_SECONDS = 0.05
"""How long one measurement of one codec is made to take."""

Work = Callable[[], object]


def small(n: int) -> dict[str, Any]:
    """Five values: a counter."""
    return {
        "pk": f"user#{n:06}",
        "sk": n,
        "name": f"counter {n % 17}",
        "count": n * 37,
        "active": n % 2 == 0,
    }


def wide(n: int) -> dict[str, Any]:
    """About 20 values of every common kind: an order."""
    return {
        "pk": f"customer#{n:06}",
        "sk": f"order#{n * 7919 % 100_000:05}",
        "status": ("open", "paid", "sent")[n % 3],
        "email": f"someone.{n}@example.com",
        "street": f"{n % 200 + 1} Long Street",
        "city": "M\u00fcnchen" if n % 4 == 0 else "Bristol",
        "note": "Leave it with the neighbours, if there are any who answer the door. " * (n % 2),
        "created": 1_700_000_000 + n,
        "updated": 1_700_000_500 + n,
        "quantity": n % 9 + 1,
        "version": n % 50,
        "price": n * 0.37 + 0.01,
        "weight": n / 7,
        "rate": 0.19,
        "gift": n % 2 == 0,
        "coupon": None,
        "tags": ["new", "fragile", n % 10],
        "size": {"width": n % 30, "height": 12.5},
    }


def nested(n: int) -> dict[str, Any]:
    """About 40 values in lists of maps: an order with its lines."""
    return {
        "pk": f"customer#{n:06}",
        "sk": n,
        "lines": [
            {
                "sku": f"sku-{n}-{line}",
                "quantity": line + 1,
                "price": {"net": line * 2.5 + 0.25, "currency": "EUR"},
                "options": [["color", "red"], ["size", line]],
            }
            for line in range(4)
        ],
    }


SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "small": small,
    "wide": wide,
    "nested": nested,
}


def orders(n: int) -> dict[str, Any]:
    """About 400 values, 10 KB: a customer with 18 orders."""
    return {"pk": f"customer#{n:06}", "sk": n, "orders": [wide(n * 18 + i) for i in range(18)]}


LARGE: dict[str, list[dict[str, Any]]] = {
    "100 items of a long text": [{**wide(n), "text": "x" * 9_500} for n in range(100)],
    "100 items of 400 values": [orders(n) for n in range(100)],
    "3 items of 15,000 values": [
        {"pk": "p", "sk": n, "orders": [wide(i) for i in range(620)]} for n in range(3)
    ],
    "1 item of 90,000 texts": [{"pk": "p", "sk": 1, "texts": ["ab"] * 90_000}],
}
"""Answers of about 1 MB; the last is more than an item may have, and as dense as JSON gets."""


def decoders(body: bytes) -> dict[str, Work]:
    """Ways to take a BatchGetItem's answer apart into items."""
    model = botocore.session.get_session().get_service_model("dynamodb")
    parser = create_parser("json")
    shape = model.operation_model("BatchGetItem").output_shape
    assert shape is not None
    answer = {"body": body, "headers": {}, "status_code": 200}
    deserialize = TypeDeserializer().deserialize

    def boto3() -> object:
        parsed = parser.parse(answer, shape)
        return [
            {name: deserialize(typed) for name, typed in item.items()}
            for item in parsed["Responses"][TABLE]
        ]

    def ours(read_answer: Callable[..., Any]) -> Work:
        return lambda: list(read_answer(body, SCHEMA.in_order, "native").items)

    found = {name: ours(codec.read_answer) for name, codec in implementations().items()}
    return {**found, "boto3": boto3}


def encoders(items: list[dict[str, Any]]) -> dict[str, Work]:
    """Ways to make BatchWriteItem's bodies, of 25 items each."""
    model = botocore.session.get_session().get_service_model("dynamodb")
    serializer = create_serializer("json")
    operation = model.operation_model("BatchWriteItem")
    serialize = TypeSerializer().serialize
    # boto3 refuses floats: its users convert them, here beforehand.
    for_boto3 = [_without_floats(item) for item in items]

    def boto3() -> object:
        bodies = []
        for start in range(0, len(for_boto3), 25):
            puts = [
                {"PutRequest": {"Item": {name: serialize(value) for name, value in item.items()}}}
                for item in for_boto3[start : start + 25]
            ]
            request = {"RequestItems": {TABLE: puts}}
            bodies.append(serializer.serialize_to_request(request, operation)["body"])
        return bodies

    def ours(encode_item: Callable[..., Any]) -> Work:
        return lambda: [encode_item(item, SCHEMA, None) for item in items]

    found = {name: ours(codec.encode_item) for name, codec in implementations().items()}
    return {**found, "boto3": boto3}


def _without_floats(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _without_floats(element) for name, element in value.items()}
    if isinstance(value, list):
        return [_without_floats(element) for element in value]
    return value


def measured(ways: dict[str, Work], items: int, rounds: int) -> dict[str, float]:
    """Microseconds an item, the median over the rounds."""
    repeats = {}
    for name, work in ways.items():
        work()
        began = process_time()
        work()
        repeats[name] = max(1, int(TARGET_SECONDS / (process_time() - began)))
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            gc.collect()
            gc.disable()
            began = process_time()
            for _ in range(repeats[name]):
                work()
            took = process_time() - began
            gc.enable()
            samples[name].append(took / repeats[name] / items * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def held(body: bytes, read_answer: Callable[..., Any], rounds: int) -> tuple[float, float]:
    """Milliseconds to parse an answer and to decode its largest item, medians over the rounds."""
    parsing, decoding = [], []
    for _ in range(rounds):
        gc.collect()
        gc.disable()
        began = process_time()
        items = read_answer(body, SCHEMA.in_order, "native").items
        parsed = last = process_time()
        longest = 0.0
        for _item in items:
            now = process_time()
            longest = max(longest, now - last)
            last = now
        gc.enable()
        parsing.append((parsed - began) * 1e3)
        decoding.append(longest * 1e3)
    return statistics.median(parsing), statistics.median(decoding)


def page_of(items: Iterable[dict[str, Any]]) -> bytes:
    """The body of an answer with these items."""
    encode = implementations()["python"].encode_item
    fragments = b",".join([encode(item, SCHEMA, None)[0] for item in items])
    return b'{"Responses":{"%b":[%b]},"UnprocessedKeys":{}}' % (TABLE.encode(), fragments)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table, or JSON."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = options.parse_args(arguments)

    results = {}
    for name, make in SHAPES.items():
        items = [make(n) for n in range(PAGE)]
        body = page_of(items)
        results[name] = {
            "bytes": len(body) / PAGE,
            "decode": measured(decoders(body), PAGE, chosen.rounds),
            "encode": measured(encoders(items), PAGE, chosen.rounds),
        }
    large = {}
    for name, items in LARGE.items():
        body = page_of(items)
        large[name] = {
            "bytes": len(body),
            "parse_and_largest_item": {
                way: held(body, codec.read_answer, chosen.rounds)
                for way, codec in implementations().items()
            },
        }
    if chosen.json:
        found = {"us_per_item": results, "ms_of_1_mb": large}
        json.dump({"python": platform.python_version(), **found}, sys.stdout)
        print()
        return
    ways = [*implementations(), "boto3"]
    titles = "".join(f"{way:>9}" for way in ways)
    ratios = "".join(f"{'x ' + way:>10}" for way in ways[:-1])
    print(f"Python {platform.python_version()}, us an item, median of {chosen.rounds} rounds;")
    print("x: how many times as fast as boto3's types with botocore's parser or serializer\n")
    print(f"{'item':<8}{'bytes':>6}  {'':<7}{titles}{ratios}")
    for name, result in results.items():
        for direction in ("decode", "encode"):
            figures = result[direction]
            assert isinstance(figures, dict)
            row = "".join(f"{figures[way]:>9.2f}" for way in ways)
            times = "".join(f"{figures['boto3'] / figures[way]:>10.1f}" for way in ways[:-1])
            print(f"{name:<8}{result['bytes']:>6.0f}  {direction:<7}{row}{times}")
    print("\nms that an answer of 1 MB holds the loop: to parse it / for its largest item\n")
    print(f"{'answer':<27}{'bytes':>9}{''.join(f'{way:>16}' for way in ways[:-1])}")
    for name, sizes in large.items():
        steps = sizes["parse_and_largest_item"]
        assert isinstance(steps, dict)
        row = "".join(f"{f'{parse:.2f} / {most:.2f}':>16}" for parse, most in steps.values())
        print(f"{name:<27}{sizes['bytes']:>9}{row}")


if __name__ == "__main__":
    main()
