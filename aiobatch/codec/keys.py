"""A table's key attributes, and what DynamoDB asks of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiobatch.codec.items import Serialize, as_item
from aiobatch.codec.refusal import Malformed, Refusal
from aiobatch.codec.size import binary_size
from aiobatch.limits import KEY_NAME_MAX_LENGTH, PARTITION_KEY_MAX_BYTES, SORT_KEY_MAX_BYTES

__all__ = ["SURELY_SHORT", "KeySchema", "check_key"]

_KINDS: Final = {"S": "a string", "N": "a number", "B": "binary"}

# No text of so few characters is over 1024 bytes, in UTF-8 (up to 4 a character) or as base64.
SURELY_SHORT: Final = SORT_KEY_MAX_BYTES // 4


@dataclass(frozen=True, slots=True)
class KeySchema:
    """The one or two key attributes of a table.

    Attributes:
        names: their names; the partition key first if ``ordered``.
        ordered: whether the roles are known: False for a schema learnt from a key.
        types: "S", "N" or "B" by name, where they are known (from DescribeTable), else None.
    """

    names: tuple[str, ...]
    ordered: bool
    types: Mapping[str, str] | None = field(default=None, hash=False)
    #: The names in the order in which the canonical form of a key has them.
    in_order: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_order", tuple(sorted(self.names)))

    @classmethod
    def from_names(cls, names: Sequence[str]) -> Self:
        """Take the names as a caller gives them: the partition key, then the sort key if any.

        Raises TypeError for a bare string or a name that is no string, ValueError for other than
        one or two distinct, non-empty names of at most 255 characters.
        """
        if isinstance(names, str | bytes) or not isinstance(names, Sequence):
            raise TypeError(
                'key names must be a tuple or list such as ("pk",) or ("pk", "sk"), '
                f"not {type(names).__name__}"
            )
        given = tuple(names)
        for name in given:
            if not isinstance(name, str):
                raise TypeError(f"a key name must be a string, not {type(name).__name__}")
            if not name:
                raise ValueError("a key name must not be empty")
            if len(name) > KEY_NAME_MAX_LENGTH:
                raise ValueError(f"a key name has at most {KEY_NAME_MAX_LENGTH} characters")
            if not _encodable(name):
                raise ValueError("a key name must be valid Unicode, without lone surrogates")
        if not 1 <= len(given) <= 2:
            raise ValueError(
                "a table has one key attribute (the partition key) or two (and the sort key), "
                f"not {len(given)}"
            )
        if len(set(given)) != len(given):
            raise ValueError("the partition key and the sort key must have different names")
        return cls(given, ordered=True)

    @classmethod
    def from_key(cls, key: object, serialize: Serialize | None = None) -> Self:
        """Learn the names from a key, in any form that encode_key() takes: roles unknown.

        Raises like from_names(), and Refusal if the key has no attributes at all.
        """
        return cls(cls.from_names(sorted(as_item(key, serialize, "a key"))).names, ordered=False)

    @classmethod
    def from_description(cls, table: Mapping[str, Any]) -> Self:
        """Read the "Table" of DescribeTable's answer. Raises Malformed if it is not one."""
        try:
            roles = {entry["KeyType"]: entry["AttributeName"] for entry in table["KeySchema"]}
            types = {
                entry["AttributeName"]: entry["AttributeType"]
                for entry in table["AttributeDefinitions"]
            }
            names = (roles.pop("HASH"), *roles.values())
            if set(roles) <= {"RANGE"} and all(types[name] in _KINDS for name in names):
                checked = cls.from_names(names).names
                return cls(checked, ordered=True, types={name: types[name] for name in checked})
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # raised outside: the error at hand holds a part of the answer
        raise Malformed("the description of the table has no key schema of DynamoDB's")

    def named(self) -> str:
        """Name the key attributes, for people."""
        return " and ".join(self.names)


def check_key(key: Mapping[str, Mapping[str, Any]], schema: KeySchema | None) -> None:
    """Check the encoded key attributes of an item. Raises Refusal.

    Args:
        key: AttributeValues by name: all the key attributes and nothing else.
        schema: what is known of the table, if anything.
    """
    long = []
    types = None if schema is None else schema.types
    for name, typed in key.items():
        [tag] = typed
        value = typed[tag]
        if tag not in _KINDS:
            raise Refusal("is a key attribute, which must be a string, a number or binary").under(
                name
            )
        wanted = tag if types is None else types.get(name, tag)
        if tag != wanted:
            raise Refusal(
                f"is a key attribute that is {_KINDS[wanted]} in the table, and {_KINDS[tag]} here"
            ).under(name)
        if not value:
            raise Refusal("is a key attribute, which must not be empty").under(name)
        if len(value) > SURELY_SHORT:
            size = binary_size(value) if tag == "B" else len(value.encode())
            if size > PARTITION_KEY_MAX_BYTES:
                raise _too_long(size, "partition", PARTITION_KEY_MAX_BYTES).under(name)
            if size > SORT_KEY_MAX_BYTES:
                long.append((name, size))
    if not long:
        return
    # Long, and fine for a partition key. Where the roles are unknown, one of them may be that.
    if schema is not None and schema.ordered:
        for name, size in long:
            if name != schema.names[0]:
                raise _too_long(size, "sort", SORT_KEY_MAX_BYTES).under(name)
    elif len(long) == 2:
        raise Refusal(
            f"has two key attributes of over {SORT_KEY_MAX_BYTES} bytes, the most that a sort key "
            "has; store a hash of one"
        )


def _too_long(size: int, role: str, limit: int) -> Refusal:
    return Refusal(f"is {size} bytes long: a {role} key has at most {limit}; store a hash of it")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
