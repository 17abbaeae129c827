"""A writer that tells which rows have ended, and keeps nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from aiobatch import codec
from aiobatch.access import Access
from aiobatch.engine.ledger import Rejection, State
from aiobatch.streams.stream import Entry, Settings
from aiobatch.streams.writer import BatchWriter, Operation

__all__ = ["OnEnded", "OnRefused", "RowWriter"]

#: Called with the numbers of rows that ended together, how, and why if DynamoDB refused them: then
#: they are of one key, and it refused the last one.
OnEnded = Callable[[list[int], State, Rejection | None], None]
#: Called with the number of a row that DynamoDB would refuse, the attribute at fault and why. What
#: it raises ends the taking.
OnRefused = Callable[[int, str, str], None]


class RowWriter(BatchWriter):
    """Writes numbered rows. Rows of one key act in their order.

    A row whose place was taken by a later one of its key, before it was sent, ends with that one.

    Args:
        access: the client.
        table_name: the table.
        settings: see :class:`Settings`.
        operation: what is done with each row. A delete takes the key out of a whole item.
        on_ended: see ``OnEnded``.
        on_refused: see ``OnRefused``.
    """

    # What was read stays in its file: it need not be held for an account.
    _keeps_values: ClassVar[bool] = False

    def __init__(
        self,
        access: Access,
        table_name: str,
        settings: Settings,
        *,
        operation: Operation,
        on_ended: OnEnded,
        on_refused: OnRefused,
    ) -> None:
        super().__init__(access, table_name, settings, name="load")
        self._deletes = operation == "delete"
        self._on_ended = on_ended
        self._on_refused = on_refused
        # The rows in hand of each key that has several.
        self._rows: dict[bytes, list[int]] = {}

    @property
    def places(self) -> int:
        """How many rows may be in hand at once."""
        return len(self._at)

    @property
    def readable(self) -> int:
        """How many rows are to be handed over together: as many as there is room for."""
        return self._readable()

    @property
    def cause(self) -> BaseException | None:
        """The last error behind rows that are left, or None."""
        call = self._call
        return self._cause() or (call.last_error if call is not None else None)

    async def begin(self) -> None:
        """Learn the key names, unless they are known. Raises KeyNamesUnknown, ServiceError."""
        await self._learn("put", None)

    async def take(self, numbers: Sequence[int], items: list[Mapping[str, Any]]) -> None:
        """Take rows; wait while too many are in hand. Those that are refused are not taken.

        Raises:
            BatchError, ClientClosed: the writer has come to its end.
        """
        if self._deletes:
            assert self._schema is not None
            names = self._schema.names
            items = [{name: item[name] for name in names if name in item} for item in items]
        await self._take_slice(numbers, items)

    def _refuse(self, position: int, value: Any, refusal: codec.Refusal) -> None:
        self._on_refused(position, refusal.path, refusal.reason)

    def _leave_unsent(
        self, values: Sequence[Any], identities: Sequence[bytes], error: BaseException
    ) -> None:
        # They were not accepted: whoever reads the file knows where it stands.
        pass

    def _fold(self, entry: Entry) -> bool:
        in_hand = self._in_hand.get(entry.identity)
        if in_hand is not None:
            self._rows.setdefault(entry.identity, [in_hand.position]).append(entry.position)
        return super()._fold(entry)

    def _written(self, entries: Sequence[Entry]) -> None:
        super()._written(entries)
        ended: list[int] = []
        for entry in entries:
            rows = self._rows.pop(entry.identity, None)
            if rows is None:
                ended.append(entry.position)
            else:
                ended += rows
        self._on_ended(ended, State.PROCESSED, None)

    def _enter_into_report(self, entry: Entry, state: State) -> None:
        assert self._call is not None
        rows = self._rows.pop(entry.identity, [entry.position])
        # One that is held back for this entry's end has a higher number.
        ended = [number for number in rows if number <= entry.position]
        if held := rows[len(ended) :]:
            self._rows[entry.identity] = held
        self.report.end(state, entry.weight)
        rejection = None
        if state is State.REJECTED:
            rejection = self._call.ledger.rejections[entry.place]
        self._on_ended(ended, state, rejection)
