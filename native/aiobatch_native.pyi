"""The compiled codec of aiobatch. For ``aiobatch.codec.native`` alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, final

from aiobatch.codec import AnswerKeys, KeySchema, Numbers, Serialize

INTERFACE: Final[int]

def crc32(data: bytes, value: int, /) -> int: ...

@final
class Codec:
    def __init__(self, python: dict[str, Callable[..., Any]], limits: dict[str, int]) -> None: ...
    def encode_item(
        self, item: object, schema: KeySchema | None, serialize: Serialize | None
    ) -> tuple[bytes, bytes]: ...
    def encode_items(
        self,
        items: Sequence[object],
        schema: KeySchema | None,
        serialize: Serialize | None,
        encode: Callable[[Any], tuple[bytes, bytes]],
        fragments: list[bytes],
        identities: list[bytes],
        room: int,
        /,
    ) -> None: ...
    def encode_keys(
        self,
        keys: Sequence[object],
        schema: KeySchema,
        encode: Callable[[Any], bytes],
        fragments: list[bytes],
        room: int,
        /,
    ) -> None: ...
    def encode_key(
        self, key: object, schema: KeySchema | None, serialize: Serialize | None
    ) -> bytes: ...
    def encode_values(self, values: Mapping[str, object], serialize: Serialize | None) -> bytes: ...
    def decode_item(self, attributes: Any, numbers: Numbers) -> dict[str, Any]: ...
    def read_answer(
        self, body: bytes, names: AnswerKeys, numbers: Numbers
    ) -> tuple[Items, list[bytes], list[dict[str, Any]]] | None: ...

@final
class Items(Iterator[tuple[bytes, dict[str, Any]]]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[bytes, dict[str, Any]]: ...
    def take(
        self, asked: dict[bytes, int], most: int, entries: list[int], found: list[Any]
    ) -> bool: ...
