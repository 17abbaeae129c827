"""The codecs alone: microseconds an item to decode an answer and to encode a put.

Run as ``python -m benchmarks.codec``. The reference is what a user of boto3 or aiobotocore runs:
botocore's parser or serializer with boto3's ``TypeDeserializer`` or ``TypeSerializer``. A second
table has the two steps in which an answer of 1 MB holds the event loop: to parse it, and to decode
its largest item.

Each figure is the median of several rounds, the codecs in turn within a round, so that a slow
moment of the machine meets them all, and is time of the processor. The garbage collector is off
while a round runs: it would charge one codec for what another left behind.
"""

import argparse
import gc
import json
import platform
import statistics
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
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

BEGIN, END = "<!-- codec:begin -->", "<!-- codec:end -->"
NOTE = "<!-- Written by `make codec-figures`. Do not edit. -->"
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
"""Answers of about 1 MB. The last is the most values that one item of 400 KB can be."""


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


Results = dict[str, dict[str, Any]]


def per_item(rounds: int) -> Results:
    """Every shape of item, decoded and encoded in every way."""
    results: Results = {}
    for name, make in SHAPES.items():
        items = [make(n) for n in range(PAGE)]
        body = page_of(items)
        results[name] = {
            "bytes": len(body) // PAGE,
            "decode": measured(decoders(body), PAGE, rounds),
            "encode": measured(encoders(items), PAGE, rounds),
        }
    return results


def large_answers(rounds: int) -> Results:
    """Every large answer over every codec of ours."""
    results: Results = {}
    for name, items in LARGE.items():
        body = page_of(items)
        held_by = {way: held(body, codec, rounds) for way, codec in _readers().items()}
        results[name] = {"bytes": len(body), "held": held_by}
    return results


def _readers() -> dict[str, Callable[..., Any]]:
    return {name: codec.read_answer for name, codec in implementations().items()}


def tables(items: Results, answers: Results, rounds: int) -> list[str]:
    """The figures as Markdown."""
    ours = list(implementations())
    ways = [*ours, "boto3"]
    rows = [["item", "", "bytes", *ways, *(f"boto3 / {way}" for way in ours)]]
    for name, result in items.items():
        for direction in ("decode", "encode"):
            took = result[direction]
            cells = [f"{took[way]:.2f}" for way in ways]
            cells += [f"{took['boto3'] / took[way]:.1f}" for way in ours]
            rows.append([name, direction, str(result["bytes"]), *cells])
    large = [["answer", "bytes", *ours]]
    for name, result in answers.items():
        pairs = [f"{parse:.2f} and {most:.2f}" for parse, most in result["held"].values()]
        large.append([name, str(result["bytes"]), *pairs])
    return [
        "Microseconds an item, and how many times as long boto3's types with botocore take:",
        "",
        *markdown(rows),
        "",
        "Milliseconds that an answer of 1 MB holds the loop, to parse it and for its largest item:",
        "",
        *markdown(large),
        "",
        f"Python {platform.python_version()}, {platform.machine()}, medians of {rounds} rounds.",
    ]


def markdown(rows: list[list[str]]) -> list[str]:
    """A table: words to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = [not any(cell[:1].isdigit() for cell in column) for column in zip(*rows, strict=True)]
    words[0] = True
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(row, widths, words, strict=True)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    rules = [
        "-" * width if word else "-" * (width - 1) + ":"
        for width, word in zip(widths, words, strict=True)
    ]
    return [lines[0], f"| {' | '.join(rules)} |", *lines[1:]]


def write_into(path: Path, lines: list[str]) -> None:
    """Replace what stands between the markers of a Markdown file."""
    head, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} needs {BEGIN} and {END}")
    block = "\n".join([BEGIN, NOTE, "", *lines, "", END])
    path.write_text(head + block + tail, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print tables, or JSON."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__)
    options.add_argument("--rounds", type=int, default=11)
    options.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this file")
    chosen = options.parse_args(arguments)
    items, answers = per_item(chosen.rounds), large_answers(chosen.rounds)
    if chosen.json:
        found = {"us_per_item": items, "ms_of_1_mb": answers}
        print(json.dumps({"python": platform.python_version(), **found}))
        return
    lines = tables(items, answers, chosen.rounds)
    print("\n".join(lines))
    if chosen.write is not None:
        write_into(chosen.write, lines)


if __name__ == "__main__":
    main()
