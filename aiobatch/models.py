"""Typed items: what ``model=`` makes of an item that was read.

None of the libraries is imported here: whoever has a model of one has imported it.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, Union

from aiobatch.errors import ModelMismatch

__all__ = ["Model", "converter", "mismatch", "name_of"]

ModelT = TypeVar("ModelT")

Model = type[ModelT] | Callable[[dict[str, Any]], ModelT]
"""A class of pydantic, msgspec, attrs or dataclasses, or a function that takes an item's dict."""


def converter(model: Model[ModelT] | None) -> Callable[[dict[str, Any]], ModelT] | None:
    """The function that makes an object of a model from an item, or None where there is no model.

    - A pydantic model: its ``model_validate``.
    - A msgspec struct: ``msgspec.convert``.
    - A dataclass or an attrs class: called with the attributes that it has fields for; others are
      left out. Fields that are such classes themselves are made in turn, in lists, dicts, tuples
      and optional fields too.
    - Anything else that can be called: called with the item.

    The function raises whatever the model raises. See :func:`mismatch` for the error to make of it.

    Raises:
        TypeError: it cannot be called.
    """
    if model is None:
        return None
    validate = getattr(model, "model_validate", None)
    if isinstance(model, type):
        if callable(validate):
            return typing.cast("Callable[[dict[str, Any]], ModelT]", validate)
        if hasattr(model, "__struct_fields__"):
            convert = sys.modules["msgspec"].convert
            return lambda item: typing.cast("ModelT", convert(item, model))
        if _has_fields(model):
            return lambda item: typing.cast("ModelT", _made(model, item))
    if not callable(model):
        raise TypeError(
            "model must be a class of pydantic, msgspec, attrs or dataclasses, or a function that"
            f" takes a dict, not {type(model).__name__}"
        )
    return typing.cast("Callable[[dict[str, Any]], ModelT]", model)


def name_of(model: Any) -> str:
    """What errors call a model."""
    return str(getattr(model, "__qualname__", None) or type(model).__name__)


def mismatch(
    model: Any,
    refusals: Mapping[int, Exception],
    response: Mapping[str, Any],
    *,
    table_name: str,
    what: str = "the item of key",
) -> ModelMismatch:
    """The error for items that a model refused.

    Args:
        model: the model.
        refusals: what it raised, by position in the caller's keys.
        response: the whole answer, with these items as they were read.
        table_name: the table.
        what: what the positions count.
    """
    return ModelMismatch(name_of(model), refusals, response, table_name=table_name, what=what)


# ---------------------------------------------------------------------- classes with fields


class _Field(NamedTuple):
    """A field: its attribute's name, the argument that it has in the class's call, its type."""

    name: str
    argument: str
    type: Any


def _has_fields(model: Any) -> bool:
    return isinstance(model, type) and (
        dataclasses.is_dataclass(model) or hasattr(model, "__attrs_attrs__")
    )


def _fields(model: Any) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(model):
        for field in dataclasses.fields(model):
            if field.init:
                yield field.name, field.name
        return
    for attribute in model.__attrs_attrs__:
        if attribute.init:
            # attrs takes a private attribute without its underscore.
            yield attribute.name, attribute.alias or attribute.name.lstrip("_")


@lru_cache(maxsize=1024)
def _plan(model: type) -> tuple[_Field, ...]:
    try:
        hints = typing.get_type_hints(model)
    except (NameError, TypeError):
        # Names that cannot be looked up from here: those fields take what was read.
        hints = {}
    return tuple(_Field(name, argument, hints.get(name)) for name, argument in _fields(model))


def _made(model: Any, item: Mapping[str, Any]) -> Any:
    return model(
        **{
            field.argument: _fitted(field.type, item[field.name])
            for field in _plan(model)
            if field.name in item
        }
    )


def _fitted(wanted: Any, value: Any) -> Any:
    """The value, with what should be an object of a class made into one."""
    if isinstance(value, dict):
        if _has_fields(wanted):
            return _made(wanted, value)
        if typing.get_origin(wanted) in (dict, Mapping):
            of = typing.get_args(wanted)[1]
            return {name: _fitted(of, each) for name, each in value.items()}
    elif isinstance(value, list):
        origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
        if origin in (list, Sequence):
            return [_fitted(arguments[0], each) for each in value]
        if origin is tuple:
            many = len(arguments) == 2 and arguments[1] is Ellipsis
            of_each = arguments[:1] * len(value) if many else arguments
            if len(of_each) == len(value):
                return tuple(map(_fitted, of_each, value))
    if typing.get_origin(wanted) in (Union, types.UnionType):
        fitting = [one for one in typing.get_args(wanted) if one is not type(None)]
        if len(fitting) == 1:
            return _fitted(fitting[0], value)
    return value
