"""The blocks of docs/spark.md."""

from types import CodeType

from tests.docs.blocks import ROOT, Block, fenced

BLOCKS = [block for block in fenced(ROOT / "docs" / "spark.md") if block.language == "py"]


def is_for_every_spark(block: Block) -> bool:
    """Whether it runs on Spark 3.5 too, which has no data sources in Python."""
    return "mapInArrow" in block.code


def compiled(block: Block, table: str) -> CodeType:
    """Its code, about this table, with the page's lines in its tracebacks."""
    code = block.code.replace('"users"', repr(table))
    return compile("\n" * (block.line - 1) + code, str(block.path), "exec")
