"""Which codec does the work: the plain one that is always there, or its compiled twin.

The environment variable ``AIOBATCH_CODEC`` decides: ``python`` never takes the compiled one,
``native`` insists on it, ``auto`` (as if it were not set) takes it where it is installed and fits
this version.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiobatch.codec import python
from aiobatch.codec.answers import AnswerKeys, ReadAnswer, read_answer
from aiobatch.codec.items import Serialize
from aiobatch.codec.keys import KeySchema
from aiobatch.codec.numbers import Numbers

__all__ = ["VARIABLE", "Codec", "choose", "implementations"]

VARIABLE: Final = "AIOBATCH_CODEC"

_log = logging.getLogger("aiobatch.codec")


EncodeItems = Callable[
    [
        Sequence[object],
        KeySchema | None,
        Serialize | None,
        Callable[[Any], tuple[bytes, bytes]],
        list[bytes],
        list[bytes],
        int,
    ],
    None,
]
EncodeKeys = Callable[[Sequence[object], KeySchema, Callable[[Any], bytes], list[bytes], int], None]


@dataclass(frozen=True, slots=True)
class Codec:
    """The functions that a compiled twin may do; ``aiobatch.codec.python`` documents them."""

    name: str
    encode_item: Callable[[object, KeySchema | None, Serialize | None], tuple[bytes, bytes]]
    encode_items: EncodeItems
    encode_key: Callable[[object, KeySchema | None, Serialize | None], bytes]
    encode_keys: EncodeKeys
    encode_values: Callable[[Mapping[str, object], Serialize | None], bytes]
    decode_item: Callable[[Any, Numbers], dict[str, Any]]
    read_answer: Callable[[bytes, AnswerKeys, Numbers], ReadAnswer]
    crc32: Callable[[bytes, int], int]


_PYTHON: Final = Codec(
    "python",
    python.encode_item,
    python.encode_items,
    python.encode_key,
    python.encode_keys,
    python.encode_values,
    python.decode_item,
    read_answer,
    zlib.crc32,
)


def choose(environ: Mapping[str, str]) -> Codec:
    """Choose the codec for this process.

    Raises:
        ValueError: ``AIOBATCH_CODEC`` is something else than python, native or auto.
        ImportError: it is ``native``, and there is none, or none that fits.
    """
    wanted = environ.get(VARIABLE, "").strip().lower() or "auto"
    if wanted == "python":
        return _PYTHON
    if wanted not in ("auto", "native"):
        raise ValueError(f"{VARIABLE} must be python, native or auto, not {wanted!r}")
    try:
        return _native()
    except ModuleNotFoundError as error:
        if wanted == "native":
            raise ImportError(
                f"{VARIABLE}=native, and the compiled codec is not installed: "
                "pip install aiobatch-native, or unset the variable"
            ) from error
        return _PYTHON
    except ImportError as error:
        if wanted == "native":
            raise
        _log.warning("the compiled codec is left out: %s", error)
        return _PYTHON


def implementations() -> dict[str, Codec]:
    """Give every codec that is there, by name, whatever the environment says."""
    found = {_PYTHON.name: _PYTHON}
    try:
        native = _native()
    except ImportError:
        return found
    return {**found, native.name: native}


def _native() -> Codec:
    from aiobatch.codec import native

    return Codec(
        "native",
        native.encode_item,
        native.encode_items,
        native.encode_key,
        native.encode_keys,
        native.encode_values,
        native.decode_item,
        native.read_answer,
        native.crc32,
    )
