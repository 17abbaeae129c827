"""``python -m aiobatch``, and the command ``aiobatch``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    try:
        from aiobatch.cli.app import run
    except ImportError as error:
        if error.name not in ("rich", "typer"):
            raise
        print(f"aiobatch: {error}", file=sys.stderr)
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
