"""What the exit codes mean."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["EXIT_CODES", "Exit"]


class Exit(IntEnum):
    """The exit codes of all commands."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REJECTED = 3
    LEFT_OVER = 4
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


#: What ``--help`` says of them.
EXIT_CODES = """\
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 finished, but rows were rejected; 4 something is
left over, and the same command goes on; 130 interrupted (Ctrl-C); 141 the reader of standard output
has gone; 143 terminated."""
