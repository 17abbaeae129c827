"""``DynamoDB``: what the user calls. It checks arguments and shapes answers; no loop is in it."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Never, Self, TypeVar, overload
from uuid import uuid4

from aiobatch import codec, intake, tables, transactions
from aiobatch.access import Access
from aiobatch.account import GetAccount, WriteAccount
from aiobatch.codec import KeySchema, Numbers, Serialize
from aiobatch.engine.call import BatchCall
from aiobatch.engine.dispatch import Dispatcher
from aiobatch.engine.loop_time import loop_time
from aiobatch.engine.metrics import Meter
from aiobatch.engine.plan import at
from aiobatch.engine.pressure import Direction
from aiobatch.engine.requests import BatchGet, BatchWrite, Capacity, GetPart, WritePart
from aiobatch.errors import (
    AccessDenied,
    ClientClosed,
    ConditionFailed,
    InvalidItem,
    KeyNamesUnknown,
    ServiceError,
    WireError,
)
from aiobatch.events import Hook
from aiobatch.loader import Loader
from aiobatch.models import Model, converter, mismatch
from aiobatch.operations import ConditionCheck, Delete, Get, Put, Update
from aiobatch.responses import (
    BatchGetResponse,
    BatchWriteResponse,
    Item,
    ItemResponse,
    KeysAndAttributes,
    OrderedBatchGetResponse,
    ScanPage,
    TablesGetResponse,
    TablesWriteResponse,
    TransactGetResponse,
    TransactWriteResponse,
    WriteResponse,
)
from aiobatch.retry import Retry
from aiobatch.scopes import BatchScope, Calls, CallScope, batch_error
from aiobatch.sharing import EngineSettings, Lease
from aiobatch.single import (
    Expressions,
    condition_of,
    describe_body,
    item_body,
    pages_body,
    verbatim,
)
from aiobatch.streams.load import bulk_write
from aiobatch.streams.reader import ItemStream
from aiobatch.streams.report import WriteReport
from aiobatch.streams.source import check_source
from aiobatch.streams.stream import Settings
from aiobatch.streams.writer import BatchWriter
from aiobatch.updates import is_idempotent
from aiobatch.wire.protocol import Request, Wire
from aiobatch.wire.settings import ConnectionSettings, WireKind

if TYPE_CHECKING:
    from botocore.config import Config

__all__ = ["DynamoDB"]

ModelT = TypeVar("ModelT")
EncodedT = TypeVar("EncodedT")

_Known = Callable[[str], KeySchema | None]
"""What is known of the key names of a table."""

_UNSUPPORTED_IN_BATCHES = (
    "BatchWriteItem takes no conditions: use save(..., fail_if_exists=True) or"
    " save(..., condition_expression=...) for each item, or a transaction for several at once"
)


class DynamoDB:
    """An asyncio client that moves many items in and out of DynamoDB.

    It opens at the first call, or with ``async with``, which closes it as well. One instance
    serves many tasks of one loop. Instances that are configured alike share one connection pool
    on a loop, and the pool closes with the last of them.

    Args:
        region_name, endpoint_url, profile_name, verify: what they mean in boto3.
        aws_access_key_id, aws_secret_access_key, aws_session_token: what they mean in boto3.
        config: a botocore ``Config``. Unset timeouts are 3 s to connect and 10 s to read, an
            attempt.
        session: an ``aioboto3.Session`` or aiobotocore's ``AioSession`` to make the client from.
        client: an open aiobotocore or aioboto3 client that stays the caller's: its hooks stay in
            force, it is never closed here, its own calls are never touched. ``max_concurrency``
            is lowered to its pool.
        max_concurrency: requests under way at once, over all calls.
        retry: the retry policy of calls that bring none of their own.
        numbers: how numbers are read: ``"native"`` (int where there is no fraction, else float),
            ``"decimal"`` (exact), ``"strict"`` (native where it reads back as the same number,
            else Decimal).
        max_read_units, max_write_units: capacity units that reads or writes of one table may
            consume a second, on average.
        key_names: the key attributes by table, the partition key first. Puts need them; unnamed
            ones are learnt from DynamoDB.
        wire: what carries requests. ``"direct"`` is aiohttp with a signer of our own and the
            credentials, endpoints, proxies and TLS settings that aiobotocore resolves; it is the
            fastest. ``"aiobotocore"`` sends through a client of aiobotocore's with all its hooks.
            ``"auto"`` takes the direct one where it honours every setting in force, else
            aiobotocore's, and says why at level DEBUG of the logger ``aiobatch.wire``. Or any
            object with the methods of ``aiobatch.wire.protocol.Wire``, such as
            ``aiobatch.testing.FakeWire``; it stays the caller's and is not closed here.
        serialize: called with each value of a type that DynamoDB does not know; it returns one
            that it does.
        hooks: told what happens in each call of this client; see ``aiobatch.events``.

    Raises:
        ValueError: settings that contradict each other, with what to use instead; with
            ``wire="direct"`` (some of it when the client opens) the setting that it does not
            honour.

    Example::

        async with DynamoDB(region_name="eu-west-1") as db:
            answer = await db.batch_get_item([{"pk": "user#1", "sk": "profile"}], "users")
            print(answer["Count"], answer["MissingKeys"])
    """

    def __init__(
        self,
        *,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        profile_name: str | None = None,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        verify: bool | str | None = None,
        config: Config | None = None,
        session: Any = None,
        client: Any = None,
        max_concurrency: int = 16,
        retry: Retry | None = None,
        numbers: Numbers = "native",
        max_read_units: float | None = None,
        max_write_units: float | None = None,
        key_names: Mapping[str, tuple[str, ...]] | None = None,
        wire: WireKind | Wire = "auto",
        serialize: Serialize | None = None,
        hooks: Iterable[Hook] = (),
    ) -> None:
        if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int):
            raise TypeError("max_concurrency must be an int")
        if max_concurrency < 1:
            raise ValueError("max_concurrency must be 1 or more")
        if numbers not in ("native", "decimal", "strict"):
            raise ValueError(f'numbers must be "native", "decimal" or "strict", not {numbers!r}')
        if isinstance(wire, str) and wire not in ("auto", "direct", "aiobotocore"):
            raise ValueError(
                f'wire must be "auto", "direct", "aiobotocore" or a Wire, not {wire!r}'
            )
        for name, units in (
            ("max_read_units", max_read_units),
            ("max_write_units", max_write_units),
        ):
            if units is not None and not units > 0:
                raise ValueError(f"{name} must be capacity units a second, more than 0")
        self._settings = EngineSettings(
            connection=ConnectionSettings(
                max_concurrency=max_concurrency,
                region_name=region_name,
                endpoint_url=endpoint_url,
                profile_name=profile_name,
                aws_access_key_id=aws_access_key_id,
                aws_secret_access_key=aws_secret_access_key,
                aws_session_token=aws_session_token,
                verify=verify,
                config=config,
                session=session,
                client=client,
                wire=None if isinstance(wire, str) else wire,
                kind=wire if isinstance(wire, str) else "auto",
            ),
            max_concurrency=max_concurrency,
            max_read_units=max_read_units,
            max_write_units=max_write_units,
        )
        self._retry = _checked_retry(retry) or Retry()
        self._numbers: Numbers = numbers
        self._serialize = serialize
        self._hooks = tuple(hooks)
        for hook in self._hooks:
            if not callable(hook):
                raise TypeError(
                    f"hooks must be callable with an event: {type(hook).__name__} is not"
                )
        self._key_names = {
            table: KeySchema.from_names(names) for table, names in (key_names or {}).items()
        }
        self._lease: Lease | None = None
        self._calls: Calls = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        async with self._answering():
            await self._engine()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client: it takes no new call, and calls in flight end with ``ClientClosed``.

        Closing twice does nothing.
        """
        lease = self._lease
        if lease is None or lease.loop.is_closed():
            self._closed, self._lease = True, None
            if lease is not None:
                lease.abandon()
            return
        if lease.loop is not asyncio.get_running_loop():
            raise RuntimeError(_ANOTHER_LOOP)
        self._closed, self._lease = True, None
        calls = dict(self._calls)
        for scope in calls:
            if not scope.expired():
                scope.reschedule(lease.loop.time())
        if calls:
            await asyncio.wait(calls.values())
        await lease.release()

    # ------------------------------------------------------------------ batches

    @overload
    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: Literal[False] = False,
        model: None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> BatchGetResponse: ...

    @overload
    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: Literal[True],
        model: None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> OrderedBatchGetResponse: ...

    @overload
    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: bool,
        model: None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> BatchGetResponse | OrderedBatchGetResponse: ...

    @overload
    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: Literal[False] = False,
        model: Model[ModelT],
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> BatchGetResponse[ModelT]: ...

    @overload
    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: Literal[True],
        model: Model[ModelT],
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> OrderedBatchGetResponse[ModelT]: ...

    @overload
    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: bool,
        model: Model[ModelT],
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> BatchGetResponse[ModelT] | OrderedBatchGetResponse[ModelT]: ...

    async def batch_get_item(
        self,
        keys: Iterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        ordered: bool = False,
        model: Model[Any] | None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> BatchGetResponse[Any] | OrderedBatchGetResponse[Any]:
        """Read any number of items by their keys, 100 a request, concurrently.

        Args:
            keys: mappings of the key attributes. A key that comes twice (by DynamoDB's identity:
                5, 5.0 and Decimal("5.00") are one) is asked for once and answered once.
            table_name: the table's name or ARN.
            projection_expression: the attributes to read, such as ``"id, name, tags[0]"``.
                Reserved words need no placeholder.
            expression_attribute_names: placeholders that the projection uses.
            consistent_read: strongly consistent, at twice the capacity.
            ordered: let ``Items`` match ``keys`` one to one, with None where there is no item.
            model: make an object of this of each item: a class of pydantic, msgspec, attrs or
                dataclasses, or any function that takes the item's dict.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.
            timeout: seconds for the whole call.

        Returns:
            ``Items`` (in the order of their keys), ``Count``, ``MissingKeys``,
            ``UnprocessedKeys`` (the caller's own objects, which can be passed straight back as
            ``keys``), ``Metrics``. No keys: an empty answer and no request.

        Raises:
            InvalidItem: a key that DynamoDB would refuse. Nothing was sent.
            BatchError: keys were rejected or failed for another reason than throttling.
            BatchTimeout: the timeout passed. Both carry the account in ``response``.
            ModelMismatch: the model refused items. The whole answer is in ``response``, with those
                items as plain dicts.

        Example::

            answer = await db.batch_get_item(
                [{"pk": "user#1", "sk": "profile"}, {"pk": "user#2", "sk": "profile"}],
                "users",
                projection_expression="pk, name",
            )
            for item in answer["Items"]:
                print(item["name"])
        """
        intake.check_table_name(table_name)
        capacity = _checked_capacity(return_consumed_capacity)
        retry = _checked_retry(retry) or self._retry
        # Checked first without the keys' names, which the first key will tell.
        codec.compile_projection(projection_expression, expression_attribute_names, ())
        convert = converter(model)
        account = GetAccount(intake.as_list(keys, "keys"))
        meter = self._meter()

        def view() -> dict[str, Any]:
            answer = account.view(ordered=ordered, metrics=meter.as_answer(loop_time()))
            return _with_capacity(answer, meter, capacity)

        if not account.keys:
            async with self._answering():
                return view()  # type: ignore[return-value]
        async with self._accounting(
            "batch_get_item", repr(table_name), account.told, view, timeout
        ):
            engine = await self._engine()

            async def encoded(known: _Known) -> tuple[tuple[str, ...], list[bytes]]:
                schema = known(table_name)
                if schema is None:
                    schema = intake.schema_of_first(account.keys, self._serialize)
                encode = self._key_encoder(schema)
                return schema.names, await intake.encode_keys(account.keys, schema, encode)

            names, identities = await self._trusting(engine, [table_name], encoded, retry, meter)
            projection = codec.compile_projection(
                projection_expression, expression_attribute_names, names
            )
            account.positions, account.entries = await intake.distinct(identities, keep="first")
            requests = BatchGet.of_table(
                table_name,
                at(identities, account.positions),
                names,
                numbers=self._numbers,
                projection=projection,
                consistent_read=consistent_read,
                capacity=_capacity_to_ask_for(capacity, engine.wants_capacity("read")) or "NONE",
                convert=convert,
            )
            call = BatchCall(requests, len(account.positions), retry=retry, meter=meter)
            account.ledger, account.items = call.ledger, requests.items
            await engine.run(call)
            _raise_if_due("batch_get_item", repr(table_name), call, account.told, view)
            refused = account.by_position(requests.refusals[0])
        if refused:
            raise mismatch(model, refused, view(), table_name=table_name)
        return view()  # type: ignore[return-value]

    async def batch_write_item(
        self,
        items: Iterable[Any],
        table_name: str,
        *,
        operation: Literal["put", "delete"] = "put",
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        **unsupported: Never,
    ) -> BatchWriteResponse:
        """Put or delete any number of items, 25 a request, concurrently.

        A batch is not atomic, and takes no conditions. Several writes to one key in one call act
        as if they were written in order: the last one wins.

        Args:
            items: items for a put, keys for a delete: mappings, dataclasses, pydantic models, or
                anything with ``to_resource_dictionary()``. boto3's wrapped form,
                ``{"PutRequest": {"Item": ...}}``, is taken too.
            table_name: the table's name or ARN.
            operation: ``"put"`` or ``"delete"``.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.
            timeout: seconds for the whole call.
            unsupported: condition arguments, which are refused.

        Returns:
            ``ProcessedCount``, ``UnprocessedCount``, ``UnprocessedItems`` (the caller's own
            objects, which can be passed straight back as ``items``), ``Metrics``.

        Raises:
            ValueError: another operation, or a condition.
            InvalidItem: an item that DynamoDB would refuse. Nothing was written.
            KeyNamesUnknown: puts need the table's key names, and DescribeTable was denied.
            BatchError: items were rejected, are unknown, or failed for another reason than
                throttling.
            BatchTimeout: the timeout passed. Both carry the account in ``response``.

        Example::

            answer = await db.batch_write_item(
                [{"pk": f"user#{n}", "sk": "profile", "name": f"User {n}"} for n in range(60)],
                "users",
            )
            print(answer["ProcessedCount"], answer["UnprocessedCount"])
        """
        if operation not in ("put", "delete"):
            raise ValueError(f"Invalid operation '{operation}'. Must be 'put' or 'delete'")
        _refuse(unsupported)
        intake.check_table_name(table_name)
        capacity = _checked_capacity(return_consumed_capacity)
        retry = _checked_retry(retry) or self._retry
        account = WriteAccount(intake.as_list(items, "items"))
        meter = self._meter()

        def view() -> dict[str, Any]:
            return _with_capacity(
                account.view(metrics=meter.as_answer(loop_time())), meter, capacity
            )

        if not account.items:
            async with self._answering():
                return view()  # type: ignore[return-value]
        async with self._accounting(
            "batch_write_item", repr(table_name), account.told, view, timeout
        ):
            engine = await self._engine()

            async def plain() -> None:
                encode = (self._key_encoder if operation == "delete" else self._item_encoder)(None)
                await intake.encode_all(
                    account.items, lambda item: encode(intake.unwrapped(item, operation)), "item"
                )

            schema, fragments, identities = await self._trusting(
                engine,
                [table_name],
                lambda known: self._encode_writes(
                    engine, table_name, account.items, operation, retry, meter
                ),
                retry,
                meter,
                plain,
            )
            positions, account.entries = await intake.distinct(identities, keep="last")
            requests = BatchWrite.of_table(
                table_name,
                at(fragments, positions),
                at(identities, positions),
                schema.names,
                deletes=operation == "delete",
                capacity=_capacity_to_ask_for(capacity, engine.wants_capacity("write")) or "NONE",
            )
            del fragments, identities
            call = BatchCall(requests, len(positions), retry=retry, meter=meter)
            account.ledger = call.ledger
            await engine.run(call)
            _raise_if_due("batch_write_item", repr(table_name), call, account.told, view)
        return view()  # type: ignore[return-value]

    # ------------------------------------------------------------------ loads and streams

    @overload
    def loader(
        self,
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        max_wait: float = 0.0,
        max_batch: int = 100,
        cache: MutableMapping[bytes, Item | None] | None = None,
        model: None = None,
        retry: Retry | None = None,
    ) -> Loader: ...

    @overload
    def loader(
        self,
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        max_wait: float = 0.0,
        max_batch: int = 100,
        cache: MutableMapping[bytes, Item | None] | None = None,
        model: Model[ModelT],
        retry: Retry | None = None,
    ) -> Loader[ModelT]: ...

    def loader(
        self,
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        max_wait: float = 0.0,
        max_batch: int = 100,
        cache: MutableMapping[bytes, Item | None] | None = None,
        model: Model[Any] | None = None,
        retry: Retry | None = None,
    ) -> Loader[Any]:
        """Load items one by one where they are needed, and have them read together.

        Loads that meet in one turn of the loop, or within ``max_wait``, become one BatchGetItem;
        the same key is asked for once, and each caller gets a copy of its own. A caller that is
        cancelled, or whose key is refused, harms no other.

        Args:
            table_name: the table's name or ARN.
            projection_expression: as for :meth:`batch_get_item`.
            expression_attribute_names: as for :meth:`batch_get_item`.
            consistent_read: as for :meth:`batch_get_item`.
            max_wait: seconds that a load waits at most for others. 0.0: only for those of the same
                turn of the loop.
            max_batch: keys after which a batch goes at once, from 1 to 100.
            cache: a mapping, such as ``{}``, that remembers items and missing ones by key, for as
                long as it lives: make it, and the loader, once a request. None: every load reads.
                It holds plain items, with ``model`` too.
            model: as for :meth:`batch_get_item`. An object is made for each caller; where the
                model refuses, ``ModelMismatch`` reaches that caller alone.
            retry: the retry policy of each batch.

        Returns:
            A loader with ``load(key)``, ``load_many(keys)``, ``clear()``, ``prime()`` and
            ``stats``. It need not be closed.

        Raises:
            ValueError, TypeError: settings that cannot be right.

        Example::

            import asyncio

            users = db.loader("users")

            async def name_of(number):
                user = await users.load({"pk": f"user#{number}", "sk": "profile"})
                return user["name"] if user else None

            print(await asyncio.gather(*[name_of(number) for number in range(50)]))
        """
        intake.check_table_name(table_name)
        codec.compile_projection(projection_expression, expression_attribute_names, ())
        return Loader(
            self._access(),
            table_name,
            projection_expression=projection_expression,
            expression_attribute_names=expression_attribute_names,
            consistent_read=consistent_read,
            max_wait=max_wait,
            max_batch=max_batch,
            cache=cache,
            model=model,
            retry=_checked_retry(retry) or self._retry,
        )

    @overload
    def iter_get(
        self,
        keys: Iterable[Any] | AsyncIterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        on_missing: Callable[[Any], object] | None = None,
        on_invalid: Literal["raise", "collect"] = "raise",
        max_pending: int | None = None,
        max_wait: float = 0.1,
        model: None = None,
        retry: Retry | None = None,
    ) -> ItemStream: ...

    @overload
    def iter_get(
        self,
        keys: Iterable[Any] | AsyncIterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        on_missing: Callable[[Any], object] | None = None,
        on_invalid: Literal["raise", "collect"] = "raise",
        max_pending: int | None = None,
        max_wait: float = 0.1,
        model: Model[ModelT],
        retry: Retry | None = None,
    ) -> ItemStream[ModelT]: ...

    def iter_get(
        self,
        keys: Iterable[Any] | AsyncIterable[Any],
        table_name: str,
        *,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        consistent_read: bool = False,
        on_missing: Callable[[Any], object] | None = None,
        on_invalid: Literal["raise", "collect"] = "raise",
        max_pending: int | None = None,
        max_wait: float = 0.1,
        model: Model[Any] | None = None,
        retry: Retry | None = None,
    ) -> ItemStream[Any]:
        """Read items by any number of keys, as they arrive, in bounded memory.

        Items come in no order. A key that comes several times is answered each time. Leaving the
        block, by ``break`` or an error too, sends nothing more; keys whose items were not handed
        out are then among ``report.unprocessed_keys``.

        Args:
            keys: an iterable or async iterable of any length. It is read ahead by at most
                ``max_pending`` keys. One that waits for something should be an async one. A
                generator stays the caller's to close.
            table_name: the table's name or ARN.
            projection_expression: as for :meth:`batch_get_item`.
            expression_attribute_names: as for :meth:`batch_get_item`.
            consistent_read: as for :meth:`batch_get_item`.
            on_missing: called with each key that has no item; only the count is kept otherwise.
            on_invalid: what a key does that DynamoDB would refuse: ``"raise"`` ends the iteration
                with ``InvalidItem`` after the items of the keys before it, and the keys behind it
                that were read ahead are among ``report.unprocessed_keys``; ``"collect"`` leaves it
                in ``report.invalid_keys``.
            max_pending: keys and items held at once, besides the one that was taken last. None:
                two full requests for each that may be under way.
            max_wait: seconds that a key waits at most for a request to fill up, where the source
                is slow.
            model: as for :meth:`batch_get_item`.
            retry: the retry policy; by default :meth:`Retry.patient`.

        Returns:
            The stream, to be used as a block and iterated over in it. ``report`` is its account,
            live: a :class:`ReadReport`.

        Raises:
            ValueError, TypeError: settings that cannot be right, at once.
            BatchError: after the last item, if anything is left: keys rejected, or unprocessed
                when the retries were over or no request can succeed. ``response`` has the account.
            InvalidItem: see ``on_invalid``.
            ModelMismatch: the model refused an item, when its turn came. The item counts as
                processed, and is in ``response`` as a plain dict, beside the account. Iterating
                again goes on with the next one; after leaving the block, what was not handed out
                is among ``report.unprocessed_keys``.
            ClientClosed: the client was closed.

        Example::

            keys = ({"pk": f"user#{n}", "sk": "profile"} for n in range(10_000))
            async with db.iter_get(keys, "users") as items:
                async for item in items:
                    print(item["name"])
            print(items.report.processed, items.report.missing)
        """
        intake.check_table_name(table_name)
        check_source(keys, "keys")
        codec.compile_projection(projection_expression, expression_attribute_names, ())
        return ItemStream(
            self._access(),
            keys,
            table_name,
            _stream_settings(retry, max_pending, max_wait),
            projection_expression=projection_expression,
            expression_attribute_names=expression_attribute_names,
            consistent_read=consistent_read,
            on_missing=on_missing,
            on_invalid=_checked_on_invalid(on_invalid),
            model=model,
        )

    def batch_writer(
        self,
        table_name: str,
        *,
        max_pending: int | None = None,
        max_wait: float = 0.1,
        retry: Retry | None = None,
    ) -> BatchWriter:
        """Put and delete items one by one, and have them leave 25 a request.

        A block, which any number of tasks may share. ``await writer.put(item)`` and
        ``await writer.delete(key)`` take a write, and wait while too many are in hand. A request
        leaves when it is full, when its first write has waited for ``max_wait``, with
        ``await writer.flush()``, and when the block is left. Writes to one key act in their order:
        the last one wins, and no two are ever under way at once.

        A block that raised sends nothing more: what it leaves stands in ``writer.report``, as does
        what a cancelled one leaves.

        Args:
            table_name: the table's name or ARN.
            max_pending: writes in hand at once. None: two full requests for each that may be under
                way.
            max_wait: seconds that a write waits at most for its request to fill up.
            retry: the retry policy; by default :meth:`Retry.patient`.

        Returns:
            The writer. ``report`` is its account, live: a :class:`WriteReport`.

        Raises:
            ValueError, TypeError: settings that cannot be right, at once.
            BatchError: on leaving the block, if anything is left: writes unprocessed, rejected or
                unknown. ``response`` has the account. ``put`` and ``delete`` raise it where no
                write can succeed any more, and have errors of their own.
            ClientClosed: the client was closed.

        Example::

            async with db.batch_writer("users") as writer:
                for n in range(100):
                    await writer.put({"pk": f"user#{n}", "sk": "profile", "name": f"User {n}"})
                await writer.delete({"pk": "user#99", "sk": "profile"})
            print(writer.report.processed)
        """
        intake.check_table_name(table_name)
        return BatchWriter(
            self._access(), table_name, _stream_settings(retry, max_pending, max_wait)
        )

    async def bulk_write(
        self,
        source: Iterable[Any] | AsyncIterable[Any],
        table_name: str,
        *,
        operation: Literal["put", "delete"] = "put",
        on_progress: Callable[[WriteReport], object] | None = None,
        on_invalid: Literal["raise", "collect"] = "raise",
        max_pending: int | None = None,
        max_wait: float = 0.1,
        retry: Retry | None = None,
    ) -> WriteReport:
        """Put or delete all that a source gives, in bounded memory.

        Args:
            source: an iterable or async iterable of items, or of keys for a delete, of any length.
                It is read ahead by at most ``max_pending``. One that waits for something should be
                an async one.
            table_name: the table's name or ARN.
            operation: ``"put"`` or ``"delete"``.
            on_progress: called with the live report, at most ten times a second and once at the
                end, however it ends: so the account of a load that was cancelled is there, too.
            on_invalid: what an item does that DynamoDB would refuse: ``"raise"`` ends the load
                with ``InvalidItem``, once all items before it have been written, and the items
                behind it that were read ahead are left, in its ``response``; ``"collect"`` leaves
                it in ``report.invalid_items`` and goes on.
            max_pending: as for :meth:`batch_writer`.
            max_wait: as for :meth:`batch_writer`.
            retry: as for :meth:`batch_writer`.

        Returns:
            The report. Everything was written, but for invalid items that were collected.

        Raises:
            ValueError, TypeError: settings that cannot be right, at once.
            BatchError: something is left: unprocessed, rejected or unknown. Where no write can
                succeed, or nothing went through for as long as the policy allows, the rest of the
                source was not read. ``response`` has the account.
            InvalidItem: see ``on_invalid``; ``index`` is its position in the source, ``response``
                the account.
            ClientClosed: the client was closed.
            Exception: what the source raises, once all items before it have been written.

        Example::

            report = await db.bulk_write(
                ({"pk": f"user#{n}", "sk": "profile", "name": f"User {n}"} for n in range(1000)),
                "users",
                on_progress=lambda report: print(report.processed),
            )
            print(report.processed, report.metrics["requests"])
        """
        if operation not in ("put", "delete"):
            raise ValueError(f"Invalid operation '{operation}'. Must be 'put' or 'delete'")
        intake.check_table_name(table_name)
        check_source(source, "items")
        return await bulk_write(
            self._access(),
            source,
            table_name,
            _stream_settings(retry, max_pending, max_wait),
            operation=operation,
            on_progress=on_progress,
            on_invalid=_checked_on_invalid(on_invalid),
        )

    # ------------------------------------------------------------------ several tables

    async def batch_get(
        self,
        requests: Mapping[str, Iterable[Any] | KeysAndAttributes],
        *,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> TablesGetResponse:
        """Read any number of items of several tables, 100 a request over all tables.

        Each table keeps its own pace: while one is throttled, the others go on without it.

        Args:
            requests: by the table's name or ARN, its keys; or a mapping with ``keys`` and any of
                ``projection_expression``, ``expression_attribute_names``, ``consistent_read`` and
                ``model``, which mean what they mean in :meth:`batch_get_item`.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.
            timeout: seconds for the whole call.

        Returns:
            ``Tables``: by the caller's name for each table, ``Items``, ``Count``, ``MissingKeys``
            and ``UnprocessedKeys``. ``Count`` over all tables. ``UnprocessedKeys``: what is left,
            with its options, to be passed straight back as ``requests``. ``Metrics``.

        Raises:
            ValueError: an unknown option, or a table given by its name and by an ARN.
            InvalidItem: a key that DynamoDB would refuse; ``table_name`` and ``index`` tell which.
                Nothing was sent.
            BatchError: keys were rejected or failed for another reason than throttling. A table
                that does not exist ends the whole call.
            BatchTimeout: the timeout passed. Both carry the account in ``response``.
            ModelMismatch: a model refused items. The whole answer is in ``response``.

        Example::

            answer = await db.batch_get(
                {
                    "users": [{"pk": "user#1", "sk": "profile"}],
                    "orders": {"keys": [{"id": 7}, {"id": 8}], "consistent_read": True},
                }
            )
            print(answer["Tables"]["orders"]["Items"])
        """
        tables.check_tables(requests)
        reads = [tables.TableRead(table, request) for table, request in requests.items()]
        accounts = {read.table_name: read.account for read in reads}
        capacity = _checked_capacity(return_consumed_capacity)
        retry = _checked_retry(retry) or self._retry
        meter = self._meter()

        def view() -> dict[str, Any]:
            answer = tables.read_answer(reads, meter.as_answer(loop_time()))
            return _with_capacity(answer, meter, capacity)

        async with self._on_tables("batch_get", accounts, view, timeout) as told:
            asked = [read for read in reads if read.account.keys]
            if asked:
                engine = await self._engine()

                async def encoded(known: _Known) -> list[GetPart]:
                    return [
                        await read.encode(known(read.table_name), self._serialize) for read in asked
                    ]

                names = [read.table_name for read in asked]
                parts = await self._trusting(engine, names, encoded, retry, meter)
                batch = BatchGet(
                    parts,
                    numbers=self._numbers,
                    capacity=_capacity_to_ask_for(capacity, engine.wants_capacity("read"))
                    or "NONE",
                )
                call = BatchCall(batch, len(batch), retry=retry, meter=meter)
                tables.attach_reads(asked, call, batch)
                await engine.run(call)
                _raise_if_due("batch_get", _listed(accounts), call, told, view)
                for read in asked:
                    if refused := read.account.by_position(read.refusals):
                        model, table = read.options["model"], read.table_name
                        raise mismatch(model, refused, view(), table_name=table)
        return view()  # type: ignore[return-value]

    async def batch_write(
        self,
        requests: Mapping[str, Iterable[Put | Delete | Mapping[str, Any]]],
        *,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
    ) -> TablesWriteResponse:
        """Put and delete any number of items of several tables, 25 a request over all tables.

        A batch is not atomic, and takes no conditions. Several operations on one key act as if they
        were done in order: the last one wins. Each table keeps its own pace: while one is
        throttled, the others go on without it.

        Args:
            requests: by the table's name or ARN, its operations: :class:`aiobatch.Put` and
                :class:`aiobatch.Delete`, mixed. boto3's ``{"PutRequest": {"Item": ...}}`` and
                ``{"DeleteRequest": {"Key": ...}}`` around plain values are taken too.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.
            timeout: seconds for the whole call.

        Returns:
            ``Tables``: by the caller's name for each table, ``ProcessedCount``,
            ``UnprocessedCount`` and ``UnprocessedItems``. The counts over all tables.
            ``UnprocessedItems``: what is left, to be passed straight back as ``requests``.
            ``Metrics``.

        Raises:
            ValueError: a table given by its name and by an ARN.
            InvalidItem: an operation that DynamoDB would refuse, or one with a condition;
                ``table_name`` and ``index`` tell which. Nothing was written.
            KeyNamesUnknown: puts need the table's key names, and DescribeTable was denied.
            BatchError: operations were rejected, are unknown, or failed for another reason than
                throttling. A table that does not exist ends the whole call.
            BatchTimeout: the timeout passed. Both carry the account in ``response``.

        Example::

            from aiobatch import Delete, Put

            answer = await db.batch_write(
                {
                    "users": [Put({"pk": "user#1", "sk": "profile"})],
                    "orders": [Put({"id": 9}), Delete({"id": 8})],
                }
            )
            print(answer["ProcessedCount"], answer["UnprocessedItems"])
        """
        tables.check_tables(requests)
        writes = [tables.TableWrite(table, request) for table, request in requests.items()]
        accounts = {write.table_name: write.account for write in writes}
        capacity = _checked_capacity(return_consumed_capacity)
        retry = _checked_retry(retry) or self._retry
        meter = self._meter()

        def view() -> dict[str, Any]:
            answer = tables.write_answer(writes, meter.as_answer(loop_time()))
            return _with_capacity(answer, meter, capacity)

        async with self._on_tables("batch_write", accounts, view, timeout) as told:
            asked = [write for write in writes if write.account.items]
            if asked:
                engine = await self._engine()

                async def encoded(known: _Known) -> list[WritePart]:
                    schemas = await self._schemas_to_write(engine, asked, retry, meter)
                    return [
                        await write.encode(schema, self._serialize)
                        for write, schema in zip(asked, schemas, strict=True)
                    ]

                async def plain() -> None:
                    for write in asked:
                        await write.check(self._serialize)

                names = [write.table_name for write in asked]
                parts = await self._trusting(engine, names, encoded, retry, meter, plain)
                batch = BatchWrite(
                    parts,
                    capacity=_capacity_to_ask_for(capacity, engine.wants_capacity("write"))
                    or "NONE",
                )
                call = BatchCall(batch, len(batch), retry=retry, meter=meter)
                tables.attach_writes(asked, call, parts)
                await engine.run(call)
                _raise_if_due("batch_write", _listed(accounts), call, told, view)
        return view()  # type: ignore[return-value]

    async def _schemas_to_write(
        self,
        engine: Dispatcher,
        writes: Sequence[tables.TableWrite],
        retry: Retry,
        meter: Meter,
    ) -> list[KeySchema | None]:
        """The key schema of each table; None where there are only deletes, which show it."""
        known = {write: self._known_schema(engine, write.table_name) for write in writes}
        unknown = [write for write in writes if known[write] is None]
        for write in unknown:
            # What can be refused without the key names is refused before anything is sent.
            await write.check(self._serialize)
        for write in unknown:
            if write.needs_schema:
                known[write] = await self._describe(engine, write.table_name, retry, meter)
        return [known[write] for write in writes]

    @asynccontextmanager
    async def _on_tables(
        self,
        operation: str,
        accounts: Mapping[str, GetAccount | WriteAccount],
        view: Callable[[], dict[str, Any]],
        timeout: float | None,
    ) -> AsyncIterator[Callable[[], str]]:
        """A batch call on several tables; the function that tells its counts."""

        def told() -> str:
            return tables.told(accounts)

        async with self._accounting(operation, _listed(accounts), told, view, timeout):
            yield told

    # ------------------------------------------------------------------ single items

    @overload
    async def get(
        self,
        key: Any,
        table_name: str,
        *,
        consistent_read: bool = False,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        model: None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> ItemResponse: ...

    @overload
    async def get(
        self,
        key: Any,
        table_name: str,
        *,
        consistent_read: bool = False,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        model: Model[ModelT],
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> ItemResponse[ModelT]: ...

    async def get(
        self,
        key: Any,
        table_name: str,
        *,
        consistent_read: bool = False,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        model: Model[Any] | None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> ItemResponse[Any]:
        """Read one item.

        Args: as for :meth:`batch_get_item`.

        Returns:
            ``{"Item": {...}, "Metrics": {...}}``, without ``Item`` where there is none.

        Raises:
            InvalidItem: DynamoDB would refuse the key. Nothing was sent.
            ServiceError: DynamoDB refused the request, or kept throttling it.
            WireError: there was no usable answer.
            ModelMismatch: the model refused the item, which is in ``response`` as a plain dict.

        Example::

            answer = await db.get({"pk": "user#1", "sk": "profile"}, "users")
            print(answer.get("Item"))
        """
        intake.check_table_name(table_name)
        capacity = _checked_capacity(return_consumed_capacity)
        projection = codec.compile_projection(projection_expression, expression_attribute_names, ())
        expressions = Expressions(None, None, self._serialize)
        expressions.project(projection)
        convert = converter(model)
        async with self._answering():
            engine = await self._engine()
            schema, fragment = await self._encoded_key(engine, key, table_name, retry)
            asked = _capacity_to_ask_for(capacity, engine.wants_capacity("read"))
            body = item_body(
                table_name,
                "Key",
                fragment,
                expressions,
                {"ConsistentRead": consistent_read or None, "ReturnConsumedCapacity": asked},
            )
            answer = await self._single(
                engine, "GetItem", table_name, body, retry, self._shaping("Item", capacity)
            )
            if schema is None:
                engine.schemas.learn(table_name, KeySchema.from_key(key, self._serialize).names)
            if convert is not None and "Item" in answer:
                try:
                    answer["Item"] = convert(answer["Item"])
                except Exception as error:
                    refused = error
                else:
                    return answer  # type: ignore[return-value]
                raise mismatch(model, {0: refused}, answer, table_name=table_name)
            return answer  # type: ignore[return-value]

    async def save(
        self,
        item: Any,
        table_name: str,
        *,
        fail_if_exists: bool = False,
        condition_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        return_values: Literal["NONE", "ALL_OLD"] | None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> WriteResponse:
        """Put one item, on a condition if wanted.

        Args:
            item: as for :meth:`batch_write_item`.
            table_name: the table's name or ARN.
            fail_if_exists: do not replace an item with the same key. Uses the table's real key
                names: ``key_names=``, or learnt as for puts in batches.
            condition_expression: any condition; with ``fail_if_exists`` both must hold.
            expression_attribute_names: placeholders that the condition uses.
            expression_attribute_values: values that the condition uses, as Python values.
            return_values: ``"ALL_OLD"``: add the replaced item as ``Attributes``.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.

        Raises:
            ConditionFailed: the condition did not hold; nothing was written.
            InvalidItem: DynamoDB would refuse the item. Nothing was sent.
            KeyNamesUnknown: ``fail_if_exists`` without known key names.
            ServiceError: DynamoDB refused the request, or kept throttling it.
            WireError: there was no usable answer; the item may have been written.

        Example::

            from aiobatch import ConditionFailed

            try:
                await db.save({"pk": "user#9", "sk": "profile"}, "users", fail_if_exists=True)
            except ConditionFailed:
                print("user 9 exists")
        """
        intake.check_table_name(table_name)
        capacity = _checked_capacity(return_consumed_capacity)
        retry = _checked_retry(retry) or self._retry
        expressions = self._expressions(expression_attribute_names, expression_attribute_values)
        async with self._answering():
            engine = await self._engine()

            async def encoded(known: _Known) -> tuple[KeySchema | None, bytes]:
                schema = known(table_name)
                return schema, intake.encode_one(item, self._item_encoder(schema), "item")[0]

            schema, fragment = await self._trusting(
                engine, [table_name], encoded, retry, self._meter()
            )
            if fail_if_exists and schema is None:
                schema = await self._describe(engine, table_name, retry, self._meter())
                fragment, _ = intake.encode_one(item, self._item_encoder(schema), "item")
            expressions.add(
                "ConditionExpression",
                condition_of(
                    condition_expression, schema if fail_if_exists else None, expressions.names
                ),
            )
            asked = _capacity_to_ask_for(capacity, engine.wants_capacity("write"))
            body = item_body(
                table_name,
                "Item",
                fragment,
                expressions,
                {"ReturnValues": return_values, "ReturnConsumedCapacity": asked},
            )
            return await self._single(  # type: ignore[return-value]
                engine, "PutItem", table_name, body, retry, self._shaping("Attributes", capacity)
            )

    async def delete(
        self,
        key: Any,
        table_name: str,
        *,
        condition_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        return_values: Literal["NONE", "ALL_OLD"] | None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> WriteResponse:
        """Delete one item, on a condition if wanted. An item that is not there is no error.

        Args and errors: as for :meth:`save`.

        Example::

            await db.delete({"pk": "user#9", "sk": "profile"}, "users")
        """
        intake.check_table_name(table_name)
        capacity = _checked_capacity(return_consumed_capacity)
        expressions = self._expressions(expression_attribute_names, expression_attribute_values)
        expressions.add("ConditionExpression", condition_expression)
        async with self._answering():
            engine = await self._engine()
            schema, fragment = await self._encoded_key(engine, key, table_name, retry)
            asked = _capacity_to_ask_for(capacity, engine.wants_capacity("write"))
            body = item_body(
                table_name,
                "Key",
                fragment,
                expressions,
                {"ReturnValues": return_values, "ReturnConsumedCapacity": asked},
            )
            answer = await self._single(
                engine, "DeleteItem", table_name, body, retry, self._shaping("Attributes", capacity)
            )
            if schema is None:
                engine.schemas.learn(table_name, KeySchema.from_key(key, self._serialize).names)
            return answer  # type: ignore[return-value]

    async def update(
        self,
        key: Any,
        table_name: str,
        update_expression: str,
        *,
        condition_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        return_values: Literal["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]
        | None = None,
        idempotent: bool | None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> WriteResponse:
        """Change attributes of one item, on a condition if wanted. A missing item is made.

        An attempt may take effect although its answer is lost. To send it again is harmless where
        doing it twice leaves what doing it once does, as ``SET status = :s``; it is not for
        ``ADD hits :one`` or ``SET stock = stock - :n``. So an update is sent again after an unclear
        answer only if it is idempotent. If it is not, the error is raised at once, with
        ``error.ambiguous``: read the item to learn what happened, or use
        :meth:`transact_write_items`, whose token makes any update safe to repeat. Throttling and
        failures to connect are retried for both.

        Args:
            key: a mapping of the key attributes.
            table_name: the table's name or ARN.
            update_expression: such as ``"SET stock = stock - :n REMOVE reserved"``.
            condition_expression: update it only if this holds.
            expression_attribute_names: placeholders in the expressions.
            expression_attribute_values: values in the expressions, as Python values.
            return_values: which attributes to give as ``Attributes``.
            idempotent: whether it may be sent again after an unclear answer. None: read it off the
                expression: it may, if it does nothing but set attributes to given values, remove
                attributes (no list elements) or delete elements of sets, and old values are not
                asked for, which a second attempt could not give.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.

        Raises:
            ConditionFailed: the condition did not hold; nothing was changed.
            InvalidItem: DynamoDB would refuse the key or a value. Nothing was sent.
            ServiceError: DynamoDB refused the request, or kept throttling it; ``ambiguous`` tells
                whether the update may have taken effect in spite of it.
            WireError: there was no usable answer; ``ambiguous`` as above.

        Example::

            answer = await db.update(
                {"pk": "user#1", "sk": "profile"},
                "users",
                "ADD visits :one",
                expression_attribute_values={":one": 1},
                return_values="UPDATED_NEW",
            )
            print(answer["Attributes"]["visits"])
        """
        intake.check_table_name(table_name)
        capacity = _checked_capacity(return_consumed_capacity)
        expressions = self._expressions(expression_attribute_names, expression_attribute_values)
        expressions.add("UpdateExpression", update_expression)
        expressions.add("ConditionExpression", condition_expression)
        if idempotent is None:
            asks_for_old = return_values in ("ALL_OLD", "UPDATED_OLD")
            idempotent = not asks_for_old and is_idempotent(update_expression)
        async with self._answering():
            engine = await self._engine()
            schema, fragment = await self._encoded_key(engine, key, table_name, retry)
            asked = _capacity_to_ask_for(capacity, engine.wants_capacity("write"))
            options = {"ReturnValues": return_values, "ReturnConsumedCapacity": asked}
            answer = await self._single(
                engine,
                "UpdateItem",
                table_name,
                item_body(table_name, "Key", fragment, expressions, options),
                retry,
                self._shaping("Attributes", capacity),
                resend_unclear=idempotent,
            )
            if schema is None:
                engine.schemas.learn(table_name, KeySchema.from_key(key, self._serialize).names)
            return answer  # type: ignore[return-value]

    # ------------------------------------------------------------------ transactions

    async def transact_write_items(
        self,
        operations: Iterable[Put | Delete | Update | ConditionCheck],
        *,
        client_request_token: str | None = None,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> TransactWriteResponse:
        """Do up to 100 writes, on items of any tables, all of them or none.

        The request carries a token that makes it idempotent: DynamoDB does a transaction with the
        same token once within ten minutes. Attempts of one call share it, so any of them may be
        sent again after an unclear answer.

        A transaction that is cancelled because it met another one, or was throttled, is sent again
        on the retry budget, unlike by AWS's own clients: nothing was written, and a moment later
        it may succeed. ``Retry(max_retries=0)`` turns that off. So is one that DynamoDB says is
        still in progress. A failed condition, or any other reason among them, ends it.

        Args:
            operations: :class:`aiobatch.Put`, :class:`aiobatch.Delete`, :class:`aiobatch.Update`
                and :class:`aiobatch.ConditionCheck`, at most 100, no two on one item. None: no
                request.
            client_request_token: 1 to 36 characters, to make calls idempotent among each other;
                made for this call if not given.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.

        Returns:
            ``Metrics``: all operations took effect.

        Raises:
            TransactionFailed: it was cancelled, and nothing was written; with a reason for each
                operation.
            InvalidItem: DynamoDB would refuse an operation; its index is in the error. Nothing was
                sent.
            ValueError: too many operations, or items of over 4 MB together. Nothing was sent.
            ServiceError: DynamoDB refused the request, or kept throttling it.
            WireError: there was no usable answer; the transaction may have taken effect.

        Example::

            from aiobatch import Put, TransactionFailed, Update

            try:
                await db.transact_write_items(
                    [
                        Put({"id": 17, "user": "user#1"}, "orders"),
                        Update(
                            {"pk": "user#1", "sk": "profile"},
                            "users",
                            "SET credit = credit - :price",
                            condition_expression="credit >= :price",
                            expression_attribute_values={":price": 5},
                        ),
                    ]
                )
            except TransactionFailed as error:
                print([reason["Code"] for reason in error.reasons])
        """
        given = transactions.operations_of(operations, transactions.WRITES)
        token = transactions.checked_token(client_request_token) or str(uuid4())
        capacity = _checked_capacity(return_consumed_capacity)
        return await self._transact(  # type: ignore[return-value]
            "TransactWriteItems",
            given,
            {"ClientRequestToken": token},
            capacity,
            retry,
            lambda answer: {},
        )

    async def transact_get_items(
        self,
        operations: Iterable[Get],
        *,
        return_consumed_capacity: Capacity | None = None,
        retry: Retry | None = None,
    ) -> TransactGetResponse:
        """Read up to 100 items of any tables as they are at one moment.

        It is cancelled if one of them is just being written, and then sent again on the retry
        budget, as :meth:`transact_write_items` is.

        Args:
            operations: :class:`aiobatch.Get`, at most 100, no two of one item. None: no request.
            return_consumed_capacity: ``"TOTAL"`` or ``"INDEXES"``: add ``ConsumedCapacity``.
            retry: the retry policy of this call.

        Returns:
            ``Items``: for each operation, in their order, its item or None. ``Metrics``.

        Raises:
            TransactionFailed: it was cancelled, with a reason for each operation.
            InvalidItem, ValueError, ServiceError, WireError: as for :meth:`transact_write_items`.
            ModelMismatch: a model refused an item. The answer is in ``response``.

        Example::

            from aiobatch import Get

            answer = await db.transact_get_items(
                [Get({"pk": "user#1", "sk": "profile"}, "users"), Get({"id": 7}, "orders")]
            )
            user, order = answer["Items"]
        """
        given = transactions.operations_of(operations, transactions.READS)
        converts = [converter(operation.model) for operation in given]
        capacity = _checked_capacity(return_consumed_capacity)

        def read(answer: dict[str, Any]) -> dict[str, Any]:
            return {"Items": transactions.items_of(answer, len(given), self._numbers)}

        answer = await self._transact("TransactGetItems", given, {}, capacity, retry, read)
        items = answer["Items"]
        refused: dict[int, Exception] = {}
        for index, (item, convert) in enumerate(zip(items, converts, strict=True)):
            if item is not None and convert is not None:
                try:
                    items[index] = convert(item)
                except Exception as error:
                    refused[index] = error
        if refused:
            operation = given[next(iter(refused))]
            raise mismatch(
                operation.model,
                refused,
                answer,
                table_name=operation.table_name,
                what="the item of operation",
            )
        return answer  # type: ignore[return-value]

    async def _transact(
        self,
        operation: Literal["TransactGetItems", "TransactWriteItems"],
        operations: list[Any],
        members: dict[str, Any],
        capacity: Capacity | None,
        retry: Retry | None,
        read: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> dict[str, Any]:
        _checked_retry(retry)

        def shaped(answer: dict[str, Any]) -> dict[str, Any]:
            return _with_own_capacity(read(answer), answer, capacity)

        async with self._answering():
            if not operations:
                return read({"Responses": []}) | {"Metrics": self._meter().as_answer(loop_time())}
            engine = await self._engine()
            wanted = engine.wants_capacity(_direction_of(operation))
            members = {
                **members,
                "ReturnConsumedCapacity": _capacity_to_ask_for(capacity, wanted),
            }
            transaction = await self._trusting(
                engine,
                list(dict.fromkeys(operation.table_name for operation in operations)),
                lambda known: transactions.encode(operations, known, self._serialize, members),
                retry or self._retry,
                self._meter(),
            )
            try:
                return await self._single(
                    engine,
                    operation,
                    operations[0].table_name,
                    transaction.body,
                    retry,
                    shaped,
                    tables=transaction.tables,
                )
            except ServiceError as error:
                failure = transactions.failure_of(error, self._numbers)
                if failure is None:
                    raise
                raise failure from error

    @overload
    def query(
        self,
        table_name: str,
        key_condition_expression: str,
        *,
        expression_attribute_values: Mapping[str, Any],
        expression_attribute_names: Mapping[str, str] | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        index_name: str | None = None,
        ascending: bool = True,
        limit: int | None = None,
        consistent_read: bool = False,
        model: None = None,
        retry: Retry | None = None,
    ) -> AsyncGenerator[Item, None]: ...

    @overload
    def query(
        self,
        table_name: str,
        key_condition_expression: str,
        *,
        expression_attribute_values: Mapping[str, Any],
        expression_attribute_names: Mapping[str, str] | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        index_name: str | None = None,
        ascending: bool = True,
        limit: int | None = None,
        consistent_read: bool = False,
        model: Model[ModelT],
        retry: Retry | None = None,
    ) -> AsyncGenerator[ModelT, None]: ...

    def query(
        self,
        table_name: str,
        key_condition_expression: str,
        *,
        expression_attribute_values: Mapping[str, Any],
        expression_attribute_names: Mapping[str, str] | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        index_name: str | None = None,
        ascending: bool = True,
        limit: int | None = None,
        consistent_read: bool = False,
        model: Model[Any] | None = None,
        retry: Retry | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Iterate over the items of one partition, over all pages.

        Args:
            table_name: the table's name or ARN.
            key_condition_expression: such as ``"pk = :pk AND begins_with(sk, :start)"``.
            expression_attribute_values: the values in the expressions, as Python values.
            expression_attribute_names: placeholders in the expressions.
            filter_expression: applied by DynamoDB after reading: what it drops is billed.
            projection_expression: as for :meth:`batch_get_item`.
            index_name: query a secondary index instead of the table.
            ascending: the order of the sort key.
            limit: yield at most so many items.
            consistent_read: strongly consistent; not for global secondary indexes.
            model: as for :meth:`batch_get_item`.
            retry: the retry policy of each page.

        Raises:
            ValueError, TypeError: expressions that cannot be right; at once, before iteration.
            ServiceError: DynamoDB refused a page, or kept throttling it.
            WireError: there was no usable answer to a page.
            ModelMismatch: the model refused an item, which ends the iteration. ``response`` has it
                as ``Item``, a plain dict; the items before it have been yielded.

        Example::

            async for item in db.query(
                "users", "pk = :pk", expression_attribute_values={":pk": "user#1"}
            ):
                print(item["sk"])
        """
        intake.check_table_name(table_name)
        if limit is not None and (isinstance(limit, bool) or limit < 1):
            raise ValueError("limit must be 1 or more, or None for all items")
        expressions = self._expressions(expression_attribute_names, expression_attribute_values)
        expressions.add("KeyConditionExpression", key_condition_expression)
        expressions.add("FilterExpression", filter_expression)
        if projection_expression is not None:
            expressions.project(
                codec.compile_projection(
                    projection_expression, expressions.names, (), names_elsewhere=True
                )
            )
        options = {
            "IndexName": index_name,
            "ScanIndexForward": None if ascending else False,
            "ConsistentRead": consistent_read or None,
        }
        # A page's Limit counts items before the filter: with one, only whole pages make sense.
        pages_by_limit = limit is not None and filter_expression is None
        convert = converter(model)
        items = self._items(
            self._pages(
                "Query",
                table_name,
                expressions,
                options,
                limit if pages_by_limit else None,
                None,
                _checked_retry(retry),
            ),
            "Query",
            limit,
        )
        return items if convert is None else _converted(items, convert, model, table_name)

    @overload
    def scan(
        self,
        table_name: str,
        *,
        segment: int | None = None,
        total_segments: int | None = None,
        index_name: str | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        consistent_read: bool = False,
        limit: int | None = None,
        exclusive_start_key: Mapping[str, Any] | None = None,
        model: None = None,
        retry: Retry | None = None,
    ) -> AsyncGenerator[Item, None]: ...

    @overload
    def scan(
        self,
        table_name: str,
        *,
        segment: int | None = None,
        total_segments: int | None = None,
        index_name: str | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        consistent_read: bool = False,
        limit: int | None = None,
        exclusive_start_key: Mapping[str, Any] | None = None,
        model: Model[ModelT],
        retry: Retry | None = None,
    ) -> AsyncGenerator[ModelT, None]: ...

    def scan(
        self,
        table_name: str,
        *,
        segment: int | None = None,
        total_segments: int | None = None,
        index_name: str | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        consistent_read: bool = False,
        limit: int | None = None,
        exclusive_start_key: Mapping[str, Any] | None = None,
        model: Model[Any] | None = None,
        retry: Retry | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Iterate over all items of a table, or of one segment of it, over all pages.

        A scan reads, and bills, everything. For more speed than one page after another, run one
        scan for each of ``total_segments`` at once. What must go on after a restart takes
        :meth:`scan_pages`, which tells how far it is.

        Args:
            table_name: the table's name or ARN.
            segment: which part to read, 0 to ``total_segments - 1``.
            total_segments: in how many parts the table is cut; at most 1,000,000.
            index_name: scan a secondary index instead of the table.
            filter_expression: applied by DynamoDB after reading: what it drops is billed.
            projection_expression: as for :meth:`batch_get_item`.
            expression_attribute_names: placeholders in the expressions.
            expression_attribute_values: the values in the expressions, as Python values.
            consistent_read: strongly consistent; not for global secondary indexes.
            limit: yield at most so many items.
            exclusive_start_key: start after this key, such as a page's ``LastEvaluatedKey``, with
                the same segments as the scan that it came from.
            model: as for :meth:`batch_get_item`.
            retry: the retry policy of each page.

        Raises:
            ValueError, TypeError: arguments that cannot be right; at once, before iteration.
            InvalidItem: ``exclusive_start_key`` cannot be a key; at once.
            ServiceError: DynamoDB refused a page, or kept throttling it.
            WireError: there was no usable answer to a page.
            ModelMismatch: the model refused an item, which ends the iteration. ``response`` has it
                as ``Item``, a plain dict; the items before it have been yielded.

        Example::

            async for item in db.scan("users", segment=0, total_segments=4):
                print(item["pk"])
        """
        if limit is not None and (isinstance(limit, bool) or limit < 1):
            raise ValueError("limit must be 1 or more, or None for all items")
        convert = converter(model)
        pages = self._scan(
            table_name,
            segment=segment,
            total_segments=total_segments,
            index_name=index_name,
            filter_expression=filter_expression,
            projection_expression=projection_expression,
            expression_attribute_names=expression_attribute_names,
            expression_attribute_values=expression_attribute_values,
            consistent_read=consistent_read,
            limit=limit if filter_expression is None else None,
            page_size=None,
            exclusive_start_key=exclusive_start_key,
            retry=retry,
        )
        items = self._items(pages, "Scan", limit)
        return items if convert is None else _converted(items, convert, model, table_name)

    def scan_pages(
        self,
        table_name: str,
        *,
        segment: int | None = None,
        total_segments: int | None = None,
        index_name: str | None = None,
        filter_expression: str | None = None,
        projection_expression: str | None = None,
        expression_attribute_names: Mapping[str, str] | None = None,
        expression_attribute_values: Mapping[str, Any] | None = None,
        consistent_read: bool = False,
        page_size: int | None = None,
        exclusive_start_key: Mapping[str, Any] | None = None,
        retry: Retry | None = None,
    ) -> AsyncGenerator[ScanPage, None]:
        """Iterate over the pages of a scan; each tells where the next begins.

        A page is what one request brought: at most 1 MB read (API, Scan), before the filter, so
        that a page may be empty and yet not the last. One request is under way at a time, and only
        when the next page is asked for.

        Args: as for :meth:`scan`, and ``page_size``: how many items DynamoDB reads for a page at
        most, before the filter.

        Raises: as :meth:`scan`.

        Example::

            start = None  # or what was saved
            pages = db.scan_pages("users", exclusive_start_key=start)
            async for page in pages:
                print(page["Count"], "LastEvaluatedKey" in page)
        """
        if page_size is not None and (isinstance(page_size, bool) or page_size < 1):
            raise ValueError("page_size must be 1 or more, or None for what fits a page")
        pages = self._scan(
            table_name,
            segment=segment,
            total_segments=total_segments,
            index_name=index_name,
            filter_expression=filter_expression,
            projection_expression=projection_expression,
            expression_attribute_names=expression_attribute_names,
            expression_attribute_values=expression_attribute_values,
            consistent_read=consistent_read,
            limit=None,
            page_size=page_size,
            exclusive_start_key=exclusive_start_key,
            retry=retry,
        )
        return self._scan_pages(pages)

    def _scan(
        self,
        table_name: str,
        *,
        segment: int | None,
        total_segments: int | None,
        index_name: str | None,
        filter_expression: str | None,
        projection_expression: str | None,
        expression_attribute_names: Mapping[str, str] | None,
        expression_attribute_values: Mapping[str, Any] | None,
        consistent_read: bool,
        limit: int | None,
        page_size: int | None,
        exclusive_start_key: Mapping[str, Any] | None,
        retry: Retry | None,
        counts_only: bool = False,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The pages of a scan as DynamoDB writes them, once the arguments are checked."""
        intake.check_table_name(table_name)
        intake.check_segments(segment, total_segments)
        expressions = self._expressions(expression_attribute_names, expression_attribute_values)
        expressions.add("FilterExpression", filter_expression)
        if projection_expression is not None:
            expressions.project(
                codec.compile_projection(
                    projection_expression, expressions.names, (), names_elsewhere=True
                )
            )
        options = {
            "IndexName": index_name,
            "Segment": segment,
            "TotalSegments": total_segments,
            "ConsistentRead": consistent_read or None,
            "Limit": page_size,
            "Select": "COUNT" if counts_only else None,
        }
        start = None
        if exclusive_start_key is not None:
            start = verbatim(
                intake.encode_one(
                    exclusive_start_key,
                    lambda key: codec.encode_values(key, self._serialize),
                    "exclusive_start_key",
                )
            )
        return self._pages(
            "Scan",
            table_name,
            expressions,
            options,
            limit,
            start,
            _checked_retry(retry),
            _count_page if counts_only else _page,
        )

    async def _pages(
        self,
        operation: str,
        table_name: str,
        expressions: Expressions,
        options: dict[str, Any],
        limit: int | None,
        start: Any,
        retry: Retry | None,
        read: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The pages of a Query or a Scan, of ``limit`` items in all if that is given."""
        left = limit
        while True:
            async with self._answering():
                engine = await self._engine()
                asked = {
                    **options,
                    "ExclusiveStartKey": start,
                    "ReturnConsumedCapacity": _capacity_to_ask_for(
                        None, engine.wants_capacity("read")
                    ),
                }
                if left is not None:
                    asked["Limit"] = left
                body = pages_body(table_name, expressions, asked)
                page = await self._single(engine, operation, table_name, body, retry, read or _page)
            if left is not None:
                # Whoever has enough asks for no further page.
                left -= len(page["Items"])
            start = page.get("LastEvaluatedKey")
            # Whoever takes it is the only one that holds it, until the next one is asked for.
            handed_over = [page]
            del page
            yield handed_over.pop()
            if not start or (left is not None and left <= 0):
                return

    async def _items(
        self, pages: AsyncGenerator[dict[str, Any], None], operation: str, limit: int | None
    ) -> AsyncGenerator[Item, None]:
        left = limit
        async with aclosing(pages):
            async for page in pages:
                for attributes in page["Items"]:
                    yield self._decoded(operation, attributes)
                    if left is not None:
                        left -= 1
                        if left == 0:
                            return

    async def _scan_pages(
        self, pages: AsyncGenerator[dict[str, Any], None]
    ) -> AsyncGenerator[ScanPage, None]:
        async with aclosing(pages):
            async for page in pages:
                items: list[Item] = []
                for attributes in page["Items"]:
                    items.append(self._decoded("Scan", attributes))
                    if len(items) % _DECODED_A_TURN == 0:
                        await asyncio.sleep(0)
                told: ScanPage = {
                    "Items": items,
                    "Count": len(items),
                    "ScannedCount": page.get("ScannedCount", len(items)),
                    "Metrics": page["Metrics"],
                }
                if page.get("LastEvaluatedKey"):
                    # Exact, whatever the numbers of this client: it is passed back.
                    told["LastEvaluatedKey"] = codec.decode_item(
                        page["LastEvaluatedKey"], "decimal"
                    )
                if "ConsumedCapacity" in page:
                    told["ConsumedCapacity"] = page["ConsumedCapacity"]
                yield told

    # ------------------------------------------------------------------ inside

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("the client is closed: make a new DynamoDB()")
        self._join_loop()

    def _answering(self) -> CallScope:
        """A single-item call."""
        self._check_open()
        return CallScope(self._calls)

    def _accounting(
        self,
        operation: str,
        where: str,
        told: Callable[[], str],
        view: Callable[[], dict[str, Any]],
        timeout: float | None,
    ) -> BatchScope:
        """A batch call."""
        self._check_open()
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be seconds, 0 or more, or None")
        return BatchScope(
            self._calls,
            timeout,
            operation=operation,
            where=where,
            told=told,
            view=view,
            is_closed=lambda: self._closed,
        )

    def _access(self) -> Access:
        """This client, for a loader or a stream."""

        def known_schema(engine: Dispatcher | None, table_name: str) -> KeySchema | None:
            if engine is None:
                return self._key_names.get(table_name)
            return self._known_schema(engine, table_name)

        return Access(
            retry=self._retry,
            numbers=self._numbers,
            serialize=self._serialize,
            hooks=self._hooks,
            check=self._check_open,
            under_way=self._answering,
            engine=self._engine,
            known_schema=known_schema,
            describe=self._describe,
            renew=self._renew,
        )

    def _join_loop(self) -> Lease:
        loop = asyncio.get_running_loop()
        if self._lease is not None and self._lease.loop is not loop:
            if not self._lease.loop.is_closed():
                raise RuntimeError(_ANOTHER_LOOP)
            self._lease.abandon()
            self._lease = None
        if self._lease is None:
            self._lease = Lease(self, self._settings)
        return self._lease

    async def _engine(self) -> Dispatcher:
        return await self._join_loop().dispatcher()

    def _meter(self) -> Meter:
        return Meter(loop_time(), hooks=self._hooks)

    def _key_encoder(self, schema: KeySchema | None) -> Callable[[Any], bytes]:
        return lambda key: codec.encode_key(key, schema, self._serialize)

    def _item_encoder(self, schema: KeySchema | None) -> Callable[[Any], tuple[bytes, bytes]]:
        return lambda item: codec.encode_item(item, schema, self._serialize)

    def _expressions(
        self, names: Mapping[str, str] | None, values: Mapping[str, Any] | None
    ) -> Expressions:
        return intake.encode_one(
            values,
            lambda values: Expressions(names, values, self._serialize),
            "expression_attribute_values",
        )

    def _known_schema(self, engine: Dispatcher, table_name: str) -> KeySchema | None:
        return self._key_names.get(table_name) or engine.schemas.get(table_name)

    async def _encode_writes(
        self,
        engine: Dispatcher,
        table_name: str,
        items: list[Any],
        operation: str,
        retry: Retry,
        meter: Meter,
    ) -> tuple[KeySchema, list[bytes], list[bytes]]:
        """The schema that a batch's writes follow, their fragments and their key identities."""
        schema = self._known_schema(engine, table_name)
        if operation == "delete":
            if schema is None:
                first = intake.encode_one(
                    items[0], lambda item: intake.unwrapped(item, operation), "key"
                )
                schema = intake.schema_of_first([first], self._serialize)
            encode_key = self._key_encoder(schema)

            keys = await intake.encode_keys(
                items, schema, lambda item: encode_key(intake.unwrapped(item, operation))
            )
            return schema, keys, keys

        async def encode_with(known: KeySchema | None) -> tuple[list[bytes], list[bytes]]:
            encode_item = self._item_encoder(known)
            return await intake.encode_items(
                items,
                known,
                self._serialize,
                lambda item: encode_item(intake.unwrapped(item, operation)),
            )

        if schema is None:
            # What can be refused without the key names is refused before anything is sent.
            await encode_with(None)
            schema = await self._describe(engine, table_name, retry, meter)
        return schema, *await encode_with(schema)

    async def _encoded_key(
        self, engine: Dispatcher, key: Any, table_name: str, retry: Retry | None
    ) -> tuple[KeySchema | None, bytes]:
        """The key of a single-item call, with the schema that was known."""

        async def encoded(known: _Known) -> tuple[KeySchema | None, bytes]:
            schema = known(table_name)
            return schema, intake.encode_one(key, self._key_encoder(schema), "key")

        return await self._trusting(
            engine, [table_name], encoded, retry or self._retry, self._meter()
        )

    async def _trusting(
        self,
        engine: Dispatcher,
        table_names: Sequence[str],
        encode: Callable[[_Known], Awaitable[EncodedT]],
        retry: Retry,
        meter: Meter,
        plain: Callable[[], Awaitable[object]] | None = None,
    ) -> EncodedT:
        """What ``encode`` makes with the key names that are known.

        Where it refuses something for names that are only remembered, the table may have been made
        anew with others: they are asked for again, once.

        Args:
            engine: the engine.
            table_names: the tables.
            encode: encodes with the key names that it is told.
            retry: the budget to ask on.
            meter: counts what it costs to ask.
            plain: encodes without key names; by default ``encode`` where it is told none.
        """
        # What is asked for in this very call is not old.
        remembered = [table for table in table_names if engine.schemas.get(table) is not None]
        try:
            return await encode(lambda table: self._known_schema(engine, table))
        except InvalidItem as error:
            refused = error
            if not remembered:
                raise
        try:
            await (plain() if plain is not None else encode(self._key_names.get))
        except InvalidItem:
            # The names have nothing to do with it.
            raise refused from refused.__cause__
        # One after the other: all that are wrong, and not just the first.
        if not any([await self._renew(engine, table, retry, meter) for table in remembered]):
            raise refused from refused.__cause__
        return await encode(lambda table: self._known_schema(engine, table))

    async def _renew(self, engine: Dispatcher, table_name: str, retry: Retry, meter: Meter) -> bool:
        """Ask DynamoDB again for key names that were only remembered.

        Returns:
            Whether others are known now. Not where DynamoDB does not tell.
        """
        stale = engine.schemas.get(table_name)
        if stale is None or table_name in self._key_names:
            return False
        async with engine.schemas.turn(table_name):
            if engine.schemas.get(table_name) is stale:
                if not engine.schemas.may_doubt(table_name, loop_time()):
                    return False
                try:
                    schema = await self._described(engine, table_name, retry, meter)
                except (KeyNamesUnknown, ServiceError, WireError):
                    return False
                engine.schemas.describe(table_name, schema)
        return engine.schemas.get(table_name) != stale

    async def _describe(
        self, engine: Dispatcher, table_name: str, retry: Retry, meter: Meter
    ) -> KeySchema:
        """Ask DynamoDB for the table's key names, once for all who need them."""
        async with engine.schemas.turn(table_name):
            known = engine.schemas.get(table_name)
            if known is not None:
                return known
            schema = await self._described(engine, table_name, retry, meter)
            engine.schemas.describe(table_name, schema)
            return schema

    async def _described(
        self, engine: Dispatcher, table_name: str, retry: Retry, meter: Meter
    ) -> KeySchema:
        request = Request("DescribeTable", table_name, describe_body(table_name))
        try:
            schema, _ = await engine.single(
                request,
                None,
                lambda answer: KeySchema.from_description(answer.get("Table", {})),
                retry=retry,
                meter=meter,
            )
        except AccessDenied as error:
            if error.code not in ("AccessDeniedException", "AccessDenied", "NotAuthorized"):
                raise
            raise KeyNamesUnknown(table_name) from error
        return schema

    async def _single(
        self,
        engine: Dispatcher,
        operation: str,
        table_name: str,
        body: bytes,
        retry: Retry | None,
        read: Callable[[dict[str, Any]], dict[str, Any]],
        **sending: Any,
    ) -> dict[str, Any]:
        """Send one request that is no batch; what ``read`` makes of it, with ``Metrics``."""
        meter = self._meter()
        direction = _direction_of(operation)
        request = Request(operation, table_name, body)
        try:
            answer, _ = await engine.single(
                request, direction, read, retry=retry or self._retry, meter=meter, **sending
            )
        except ServiceError as error:
            engine.forget_if_stale(table_name, error)
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailed(
                    table_name,
                    operation=operation,
                    after_retry=error.ambiguous,
                    request_id=error.request_id,
                ) from error
            raise
        answer["Metrics"] = meter.as_answer(loop_time())
        return answer

    def _shaping(
        self, member: str, capacity: Capacity | None
    ) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def shaped(answer: dict[str, Any]) -> dict[str, Any]:
            kept: dict[str, Any] = {}
            # Attributes that a projection leaves nothing of are an item, too: {}.
            if answer.get(member) is not None:
                kept[member] = codec.decode_item(answer[member], self._numbers)
            return _with_own_capacity(kept, answer, capacity)

        return shaped

    def _decoded(self, operation: str, attributes: Any) -> Item:
        try:
            return codec.decode_item(attributes, self._numbers)
        except codec.Malformed as error:
            raise _malformed(operation, error.reason) from None


_READS = frozenset({"GetItem", "Query", "Scan", "TransactGetItems"})
# Of a page of a scan: some hundred microseconds in plain Python.
_DECODED_A_TURN = 50
_ANOTHER_LOOP = (
    "this DynamoDB() is in use on another event loop that is still open: make one for each loop"
)


async def _converted(
    items: AsyncGenerator[Item, None],
    convert: Callable[[Item], Any],
    model: Any,
    table_name: str,
) -> AsyncGenerator[Any, None]:
    """The items of a query or a scan, as objects of a model."""
    position = 0
    async with aclosing(items):
        async for item in items:
            try:
                converted = convert(item)
            except Exception as error:
                refused = error
            else:
                yield converted
                position += 1
                continue
            raise mismatch(
                model, {position: refused}, {"Item": item}, table_name=table_name, what="item"
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _page(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer to a Query or a Scan, once it is known to be one."""
    if not isinstance(answer.get("Items"), list):
        raise codec.Malformed("it has no Items")
    if not isinstance(answer.get("LastEvaluatedKey"), dict | None):
        raise codec.Malformed("its LastEvaluatedKey is not a key")
    return answer


def _count_page(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer to a Scan that only counts, once it is known to be one."""
    if not isinstance(answer.get("Count"), int):
        raise codec.Malformed("it has no Count")
    return _page({**answer, "Items": []})


def _direction_of(operation: str) -> Direction:
    return "read" if operation in _READS else "write"


def _malformed(operation: str, reason: str) -> WireError:
    return WireError(f"malformed answer: {reason}", operation=operation)


def _checked_retry(retry: Retry | None) -> Retry | None:
    if retry is not None and not isinstance(retry, Retry):
        raise TypeError(f"retry must be an aiobatch.Retry, not {type(retry).__name__}")
    return retry


def _stream_settings(retry: Retry | None, max_pending: int | None, max_wait: float) -> Settings:
    return Settings(
        retry=_checked_retry(retry) or Retry.patient(), max_pending=max_pending, max_wait=max_wait
    )


def _checked_on_invalid(on_invalid: Literal["raise", "collect"]) -> Literal["raise", "collect"]:
    if on_invalid not in ("raise", "collect"):
        raise ValueError(f'on_invalid must be "raise" or "collect", not {on_invalid!r}')
    return on_invalid


def _checked_capacity(capacity: Capacity | None) -> Capacity | None:
    if capacity not in (None, "NONE", "TOTAL", "INDEXES"):
        raise ValueError(
            f'return_consumed_capacity must be "NONE", "TOTAL" or "INDEXES", not {capacity!r}'
        )
    return capacity


def _capacity_to_ask_for(wanted: Capacity | None, needed: bool) -> Capacity | None:
    if wanted in (None, "NONE"):
        return "TOTAL" if needed else wanted
    return wanted


def _with_capacity(
    answer: dict[str, Any], meter: Meter, capacity: Capacity | None
) -> dict[str, Any]:
    if capacity in ("TOTAL", "INDEXES"):
        answer["ConsumedCapacity"] = list(meter.capacity.values())
    return answer


def _with_own_capacity(
    shaped: dict[str, Any], answer: Mapping[str, Any], capacity: Capacity | None
) -> dict[str, Any]:
    """With the ConsumedCapacity of an answer, if the caller asked for it: a ceiling does, too."""
    if capacity is not None and "ConsumedCapacity" in answer:
        shaped["ConsumedCapacity"] = answer["ConsumedCapacity"]
    return shaped


def _refuse(unsupported: Mapping[str, object]) -> None:
    for name in unsupported:
        plain = name.replace("_", "").lower()
        if plain in ("failifexists", "expected") or "condition" in plain or "expression" in plain:
            raise ValueError(f"{name} is not for batches. {_UNSUPPORTED_IN_BATCHES}")
        raise TypeError(f"batch_write_item() got an unexpected keyword argument {name!r}")


def _raise_if_due(
    operation: str,
    where: str,
    call: BatchCall,
    told: Callable[[], str],
    view: Callable[[], dict[str, Any]],
) -> None:
    if call.must_raise:
        raise batch_error(operation, where, told, view, call.cause) from call.cause
