"""Counts in words, for reports and for the command's lines."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: float, units: str, digits: int = 0) -> str:
    """A count with its unit, which is given in the plural.

    >>> counted(1, "rows"), counted(28_298, "rows"), counted(1.0, "capacity units", digits=1)
    ('1 row', '28,298 rows', '1.0 capacity unit')
    """
    return f"{count:,.{digits}f} {units.removesuffix('s') if count == 1 else units}"
