"""The code that stands in the documentation.

Conventions of README.md and docs/:

- a `python` block with a top-level `await` is a fragment: it runs in a loop, with the names of
  `prepared()` in conftest.py at hand;
- a `python` block without one is a program: it runs on its own, as a process, with nothing at hand;
- a block of any language whose first line is a comment with a file's name, such as
  `# test_orders.py`, is that file: all files of a page stand in one directory, where pytest runs;
- `<!-- continues -->` on the line before a fragment: it goes on where the fragment before it ended;
- `<!-- output -->` on the line before a `text` block: the program before it prints exactly that.

What is not meant to run is no `python` block.
"""

import ast
import itertools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FILE_NAME = re.compile(r"# ([\w.-]+\.(?:py|toml|ini))")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, or one example of a docstring.

    Attributes:
        path: the file that it stands in.
        line: where its code begins, counted from 1.
        language: what stands behind the fence.
        code: its text.
        note: the comment on the line before the fence, without `<!--` and `-->`.
    """

    path: Path
    line: int
    language: str
    code: str
    note: str = ""

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def file_name(self) -> str | None:
        found = _FILE_NAME.fullmatch(self.code.split("\n", 1)[0])
        return found[1] if found else None

    @property
    def awaits(self) -> bool:
        """Whether it has an `await` outside of functions."""
        tree = ast.parse(self.code, filename=self.place)
        return any(map(_awaits, tree.body))


@dataclass(frozen=True)
class Program:
    """A program, and what it prints, if the page tells."""

    block: Block
    output: str | None


@dataclass
class Page:
    """What runs on one page."""

    path: Path
    fragments: list[list[Block]] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    files: list[Block] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Page":
        page = cls(path)
        for block in fenced(path):
            if block.note == "output":
                last = page.programs.pop()
                page.programs.append(Program(last.block, block.code))
            elif block.file_name is not None:
                page.files.append(block)
            elif block.language != "python":
                continue
            elif block.note == "continues":
                page.fragments[-1].append(block)
            elif block.awaits:
                page.fragments.append([block])
            else:
                page.programs.append(Program(block, None))
        return page


def fenced(path: Path) -> Iterator[Block]:
    """The fenced blocks of a Markdown file."""
    lines = path.read_text(encoding="utf-8").split("\n")
    at = 0
    while at < len(lines):
        opening = re.fullmatch(r"( *)```(\S*)", lines[at])
        if opening is None:
            at += 1
            continue
        end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
        note = re.fullmatch(r"<!-- (.+) -->", lines[at - 1].strip()) if at else None
        code = textwrap.dedent("\n".join(lines[at + 1 : end])) + "\n"
        yield Block(path, at + 2, opening[2], code, note[1] if note else "")
        at = end + 1


def examples(path: Path) -> Iterator[tuple[str, Block]]:
    """The `Example::` blocks of a module's docstrings, with the names of what they belong to."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _examples_below(path, tree, path.stem)


def _examples_below(path: Path, node: ast.AST, name: str) -> Iterator[tuple[str, Block]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        documented = ast.get_docstring(node)
        if documented is not None:
            literal = node.body[0]
            pieces = re.split(r"^Example::\n", documented, flags=re.MULTILINE)
            for before, piece in itertools.pairwise(pieces):
                code = re.match(r"(?:[ ]{4}.*\n|\s*\n)*(?:[ ]{4}.*)?", piece)
                assert code is not None
                line = literal.lineno + before.count("\n") + 1
                yield name, Block(path, line, "python", textwrap.dedent(code[0]).strip("\n") + "\n")
        for child in node.body:
            inner = getattr(child, "name", None)
            if inner is not None:
                yield from _examples_below(path, child, f"{name}.{inner}")


def _awaits(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return False
    if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
        return True
    return any(map(_awaits, ast.iter_child_nodes(node)))
