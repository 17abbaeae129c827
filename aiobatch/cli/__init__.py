"""The command ``aiobatch``: bulk loads, exports and copies from a terminal.

It needs the extra ``cli``: ``pip install 'aiobatch[cli]'``.
"""

from __future__ import annotations

try:
    import rich  # noqa: F401
    import typer  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"the command line needs {error.name}: pip install 'aiobatch[cli]'", name=error.name
    ) from error

__all__: list[str] = []
