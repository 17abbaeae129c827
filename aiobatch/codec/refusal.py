"""The two ways in which the codec says no.

Neither quotes a value: an item's content must not end up in a log through an error's text.
"""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Malformed", "Refusal"]


class Refusal(Exception):
    """A value of the caller's that DynamoDB would not take.

    Attributes:
        path: where in the item, such as ``address.tags[2]`` or ``['a.b']`` for a name that is no
            identifier; empty for the item itself. A set's elements have no place of their own:
            their path is the set's.
        reason: what is wrong and what to do about it, a predicate without its subject, such as
            "is NaN, which DynamoDB cannot store".
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.path)

    # Each container calls one of these while the refusal travels up: what is fine costs no path.

    def under(self, name: object) -> Self:
        """Move the path below an attribute's name. What is no name has no place in a path."""
        if isinstance(name, str):
            self._below(str.__str__(name) if name.isidentifier() else f"[{str.__repr__(name)}]")
        return self

    def at(self, index: int) -> Self:
        """Move the path below a list's element."""
        return self._below(f"[{index}]")

    def _below(self, head: str) -> Self:
        rest = self.path
        self.path = head + rest if not rest or rest[0] == "[" else f"{head}.{rest}"
        return self


class Malformed(Exception):
    """An answer that is not what DynamoDB says: from something in between, or cut on the way.

    Attributes:
        reason: what is wrong with it. Never its content.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
