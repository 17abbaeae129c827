"""``python -m aiobatch``: the command line."""

from aiobatch.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
