"""Python values to DynamoDB's JSON and back, in plain Python.

The hot functions stand together here because a compiled twin may take their place: it has the same
functions and passes the same tests. ``aiobatch.codec`` chooses.

How encoding is made cheap: exact types are looked up in a table; what the JSON writer checks anyway
(names that are no strings, lone surrogates) is not checked beforehand, and looked for only once it
has said no; a path is put together only while a refusal travels up.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, Final, NoReturn

from orjson import dumps

from aiobatch.codec.items import Serialize, a_type, as_item, as_mapping, serialized
from aiobatch.codec.keys import SURELY_SHORT, KeySchema, check_key
from aiobatch.codec.numbers import (
    NUMBERS,
    Number,
    Numbers,
    canonical_read,
    decimal_text,
    float_text,
    int_text,
)
from aiobatch.codec.refusal import Malformed, Refusal
from aiobatch.codec.size import item_size
from aiobatch.limits import ATTRIBUTE_NAME_MAX_BYTES, ITEM_MAX_BYTES, NESTING_MAX_LEVELS

__all__ = [
    "decode_item",
    "decode_items",
    "encode_item",
    "encode_items",
    "encode_key",
    "encode_keys",
    "encode_values",
    "identity_of",
]

# An AttributeValue as JSON has it: one type tag, one value.
_Typed = dict[str, Any]
_Tree = dict[str, _Typed]

_TRUE: Final[_Typed] = {"BOOL": True}
_FALSE: Final[_Typed] = {"BOOL": False}
_NULL: Final[_Typed] = {"NULL": True}

_INT_LIMIT: Final = 10**38  # below it, and above its negative, str() is an int's canonical text

_TOO_DEEP: Final = (
    f"is nested more than {NESTING_MAX_LEVELS} levels deep, the most that DynamoDB stores: "
    "flatten it, or store it as a string (a structure that contains itself has no end)"
)
_SURROGATE: Final = "has a lone surrogate, which is no valid Unicode: repair the text"
_NO_NAME: Final = "has an attribute with an empty name: names have at least one character"


# --- Encoding ---


def encode_item(
    item: object, schema: KeySchema | None, serialize: Serialize | None
) -> tuple[bytes, bytes]:
    """Encode an item, as it stands in a put.

    Args:
        item: a mapping, a dataclass instance, a pydantic model (``model_dump()``), or anything with
            ``to_resource_dictionary()``, which goes before the others.
        schema: the table's key attributes. None: they are not checked.
        serialize: the caller's function for values of types that DynamoDB does not know. What it
            returns is encoded in turn.

    Returns:
        The JSON of its AttributeValues by name, such as ``{"pk":{"S":"a"},"n":{"N":"5"}}``, and the
        canonical JSON of its key attributes: the same bytes for the same key, ``b""`` if ``schema``
        is None.

    Raises:
        Refusal: DynamoDB would not take it; with the path and the reason. Its limits stand in
            ``aiobatch.limits``.
    """
    attributes = item if type(item) is dict else as_item(item, serialize, "an item")
    tree = _map(attributes, serialize, 1)
    # A copy: the JSON writer's own bytes keep the room that it wrote them in, some 8 KB.
    fragment = bytes(memoryview(_write(tree)))
    # JSON is longer than what DynamoDB counts: most items need no count.
    if len(fragment) > ATTRIBUTE_NAME_MAX_BYTES:
        _check_names(tree)
        if len(fragment) > ITEM_MAX_BYTES:
            _check_size(tree)
    if schema is None:
        return fragment, b""
    key = {}
    for name in schema.in_order:
        typed = tree.get(name)
        if typed is None:
            raise Refusal("is a key attribute of the table, and missing").under(name)
        key[name] = typed
    check_key(key, schema)
    return fragment, dumps(key)


def encode_key(key: object, schema: KeySchema | None, serialize: Serialize | None) -> bytes:
    """Encode a key: the JSON to send, which is also its identity.

    Attributes stand in the order of their names and numbers in canonical text, so two keys give the
    same bytes if and only if they are one key to DynamoDB, and the same as the second part of what
    ``encode_item()`` gives.

    Args:
        key: the key attributes alone, in any form that ``encode_item()`` takes.
        schema: the table's key attributes. None: any one or two attributes.
        serialize: as in ``encode_item()``.

    Raises:
        Refusal: an attribute is missing, is not a key attribute, is empty or over its length, or
            is not a string, number or binary.
    """
    attributes = key if type(key) is dict else as_item(key, serialize, "a key")
    tree = _map(attributes, serialize, 1)
    if schema is not None:
        if tree.keys() != set(schema.names):
            _explain_key(tree, schema)
        in_order = {name: tree[name] for name in schema.in_order}
    else:
        if not 1 <= len(tree) <= 2:
            raise Refusal(f"has {len(tree)} attributes; a key has one or two")
        in_order = dict(sorted(_plain_names(tree).items()))
    encoded = _write(in_order)
    check_key(in_order, schema)
    return encoded


def encode_items(
    items: Sequence[object],
    schema: KeySchema | None,
    serialize: Serialize | None,
    encode: Callable[[Any], tuple[bytes, bytes]],
    fragments: list[bytes],
    identities: list[bytes],
    room: int,
) -> None:
    """Encode items from ``items[len(fragments)]`` on, as ``encode_item()`` does.

    Args:
        items: the items.
        schema: the table's key attributes. None: they are not checked.
        serialize: the caller's function for other types.
        encode: does what is no plain dict, or may be an item in boto3's wrapping.
        fragments: the JSON of each item is appended to this.
        identities: so is the canonical JSON of its key to this.
        room: return as soon as so many bytes are written, and after each use of ``encode``, whose
            time nobody knows, so that the caller can let the loop go.

    Raises:
        Refusal: DynamoDB would not take ``items[len(fragments)]``. What came before it was encoded.
    """
    for item in islice(items, len(fragments), None):
        is_plain = type(item) is dict and len(item) > 1 and serialize is None
        fragment, identity = encode_item(item, schema, None) if is_plain else encode(item)
        fragments.append(fragment)
        identities.append(identity)
        room -= len(fragment)
        if room <= 0 or not is_plain:
            return


def encode_keys(
    keys: Sequence[object],
    schema: KeySchema,
    encode: Callable[[Any], bytes],
    fragments: list[bytes],
    room: int,
) -> None:
    """Encode keys from ``keys[len(fragments)]`` on, as ``encode_key()`` does.

    Args:
        keys: the keys.
        schema: the table's key attributes.
        encode: does the keys that are not of the commonest kinds.
        fragments: the JSON of each key is appended to this.
        room: return as soon as so many bytes are written.

    Raises:
        Refusal: DynamoDB would not take ``keys[len(fragments)]``. What came before it was encoded.
    """
    types = schema.types or {}
    names = [
        (name, dumps(name).decode() + ':{"', types.get(name, "S"), types.get(name, "N"))
        for name in schema.in_order
    ]
    for key in islice(keys, len(fragments), None):
        fragment = None
        if type(key) is dict and len(key) == len(names):
            fragment = _simple_key(key, names)
        fragments.append(encode(key) if fragment is None else fragment)
        room -= len(fragments[-1])
        if room <= 0 or fragment is None:
            return


def _simple_key(key: dict[Any, Any], names: list[tuple[str, str, str, str]]) -> bytes | None:
    """A key of short texts and ints, whose JSON needs no tree; None for others."""
    parts = []
    value: Any
    for name, head, text_tag, int_tag in names:
        value = key.get(name)
        kind = type(value)
        if kind is str and 0 < len(value) <= SURELY_SHORT and text_tag == "S":
            try:
                parts.append(f'{head}S":{dumps(value).decode()}}}')
            except TypeError:
                return None
        elif kind is int and -_INT_LIMIT < value < _INT_LIMIT and int_tag == "N":
            parts.append(f'{head}N":"{value}"}}')
        else:
            return None
    return f"{{{','.join(parts)}}}".encode()


def encode_values(values: Mapping[str, object], serialize: Serialize | None) -> bytes:
    """Encode ``ExpressionAttributeValues``: the JSON of AttributeValues by placeholder.

    Raises:
        Refusal: DynamoDB would not take a value; its path begins with the placeholder.
    """
    return _write(_map(values, serialize, 1))


def _map(attributes: Mapping[Any, Any], serialize: Serialize | None, level: int) -> _Tree:
    """Encode attributes by name; ``level`` is the one that their values stand on."""
    if level > NESTING_MAX_LEVELS and attributes:
        raise Refusal(_TOO_DEEP)
    tree: _Tree = {}
    name = None
    try:
        for name, value in attributes.items():
            # The commonest kinds stand here, for a call costs as much as what it would do.
            kind = type(value)
            if kind is str:
                tree[name] = {"S": value}
            elif kind is int and -_INT_LIMIT < value < _INT_LIMIT:
                tree[name] = {"N": str(value)}
            elif kind is float:
                tree[name] = {"N": float_text(value)}
            elif kind is bool:
                tree[name] = _TRUE if value else _FALSE
            else:
                encode = _ENCODERS.get(kind, _other)
                tree[name] = encode(value, serialize, level)
    except Refusal as refusal:
        refusal.under(name)
        raise
    if "" in tree:
        raise Refusal(_NO_NAME)
    return tree


def _list(values: Iterable[Any], serialize: Serialize | None, level: int) -> list[_Typed]:
    if level > NESTING_MAX_LEVELS and values:
        raise Refusal(_TOO_DEEP)
    tree: list[_Typed] = []
    try:
        for value in values:
            kind = type(value)
            if kind is str:
                tree.append({"S": value})
            else:
                encode = _ENCODERS.get(kind, _other)
                tree.append(encode(value, serialize, level))
    except Refusal as refusal:
        refusal.at(len(tree))
        raise
    return tree


def _set(elements: Iterable[Any], serialize: Serialize | None, level: int) -> _Typed:
    kinds = set()
    texts: dict[str, None] = {}  # elements that are one to DynamoDB are sent once
    for element in elements:
        tag, text = _element(element, serialize, level)
        kinds.add(tag)
        texts[text] = None
    if not kinds:
        raise Refusal("is an empty set, which DynamoDB cannot store: leave it out, or store None")
    if len(kinds) > 1:
        raise Refusal(
            "is a set of mixed types: in DynamoDB the elements of a set are all strings, all "
            "numbers or all binary; use a list"
        )
    return {kinds.pop() + "S": list(texts)}


def _element(element: Any, serialize: Serialize | None, level: int) -> tuple[str, str]:
    try:
        encoded = _ENCODERS.get(type(element), _other)(element, serialize, level)
    except Refusal as refusal:
        raise Refusal(f"holds an element that {refusal.reason}") from refusal.__cause__
    [(tag, text)] = encoded.items()
    if tag not in ("S", "N", "B"):
        raise Refusal(
            f"holds {a_type(element)}: in DynamoDB the elements of a set are all strings, all "
            "numbers or all binary; use a list"
        )
    return tag, text


def _binary(value: bytes | bytearray | memoryview) -> _Typed:
    return {"B": b2a_base64(value, newline=False).decode("ascii")}


def _other(value: Any, serialize: Serialize | None, level: int) -> _Typed:
    """Encode what is not of an exact type in the table: subclasses, look-alikes, the caller's."""
    encoded = _known(value, serialize, level)
    if encoded is not None:
        return encoded
    if serialize is None:
        raise Refusal(f"is {a_type(value)}, which DynamoDB has no type for: {_advice(value)}")
    result = serialized(value, serialize)
    encode = _ENCODERS.get(type(result))
    encoded = encode(result, serialize, level) if encode else _known(result, serialize, level)
    if encoded is None:
        raise Refusal(
            f"is {a_type(value)}, for which serialize= returned {a_type(result)}, "
            "which DynamoDB has no type for"
        )
    return encoded


def _known(value: Any, serialize: Serialize | None, level: int) -> _Typed | None:
    """Encode a value that DynamoDB has a type for, else None."""
    # The base classes' own methods, for a subclass (an enumeration, numpy.float64) may have others.
    match value:
        case str():
            return {"S": str.__str__(value)}
        case int():
            return {"N": int_text(int.__index__(value))}
        case float():
            return {"N": float_text(float.__float__(value))}
        case Decimal():
            return {"N": decimal_text(Decimal(value))}
        case bytes() | bytearray():
            return _binary(value)
        case memoryview():
            return _binary(value.tobytes())
        case list() | tuple():
            return {"L": _list(value, serialize, level + 1)}
    mapping = as_mapping(value)
    if mapping is not None:
        return {"M": _map(mapping, serialize, level + 1)}
    if isinstance(value, AbstractSet):
        return _set(value, serialize, level)
    kind = type(value)
    if kind.__name__ == "Binary" and isinstance(getattr(value, "value", None), bytes | bytearray):
        return _binary(value.value)  # boto3's
    # numpy's numbers, bools, strings and bytes. Not its dates: their item() may be a bare count.
    if (
        kind.__module__ == "numpy"
        and getattr(value, "ndim", None) == 0
        and value.dtype.kind in "biufSU"
    ):
        scalar = value.item()
        encode = _ENCODERS.get(type(scalar))
        return encode(scalar, serialize, level) if encode else None
    return None


def _advice(value: object) -> str:
    if isinstance(value, Enum):
        return "use its value, or pass serialize="
    if isinstance(value, datetime | date | time):
        return "convert it (to isoformat(), say), or pass serialize="
    if isinstance(value, timedelta):
        return "convert it (to total_seconds(), say), or pass serialize="
    return "convert it, or pass serialize="


_Encoder = Callable[[Any, Serialize | None, int], _Typed]

_ENCODERS: Final[dict[type, _Encoder]] = {
    str: lambda value, _serialize, _level: {"S": value},
    int: lambda value, _serialize, _level: {"N": int_text(value)},
    float: lambda value, _serialize, _level: {"N": float_text(value)},
    Decimal: lambda value, _serialize, _level: {"N": decimal_text(value)},
    bool: lambda value, _serialize, _level: _TRUE if value else _FALSE,
    type(None): lambda _value, _serialize, _level: _NULL,
    bytes: lambda value, _serialize, _level: _binary(value),
    bytearray: lambda value, _serialize, _level: _binary(value),
    dict: lambda value, serialize, level: {"M": _map(value, serialize, level + 1)},
    list: lambda value, serialize, level: {"L": _list(value, serialize, level + 1)},
    tuple: lambda value, serialize, level: {"L": _list(value, serialize, level + 1)},
    set: _set,
    frozenset: _set,
}


# --- What the JSON writer refuses ---


def _write(tree: _Tree) -> bytes:
    try:
        return dumps(tree)
    except TypeError:
        pass  # looked into outside: the error at hand may quote what it stumbled over
    return dumps(_plain_names(tree))


def _plain_names(tree: Mapping[Any, _Typed]) -> _Tree:
    """Copy a tree with plain strings for names. Raises Refusal for what JSON cannot write."""
    plain: _Tree = {}
    for name, typed in tree.items():
        if not isinstance(name, str):
            raise Refusal(f"has an attribute whose name is {a_type(name)}: names are strings")
        if not _encodable(name):
            raise Refusal(f"has an attribute whose name {_SURROGATE}")
        try:
            plain[str.__str__(name)] = _plain_value(typed)
        except Refusal as refusal:
            refusal.under(name)
            raise
    return plain


def _plain_value(typed: _Typed) -> _Typed:
    [(tag, value)] = typed.items()
    if tag == "M":
        return {"M": _plain_names(value)}
    if tag == "L":
        plain: list[_Typed] = []
        try:
            for element in value:
                plain.append(_plain_value(element))  # noqa: PERF401 - its length is the index
        except Refusal as refusal:
            refusal.at(len(plain))
            raise
        return {"L": plain}
    if tag == "S" and not _encodable(value):
        raise Refusal(_SURROGATE)
    if tag == "SS" and not all(map(_encodable, value)):
        raise Refusal(f"holds an element that {_SURROGATE}")
    return typed


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_names(tree: _Tree) -> None:
    """Refuse names over DynamoDB's length; called for trees large enough to have one."""
    for name, typed in tree.items():
        if len(name.encode()) > ATTRIBUTE_NAME_MAX_BYTES:
            raise Refusal(
                f"has an attribute whose name is over {ATTRIBUTE_NAME_MAX_BYTES} bytes, the most "
                "that DynamoDB takes"
            )
        try:
            _check_names_in(typed)
        except Refusal as refusal:
            refusal.under(name)
            raise


def _check_names_in(typed: _Typed) -> None:
    if "M" in typed:
        _check_names(typed["M"])
    elif "L" in typed:
        for index, element in enumerate(typed["L"]):
            try:
                _check_names_in(element)
            except Refusal as refusal:
                refusal.at(index)
                raise


def _check_size(tree: _Tree) -> None:
    size = item_size(tree)
    if size > ITEM_MAX_BYTES:
        raise Refusal(
            f"is {size} bytes as DynamoDB counts, names and values; an item has at most "
            f"{ITEM_MAX_BYTES} (400 KB): split it, or store the large part elsewhere"
        )


def _explain_key(tree: _Tree, schema: KeySchema) -> NoReturn:
    """Refuse a key whose attributes are not those of the table."""
    plain = _plain_names(tree)
    for name in schema.names:
        if name not in plain:
            raise Refusal("is a key attribute of the table, and missing").under(name)
    more = next(name for name in plain if name not in schema.names)
    raise Refusal(f"is not a key attribute of the table: pass {schema.named()} alone").under(more)


# --- Identity ---


def identity_of(attributes: Any, names: Sequence[str]) -> bytes:
    """Give the identity of an item or a key that the service sent.

    Args:
        attributes: AttributeValues by name, as parsed from JSON; more than the key if need be.
        names: the key attributes, in any order.

    Returns:
        The same bytes as ``encode_key()`` for the same key.

    Raises:
        Malformed: a key attribute is missing, or not a string, number or binary.
    """
    return _identity_or_malformed(attributes, sorted(names))


def _identity_or_malformed(attributes: Any, in_order: Sequence[str]) -> bytes:
    try:
        return _identity(attributes, in_order)
    except (AttributeError, LookupError, TypeError, ValueError):
        pass  # raised outside: the error at hand may quote the content
    raise Malformed("an item or key in it lacks a key attribute, or has one of the wrong shape")


def _identity(attributes: Any, in_order: Sequence[str]) -> bytes:
    key = {}
    for name in in_order:
        typed = attributes[name]
        [tag] = typed
        value = typed[tag]
        if type(value) is not str:
            raise TypeError
        if tag == "N":
            typed = {"N": canonical_read(value)}
        elif tag == "B":
            typed = _binary(a2b_base64(value, strict_mode=True))
        elif tag != "S":
            raise KeyError
        key[name] = typed
    return dumps(key)


# --- Decoding ---

_ReadNumber = Callable[[str], Number]


def decode_item(attributes: Any, numbers: Numbers) -> dict[str, Any]:
    """Decode an item that the service sent.

    Args:
        attributes: AttributeValues by name, as parsed from JSON.
        numbers: "native": int where a number has no fraction, else float. "decimal": exact Decimal.
            "strict": int or float where it reads back as the same number, else Decimal. Inside
            sets, lists and maps too; members of a native set that meet as one float merge.

    Returns:
        The item: ``bytes`` for binary, ``set`` for sets, None for NULL.

    Raises:
        Malformed: it is not what DynamoDB says.
        ValueError: ``numbers`` is none of the three.
    """
    return _decoded_or_malformed(attributes, _reader(numbers))


def decode_items(
    found: Iterable[Any], names: Sequence[str], numbers: Numbers
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Give identity and item, one after the other, of items that the service sent.

    What ``identity_of()`` and ``decode_item()`` do, with what is common to all items done once.
    """
    number = _reader(numbers)
    in_order = sorted(names)
    for attributes in found:
        yield (
            _identity_or_malformed(attributes, in_order),
            _decoded_or_malformed(attributes, number),
        )


def _reader(numbers: Numbers) -> _ReadNumber:
    number = NUMBERS.get(numbers)
    if number is None:
        raise ValueError(f"numbers must be 'native', 'decimal' or 'strict', not {numbers!r}")
    return number


def _decoded_or_malformed(attributes: Any, number: _ReadNumber) -> dict[str, Any]:
    try:
        return _decode_map(attributes, number, 1)
    except (AttributeError, LookupError, TypeError, ValueError):
        pass  # raised outside: the error at hand may quote the content
    raise Malformed("an attribute value in it has not the shape of DynamoDB's")


def _decode_map(attributes: Any, number: _ReadNumber, level: int) -> dict[str, Any]:
    if level > NESTING_MAX_LEVELS and attributes:
        raise Malformed("a value in it is nested deeper than DynamoDB stores")
    item: dict[str, Any] = {}
    for name, typed in attributes.items():
        # The commonest kinds stand here, for a call costs as much as what it would do.
        [tag] = typed
        value = typed[tag]
        if tag == "S":
            if type(value) is not str:
                raise TypeError
            item[name] = value
        elif tag == "N":
            item[name] = number(value)
        elif tag == "BOOL" and (value is True or value is False):
            item[name] = value
        else:
            item[name] = _DECODERS[tag](value, number, level)
    return item


def _decode_list(elements: Any, number: _ReadNumber, level: int) -> list[Any]:
    if type(elements) is not list:
        raise TypeError
    if level > NESTING_MAX_LEVELS and elements:
        raise Malformed("a value in it is nested deeper than DynamoDB stores")
    values = []
    for typed in elements:
        [tag] = typed
        value = typed[tag]
        if tag == "S" and type(value) is str:
            values.append(value)
        else:
            values.append(_DECODERS[tag](value, number, level))
    return values


def _decode_string(value: Any, _number: _ReadNumber, _level: int) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _decode_bool(value: Any, _number: _ReadNumber, _level: int) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


def _decode_null(value: Any, _number: _ReadNumber, _level: int) -> None:
    if value is not True:
        raise TypeError


def _decode_binary(value: Any, _number: _ReadNumber, _level: int) -> bytes:
    if type(value) is not str:
        raise TypeError
    return a2b_base64(value, strict_mode=True)


def _decode_set(
    elements: Any, number: _ReadNumber, level: int, decode: Callable[[Any, _ReadNumber, int], Any]
) -> set[Any]:
    if type(elements) is not list:
        raise TypeError
    return {decode(element, number, level) for element in elements}


def _decode_number(value: Any, number: _ReadNumber, _level: int) -> Number:
    return number(value)


_DECODERS: Final[dict[str, Callable[[Any, _ReadNumber, int], Any]]] = {
    "S": _decode_string,
    "N": _decode_number,
    "B": _decode_binary,
    "BOOL": _decode_bool,
    "NULL": _decode_null,
    "M": lambda value, number, level: _decode_map(value, number, level + 1),
    "L": lambda value, number, level: _decode_list(value, number, level + 1),
    "SS": lambda value, number, level: _decode_set(value, number, level, _decode_string),
    "NS": lambda value, number, level: _decode_set(value, number, level, _decode_number),
    "BS": lambda value, number, level: _decode_set(value, number, level, _decode_binary),
}
