"""Projections: every name aliased, the key attributes always there.

Aliasing every name makes DynamoDB's reserved words (over 570 of them) just work, without a list of
them. The key attributes are needed to tell which item an answer is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

__all__ = ["Projection", "compile_projection"]


@dataclass(frozen=True, slots=True)
class Projection:
    """A projection as it is sent.

    Attributes:
        expression: the ``ProjectionExpression``, with a placeholder for every name.
        names: the ``ExpressionAttributeNames``: the caller's and the aliases.
        added: key attributes that the caller had not asked for, to be taken out of the items again.
    """

    expression: str
    names: dict[str, str]
    added: tuple[str, ...]


# Letters and digits of any script, and hyphens, for an alias takes them. Other names need a
# placeholder of the caller's, as in DynamoDB.
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<placeholder>\#[A-Za-z0-9_]+)|(?P<name>[\w-]+)"
    r"|(?P<index>\[\s*[0-9]+\s*\])|(?P<mark>[.,]))",
)


def compile_projection(
    expression: str | None,
    names: Mapping[str, str] | None,
    key_names: Sequence[str],
    *,
    names_elsewhere: bool = False,
) -> Projection | None:
    """Compile a caller's projection into what is sent.

    Args:
        expression: paths separated by commas, such as ``status, address.tags[2], #x``. None: no
            projection, all attributes.
        names: the caller's ``ExpressionAttributeNames``, by placeholder.
        key_names: the table's key attributes; those that the projection leaves out are added.
        names_elsewhere: whether other expressions of the request may use the names, so that one
            unused here is no mistake.

    Returns:
        The projection, or None if there is none.

    Raises:
        ValueError: the expression is malformed (it says where), a placeholder is not defined, a
            name is defined and not used, or a path goes below a key attribute, which has nothing
            below it.
        TypeError: an argument is of the wrong type.
    """
    given = _checked_names(names)
    if expression is None:
        if given and not names_elsewhere:
            raise ValueError(
                "expression_attribute_names without projection_expression: nothing uses them"
            )
        return None
    _check_type(expression, str, "projection_expression", "a string")
    aliases = _Aliases(given)
    paths: list[str] = []
    roots: set[str] = set()
    for elements in _parse(expression):
        root = aliases.resolve(elements[0])
        if len(elements) > 1 and root in key_names:
            raise ValueError(
                f"projection_expression: {root!r} is a key attribute, which has nothing below it: "
                "name it alone"
            )
        roots.add(root)
        paths.append("".join(map(aliases.written, elements)))
    unused = [placeholder for placeholder in given if placeholder not in aliases.used]
    if unused and not names_elsewhere:
        raise ValueError(
            f"expression_attribute_names: {', '.join(unused)} not used in projection_expression, "
            "which DynamoDB refuses"
        )
    added = tuple(name for name in key_names if name not in roots)
    paths.extend(map(aliases.of, added))
    return Projection(",".join(paths), aliases.names, added)


class _Aliases:
    """Placeholders for names: the caller's, and one of ours per plain name."""

    def __init__(self, given: dict[str, str]) -> None:
        self.names = dict(given)
        self.used: set[str] = set()
        self._given = given
        self._by_name: dict[str, str] = {}
        self._count = 0

    def resolve(self, element: str) -> str:
        """Give the attribute's name that an element of a path stands for."""
        if not element.startswith("#"):
            return element
        if element not in self._given:
            raise ValueError(
                f"projection_expression: {element} is not defined in expression_attribute_names"
            )
        return self._given[element]

    def written(self, element: str) -> str:
        """Give the text that stands for an element of a path in what is sent."""
        match element[0]:
            case "[":
                return element
            case ".":
                return "." + self.written(element[1:])
            case "#":
                self.resolve(element)
                self.used.add(element)
                return element
            case _:
                return self.of(element)

    def of(self, name: str) -> str:
        """Give the alias of a name, whatever its characters."""
        if name not in self._by_name:
            while (alias := f"#n{self._count}") in self.names:
                self._count += 1
            self._by_name[name] = alias
            self.names[alias] = name
        return self._by_name[name]


def _parse(expression: str) -> list[list[str]]:
    """Split into paths: each a root, then elements with their ``.`` or ``[index]``."""
    paths: list[list[str]] = [[]]
    at = 0
    end = len(expression.rstrip())
    wanted = True  # a name has to come now
    step = ""
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None:
            at += len(expression[at:]) - len(expression[at:].lstrip())
            _malformed(expression, at, "this is no part of a path")
        start = match.end() - len(match[0].lstrip())
        text = match[0].strip()
        match match.lastgroup:
            case "placeholder" | "name":
                if not wanted:
                    _malformed(expression, start, "a comma or a dot is missing before this")
                paths[-1].append(step + text)
                wanted = False
            case "index":
                if wanted:
                    _malformed(expression, start, "an attribute's name is missing before this")
                paths[-1].append(f"[{text[1:-1].strip()}]")
            case _:
                if wanted:
                    _malformed(expression, start, "an attribute's name is missing before this")
                step = "." if text == "." else ""
                if text == ",":
                    paths.append([])
                wanted = True
        at = match.end()
    if wanted:
        _malformed(expression, end, "an attribute's name is missing at the end")
    return paths


def _malformed(expression: str, at: int, what: str) -> NoReturn:
    raise ValueError(f"projection_expression: at character {at} of {expression!r}: {what}")


def _checked_names(names: Mapping[Any, Any] | None) -> dict[str, str]:
    if names is None:
        return {}
    _check_type(names, Mapping, "expression_attribute_names", "a mapping")
    for placeholder, name in names.items():
        if not isinstance(placeholder, str) or not isinstance(name, str):
            raise TypeError("expression_attribute_names must map placeholders to names, as strings")
        if not re.fullmatch(r"#[A-Za-z0-9_]+", placeholder):
            raise ValueError(
                f"expression_attribute_names: {placeholder!r} is no placeholder: "
                "# and then letters, digits or underscores"
            )
        if not name:
            raise ValueError(f"expression_attribute_names: {placeholder} stands for an empty name")
    return dict(names)


def _check_type(value: object, kind: type, what: str, wanted: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {wanted}, not {type(value).__name__}")
