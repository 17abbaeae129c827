"""What may stand for an item: the forms that have attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from aiobatch.codec.refusal import Refusal

__all__ = ["Serialize", "as_item", "as_mapping"]

#: A function of the caller's for types that DynamoDB does not know: it returns a value of a type
#: that it does, or raises.
Serialize = Callable[[Any], Any]


def as_mapping(value: Any) -> Mapping[Any, Any] | None:
    """Give the attributes of a value that has some, else None.

    In this order: anything with ``to_resource_dictionary()`` (boto3-assist's models), a mapping, a
    pydantic model (``model_dump()``), an instance of a dataclass, of a msgspec struct or of an
    attrs class. The last three are not copied in depth: their own values are encoded in turn.
    Raises Refusal if the value's own method fails.
    """
    if isinstance(value, type):
        return None
    if callable(getattr(value, "to_resource_dictionary", None)):
        return _called(value, "to_resource_dictionary")
    if isinstance(value, Mapping):
        return value
    if callable(getattr(value, "model_dump", None)):
        return _called(value, "model_dump")
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    kind = type(value)
    # Recognised by what msgspec and attrs leave on a class, so that neither must be there.
    names = getattr(kind, "__struct_fields__", None)
    if names is not None:
        # As msgspec writes it: by the names it has outside, without what is UNSET.
        outside = zip(kind.__struct_encode_fields__, names, strict=True)
        given = ((encoded, getattr(value, name)) for encoded, name in outside)
        return {name: each for name, each in given if type(each).__name__ != "UnsetType"}
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return {attribute.name: getattr(value, attribute.name) for attribute in attributes}
    return None


def as_item(item: Any, serialize: Serialize | None, what: str) -> Mapping[Any, Any]:
    """Give the attributes of an item or a key. Raises Refusal if it has none."""
    mapping = as_mapping(item)
    if mapping is None and serialize is not None:
        mapping = as_mapping(serialized(item, serialize))
    if mapping is None:
        raise Refusal(
            f"is {a_type(item)}, not {what}: pass a mapping, a dataclass, a pydantic model, "
            "a msgspec struct, an attrs object, or an object with to_resource_dictionary()"
        )
    return mapping


def serialized(value: Any, serialize: Serialize) -> Any:
    """Call the caller's serialize(). Raises Refusal, from its error, if it fails."""
    try:
        return serialize(value)
    except Exception as error:
        raise Refusal(
            f"is {a_type(value)}, for which serialize= raised {type(error).__name__}"
        ) from error


def a_type(value: object) -> str:
    """Name a value's type with its article, for people: "a datetime", "an ndarray"."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def _called(value: Any, method: str) -> Mapping[Any, Any]:
    try:
        attributes = getattr(value, method)()
    except Exception as error:
        raise Refusal(
            f"is {a_type(value)}, whose {method}() raised {type(error).__name__}"
        ) from error
    if not isinstance(attributes, Mapping):
        raise Refusal(
            f"is {a_type(value)}, whose {method}() returned {a_type(attributes)}, not a mapping"
        )
    return attributes
