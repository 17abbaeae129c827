"""The account of a stream: where each of its entries ended. It adds up at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiobatch.engine.ledger import Rejection, State
from aiobatch.responses import InvalidEntry, Metrics, RejectedEntry

__all__ = ["ReadReport", "Report", "WriteReport"]


@dataclass(slots=True)
class _Leftover:
    """What is left of one key: the last value given for it, and for how many entries it stands."""

    value: Any
    weight: int
    state: State
    deletes: bool


class Report:
    """What the two kinds of report have in common.

    It holds counts, and of what is left only the values themselves: of several entries with one
    key the last stands for all, and is kept once. :meth:`take` lets go of them.

    Attributes:
        accepted: entries taken so far. Always the sum of all the following.
        pending: not ended yet.
        processed: read and handed out, or written.
        unprocessed: left over; the budget was spent, or the stream was ended.
        rejected: refused by DynamoDB for their own fault.
        invalid: found to be such that DynamoDB would refuse them, and not sent.
    """

    def __init__(self, metrics: Callable[[], dict[str, Any]]) -> None:
        self.accepted = 0
        self.pending = 0
        self.invalid = 0
        self._counts = dict.fromkeys(State, 0)
        self._left: dict[bytes, _Leftover] = {}
        # Taken from a source before anything was known of the table.
        self._unsent: list[_Leftover] = []
        # Read together with an invalid one that stands before them.
        self._unread: list[_Leftover] = []
        self._rejected: list[RejectedEntry] = []
        self._invalid: list[InvalidEntry] = []
        self._metrics = metrics

    @property
    def processed(self) -> int:
        """How many entries were read and handed out, or written."""
        return self._counts[State.PROCESSED]

    @property
    def unprocessed(self) -> int:
        """How many entries are left over."""
        return self._counts[State.UNPROCESSED]

    @property
    def rejected(self) -> int:
        """How many entries DynamoDB refused for their own fault."""
        return self._counts[State.REJECTED]

    @property
    def metrics(self) -> Metrics:
        """What the stream has cost so far."""
        return self._metrics()  # type: ignore[return-value]

    @property
    def has_leftovers(self) -> bool:
        """Whether anything is held here that was not taken.

        Invalid entries do not count, nor what was not sent because of one.
        """
        return bool(self._left or self._unsent or self._rejected)

    @property
    def has_keys_left(self) -> bool:
        """Whether a new entry may have to :meth:`resume` one that was left."""
        return bool(self._left)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.in_words()}>"

    def in_words(self) -> str:
        """The counts, in words."""
        parts = [f"{count} {state.name.lower()}" for state, count in self._counts.items() if count]
        if self.invalid:
            parts.append(f"{self.invalid} invalid")
        if self.pending:
            parts.append(f"{self.pending} pending")
        return f"of {self.accepted} entries, {', '.join(parts) or 'none ended'}"

    def response(self) -> dict[str, Any]:
        """The account in the shape of an answer."""
        raise NotImplementedError

    # ------------------------------------------------------------------ for the stream

    def accept(self, weight: int = 1) -> None:
        """So many more entries are in hand."""
        self.accepted += weight
        self.pending += weight

    def end(self, state: State, weight: int) -> None:
        """So many entries have ended, and nothing of them is left."""
        self.pending -= weight
        self._counts[state] += weight

    def leave(
        self, state: State, identity: bytes, value: Any, weight: int, *, deletes: bool = False
    ) -> None:
        """So many entries of one key have ended and are left: unprocessed or unknown."""
        self.end(state, weight)
        before = self._left.get(identity)
        if before is None:
            self._left[identity] = _Leftover(value, weight, state, deletes)
        else:
            # Only reads come here: a write takes along what an earlier one left.
            before.weight += weight

    def leave_unsent(self, identity: bytes | None, value: Any, *, deletes: bool = False) -> None:
        """An entry was accepted from the source, and the stream ended before it came in hand."""
        if identity is None:
            self.end(State.UNPROCESSED, 1)
            self._unsent.append(_Leftover(value, 1, State.UNPROCESSED, deletes))
            return
        weight, doubtful = self.resume(identity)
        state = State.UNKNOWN if doubtful else State.UNPROCESSED
        self.leave(state, identity, value, 1 + weight, deletes=deletes)

    def leave_unread(self, value: Any, *, deletes: bool = False) -> None:
        """An entry was accepted from the source behind an invalid one, which ended the stream."""
        self.end(State.UNPROCESSED, 1)
        self._unread.append(_Leftover(value, 1, State.UNPROCESSED, deletes))

    def reject(self, index: int, value: Any, weight: int, rejection: Rejection) -> None:
        """DynamoDB refused an entry."""
        self.end(State.REJECTED, weight)
        self._rejected.append(
            {
                "index": index,
                "item": value,
                "code": rejection.code,
                "message": rejection.message,
            }
        )

    def refuse(self, index: int, value: Any, path: str, reason: str) -> None:
        """An accepted entry is such that DynamoDB would refuse it."""
        self.pending -= 1
        self.invalid += 1
        self._invalid.append({"index": index, "item": value, "path": path, "reason": reason})

    def resume(self, identity: bytes) -> tuple[int, bool]:
        """A new entry has the key of one that was left: it takes that one's entries along.

        Returns:
            How many they are, and whether they may have been written.
        """
        left = self._left.pop(identity, None) if self._left else None
        if left is None:
            return 0, False
        self._counts[left.state] -= left.weight
        self.pending += left.weight
        return left.weight, left.state is State.UNKNOWN

    # ------------------------------------------------------------------ what is left

    def _values(self, state: State, *, deletes: bool = False) -> list[Any]:
        return [
            left.value
            for left in (*self._left.values(), *self._unsent, *self._unread)
            if left.state is state and left.deletes is deletes
        ]

    def _forget(self) -> None:
        self._left.clear()
        self._unsent.clear()
        self._unread.clear()
        self._rejected.clear()
        self._invalid.clear()


class ReadReport(Report):
    """The account of ``iter_get``. It is live, and adds up at any time.

    It holds counts, and of what is left only the keys themselves: a key that was given several
    times is kept once. :meth:`take` lets go of them, for streams that leave over more than fits
    into memory.

    Attributes:
        accepted: keys taken from the source so far. Always the sum of the six that follow.
        pending: not handed out yet.
        processed: their items were handed out.
        missing: DynamoDB says that there is no such item.
        unprocessed: left over; the budget was spent, or the block was left before.
        rejected: refused by DynamoDB for their own fault.
        invalid: found to be such that DynamoDB would refuse them, and not sent.
    """

    @property
    def missing(self) -> int:
        """How many keys have no item."""
        return self._counts[State.MISSING]

    @property
    def unprocessed_keys(self) -> list[Any]:
        """The keys left over, which can be read again: the caller's own objects."""
        return self._values(State.UNPROCESSED)

    @property
    def rejected_keys(self) -> list[RejectedEntry]:
        """The keys that DynamoDB refused, with its reasons."""
        return list(self._rejected)

    @property
    def invalid_keys(self) -> list[InvalidEntry]:
        """The keys that were not sent, with the reasons."""
        return list(self._invalid)

    def response(self) -> dict[str, Any]:
        """The account in the shape of ``batch_get_item``'s answer.

        ``Items`` is empty: they were handed out, ``Count`` of them. ``MissingKeys`` is replaced by
        ``MissingCount``.
        """
        answer: dict[str, Any] = {
            "Items": [],
            "Count": self.processed,
            "MissingCount": self.missing,
            "UnprocessedKeys": self.unprocessed_keys,
            "Metrics": self.metrics,
        }
        if self._rejected:
            answer["RejectedKeys"] = self.rejected_keys
        if self._invalid:
            answer["InvalidKeys"] = self.invalid_keys
        return answer

    def take(self) -> dict[str, Any]:
        """:meth:`response`, whose keys are then yours: they are no longer held here.

        The counts stay. What was taken is not held against the stream when its block is left.
        """
        answer = self.response()
        self._forget()
        return answer


class WriteReport(Report):
    """The account of ``batch_writer`` and ``bulk_write``. It is live, and adds up at any time.

    It holds counts, and of what is left only the items themselves: of several writes to one key
    the last stands for all, and is kept once. :meth:`take` lets go of them, for loads that leave
    over more than fits into memory.

    Attributes:
        accepted: writes taken so far. Always the sum of the six that follow.
        pending: not ended yet.
        processed: written, or overwritten by a later write of this stream that was.
        unprocessed: left over, and certainly not written.
        unknown: they were under way when the stream was ended or its retries were over.
        rejected: refused by DynamoDB for their own fault.
        invalid: found to be such that DynamoDB would refuse them, and not sent.
    """

    @property
    def unknown(self) -> int:
        """How many writes may or may not have taken effect."""
        return self._counts[State.UNKNOWN]

    @property
    def unprocessed_items(self) -> list[Any]:
        """The items of puts left over, which can be put again: the caller's own objects."""
        return self._values(State.UNPROCESSED)

    @property
    def unprocessed_keys(self) -> list[Any]:
        """The keys of deletes left over, which can be deleted again."""
        return self._values(State.UNPROCESSED, deletes=True)

    @property
    def unknown_items(self) -> list[Any]:
        """The items of puts that may or may not have been written."""
        return self._values(State.UNKNOWN)

    @property
    def unknown_keys(self) -> list[Any]:
        """The keys of deletes that may or may not have taken effect."""
        return self._values(State.UNKNOWN, deletes=True)

    @property
    def rejected_items(self) -> list[RejectedEntry]:
        """The items that DynamoDB refused, with its reasons."""
        return list(self._rejected)

    @property
    def invalid_items(self) -> list[InvalidEntry]:
        """The items that were not sent, with the reasons."""
        return list(self._invalid)

    def response(self) -> dict[str, Any]:
        """The account in the shape of ``batch_write_item``'s answer.

        ``UnprocessedItems`` and ``UnknownItems`` are of puts; the keys of deletes stand in
        ``UnprocessedKeys`` and ``UnknownKeys``. ``UnprocessedCount`` counts writes, of which each
        key's last stands in one of these.
        """
        answer: dict[str, Any] = {
            "ProcessedCount": self.processed,
            "UnprocessedCount": self.unprocessed,
            "UnprocessedItems": self.unprocessed_items,
            "Metrics": self.metrics,
        }
        if self._rejected:
            answer["RejectedItems"] = self.rejected_items
        more = {
            "UnprocessedKeys": self.unprocessed_keys,
            "UnknownItems": self.unknown_items,
            "UnknownKeys": self.unknown_keys,
        }
        answer.update((name, values) for name, values in more.items() if values)
        if self._invalid:
            answer["InvalidItems"] = self.invalid_items
        return answer

    def take(self) -> dict[str, Any]:
        """:meth:`response`, whose items are then yours: they are no longer held here.

        The counts stay. What was taken is not held against the stream when its block is left.
        """
        answer = self.response()
        self._forget()
        return answer
