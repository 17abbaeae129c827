"""Where each entry of a call ended. Every answer and every error's account is a view of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Ledger", "LedgerPart", "Rejection", "State"]

_PENDING = 0


class State(IntEnum):
    """What is known of an entry. PENDING exists only while the call runs."""

    PENDING = 0
    PROCESSED = 1
    MISSING = 2
    UNPROCESSED = 3
    REJECTED = 4
    UNKNOWN = 5


# To look one up here takes a fifth of what State(number) does.
_STATES = tuple(State)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the service refused one entry; the message is DynamoDB's own."""

    code: str
    message: str


class Ledger:
    """The states of ``size`` entries, each of which ends exactly once.

    Args:
        size: the number of entries.
        writes: whether an attempt without a clear answer may have taken effect.
    """

    def __init__(self, size: int, *, writes: bool) -> None:
        self._states = bytearray(size)
        self._in_flight = bytearray(size)
        self._doubtful = bytearray(size)
        self.writes = writes
        self.rejections: dict[int, Rejection] = {}

    def __len__(self) -> int:
        return len(self._states)

    def state(self, entry: int) -> State:
        """The state of one entry."""
        return _STATES[self._states[entry]]

    def is_pending(self, entry: int) -> bool:
        """Whether the entry has not ended yet."""
        return not self._states[entry]

    def are_all(self, state: State) -> bool:
        """Whether all entries are in this state."""
        return self._states.count(state) == len(self._states)

    def states(self) -> bytes:
        """The states of all entries, as numbers."""
        return bytes(self._states)

    def is_in_flight(self, entry: int) -> bool:
        """Whether a request with this entry is under way."""
        return bool(self._in_flight[entry])

    def reopen(self, entry: int, *, doubtful: bool) -> int:
        """Something else takes the place of an entry that has ended.

        ``doubtful``: an earlier write of the same key may have taken effect.

        Returns:
            The state in which that one ended, as a number.
        """
        ended = self._states[entry]
        self._states[entry] = 0
        self._in_flight[entry] = 0
        self._doubtful[entry] = doubtful
        if self.rejections:
            self.rejections.pop(entry, None)
        return ended

    def reopen_all(self, entries: Sequence[int]) -> bytes:
        """The same for many of which nothing may have taken effect. Returns their states."""
        states, in_flight, doubtful = self._states, self._in_flight, self._doubtful
        ended = bytes([states[entry] for entry in entries])
        for entry in entries:
            states[entry] = in_flight[entry] = doubtful[entry] = 0
        if self.rejections:
            for entry in entries:
                self.rejections.pop(entry, None)
        return ended

    def depart(self, entries: Iterable[int]) -> None:
        """A request with these entries is about to leave."""
        if isinstance(entries, range):
            self._in_flight[_slice(entries)] = b"\1" * len(entries)
            return
        in_flight = self._in_flight
        for entry in entries:
            in_flight[entry] = 1

    def returned(self, entries: Iterable[int], *, doubtful: bool) -> None:
        """The request ended and these entries did not end with it.

        ``doubtful``: there was no clear answer, so a write may have taken effect.
        """
        for entry in entries:
            self._in_flight[entry] = 0
            if doubtful:
                self._doubtful[entry] = 1

    def ended(self, entries: Sequence[int], state: State) -> None:
        """These entries were all read or written, or DynamoDB says that all are missing."""
        states, in_flight = self._states, self._in_flight
        if isinstance(entries, range):
            places = _slice(entries)
            if states[places].count(_PENDING) == len(entries):
                states[places] = bytes((state,)) * len(entries)
                in_flight[places] = bytes(len(entries))
                return
        value = int(state)
        for entry in entries:
            if states[entry]:
                self._end(entry, state)  # which tells what is wrong
            states[entry] = value
            in_flight[entry] = 0

    def rejected(self, entry: int, code: str, message: str) -> None:
        """The service refused this entry for its own fault."""
        self._end(entry, State.REJECTED)
        self.rejections[entry] = Rejection(code, message)

    def given_up(self, entry: int) -> None:
        """The budget is spent: unprocessed, or unknown if an attempt may have written it."""
        unclear = self.writes and (self._doubtful[entry] or self._in_flight[entry])
        self._end(entry, State.UNKNOWN if unclear else State.UNPROCESSED)

    def close(self) -> None:
        """The call is over: whatever is still pending is given up."""
        states = self._states
        entry = states.find(_PENDING)
        while entry >= 0:
            self.given_up(entry)
            entry = states.find(_PENDING, entry + 1)

    def counts(self) -> Counter[State]:
        """How many entries are in each state."""
        return Counter({state: self._states.count(state) for state in State})

    def _end(self, entry: int, state: State) -> None:
        if self._states[entry]:
            raise RuntimeError(
                f"entry {entry} ended twice: {self.state(entry).name}, then {state.name}"
            )
        self._states[entry] = state
        self._in_flight[entry] = 0

    def part(self, first: int, size: int) -> LedgerPart:
        """The entries of one table: ``size`` of them from ``first``, numbered from 0."""
        return LedgerPart(self, first, size)


class LedgerPart:
    """A range of a ledger's entries, to be read as if they were all. Made by Ledger.part()."""

    def __init__(self, ledger: Ledger, first: int, size: int) -> None:
        self._ledger = ledger
        self._range = range(first, first + size)

    def __len__(self) -> int:
        return len(self._range)

    def state(self, entry: int) -> State:
        """The state of one entry."""
        return self._ledger.state(self._range[entry])

    def states(self) -> bytes:
        """The states of all entries, as numbers."""
        return self._ledger.states()[self._range.start : self._range.stop]

    def are_all(self, state: State) -> bool:
        """Whether all entries are in this state."""
        return self.states().count(state) == len(self)

    @property
    def rejections(self) -> dict[int, Rejection]:
        """Why the service refused entries, by entry."""
        first = self._range.start
        return {
            entry - first: rejection
            for entry, rejection in self._ledger.rejections.items()
            if entry in self._range
        }

    def close(self) -> None:
        """The call is over: whatever is still pending, of any table, is given up."""
        self._ledger.close()

    def counts(self) -> Counter[State]:
        """How many entries are in each state."""
        states = self.states()
        return Counter({state: states.count(state) for state in State})


def _slice(entries: range) -> slice:
    return slice(entries.start, entries.stop, entries.step)
