"""The command ``aiobatch``: bulk loads, exports and copies from a terminal.

It needs the extra ``cli``: ``pip install 'aiobatch[cli]'``.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    try:
        from aiobatch.cli.app import run
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in ("typer", "rich"):
            raise
        print(
            f"aiobatch: the command line needs {error.name}: pip install 'aiobatch[cli]'",
            file=sys.stderr,
        )
        sys.exit(1)
    run()
