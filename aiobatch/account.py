"""The two views of a call's ledger: the answer, and the account in an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from aiobatch.engine.ledger import Ledger, LedgerPart, Rejection, State
from aiobatch.engine.plan import at

__all__ = ["GetAccount", "WriteAccount"]

RefusalT = TypeVar("RefusalT")


class GetAccount:
    """Where the keys of a read ended.

    Args:
        keys: the caller's keys.
    """

    def __init__(self, keys: list[Any]) -> None:
        self.keys = keys
        # Until the keys are encoded, each stands for itself.
        self.positions: Sequence[int] = range(len(keys))
        self.entries: Sequence[int] = range(len(keys))
        self.items: Sequence[Any] = [None] * len(keys)
        self.ledger: Ledger | LedgerPart | None = None

    def view(self, *, ordered: bool, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """The account in the shape of an answer."""
        ledger = _closed(self.ledger, len(self.positions))
        if ledger.are_all(State.PROCESSED):
            found, missing, unprocessed = list(self.items), [], []
        else:
            states, keys = ledger.states(), at(self.keys, self.positions)
            # Whatever the items are: a model may make even None of one.
            found = _where(State.PROCESSED, states, self.items)
            missing = _where(State.MISSING, states, keys)
            unprocessed = _where(State.UNPROCESSED, states, keys)
        answer: dict[str, Any] = {
            "Items": list(at(self.items, self.entries)) if ordered else found,
            "Count": len(found),
            "MissingKeys": missing,
            "UnprocessedKeys": unprocessed,
            "Metrics": metrics,
        }
        if ledger.rejections:
            answer["RejectedKeys"] = [
                _rejected(self.positions[entry], self.keys, rejection)
                for entry, rejection in sorted(ledger.rejections.items())
            ]
        return answer

    def by_position(self, by_entry: Mapping[int, RefusalT]) -> dict[int, RefusalT]:
        """What is known of entries, by the positions of their keys in the caller's list."""
        return {self.positions[entry]: value for entry, value in sorted(by_entry.items())}

    def told(self) -> str:
        """The counts, in words."""
        ledger = _closed(self.ledger, len(self.positions))
        return _in_words(len(ledger), "distinct keys", ledger.counts())


class WriteAccount:
    """Where the items of a write ended.

    Args:
        items: the caller's items or keys.
    """

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.entries: Sequence[int] = range(len(items))
        self.ledger: Ledger | LedgerPart | None = None

    def _states(self) -> bytes:
        # Writes to one key share one entry, and so its fate.
        return bytes(at(_closed(self.ledger, len(self.items)).states(), self.entries))

    def view(self, *, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """The account in the shape of an answer."""
        states = self._states()
        processed = states.count(State.PROCESSED)
        if processed == len(states):
            return {
                "ProcessedCount": processed,
                "UnprocessedCount": 0,
                "UnprocessedItems": [],
                "Metrics": metrics,
            }
        unprocessed = _where(State.UNPROCESSED, states, self.items)
        unknown = _where(State.UNKNOWN, states, self.items)
        answer: dict[str, Any] = {
            "ProcessedCount": processed,
            "UnprocessedCount": len(unprocessed),
            "UnprocessedItems": unprocessed,
            "Metrics": metrics,
        }
        rejections = self.ledger.rejections if self.ledger is not None else {}
        if rejections:
            answer["RejectedItems"] = [
                _rejected(position, self.items, rejections[self.entries[position]])
                for position, state in enumerate(states)
                if state == State.REJECTED
            ]
        if unknown:
            answer["UnknownItems"] = unknown
        return answer

    def told(self) -> str:
        """The counts, in words."""
        states = self._states()
        return _in_words(len(states), "items", {state: states.count(state) for state in State})


def _closed(ledger: Ledger | LedgerPart | None, size: int) -> Ledger | LedgerPart:
    """The ledger, or that of a call which never came to send anything."""
    if ledger is None:
        ledger = Ledger(size, writes=False)
    ledger.close()
    return ledger


def _where(wanted: State, states: bytes, values: Sequence[Any]) -> list[Any]:
    return [value for value, state in zip(values, states, strict=True) if state == wanted]


def _rejected(position: int, values: Sequence[Any], rejection: Rejection) -> dict[str, Any]:
    return {
        "index": position,
        "item": values[position],
        "code": rejection.code,
        "message": rejection.message,
    }


def _in_words(total: int, what: str, counts: Mapping[State, int]) -> str:
    parts = [
        f"{counts[state]} {state.name.lower()}"
        for state in State
        if state is not State.PENDING and counts[state]
    ]
    return f"of {total} {what}, {', '.join(parts)}"
