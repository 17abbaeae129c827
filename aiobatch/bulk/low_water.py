"""The low-water mark of rows that end out of order: all up to it have ended, with no gap."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["LowWater"]

RowT = TypeVar("RowT")


class LowWater(Generic[RowT]):
    """Tracks rows from where they begin to where all before them have ended too.

    It holds the rows behind the mark alone, so whoever bounds ``open`` bounds its memory. Pure.

    Attributes:
        newest: the number of the row that began last; they are counted from 1.
        mark: every row up to this number has ended and was given by :meth:`advance`.

    >>> water = LowWater()
    >>> [water.begin(row) for row in "abc"]
    [1, 2, 3]
    >>> water.end(2); water.advance()
    []
    >>> water.end(1); water.advance(), water.mark, water.open
    (['a', 'b'], 2, 1)
    """

    def __init__(self) -> None:
        self.newest = 0
        self.mark = 0
        self._rows: dict[int, RowT] = {}
        self._ended: set[int] = set()

    @property
    def open(self) -> int:
        """How many rows are held."""
        return len(self._rows)

    def begin(self, row: RowT) -> int:
        """A row begins; its number."""
        self.newest += 1
        self._rows[self.newest] = row
        return self.newest

    def __getitem__(self, number: int) -> RowT:
        """A row that is held."""
        return self._rows[number]

    def end(self, number: int) -> None:
        """A row has ended. Raises ValueError if it has not begun, or has ended before."""
        if number not in self._rows or number in self._ended:
            raise ValueError(f"row {number} has not begun, or has ended before")
        self._ended.add(number)

    def advance(self) -> list[RowT]:
        """Move the mark as far as it goes; the rows that it passes, in their order."""
        passed = []
        while (number := self.mark + 1) in self._ended:
            self._ended.remove(number)
            passed.append(self._rows.pop(number))
            self.mark = number
        return passed
