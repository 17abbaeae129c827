"""Which scripts there are."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def _has_main(path: Path) -> bool:
    return any(
        isinstance(node, ast.AsyncFunctionDef) and node.name == "main"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if _has_main(path))
