"""Which entries go into which request. Pure: no clock, no loop, no socket.

A request is legal when it has at most so many entries, at most so many bytes, and no key twice.
Entries are distinct keys (:func:`distinct` sees to it), and each waits in exactly one place, so
the last rule holds by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

__all__ = ["Plan", "TablesPlan", "at", "by_table", "distinct", "folding", "strided"]

ValueT = TypeVar("ValueT")


def at(values: Sequence[ValueT], places: Sequence[int]) -> Sequence[ValueT]:
    """What stands at these places. A range of them is one slice."""
    if isinstance(places, range):
        return values[places.start : places.stop : places.step]
    return [values[place] for place in places]


# Of positions folded at a time: some hundred microseconds.
_FOLDED_A_STEP = 4096


def distinct(identities: Sequence[bytes], *, keep: str) -> tuple[Sequence[int], Sequence[int]]:
    """Fold positions with one identity into one entry.

    Args:
        identities: the key identity of each position.
        keep: ``"first"`` or ``"last"``: which position stands for the others.

    Returns:
        ``positions``, the position that stands for each entry, and ``entries``, the entry of each
        position. Entries are in the order in which their keys first appear.
    """
    steps = folding(identities, keep=keep)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            positions, entries = end.value
            return positions, entries


def folding(
    identities: Sequence[bytes], *, keep: str
) -> Generator[None, None, tuple[Sequence[int], Sequence[int]]]:
    """The same, step by step."""
    seen: set[bytes] = set()
    for start in range(0, len(identities), _FOLDED_A_STEP):
        if start:
            yield
        seen.update(identities[start : start + _FOLDED_A_STEP])
    if len(seen) == len(identities):
        return range(len(identities)), range(len(identities))
    del seen
    entry_of: dict[bytes, int] = {}
    positions: list[int] = []
    entries: list[int] = []
    for position, identity in enumerate(identities):
        if position % _FOLDED_A_STEP == 0:
            yield
        entry = entry_of.setdefault(identity, len(positions))
        if entry == len(positions):
            positions.append(position)
        elif keep == "last":
            positions[entry] = position
        entries.append(entry)
    return positions, entries


def strided(entries: range, size: int) -> Iterator[range]:
    """Cut entries into requests of at most ``size`` that lie far apart in the list.

    Input sorted by partition key would otherwise send one partition after the other to
    DynamoDB, each a hot one.
    """
    requests = -(-len(entries) // size)
    return (entries[start::requests] for start in range(requests))


def by_table(entries: Sequence[int], table_of: Sequence[int] | None) -> dict[int, Sequence[int]]:
    """Entries by the number of their table. ``table_of`` is None where there is one table."""
    if table_of is None:
        return {0: entries}
    groups: dict[int, list[int]] = {}
    for entry in entries:
        groups.setdefault(table_of[entry], []).append(entry)
    return {**groups}


class Plan:
    """The entries of one call and one table that wait to be sent.

    Args:
        order: all entries, in the order in which they shall leave, in ranges: what is sent for the
            first time, as nearly everything is, is then cut, joined and settled in slices.
        sizes: the bytes that an entry takes in a request.
        total: the bytes that many take, where it is known how to tell them at once.
        max_entries: how many entries a request may have.
    """

    def __init__(
        self,
        order: range | Iterable[range],
        sizes: Callable[[int], int],
        *,
        max_entries: int,
        total: Callable[[Sequence[int]], int] | None = None,
    ) -> None:
        runs = [order] if isinstance(order, range) else order
        self._runs: deque[Sequence[int]] = deque(run for run in runs if run)
        self._fresh = sum(map(len, self._runs))
        # What came one by one since the last run; it follows all of them.
        self._added: list[int] = []
        self._leftovers: deque[int] = deque()
        self._groups: deque[list[int]] = deque()
        self._sizes = sizes
        self._total = total or (lambda entries: sum(map(sizes, entries)))
        self._max_entries = self._most_entries = max_entries

    def __len__(self) -> int:
        return self._fresh + len(self._leftovers) + sum(map(len, self._groups))

    def __bool__(self) -> bool:
        return bool(self._fresh or self._leftovers or self._groups)

    def __iter__(self) -> Iterator[int]:
        return chain(*self._groups, self._leftovers, *self._runs, self._added)

    @property
    def fresh(self) -> int:
        """How many entries wait that were never sent."""
        return self._fresh

    @property
    def fills_a_request(self) -> bool:
        """Whether nothing is gained by waiting for more entries: leftovers never wait for any."""
        return bool(self._groups or self._leftovers) or self._fresh >= self._max_entries

    @property
    def next_size(self) -> int:
        """How many entries the next request has at most; exact but for the limit in bytes."""
        if self._groups:
            return len(self._groups[0])
        return min(self._max_entries, len(self._leftovers) + self._fresh)

    @property
    def has_group(self) -> bool:
        """Whether the next request must be one of its own: what a refused one was split into."""
        return bool(self._groups)

    def take_group(self) -> Sequence[int]:
        """Take the entries of such a request: they go first, and stay whole."""
        return self._groups.popleft()

    def take(self, most: int, room: int, *, begun: bool = False) -> tuple[Sequence[int], int]:
        """Take entries into a request that has this much room: leftovers first, then fresh ones.

        Args:
            most: take at most so many.
            room: the bytes that are left in the request.
            begun: whether other entries are in the request: then one that is too large stays.

        Returns:
            The entries and the room that is left.
        """
        taken: Sequence[int] = ()
        most = min(most, self._max_entries)
        while len(taken) < most and (offered := self._next_waiting(most - len(taken))):
            fitting, size = self._fitting(offered, room, begun=begun or bool(taken))
            if fitting:
                room -= size
                taken = [*taken, *fitting] if taken else fitting
                self._forget(len(fitting))
            if len(fitting) < len(offered):
                break
        return taken, room

    def _next_waiting(self, most: int) -> Sequence[int]:
        if self._leftovers:
            return list(islice(self._leftovers, most))
        return (self._runs[0] if self._runs else self._added)[:most]

    def _forget(self, count: int) -> None:
        """Take away the first of what waits next."""
        if self._leftovers:
            for _ in range(count):
                self._leftovers.popleft()
            return
        self._fresh -= count
        if not self._runs:
            del self._added[:count]
        elif count < len(self._runs[0]):
            self._runs[0] = self._runs[0][count:]
        else:
            self._runs.popleft()

    def _fitting(
        self, offered: Sequence[int], room: int, *, begun: bool
    ) -> tuple[Sequence[int], int]:
        """As many of these as there is room for, from the first on, and what they take."""
        size = self._total(offered)
        if size <= room:
            return offered, size
        size = 0
        for count, entry in enumerate(offered):
            more = self._sizes(entry)
            if size + more > room and (count or begun):
                return offered[:count], size
            size += more
        return offered, size

    def add(self, entry: int) -> None:
        """One more entry, for a call that is fed while it runs."""
        self._added.append(entry)
        self._fresh += 1

    def extend(self, entries: Sequence[int]) -> None:
        """Many more."""
        self._added += entries
        self._fresh += len(entries)

    def requeue(self, entries: Iterable[int]) -> None:
        """Leftovers whose wait is over: they go ahead of what was never sent."""
        self._leftovers.extend(entries)

    def split(self, entries: Sequence[int]) -> None:
        """Send these again as two halves, each a request of its own, before all others."""
        middle = len(entries) // 2
        # Depth first: the entry at fault, or that there is none, is known after few requests.
        self.isolate(entries[middle:])
        self.isolate(entries[:middle])

    def isolate(self, entries: Sequence[int]) -> None:
        """Send these again in a request of their own, before all others."""
        self._groups.appendleft(list(entries))

    def shrink(self, max_entries: int) -> None:
        """From now on, send fewer entries a request: answers were cut at their largest size."""
        self._max_entries = max(1, min(self._max_entries, max_entries))

    def widen(self) -> None:
        """Undo a little of :meth:`shrink`: an answer was whole."""
        self._max_entries = min(self._most_entries, self._max_entries + 1 + self._max_entries // 8)

    def clear(self) -> None:
        """Send nothing more."""
        self._runs.clear()
        self._added.clear()
        self._fresh = 0
        self._leftovers.clear()
        self._groups.clear()


class TablesPlan:
    """The plans of a call's tables, whose entries fill requests together.

    Args:
        plans: one for each table, by its number.
        table_of: the number of each entry's table; None where there is one table.
        max_entries: how many entries a request may have, over all tables.
        max_bytes: how many bytes the entries of a request may have together. An entry that is
            larger goes alone.

    Attributes:
        apart: tables that share no request until further notice.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        table_of: Sequence[int] | None,
        *,
        max_entries: int,
        max_bytes: int,
    ) -> None:
        self.apart: set[int] = set()
        self._plans = plans
        self._table_of = table_of
        self._max_entries = self._most_entries = max_entries
        self._max_bytes = max_bytes
        self._turn = 0

    def __len__(self) -> int:
        return sum(map(len, self._plans))

    def __bool__(self) -> bool:
        # Not any(): this is asked several times a request.
        for plan in self._plans:  # noqa: SIM110
            if plan:
                return True
        return False

    def __iter__(self) -> Iterator[int]:
        return chain(*self._plans)

    @property
    def fresh(self) -> int:
        """How many entries wait that were never sent."""
        return sum(plan.fresh for plan in self._plans)

    @property
    def fills_a_request(self) -> bool:
        """Whether nothing is gained by waiting for more entries: leftovers never wait for any."""
        return any(plan.fills_a_request for plan in self._plans) or self.fresh >= self._max_entries

    @property
    def max_entries(self) -> int:
        """How many entries a request has at present."""
        return self._max_entries

    def next_size(self, table: int) -> int:
        """How many entries of this table the next request has at most; 0: none of it waits."""
        return self._plans[table].next_size

    def cut(self, allowed: Callable[[int], int]) -> dict[int, Sequence[int]]:
        """Take the entries of the next request, by the number of their table.

        Args:
            allowed: how many entries of a table may leave now.

        Returns:
            Nothing, if none may. Tables take turns in being the first in a request.
        """
        count = len(self._plans)
        request: dict[int, Sequence[int]] = {}
        most, room = self._max_entries, self._max_bytes
        for step in range(count):
            table = (self._turn + step) % count
            plan = self._plans[table]
            may_leave = min(most, allowed(table)) if plan else 0
            if not may_leave:
                continue
            if plan.has_group or table in self.apart:
                if request:
                    continue
                # A group is small enough for any request, and stays whole.
                request[table] = (
                    plan.take_group() if plan.has_group else plan.take(may_leave, room)[0]
                )
                break
            taken, room = plan.take(may_leave, room, begun=bool(request))
            most -= len(taken)
            if taken:
                request[table] = taken
            if not most:
                break
        self._turn = (self._turn + 1) % count
        return request

    def add(self, entry: int) -> None:
        """One more entry, for a call that is fed while it runs."""
        self._plans[0 if self._table_of is None else self._table_of[entry]].add(entry)

    def extend(self, entries: Sequence[int]) -> None:
        """Many more."""
        for table, added in by_table(entries, self._table_of).items():
            self._plans[table].extend(added)

    def requeue(self, entries: Sequence[int]) -> None:
        """Leftovers whose wait is over: they go ahead of what was never sent."""
        for table, leftovers in by_table(entries, self._table_of).items():
            self._plans[table].requeue(leftovers)

    def split(self, entries: Sequence[int]) -> None:
        """Send these again, each table alone; those of one table in two halves."""
        groups = by_table(entries, self._table_of)
        for table, group in groups.items():
            if len(groups) > 1:
                self._plans[table].isolate(group)
            else:
                self._plans[table].split(group)

    def shrink(self, max_entries: int) -> None:
        """From now on, send fewer entries a request: answers were cut at their largest size."""
        self._max_entries = max(1, min(self._max_entries, max_entries))
        for plan in self._plans:
            plan.shrink(max_entries)

    def widen(self) -> None:
        """Undo a little of :meth:`shrink`: an answer was whole."""
        self._max_entries = min(self._most_entries, self._max_entries + 1 + self._max_entries // 8)
        for plan in self._plans:
            plan.widen()

    def clear(self) -> None:
        """Send nothing more."""
        for plan in self._plans:
            plan.clear()
