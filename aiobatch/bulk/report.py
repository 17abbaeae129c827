"""How far a load is, and what became of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiobatch.bulk.words import counted
from aiobatch.responses import Metrics

__all__ = ["LoadReport"]


@dataclass(slots=True)
class LoadReport:
    """The account of a load. It is live: ``on_progress`` is given the same object again and again.

    Counts of rows are those of the whole load, with what earlier runs did before they were ended.

    Attributes:
        table_name: the table's name or ARN.
        operation: ``"put"`` or ``"delete"``.
        rows: rows read so far.
        done: rows that have ended with no gap before them. A load that is started again goes on
            behind them.
        written: of ``done``, how many were written, or overwritten by a later row with their key.
        rejected: of ``done``, how many stand in the dead letters.
        resumed_at: ``done`` when this run began; 0 for a load from the beginning.
        bytes_done: bytes of the files that are ``done``.
        bytes_total: the files' size in bytes; None where one of them is a pipe, compressed, or not
            on this machine.
        checkpoint: the checkpoint's file, or None.
        dead_letters: the dead-letter files that were written.
        reasons: file, line and reason of the first rows that this run rejected.
        finished: whether everything has ended.
        elapsed: seconds that this run took.
    """

    table_name: str
    operation: Literal["put", "delete"]
    rows: int = 0
    done: int = 0
    written: int = 0
    rejected: int = 0
    resumed_at: int = 0
    bytes_done: int = 0
    bytes_total: int | None = None
    checkpoint: Path | None = None
    dead_letters: list[Path] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    finished: bool = False
    elapsed: float = 0.0
    read_metrics: Callable[[], Metrics] | None = field(default=None, repr=False)

    @property
    def pending(self) -> int:
        """Rows that were read and have not ended, or have a gap before them."""
        return self.rows - self.done

    @property
    def metrics(self) -> Metrics | None:
        """What this run has cost so far; None before it began to write."""
        return None if self.read_metrics is None else self.read_metrics()

    def in_words(self) -> str:
        """The counts, in words."""
        done = counted(self.done, "rows")
        parts = [f"{done} done: {self.written:,} written, {self.rejected:,} rejected"]
        if self.resumed_at:
            parts.append(f"{self.resumed_at:,} of them by earlier runs")
        if self.pending and not self.finished:
            parts.append(f"{self.pending:,} more were read")
        return ", ".join(parts)
