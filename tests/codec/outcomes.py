"""What a codec made of something, in a form that two codecs must agree on to the last bit."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from aiobatch.codec import Codec, KeySchema, Malformed, Numbers, Refusal, Serialize


def exactly(value: Any) -> Any:
    """A value with every type in it, so that 1, 1.0, True and Decimal(1) are four things."""
    match value:
        case dict():
            return "dict", [(exactly(name), exactly(inner)) for name, inner in value.items()]
        case list() | tuple():
            return type(value).__name__, [exactly(inner) for inner in value]
        case set() | frozenset():
            return type(value).__name__, frozenset(map(exactly, value))
        case float() | Decimal():  # repr() tells 0.0 from -0.0, and 5 from 5.00
            return type(value).__name__, repr(value)
        case _:
            return type(value).__name__, value


def outcome(work: Callable[[], Any]) -> Any:
    """What it gives, or how it says no."""
    try:
        return exactly(work())
    except Refusal as refusal:
        return "refused", refusal.path, refusal.reason, type(refusal.__cause__)
    except Malformed as malformed:
        return "malformed", malformed.reason


def decoding(codec: Codec, attributes: Any, numbers: Numbers) -> Any:
    """What a parsed item is to a codec."""
    return outcome(lambda: codec.decode_item(attributes, numbers))


def reading(codec: Codec, body: bytes, names: tuple[str, ...], numbers: Numbers) -> Any:
    """What an answer is to a codec: all that it gives before it ends, and how it ends."""
    given: list[Any] = []

    def read() -> None:
        answer = codec.read_answer(body, names, numbers)
        given.append(exactly([answer.left, answer.capacity]))
        # Not extend(): what was given before the end would be lost with a refusal.
        for entry in answer.items:
            given.append(exactly(entry))  # noqa: PERF401

    return given, outcome(read)


def writing(
    codec: Codec, item: Any, schema: KeySchema | None, serialize: Serialize | None
) -> list[Any]:
    """What an item is to a codec: as an item, as a key, as expression values."""
    return [
        outcome(lambda: codec.encode_item(item, schema, serialize)),
        outcome(lambda: codec.encode_key(item, schema, serialize)),
        outcome(lambda: codec.encode_values(item, serialize)) if isinstance(item, dict) else None,
    ]
