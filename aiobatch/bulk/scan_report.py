"""How far a scan is whose items are put elsewhere: what exports and copies tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from aiobatch.bulk.place import ScanState
from aiobatch.bulk.words import counted

__all__ = ["ScanReport"]


@dataclass(slots=True, kw_only=True)
class ScanReport:
    """The counts of an export or a copy; its own report tells of what.

    Only copies have items that are rejected.
    """

    verb: ClassVar[str]
    """What was done with segments that are over."""

    items: int = 0
    rejected: int = 0
    resumed_at: int = 0
    scanned: int = 0
    segments: int = 0
    segments_done: int = 0
    checkpoint: Path | None = None
    finished: bool = False
    elapsed: float = 0.0

    def in_words(self) -> str:
        """The counts, in words."""
        segments = f"{self.segments_done} of {counted(self.segments, 'segments')} {self.verb}"
        words = f"{counted(self.items, 'items')}, {segments}"
        words += f", {self.rejected:,} rejected" if self.rejected else ""
        return words + (f", {self.resumed_at:,} by earlier runs" if self.resumed_at else "")

    def begin(self, state: ScanState) -> None:
        """A run begins where earlier ones came to."""
        self.items = self.resumed_at = state.items
        self.rejected = state.rejected
        self.segments = len(state.segments)
        self.segments_done = sum(each.done for each in state.segments)
