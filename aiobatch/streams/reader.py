"""``iter_get``: items by their keys as they arrive, of a source of any length."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, Self

from aiobatch import codec
from aiobatch.access import Access, needed_capacity
from aiobatch.codec import KeySchema
from aiobatch.copies import copy_of
from aiobatch.engine.ledger import State
from aiobatch.engine.requests import BatchGet
from aiobatch.errors import InvalidItem
from aiobatch.limits import BATCH_GET_MAX_KEYS
from aiobatch.models import Model, converter, mismatch
from aiobatch.responses import Item, ItemT
from aiobatch.streams.report import ReadReport
from aiobatch.streams.source import Source, SourceFailed, pull
from aiobatch.streams.stream import STEP, Entry, OnInvalid, Settings, Stream, end

__all__ = ["ItemStream", "OnMissing"]

OnMissing = Callable[[Any], object]


class ItemStream(Stream, Generic[ItemT]):
    """Items as they arrive. :meth:`DynamoDB.iter_get` makes it.

    It is used as a block, and iterated over inside it, by one task or by several that share the
    items among them. When the block is left, by ``break`` or an error too, nothing more is sent.

    An item that its model refuses raises ``ModelMismatch`` when its turn comes. It counts as
    processed, for it was read and is in the error; who goes on iterating gets the next one.

    Attributes:
        report: the account, live: see :class:`ReadReport`.
    """

    report: ReadReport

    def __init__(
        self,
        access: Access,
        keys: Source,
        table_name: str,
        settings: Settings,
        *,
        projection_expression: str | None,
        expression_attribute_names: Mapping[str, str] | None,
        consistent_read: bool,
        on_missing: OnMissing | None,
        on_invalid: OnInvalid,
        model: Model[ItemT] | None,
    ) -> None:
        super().__init__(access, "iter_get", table_name, "read", settings, on_invalid=on_invalid)
        self.report = ReadReport(self._metrics)
        self._keys = keys
        self._projection = (projection_expression, expression_attribute_names)
        self._consistent_read = consistent_read
        self._on_missing = on_missing
        self._model = model
        self._convert: Callable[[Item], ItemT] | None = converter(model)
        self._schema: KeySchema | None = None
        self._requests: BatchGet | None = None
        self._found: list[Item | None] = []
        self._feeder: asyncio.Task[None] | None = None
        # Answered and not handed out: with None for a missing item.
        self._ready: deque[tuple[Entry, Any]] = deque()
        # What the source raised, or an invalid key of it: raised after all that came before it.
        self._cut_short: Exception | None = None
        self._is_left = False

    async def __aenter__(self) -> Self:
        await self._enter(BATCH_GET_MAX_KEYS)
        self._feeder = asyncio.create_task(self._feed(), name="aiobatch-iter_get-keys")
        self._feeder.add_done_callback(self._fed)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_left = True
        try:
            await end([self._feeder, self._runner])
        finally:
            while self._ready:
                entry, _ = self._ready.popleft()
                self._leave(entry)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        if self._feeder is None or self._is_left:
            how = "was not entered" if self._feeder is None else "has been left"
            raise RuntimeError(f"the block of this iter_get {how}: use it inside `async with`")
        while True:
            while self._ready:
                entry, item = self._ready[0]
                if item is not None:
                    item = self._hand_out(entry, item)
                    return item if self._convert is None else self._made(entry, item)
                self._ready.popleft()
                self._room.give(entry.size)
                self.report.end(State.MISSING, entry.weight)
                if self._on_missing is not None:
                    self._on_missing(entry.value)
            if self._is_at_its_end:
                raise self._last_word()
            await self._news.wait()
            if self._is_left:
                raise StopAsyncIteration

    # ------------------------------------------------------------------ inside

    def _hand_out(self, entry: Entry, item: Any) -> Any:
        self.report.end(State.PROCESSED, 1)
        entry.weight -= 1
        if entry.weight:
            return copy_of(item)
        self._ready.popleft()
        self._room.give(entry.size)
        return item

    def _made(self, entry: Entry, item: Item) -> ItemT:
        """What the caller gets for an item that is in the account as handed out."""
        assert self._convert is not None
        try:
            return self._convert(item)
        except Exception as error:
            refused = error
        response = self.report.response() | {"Items": [item]}
        refusals = {entry.position: refused}
        raise mismatch(self._model, refusals, response, table_name=self._table)

    @property
    def _is_at_its_end(self) -> bool:
        fed = self._feeder is not None and self._feeder.done()
        return fed and (self._is_over or self._runner is None)

    def _last_word(self) -> BaseException:
        """What ends the iteration, after the last item."""
        if isinstance(self._cut_short, InvalidItem):
            self._cut_short.response = self.report.response()
        if self._broken is None and self._cut_short is not None and not self.report.has_leftovers:
            return self._cut_short
        if self._must_raise:
            error = self._error()
            if error.__cause__ is None:
                error.__cause__ = self._cut_short
            return error
        return StopAsyncIteration()

    async def _feed(self) -> None:
        """Take the keys from their source. It ends with the stream, or by being cancelled."""
        try:
            await pull(self._keys, self._take, self._readable)
        except SourceFailed as failed:
            self._cut_short = failed.error
        except InvalidItem as error:
            self._cut_short = error
        except Exception as error:
            if not self._is_over:
                # It could not begin, as where the client was closed before the first key.
                self._broken = error
        if self._call is not None:
            self._call.close()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        self._announce()

    async def _take(self, first: int, keys: list[Any]) -> None:
        # From now on they are in the account, whatever happens.
        self.report.accept(len(keys))
        await self._take_slice(range(first, first + len(keys)), keys)

    def _encode_some(
        self, values: list[Any], fragments: list[bytes], identities: list[bytes]
    ) -> None:
        schema, serialize = self._schema, self._access.serialize
        assert schema is not None
        try:
            codec.encode_keys(
                values,
                schema,
                lambda key: codec.encode_key(key, schema, serialize),
                fragments,
                STEP,
            )
        finally:
            identities += fragments[len(identities) :]

    async def _begin(self, first: Any) -> None:
        """Start the call. The first key tells the key names if nothing else does."""
        assert self._engine is not None
        serialize = self._access.serialize
        schema = await self._fitting_schema(
            lambda schema: codec.encode_key(first, schema, serialize)
        )
        codec.encode_key(first, schema, serialize)
        self._schema = schema or KeySchema.from_key(first, serialize)
        expression, placeholders = self._projection
        self._requests = BatchGet.of_table(
            self._table,
            self._fragments,
            self._schema.names,
            numbers=self._access.numbers,
            projection=codec.compile_projection(expression, placeholders, self._schema.names),
            consistent_read=self._consistent_read,
            capacity=needed_capacity(self._engine, "read"),
        )
        self._found = self._requests.items
        self._start(self._requests)

    def _may_wait(self) -> bool:
        # Whoever iterates has enough to do.
        return bool(self._ready)

    def _fold(self, entry: Entry) -> bool:
        in_hand = self._in_hand.get(entry.identity)
        if in_hand is not None:
            in_hand.weight += 1
        return in_hand is not None

    def _settle(self, places: Iterable[int]) -> None:
        # Found items are nearly everything: there is no call for each of them.
        assert self._call is not None
        states, at, processed = self._call.ledger.states(), self._at, int(State.PROCESSED)
        found, ready = self._found, self._ready
        read: list[Entry] = []
        others: list[int] = []
        for place in places:
            entry = at[place]
            assert entry is not None
            if states[place] == processed:
                ready.append((entry, found[place]))
                found[place] = None
                read.append(entry)
            else:
                others.append(place)
        self._let_go(read)
        super()._settle(others)

    def _ended(self, entry: Entry, state: State) -> None:
        found = self._found
        item, found[entry.place] = found[entry.place], None
        if state is State.REJECTED:
            self._reject(entry)
        self._let_go((entry,))
        if state is State.PROCESSED or state is State.MISSING:
            self._ready.append((entry, item))
        elif state is State.REJECTED:
            self._room.give(entry.size)
        else:
            self._leave(entry)

    def _leave(self, entry: Entry) -> None:
        self.report.leave(State.UNPROCESSED, entry.identity, entry.value, entry.weight)
        self._room.give(entry.size)

    def _ran(self, runner: asyncio.Task[None]) -> None:
        super()._ran(runner)
        # Nothing more can be read, whatever the source would still give.
        assert self._feeder is not None
        self._feeder.cancel()
