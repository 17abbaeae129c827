"""The checksum of an answer's bytes, by every codec that is there."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch.codec import CODEC, implementations


@pytest.mark.parametrize("name", implementations())
@given(pieces=st.lists(st.binary(max_size=2_000), max_size=4))
def test_it_is_that_of_zlib_piece_by_piece_too(name: str, pieces: list[bytes]) -> None:
    crc32 = implementations()[name].crc32
    value = 0
    for piece in pieces:
        value = crc32(piece, value)
    assert value == zlib.crc32(b"".join(pieces))
    assert crc32(b"".join(pieces), 0) == value


@pytest.mark.parametrize("name", implementations())
def test_it_is_that_of_zlib_for_whole_answers(name: str) -> None:
    body = bytes(range(256)) * 5_000
    for size in (1, 63, 64, 1_000, 65_537, len(body)):
        assert implementations()[name].crc32(body[:size], 0) == zlib.crc32(body[:size])


@pytest.mark.parametrize("name", implementations())
def test_it_is_of_bytes_alone(name: str) -> None:
    with pytest.raises(TypeError):
        implementations()[name].crc32("text", 0)  # type: ignore[arg-type]


def test_the_codec_in_use_has_one() -> None:
    assert CODEC.crc32(b"aiobatch", 0) == zlib.crc32(b"aiobatch")
