"""One line that tells how far a long step has come."""

import sys
import time
from typing import TextIO

PLAIN_INTERVAL = 2.0
"""Seconds between two lines where lines cannot be overwritten."""


class Progress:
    """A line that is rewritten on a terminal, and a new line every two seconds elsewhere."""

    def __init__(self, label: str, total: int, *, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._began = self._told = time.monotonic()

    def show(self, done: int) -> None:
        """Tell how many are done, unless that was told a moment ago."""
        now = time.monotonic()
        if not self._live and now - self._told < PLAIN_INTERVAL:
            return
        self._told = now
        elapsed = now - self._began
        rate = done / elapsed if elapsed else 0.0
        text = f"  {self._label}: {done:,} of {self._total:,}, {rate:,.0f} a second"
        if self._live:
            self._stream.write(f"\r\x1b[K{text}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the live line away."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
