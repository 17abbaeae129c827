"""What expressions are made of: words, the caller's placeholders, and paths into an item. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aiobatch.testing.values import invalid

__all__ = ["Path", "Scanner", "found_at"]

Path = tuple[str | int, ...]
"""Where in an item: the attribute's name, then names in maps and places in lists."""

_TOKEN = re.compile(r"\s*(?:([#:]?\w+)|(<=|>=|<>|[=<>+\-(),.\[\]]))")


class Scanner:
    """An expression, word by word.

    Args:
        kind: what errors call it, such as ``"ConditionExpression"``.
        content: the request, or the part of a transaction, that has the expression.
    """

    def __init__(self, kind: str, content: Mapping[str, Any]) -> None:
        self.kind = kind
        self._names = content.get("ExpressionAttributeNames") or {}
        self._values = content.get("ExpressionAttributeValues") or {}
        self._tokens: list[str] = []
        self._at = 0
        text = str(content[kind])
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.wrong()
            self._tokens.append(found[1] or found[2])
            at = found.end()
        if not self._tokens:
            raise invalid(f"Invalid {kind}: The expression can not be empty;")

    def wrong(self) -> Exception:
        """The refusal of an expression that is none."""
        near = " ".join(self._tokens[max(0, self._at - 1) : self._at + 2])
        return invalid(f'Invalid {self.kind}: Syntax error; near: "{near}"')

    @property
    def next(self) -> str:
        """The next word; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        """Take the next word. Raises Refused at the end."""
        word = self.next
        if not word:
            raise self.wrong()
        self._at += 1
        return word

    def takes(self, *words: str) -> str:
        """Take the next word if it is one of these keywords or signs; else nothing."""
        word = self.next.upper()
        return self.take().upper() if word and word in words else ""

    def expect(self, *words: str) -> str:
        """Take one of these. Raises Refused if it is none."""
        word = self.takes(*words)
        if not word:
            raise self.wrong()
        return word

    def calls(self, *functions: str) -> str:
        """Take the name of one of these functions and its bracket, if they come next."""
        following = self._tokens[self._at + 1 : self._at + 2]
        if self.next in functions and following == ["("]:
            name = self.take()
            self.take()
            return name
        return ""

    def value(self) -> dict[str, Any] | None:
        """Take a placeholder for a value, if one comes next."""
        if not self.next.startswith(":"):
            return None
        placeholder = self.take()
        if placeholder not in self._values:
            raise invalid(
                f"Invalid {self.kind}: An expression attribute value used in expression is not"
                f" defined; attribute value: {placeholder}"
            )
        typed: dict[str, Any] = self._values[placeholder]
        return typed

    def path(self) -> Path:
        """Take a path."""
        path: list[str | int] = [self._name()]
        while sign := self.takes(".", "["):
            if sign == ".":
                path.append(self._name())
                continue
            place = self.take()
            if not place.isdecimal():
                raise self.wrong()
            path.append(int(place))
            self.expect("]")
        return tuple(path)

    def _name(self) -> str:
        word = self.take()
        if word.startswith("#"):
            if word not in self._names:
                raise invalid(
                    f"Invalid {self.kind}: An expression attribute name used in the document path"
                    f" is not defined; attribute name: {word}"
                )
            return str(self._names[word])
        if word.startswith(":") or not (word[0].isalpha() or word[0] == "_"):
            raise self.wrong()
        return word


def found_at(item: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """The AttributeValue at a path of an item, or None."""
    found: dict[str, Any] | None = {"M": item}
    for part in path:
        inner = (found or {}).get("M" if isinstance(part, str) else "L")
        if isinstance(part, str):
            found = inner.get(part) if isinstance(inner, Mapping) else None
        else:
            found = inner[part] if isinstance(inner, list) and part < len(inner) else None
    return found
