"""Tables by the names that DynamoDB has for them: a name or an ARN, whichever it likes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["TableNames", "plain_name"]


def plain_name(table: str) -> str:
    """The table's name in the ARN of a table or of one of its indexes, or the name itself."""
    if not table.startswith("arn:"):
        return table
    _, _, rest = table.partition(":table/")
    return rest.partition("/")[0] or table


class TableNames:
    """Finds the table that an answer or an error means, among those of a request.

    Args:
        tables: names or ARNs, as the caller has them.
    """

    def __init__(self, tables: Sequence[str]) -> None:
        if len(tables) == 1:
            self._exact = {tables[0]: 0}
            self._plain = {plain_name(tables[0]): 0}
            return
        self._exact = {table: number for number, table in enumerate(tables)}
        plain = [plain_name(table) for table in tables]
        # Tables of two accounts may share a name; then only their ARNs tell them apart.
        once = {name for name, count in Counter(plain).items() if count == 1}
        self._plain = {name: number for number, name in enumerate(plain) if name in once}

    def find(self, table: str) -> int | None:
        """The number of the table with this name or ARN, or None if it is none of them."""
        number = self._exact.get(table)
        return number if number is not None else self._plain.get(plain_name(table))
