"""Damaged answers and odd items, over every codec that is there: an error, never a crash.

``python -m tests.codec.fuzz --seconds 60`` (or ``make fuzz``) goes on for that long; the suite runs
a fixed number of rounds. The codecs must agree on every answer and item, and stay within an address
space of ``MEMORY`` above what the process begins with. A failure prints the seed and the input.
"""

import argparse
import faulthandler
import random
import resource
import sys
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from typing import Any

import orjson

from aiobatch.codec import KeySchema, Numbers
from benchmarks.codec import SHAPES, page_of
from tests.codec.outcomes import decoding, reading, writing
from tests.codec.subject import CODECS

MEMORY = 512 * 1024 * 1024
MODES: list[Numbers] = ["native", "decimal", "strict"]
NAMES = ("pk", "sk")
SCHEMA = KeySchema.from_names(NAMES)

RICH: dict[str, Any] = {
    "pk": 'p\u00e4th/"quoted"\\',
    "sk": Decimal("1.5E+30"),
    "b": b"\x00\xff\xfe",
    "sets": [{"a", "\U0001f600"}, {1, 22, 333}, {b"x", b"yz"}],
    "deep": [[[{"m": {"n": [None, True, -0.25, 1e-7, 10**30]}}]]],
}


def bodies() -> list[bytes]:
    """Answers to begin with."""
    pages = [page_of([make(n) for n in range(3)]) for make in SHAPES.values()]
    pages.append(page_of([RICH, {**RICH, "pk": b"binary"}]))
    left = b'"UnprocessedKeys":{"codec":{"Keys":[{"pk":{"S":"a"},"sk":{"N":"1.0"}}]}}'
    capacity = b'"ConsumedCapacity":[{"TableName":"codec","CapacityUnits":1.5}]'
    pages += [page.replace(b'"UnprocessedKeys":{}', left + b"," + capacity) for page in pages]
    pages.append(orjson.dumps(orjson.loads(pages[-1]), option=orjson.OPT_INDENT_2))
    return pages


TOKENS = [
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"null",
        b"true",
        b"false",
        b"NaN",
        b"-",
        b"e",
    ),
    *(b'"S"', b'"N"', b'"B"', b'"M"', b'"L"', b'"SS"', b'"NS"', b'"BS"', b'"NULL"', b'"BOOL"'),
    *(b'{"S":"a"}', b'{"N":"1"}', b'{"L":[', b'{"M":{"m":', b"]}", b"}}", b'"pk"', b'"sk":'),
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud83d", b"\\u0000", b"\\uDE00"),
    *(b"9" * 400, b"1e999", b"-0", b"0.1", b" ", b"\n", b'"Responses"', b'"UnprocessedKeys"'),
]


def damaged(body: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """Change a body in a few places."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at = draw.randint(0, len(body))
        end = min(len(body), at + draw.choice((0, 1, 1, 2, 5, 20, 200)))
        match draw.randrange(9):
            case 0:  # a bit flipped
                if at < len(body):
                    changed = body[at] ^ (1 << draw.randrange(8))
                    body = body[:at] + bytes((changed,)) + body[at + 1 :]
            case 1:  # cut off, or its head lost
                body = body[:at] if draw.random() < 0.7 else body[at:]
            case 2:  # a part lost
                body = body[:at] + body[end:]
            case 3:  # a part of another
                other = draw.choice(others)
                start = draw.randint(0, len(other))
                body = body[:at] + other[start : start + draw.randint(1, 300)] + body[end:]
            case 4:  # a part twice, or many times
                body = body[:end] + body[at:end] * draw.choice((1, 1, 3, 200)) + body[end:]
            case 5 | 6:
                body = body[:at] + draw.choice(TOKENS) + body[end:]
            case 7:  # one token many times: deep, or long
                body = body[:at] + draw.choice(TOKENS) * draw.choice((35, 300, 5_000)) + body[end:]
            case 8:  # one text for another, wherever it stands
                body = body.replace(draw.choice(TOKENS), draw.choice(TOKENS), draw.randint(1, 5))
    return body


LEAVES = ["", "a", "S", "M", "pk", "YQ==", "YQ=", "5", "-0", "5.0", "1E+126", 5, 1.5, None, True]


def bent(parsed: Any, draw: random.Random) -> Any:
    """Change an answer in one place, which stays JSON."""
    if isinstance(parsed, dict) and parsed and draw.random() < 0.9:
        name = draw.choice(list(parsed))
        match draw.randrange(12):
            case 0:
                return {other: parsed[other] for other in parsed if other != name}
            case 1:
                swap = draw.choice(("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS", "x"))
                return {(swap if other == name else other): parsed[other] for other in parsed}
            case 2:
                return {**parsed, draw.choice(("S", "M", "x", "")): draw.choice(LEAVES)}
        return {**parsed, name: bent(parsed[name], draw)}
    if isinstance(parsed, list) and parsed and draw.random() < 0.9:
        at = draw.randrange(len(parsed))
        put = bent(parsed[at], draw)
        return [*parsed[:at], *[put] * draw.choice((0, 1, 1, 1, 1, 1, 1, 2)), *parsed[at + 1 :]]
    deep: Any = draw.choice(LEAVES)
    for _ in range(draw.choice((0, 0, 0, 1, 2, 40))):
        tag = draw.choice(("L", "M", "S", "x"))
        deep = {tag: [deep] if draw.random() < 0.6 else {"a": deep}}
    return draw.choice((deep, deep, [], {}, [deep], {"a": deep}))


def value(draw: random.Random, level: int = 0) -> Any:
    """Any Python value, such as DynamoDB stores more often than not."""
    kind = draw.randrange(17 if level < 40 else 11)
    match kind:
        case 0:
            return draw.choice((None, True, False))
        case 1 | 2:
            points = (0x20, 0x80, 0x800, 0xD900, 0x10000, 0x110000)
            most = draw.choice(points)
            return "".join(chr(draw.randrange(most)) for _ in range(draw.choice((0, 3, 30))))
        case 3:
            return "x" * draw.choice((1, 1024, 1025, 2048, 2049, 65_536, 410_000))
        case 4:
            return draw.choice((1, -1)) * draw.getrandbits(draw.choice((8, 63, 64, 126, 127, 500)))
        case 5:
            return draw.uniform(-10, 10) * 10.0 ** draw.randint(-140, 140)
        case 6:
            return draw.choice((0.0, -0.0, 5.0, 1e16, 1e22, 1e23, float("nan"), float("inf")))
        case 7:
            digits = "".join(draw.choice("0123456789") for _ in range(draw.randint(1, 40)))
            return Decimal(f"{draw.choice(('', '-'))}{digits}E{draw.randint(-150, 150)}")
        case 8:
            return draw.randbytes(draw.choice((0, 1, 2, 3, 30)))
        case 9:
            return bytearray(b"x")
        case 10:
            return draw.choice((object(), 1j, Decimal("NaN"), memoryview(b"x"), "\ud800"))
        case 11:
            return {draw.randint(0, 50) for _ in range(3)}
        case 12:
            elements = (str(draw.random()), draw.random(), 10**23, 1e23, Decimal("0.1"), 0.1, b"x")
            return set(draw.sample(elements, draw.randint(0, 3)))
        case 13 | 14:
            return [value(draw, level + 1) for _ in range(draw.choice((0, 1, 1, 2)))]
        case _:
            names = ("a", "b", "pk", "", "\ud800", 5, "x" * 65_536)
            count = draw.choice((0, 1, 1, 2))
            weights = (9, 9, 9, 1, 1, 1, 1)
            return {name: value(draw, level + 1) for name in draw.choices(names, weights, k=count)}


def item(draw: random.Random) -> dict[Any, Any]:
    """An item with anything in it, and now and then its key."""
    given: dict[Any, Any] = {f"a{n}": value(draw) for n in range(draw.randrange(4))}
    for name in NAMES:
        if draw.random() < 0.8:
            given[name] = value(draw) if draw.random() < 0.3 else draw.choice(("k", 5, 0.5, b"k"))
    return given


class Differ(AssertionError):
    """Two codecs that do not agree."""


def agree(what: Callable[[Any], Any], given: object) -> Any:
    """Give what every codec makes of this."""
    outcomes = {name: what(codec) for name, codec in CODECS.items()}
    first = outcomes["python"]
    for name, other in outcomes.items():
        if other != first:
            raise Differ(
                f"of {given!r:.20000}\npython makes {first!r:.2000}\n{name} {other!r:.2000}"
            )
    return first


def round_of(seed: int, start: list[bytes]) -> tuple[str, str]:
    """One damaged answer and one odd item. Returns how each ended."""
    draw = random.Random(seed)
    mode = draw.choice(MODES)
    body = draw.choice(start)
    if draw.random() < 0.5:
        body = damaged(body, draw, start)
    else:
        parsed = orjson.loads(body)
        for _ in range(draw.randint(1, 3)):
            parsed = bent(parsed, draw)
        body = orjson.dumps(parsed)
    given, end = agree(lambda codec: reading(codec, body, NAMES, mode), body)
    try:
        parsed = orjson.loads(body)
    except ValueError:
        parsed = None
    agree(lambda codec: decoding(codec, parsed, mode), parsed)
    odd = item(draw)
    schema = draw.choice((None, SCHEMA))
    written = agree(lambda codec: writing(codec, odd, schema, None), odd)
    return f"{end[0]} after {len(given)}", str(written[0][0])


def bounded_memory() -> None:
    """Let what takes memory without bound fail, and the machine live."""
    with open("/proc/self/statm") as statm:
        held = int(statm.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, hard))


def main() -> None:
    """Run rounds until the time or their number is up."""
    options = argparse.ArgumentParser(prog="python -m tests.codec.fuzz", description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--rounds", type=int, help="so many rounds instead")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    chosen = options.parse_args()
    faulthandler.enable()
    if sys.platform == "linux":
        bounded_memory()
    start = bodies()
    ends: dict[str, int] = {}
    done = 0
    until = monotonic() + chosen.seconds
    while done < chosen.rounds if chosen.rounds is not None else monotonic() < until:
        seed = chosen.seed + done
        try:
            for end in round_of(seed, start):
                ends[end] = ends.get(end, 0) + 1
        except BaseException:
            print(f"failed: --seed {seed} --rounds 1", file=sys.stderr, flush=True)
            raise
        done += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{done} rounds from seed {chosen.seed} over {', '.join(CODECS)}; at most {peak} MB")
    for end, times in sorted(ends.items(), key=lambda pair: -pair[1])[:12]:
        print(f"{times:>8} {end}")


if __name__ == "__main__":
    main()
