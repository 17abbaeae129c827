"""A writer that tells which rows have ended, and keeps nothing of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiobatch.access import Access
from aiobatch.engine.ledger import Rejection, State
from aiobatch.streams.stream import Entry, Settings, Version
from aiobatch.streams.writer import BatchWriter, Operation

__all__ = ["OnEnded", "RowWriter"]

#: Called with the numbers of rows that ended together, how, and why if DynamoDB refused them: the
#: last one, whose key the others share.
OnEnded = Callable[[list[int], State, Rejection | None], None]


class RowWriter(BatchWriter):
    """Writes numbered rows. Rows of one key act in their order.

    A row whose place was taken by a later one of its key, before it was sent, ends with that one.

    Args:
        access: the client.
        table_name: the table.
        settings: see :class:`Settings`.
        operation: what is done with each row. A delete takes the key out of a whole item.
        on_ended: see ``OnEnded``.
    """

    def __init__(
        self,
        access: Access,
        table_name: str,
        settings: Settings,
        *,
        operation: Operation,
        on_ended: OnEnded,
    ) -> None:
        super().__init__(access, table_name, settings, name="load")
        self._operation: Operation = operation
        self._on_ended = on_ended
        # The rows in hand, by key.
        self._rows: dict[bytes, deque[int]] = {}

    @property
    def places(self) -> int:
        """How many rows may be in hand at once."""
        return len(self._at)

    @property
    def cause(self) -> BaseException | None:
        """The last error behind rows that are left, or None."""
        call = self._call
        return self._cause() or (call.last_error if call is not None else None)

    async def begin(self) -> None:
        """Learn the key names, unless they are known. Raises KeyNamesUnknown, ServiceError."""
        await self._learn("put", None)

    async def take(self, number: int, item: Mapping[str, Any]) -> None:
        """Take a row; wait while too many are in hand.

        Raises:
            InvalidItem: DynamoDB would refuse it. It was not taken.
            BatchError, ClientClosed: the writer has come to its end.
        """
        if self._slice_is_over:
            await self._breathe()
        value: Mapping[str, Any] = item
        if self._operation == "delete":
            assert self._schema is not None
            value = {name: item[name] for name in self._schema.names if name in item}
        identity, version = self._version(self._operation, value, number)
        # What was read stays in its file: it need not be held for an account.
        version = version._replace(value=None)
        if not self._take_at_once(identity, version):
            await self._take_in(identity, version)

    def _place(self, identity: bytes, version: Version, size: int) -> None:
        self._rows[identity] = deque([version.position])
        super()._place(identity, version, size)

    def _fold(self, identity: bytes, version: Version) -> bool:
        folded = super()._fold(identity, version)
        if folded:
            self._rows[identity].append(version.position)
        return folded

    def _settle(self, places: Iterable[int]) -> None:
        # Each row must be told of, so none is let go of together with others.
        super(BatchWriter, self)._settle(places)

    def _enter_into_report(self, entry: Entry, state: State) -> None:
        assert self._call is not None
        rows = self._rows[entry.identity]
        ended = []
        # One that is held back for this entry's end has a higher number.
        while rows and rows[0] <= entry.version.position:
            ended.append(rows.popleft())
        if not rows:
            del self._rows[entry.identity]
        self.report.end(state, entry.weight)
        rejection = None
        if state is State.REJECTED:
            rejection = self._call.ledger.rejections[entry.place]
        self._on_ended(ended, state, rejection)
