"""``db.loader``: loads of single items that meet become one BatchGetItem."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Literal, overload

import orjson

from aiobatch import codec, intake
from aiobatch.access import Access, needed_capacity
from aiobatch.codec import KeySchema
from aiobatch.copies import copy_of
from aiobatch.engine.call import BatchCall
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.ledger import State
from aiobatch.engine.loop_time import loop_time, next_turn, turn_is_over
from aiobatch.engine.metrics import Meter
from aiobatch.engine.requests import BatchGet
from aiobatch.errors import BatchError, ClientClosed, InvalidItem, ServiceError, WireError
from aiobatch.limits import BATCH_GET_MAX_KEYS
from aiobatch.models import Model, converter, mismatch
from aiobatch.responses import Item, ItemT
from aiobatch.retry import Retry

__all__ = ["Loader", "LoaderStats"]

Loaded = Item | None


@dataclass(slots=True)
class LoaderStats:
    """What a loader has done so far.

    Attributes:
        loads: keys that were loaded, valid ones.
        cached: loads that the cache answered.
        joined: loads of a key that was being loaded already.
        batches: batches that were sent; one is a BatchGetItem, and its retries.
        keys: keys in these batches.
        found: keys that have an item.
        missing: keys that have none.
        failed: keys that were left over or rejected, or whose batch failed.
        cancelled: loads whose caller was cancelled.
    """

    loads: int = 0
    cached: int = 0
    joined: int = 0
    batches: int = 0
    keys: int = 0
    found: int = 0
    missing: int = 0
    failed: int = 0
    cancelled: int = 0


class _Key:
    """A key that is being loaded, and who waits for it."""

    __slots__ = ("batch", "identity", "is_remembered", "waiters")

    def __init__(self, identity: bytes, batch: _Batch) -> None:
        self.identity = identity
        self.batch = batch
        self.is_remembered = True
        # Each caller's future, with the key as the caller gave it.
        self.waiters: dict[asyncio.Future[Loaded], Any] = {}


# The names in a key, and the types of their values: a byte each.
_Shape = tuple[tuple[str, ...], bytes]
# Stands before the type of each value of an identity, and nowhere else: inside of a value, JSON
# has a backslash before a quote.
_OPENS_VALUE = b'":{"'


class _Batch:
    """Keys of one shape that will be, or are, loaded together.

    A key of another shape makes a batch of its own: if DynamoDB refuses that, no good key suffers.
    """

    def __init__(self, shape: _Shape) -> None:
        self.shape = shape
        self.keys: dict[bytes, _Key] = {}
        self.is_sent = False
        self.is_full = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Loader(Generic[ItemT]):
    """Loads items one by one, and reads them together. :meth:`DynamoDB.loader` makes it.

    Loads that meet in one turn of the loop, or within ``max_wait``, or while their request has to
    wait for its turn, become one BatchGetItem. A load joins only a batch that was not yet sent, so
    that no answer is older than its load; with a cache it may be. Each caller gets an item of its
    own, or with ``model`` an object of its own.

    A loader serves many tasks of one loop; it opens anew when its loop has been closed.
    """

    def __init__(
        self,
        access: Access,
        table_name: str,
        *,
        projection_expression: str | None,
        expression_attribute_names: Mapping[str, str] | None,
        consistent_read: bool,
        max_wait: float,
        max_batch: int,
        cache: MutableMapping[bytes, Loaded] | None,
        model: Model[ItemT] | None,
        retry: Retry,
    ) -> None:
        if isinstance(max_batch, bool) or not 1 <= max_batch <= BATCH_GET_MAX_KEYS:
            raise ValueError(f"max_batch must be from 1 to {BATCH_GET_MAX_KEYS}")
        if not max_wait >= 0:
            raise ValueError("max_wait must be seconds, 0 or more")
        if cache is not None and not isinstance(cache, MutableMapping):
            raise TypeError(f"cache must be a mutable mapping, not {type(cache).__name__}")
        self._access = access
        self._table = table_name
        self._projection = (projection_expression, expression_attribute_names)
        self._consistent_read = consistent_read
        self._max_wait = max_wait
        self._max_batch = max_batch
        self._cache = cache
        self._model = model
        self._convert: Callable[[Item], ItemT] | None = converter(model)
        self._retry = retry
        self._stats = LoaderStats()
        self._engine: Dispatcher | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # The batch that new keys join, by their shape; keys not sent yet; and with a cache,
        # keys that are under way.
        self._open: dict[_Shape, _Batch] = {}
        self._unsent: dict[bytes, _Key] = {}
        self._under_way: dict[bytes, _Key] = {}

    @property
    def stats(self) -> LoaderStats:
        """What this loader has done so far, as a copy."""
        return replace(self._stats)

    async def load(self, key: Any) -> ItemT | None:
        """Load one item, or None if there is none.

        Args:
            key: as for :meth:`DynamoDB.batch_get_item`.

        Raises:
            InvalidItem: DynamoDB would refuse the key. It joined no batch.
            BatchError: the key was left over when the retries were over, was rejected, or its
                batch failed; ``response`` is the account of this key.
            ModelMismatch: the model refused the item, which is in ``response`` as a plain dict.
                It reaches this caller alone: each one's object is made for itself.
            ClientClosed: the client is, or was meanwhile, closed.
            RuntimeError: the loader is in use on another event loop.
        """
        self._join_loop()
        schema = self._schema()
        try:
            identity = self._encode(key, None, schema)
        except InvalidItem:
            if not await self._renew(key, schema):
                raise
            schema = self._schema()
            identity = self._encode(key, None, schema)
        known, item = self._cached(identity)
        if not known:
            entry, waiter = self._wait_for(key, identity, schema)
            try:
                item = await waiter
            finally:
                self._leave(entry, waiter)
        made: ItemT | None = self._made(item, 0)
        return made

    @overload
    async def load_many(
        self, keys: Iterable[Any], *, return_exceptions: Literal[False] = False
    ) -> list[ItemT | None]: ...

    @overload
    async def load_many(
        self, keys: Iterable[Any], *, return_exceptions: bool
    ) -> list[ItemT | BaseException | None]: ...

    async def load_many(
        self, keys: Iterable[Any], *, return_exceptions: bool = False
    ) -> list[ItemT | None] | list[ItemT | BaseException | None]:
        """Load several items at once, in the order of their keys, None where there is none.

        Args:
            keys: any number of keys.
            return_exceptions: as in ``asyncio.gather``: put the error of a key in the place of
                its item, instead of raising the first one.

        Raises:
            InvalidItem: DynamoDB would refuse a key, at ``index``. Nothing was loaded.
            BatchError, ModelMismatch, ClientClosed, RuntimeError: as for :meth:`load`, of the
                first key that failed, once all have ended.
        """
        self._join_loop()
        given = intake.as_list(keys, "keys")
        schema = self._schema()
        encoded: list[bytes | InvalidItem] = []
        for index, key in enumerate(given):
            try:
                try:
                    encoded.append(self._encode(key, index, schema))
                except InvalidItem:
                    if not await self._renew(key, schema):
                        raise
                    schema = self._schema()
                    encoded.append(self._encode(key, index, schema))
            except InvalidItem as error:
                if not return_exceptions:
                    raise
                encoded.append(error)
        loaded: list[Any] = [None] * len(given)
        waiters: dict[int, tuple[_Key, asyncio.Future[Loaded]] | None] = {}
        for at, (key, identity) in enumerate(zip(given, encoded, strict=True)):
            if isinstance(identity, InvalidItem):
                loaded[at] = identity
                continue
            known, loaded[at] = self._cached(identity)
            waiters[at] = None if known else self._wait_for(key, identity, schema)
        first: BaseException | None = None
        try:
            for at, waiting in waiters.items():
                try:
                    if waiting is not None:
                        loaded[at] = await waiting[1]
                    if self._convert is not None and turn_is_over():
                        await next_turn()
                    loaded[at] = self._made(loaded[at], at)
                except Exception as error:
                    first = first or error
                    loaded[at] = error
        finally:
            for waiting in waiters.values():
                if waiting is not None:
                    self._leave(*waiting)
        if first is not None and not return_exceptions:
            raise first
        return loaded

    def clear(self, key: Any = None) -> None:
        """Forget what the cache has of a key, or all that it has.

        A load of the key that is under way is answered as it is, and not remembered.

        Raises:
            InvalidItem: DynamoDB would refuse the key.
        """
        if key is None:
            self._under_way.clear()
            if self._cache is not None:
                self._cache.clear()
            return
        identity = self._encode(key, None, self._schema())
        self._under_way.pop(identity, None)
        if self._cache is not None:
            self._cache.pop(identity, None)

    def prime(self, key: Any, item: Item | None) -> None:
        """Let the cache have this item for a key, or None for no item; it may be a newer one.

        The cache holds items as they are read, with ``model=`` too.

        Raises:
            InvalidItem: DynamoDB would refuse the key.
            RuntimeError: the loader has no cache.
        """
        if self._cache is None:
            raise RuntimeError("this loader has no cache to prime: make it with cache={}")
        identity = self._encode(key, None, self._schema())
        self._under_way.pop(identity, None)
        if identity in self._unsent:
            # What is read next may be older than what is written here.
            self._unsent[identity].is_remembered = False
        self._cache[identity] = copy_of(item)

    # ------------------------------------------------------------------ callers

    def _join_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                raise RuntimeError(
                    "this loader is in use on another event loop that is still open:"
                    " make one for each loop"
                )
            # What was under way there has gone with its loop.
            self._loop, self._engine = loop, None
            for keys in (self._open, self._unsent, self._under_way):
                keys.clear()
        self._access.check()

    def _schema(self) -> KeySchema | None:
        return self._access.known_schema(self._engine, self._table)

    def _encode(self, key: Any, index: int | None, schema: KeySchema | None) -> bytes:
        """The key's identity. A key that is none raises here, and joins no batch."""
        try:
            return codec.encode_key(key, schema, self._access.serialize)
        except codec.Refusal as refusal:
            raise InvalidItem(
                index, refusal.path, refusal.reason, what="key"
            ) from refusal.__cause__

    async def _renew(self, key: Any, schema: KeySchema | None) -> bool:
        """Whether other key names are known now than those that refused this key.

        The table may have been made anew, and what is remembered of it is old.
        """
        if schema is None or self._engine is None:
            return False
        try:
            self._encode(key, None, None)
        except InvalidItem:
            # The names have nothing to do with it.
            return False
        now = loop_time()
        async with self._access.under_way():
            return await self._access.renew(self._engine, self._table, self._retry, Meter(now))

    def _cached(self, identity: bytes) -> tuple[bool, Loaded]:
        self._stats.loads += 1
        if self._cache is None:
            return False, None
        try:
            item = self._cache[identity]
        except KeyError:
            return False, None
        self._stats.cached += 1
        return True, copy_of(item)

    def _made(self, item: Loaded, at: int) -> Any:
        """What a caller gets for its own copy of an item.

        Raises:
            ModelMismatch: the model refuses it. ``at`` is its key's place.
        """
        if self._convert is None or item is None:
            return item
        try:
            return self._convert(item)
        except Exception as error:
            refused = error
        now = loop_time()
        response = {
            "Items": [item],
            "Count": 1,
            "MissingKeys": [],
            "UnprocessedKeys": [],
            "Metrics": Meter(now).as_answer(now),
        }
        raise mismatch(self._model, {at: refused}, response, table_name=self._table)

    def _wait_for(
        self, key: Any, identity: bytes, schema: KeySchema | None
    ) -> tuple[_Key, asyncio.Future[Loaded]]:
        """Join the batch that has this key, or the one that is open, or a new one."""
        loop = asyncio.get_running_loop()
        # What is under way is known here only with a cache, where an answer may be older anyway.
        entry = self._unsent.get(identity) or self._under_way.get(identity)
        if entry is None:
            batch = self._batch_for(_shape_of(identity, schema), loop)
            entry = batch.keys[identity] = self._unsent[identity] = _Key(identity, batch)
            if len(batch.keys) >= self._max_batch:
                batch.is_full.set()
        else:
            self._stats.joined += 1
        waiter = loop.create_future()
        entry.waiters[waiter] = key
        return entry, waiter

    def _batch_for(self, shape: _Shape, loop: asyncio.AbstractEventLoop) -> _Batch:
        batch = self._open.get(shape)
        if batch is None or len(batch.keys) >= self._max_batch:
            batch = self._open[shape] = _Batch(shape)
            batch.task = loop.create_task(self._load(batch), name="aiobatch-loader")
            # Not in the task itself: one that is cancelled before its first step runs no code.
            batch.task.add_done_callback(partial(self._ended, batch))
        return batch

    def _leave(self, entry: _Key, waiter: asyncio.Future[Loaded]) -> None:
        """A caller goes, with its answer or without."""
        if waiter.done() and not waiter.cancelled():
            # Else the loop would complain of an error that a cancelled load_many() never saw.
            waiter.exception()
            return
        waiter.cancel()
        self._stats.cancelled += 1
        if entry.waiters.pop(waiter, None) is None or entry.waiters:
            return
        batch = entry.batch
        if not batch.is_sent:
            # Nobody wants this key any more.
            del batch.keys[entry.identity], self._unsent[entry.identity]
        if batch.task is not None and not any(key.waiters for key in batch.keys.values()):
            self._close(batch)
            batch.task.cancel()
            # Whoever comes now must not join what is about to end.
            for key in batch.keys.values():
                self._retire(key)

    # ------------------------------------------------------------------ batches

    def _close(self, batch: _Batch) -> None:
        """No load joins this batch any more."""
        if batch.is_sent:
            return
        batch.is_sent = True
        if self._open.get(batch.shape) is batch:
            del self._open[batch.shape]
        for identity, key in batch.keys.items():
            del self._unsent[identity]
            if self._cache is not None and key.is_remembered:
                self._under_way[identity] = key

    async def _load(self, batch: _Batch) -> None:
        """Wait for others to join, and load the batch."""
        async with self._access.under_way():
            engine = self._engine = await self._access.engine()
            if self._max_wait:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._max_wait):
                        await batch.is_full.wait()
            # Until it may leave, whoever comes can join it.
            turn = await engine.turn(self._table, "read", len(batch.keys))
            self._close(batch)
            keys = list(batch.keys.values())
            self._stats.batches += 1
            self._stats.keys += len(keys)
            names, _ = batch.shape
            expression, placeholders = self._projection
            requests = BatchGet.of_table(
                self._table,
                [key.identity for key in keys],
                names,
                numbers=self._access.numbers,
                projection=codec.compile_projection(expression, placeholders, names),
                consistent_read=self._consistent_read,
                capacity=needed_capacity(engine, "read"),
            )
            call = BatchCall(
                requests,
                len(keys),
                retry=self._retry,
                meter=Meter(loop_time(), hooks=self._access.hooks),
            )
            await engine.run(call, turn)
        for at, key in enumerate(keys):
            if turn_is_over():
                await next_turn()
            self._answer(key, call, at, requests.items[at])

    def _answer(self, key: _Key, call: BatchCall, at: int, item: Loaded) -> None:
        """Tell all who wait for a key what became of it."""
        state = call.ledger.state(at)
        if state not in (State.PROCESSED, State.MISSING):
            self._stats.failed += 1
            for waiter, given in key.waiters.items():
                if not waiter.done():
                    waiter.set_exception(self._error(given, call, at))
            self._retire(key)
            return
        if state is State.PROCESSED:
            self._stats.found += 1
        else:
            self._stats.missing += 1
        is_own = True
        if self._cache is not None and self._under_way.get(key.identity) is key:
            self._cache[key.identity] = item
            is_own = False
        for waiter in key.waiters:
            if not waiter.done():
                waiter.set_result(item if is_own else copy_of(item))
                is_own = False
        self._retire(key)

    def _retire(self, key: _Key) -> None:
        key.waiters = {}
        if self._under_way.get(key.identity) is key:
            del self._under_way[key.identity]

    def _ended(self, batch: _Batch, task: asyncio.Task[None]) -> None:
        """Whatever happened, nobody is left waiting."""
        self._close(batch)
        failure = None if task.cancelled() else task.exception()
        for key in batch.keys.values():
            if key.waiters:
                self._stats.failed += 1
            for waiter, given in key.waiters.items():
                if not waiter.done():
                    waiter.set_exception(self._failure(given, failure))
            self._retire(key)

    # ------------------------------------------------------------------ errors

    def _error(self, key: Any, call: BatchCall, at: int) -> BatchError:
        """Why a key has no answer, for one of its callers."""
        rejection = call.ledger.rejections.get(at)
        # A rejected key is at fault itself, and the others only for what ended their batch.
        cause = None if rejection is not None else call.cause
        rejected = None
        if rejection is not None:
            code = rejection.code
            told = f"DynamoDB rejected the key with {code}"
            rejected = {"index": 0, "item": key, "code": code, "message": rejection.message}
        else:
            told = "the key is unprocessed"
        return self._batch_error(key, told, cause, call.meter, rejected)

    def _failure(self, key: Any, failure: BaseException | None) -> BaseException:
        """What a caller gets whose batch came to no end."""
        if isinstance(failure, ClientClosed):
            return ClientClosed(
                f"loader of {self._table!r}: the client was closed during the load",
                {"Items": [], "Count": 0, "MissingKeys": [], "UnprocessedKeys": [key]},
            )
        if failure is None or isinstance(failure, ServiceError | WireError):
            told = "the batch was cancelled" if failure is None else "the key is unprocessed"
            return self._batch_error(key, told, failure, None, None)
        return failure

    def _batch_error(
        self,
        key: Any,
        told: str,
        cause: BaseException | None,
        meter: Meter | None,
        rejected: dict[str, Any] | None,
    ) -> BatchError:
        now = loop_time()
        response: dict[str, Any] = {
            "Items": [],
            "Count": 0,
            "MissingKeys": [],
            "UnprocessedKeys": [] if rejected is not None else [key],
            "Metrics": (meter or Meter(now)).as_answer(now),
        }
        if rejected is not None:
            response["RejectedKeys"] = [rejected]
        text = ""
        if cause is not None:
            ours = isinstance(cause, ServiceError | WireError)
            text = f" Cause: {cause if ours else type(cause).__name__}."
        error = BatchError(
            f"loader of {self._table!r}: {told}.{text} The account is in error.response", response
        )
        error.__cause__ = cause
        return error


def _shape_of(identity: bytes, schema: KeySchema | None) -> _Shape:
    """The shape of a key that ``codec.encode_key`` made, with this schema, into an identity."""
    names = tuple(orjson.loads(identity)) if schema is None else schema.in_order
    return names, bytes([value[0] for value in identity.split(_OPENS_VALUE)[1:]])
