"""Which entries go into which request. Pure: no clock, no loop, no socket.

A request is legal when it has at most so many entries, at most so many bytes, and no key twice.
Entries are distinct keys (:func:`distinct` sees to it), and each waits in exactly one place, so
the last rule holds by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Plan", "distinct", "strided"]


def distinct(identities: Sequence[bytes], *, keep: str) -> tuple[list[int], list[int]]:
    """Fold positions with one identity into one entry.

    Args:
        identities: the key identity of each position.
        keep: ``"first"`` or ``"last"``: which position stands for the others.

    Returns:
        ``positions``, the position that stands for each entry, and ``entries``, the entry of each
        position. Entries are in the order in which their keys first appear.
    """
    entry_of: dict[bytes, int] = {}
    positions: list[int] = []
    entries: list[int] = []
    for position, identity in enumerate(identities):
        entry = entry_of.setdefault(identity, len(positions))
        if entry == len(positions):
            positions.append(position)
        elif keep == "last":
            positions[entry] = position
        entries.append(entry)
    return positions, entries


def strided(count: int, size: int) -> Iterator[int]:
    """0 to ``count - 1`` such that each ``size`` neighbours lie far apart in the list.

    Input sorted by partition key would otherwise send one partition after the other to
    DynamoDB, each a hot one.
    """
    requests = -(-count // size) if count else 0
    for start in range(requests):
        yield from range(start, count, requests)


class Plan:
    """The entries of one call that wait to be sent.

    Args:
        order: all entries, in the order in which they shall leave.
        sizes: the bytes that an entry takes in a request.
        max_entries: how many entries a request may have.
        max_bytes: how many bytes the entries of a request may have together. An entry that is
            larger goes alone.
    """

    def __init__(
        self,
        order: Iterable[int],
        sizes: Callable[[int], int],
        *,
        max_entries: int,
        max_bytes: int,
    ) -> None:
        self._fresh = deque(order)
        self._leftovers: deque[int] = deque()
        self._groups: deque[list[int]] = deque()
        self._sizes = sizes
        self._max_entries = self._most_entries = max_entries
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._fresh) + len(self._leftovers) + sum(map(len, self._groups))

    def __bool__(self) -> bool:
        return bool(self._fresh or self._leftovers or self._groups)

    @property
    def fresh(self) -> int:
        """How many entries wait that were never sent."""
        return len(self._fresh)

    @property
    def fills_a_request(self) -> bool:
        """Whether nothing is gained by waiting for more entries: leftovers never wait for any."""
        return bool(self._groups or self._leftovers) or len(self._fresh) >= self._max_entries

    @property
    def next_size(self) -> int:
        """How many entries the next request has at most; exact but for the limit in bytes."""
        if self._groups:
            return len(self._groups[0])
        return min(self._max_entries, len(self._leftovers) + len(self._fresh))

    def cut(self, most: int | None = None) -> list[int]:
        """Take the entries of the next request: groups first, then leftovers, then fresh ones.

        ``most``: no more than so many, where a slow table takes no full request. Groups stay whole.
        """
        if self._groups:
            return self._groups.popleft()
        taken: list[int] = []
        room = self._max_bytes
        most = min(most or self._max_entries, self._max_entries)
        for waiting in (self._leftovers, self._fresh):
            while waiting and len(taken) < most:
                size = self._sizes(waiting[0])
                if taken and size > room:
                    return taken
                room -= size
                taken.append(waiting.popleft())
        return taken

    def add(self, entry: int) -> None:
        """One more entry, for a call that is fed while it runs."""
        self._fresh.append(entry)

    def requeue(self, entries: Iterable[int]) -> None:
        """Leftovers whose wait is over: they go ahead of what was never sent."""
        self._leftovers.extend(entries)

    def split(self, entries: Sequence[int]) -> None:
        """Send these again as two halves, each a request of its own, before all others."""
        middle = len(entries) // 2
        # Depth first: the entry at fault, or that there is none, is known after few requests.
        self._groups.extendleft([list(entries[middle:]), list(entries[:middle])])

    def shrink(self, max_entries: int) -> None:
        """From now on, send fewer entries a request: answers were cut at their largest size."""
        self._max_entries = max(1, min(self._max_entries, max_entries))

    def widen(self) -> None:
        """Undo a little of :meth:`shrink`: an answer was whole."""
        self._max_entries = min(self._most_entries, self._max_entries + 1 + self._max_entries // 8)

    def clear(self) -> None:
        """Send nothing more."""
        self._fresh.clear()
        self._leftovers.clear()
        self._groups.clear()
