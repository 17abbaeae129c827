"""Imports go one way: each room of the package knows only the rooms below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "aiobatch"
MODULES = sorted(PACKAGE.rglob("*.py"))

GROUND = frozenset({"retry", "responses", "limits", "errors", "operations", "events"})
# What each room may import of ours at run time. The engine knows the wire by its Protocol alone.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "__init__": GROUND | {"client", "loader", "streams"},
    "client": GROUND
    | {"access", "account", "intake", "loader", "models", "scopes", "sharing", "single"}
    | {"streams", "tables", "transactions", "updates"}
    | {"engine", "wire", "codec"},
    # Other ways in. They see a client as what `access` says of it.
    "loader": GROUND | {"access", "copies", "intake", "models", "engine", "codec"},
    "streams": GROUND | {"access", "copies", "intake", "models", "engine", "codec"},
    "bulk": GROUND | {"access", "intake", "single", "streams", "engine", "wire.protocol", "codec"},
    # The command line: a user of all of it.
    "cli": GROUND | {"bulk", "client"},
    "__main__": frozenset({"cli"}),
    "access": GROUND | {"engine", "codec"},
    "copies": frozenset(),
    # What the client hands to and takes from the engine; none of them knows the client.
    "account": GROUND | {"engine", "codec"},
    "intake": GROUND | {"engine", "codec"},
    "scopes": GROUND,
    "single": GROUND | {"codec"},
    "models": GROUND,
    "updates": GROUND,
    "transactions": GROUND | {"intake", "single", "codec"},
    "tables": GROUND | {"account", "intake", "models", "engine", "codec"},
    "sharing": GROUND | {"engine", "wire", "codec"},
    "engine": GROUND | {"wire.protocol", "codec"},
    "wire": GROUND,
    "codec": GROUND,
    # A feature for users' tests; imported on demand, and by nothing of ours.
    "testing": GROUND | {"wire", "codec"},
    # For tasks of other engines: on the client.
    "partitions": GROUND | {"client", "streams", "engine", "codec"},
    # Each imports its library; imported by the user alone.
    "integrations": GROUND | {"partitions"},
    **dict.fromkeys(GROUND, frozenset()),
}
ONLY_THE_WIRE = {"aiobotocore", "botocore", "aiohttp"}
# The proxy is an HTTP server and client of its own.
BEYOND_THE_WIRE = {"testing": {"aiohttp"}}
EXTRAS_OF = {
    "bulk": {"fsspec", "pyarrow"},
    "integrations": {"opentelemetry", "pyarrow", "pyspark"},
    "partitions": {"pyarrow"},
    "cli": {"rich", "typer"},
}
# Extras, and what only the tests compare with.
NOT_AT_ALL = {
    "aioboto3",
    "boto3",
    "moto",
    "flask",
    "fsspec",
    "numpy",
    "pyarrow",
    "pydantic",
    "msgspec",
    "attrs",
    "attr",
    "opentelemetry",
    "pyspark",
    "rich",
    "typer",
}


def parts_of(path: Path) -> tuple[str, ...]:
    """`aiobatch/engine/plan.py` -> ("engine", "plan"); a package's own file names the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but for what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for node in child.orelse:
                yield node
                yield from runtime_nodes(node)
            continue
        yield child
        yield from runtime_nodes(child)


def runtime_imports(path: Path) -> Iterator[str]:
    """Absolute dotted names; `from a import b` counts as `a.b`, since b may be a module."""
    package = ["aiobatch", *path.relative_to(PACKAGE).parts[:-1]]
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{name.name}" for name in node.names)


def is_within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    room = parts_of(path)[0]
    assert room in MAY_IMPORT, f"{room} has no place in the house: give it one in MAY_IMPORT"
    for name in runtime_imports(path):
        top = name.split(".")[0]
        assert top not in NOT_AT_ALL - EXTRAS_OF.get(room, set()), f"the core does without {top}"
        mine = ONLY_THE_WIRE if room == "wire" else BEYOND_THE_WIRE.get(room, set())
        assert top not in ONLY_THE_WIRE or top in mine, f"only the wire imports {top}"
        if top != "aiobatch":
            continue
        inside = name.removeprefix("aiobatch").lstrip(".")
        allowed = MAY_IMPORT[room] | {room}
        assert any(is_within(inside, one) for one in allowed), f"{room} must not import {name}"


def test_the_front_only_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    docstring, *body = tree.body
    assert isinstance(docstring, ast.Expr)
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            assert ast.unparse(target) == "__all__"
        else:
            assert isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)
