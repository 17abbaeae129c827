"""Users' code as type checkers see it. Nothing here runs; mypy and pyright read it, both strict."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, assert_type

import attrs
import msgspec
from botocore.config import Config
from pydantic import BaseModel

import aiobatch
from aiobatch import (
    BatchError,
    BatchGetResponse,
    BatchTimeout,
    BatchWriter,
    BatchWriteResponse,
    ConditionCheck,
    ConditionFailed,
    Delete,
    DynamoDB,
    Get,
    InvalidEntry,
    InvalidItem,
    Item,
    ItemResponse,
    ItemStream,
    Loader,
    LoaderStats,
    Metrics,
    ModelMismatch,
    OrderedBatchGetResponse,
    Put,
    ReadReport,
    RejectedEntry,
    Retry,
    ScanPage,
    ServiceError,
    TablesGetResponse,
    TablesWriteResponse,
    TableWriteResponse,
    TransactGetResponse,
    TransactWriteResponse,
    Update,
    WriteReport,
    WriteResponse,
)
from aiobatch.events import CallFinished, Event


@dataclass
class User:
    pk: str


class Person(BaseModel):
    pk: str


class Row(msgspec.Struct):
    pk: str


@attrs.define
class Thing:
    pk: str


def making() -> None:
    DynamoDB()
    DynamoDB(
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:8000",
        config=Config(read_timeout=5),
        max_concurrency=8,
        retry=Retry(max_retries=3, jitter=1.0),
        numbers="strict",
        max_read_units=100,
        max_write_units=0.5,
        key_names={"users": ("pk",), "orders": ("customer", "number")},
        wire="aiobotocore",
        serialize=str,
    )
    assert_type(Retry.patient(), Retry)


async def opening() -> None:
    async with DynamoDB() as db:
        assert_type(db, DynamoDB)
    await db.aclose()


async def reading(db: DynamoDB, keys: Iterator[dict[str, str]], flag: bool) -> None:
    plain = await db.batch_get_item([{"pk": "a"}], "users")
    assert_type(plain, BatchGetResponse)
    assert_type(plain["Items"], list[Item])
    assert_type(plain["Items"][0], dict[str, Any])
    assert_type(plain["Count"], int)
    assert_type(plain["MissingKeys"], list[Any])
    assert_type(plain["UnprocessedKeys"], list[Any])
    assert_type(plain["Metrics"], Metrics)
    assert_type(plain["Metrics"]["seconds"], float)
    assert_type(plain.get("RejectedKeys"), list[RejectedEntry] | None)
    assert_type(plain.get("ConsumedCapacity"), list[dict[str, Any]] | None)

    ordered = await db.batch_get_item(keys, "users", ordered=True)
    assert_type(ordered, OrderedBatchGetResponse)
    assert_type(ordered["Items"], list[dict[str, Any] | None])

    unordered = await db.batch_get_item(keys, "users", ordered=False)
    assert_type(unordered, BatchGetResponse)

    # Whether it is ordered is only known at run time.
    either = await db.batch_get_item(keys, "users", ordered=flag)
    assert_type(either, BatchGetResponse | OrderedBatchGetResponse)

    again = await db.batch_get_item(
        plain["UnprocessedKeys"],
        "users",
        projection_expression="pk, #n",
        expression_attribute_names={"#n": "name"},
        consistent_read=True,
        return_consumed_capacity="TOTAL",
        retry=Retry(),
        timeout=1.5,
    )
    assert_type(again, BatchGetResponse)


async def writing(db: DynamoDB) -> None:
    await db.batch_write_item([User("a"), Person(pk="b"), Row(pk="c"), Thing("d")], "users")
    written = await db.batch_write_item([{"pk": "a", "price": Decimal("1.5")}], "users")
    assert_type(written, BatchWriteResponse)
    assert_type(written["ProcessedCount"], int)
    assert_type(written["UnprocessedItems"], list[Any])
    assert_type(written.get("UnknownItems"), list[Any] | None)
    assert_type(written.get("RejectedItems"), list[RejectedEntry] | None)
    await db.batch_write_item((User(str(n)) for n in range(3)), "users")
    await db.batch_write_item([{"pk": "a"}], "users", operation="delete", timeout=3)
    await db.batch_write_item(written["UnprocessedItems"], "users", operation="put")


async def single_items(db: DynamoDB) -> None:
    found = await db.get({"pk": "a"}, "users", consistent_read=True)
    assert_type(found, ItemResponse)
    assert_type(found.get("Item"), dict[str, Any] | None)
    saved = await db.save({"pk": "a"}, "users", fail_if_exists=True)
    assert_type(saved, WriteResponse)
    await db.save(
        User("a"),
        "users",
        condition_expression="#v = :v",
        expression_attribute_names={"#v": "version"},
        expression_attribute_values={":v": 1},
        return_values="ALL_OLD",
    )
    deleted = await db.delete({"pk": "a"}, "users")
    assert_type(deleted.get("Attributes"), dict[str, Any] | None)


async def querying(db: DynamoDB) -> AsyncIterator[str]:
    query = db.query("users", "pk = :pk", expression_attribute_values={":pk": "a"}, limit=5)
    async for item in query:
        assert_type(item, dict[str, Any])
        yield item["sk"]
    await query.aclose()
    listed = [
        item
        async for item in db.query(
            "users", "pk = :pk", expression_attribute_values={":pk": "a"}, ascending=False
        )
    ]
    assert_type(listed, list[dict[str, Any]])


async def scanning(db: DynamoDB) -> None:
    async for item in db.scan("users", segment=0, total_segments=2, limit=5):
        assert_type(item, dict[str, Any])
    async for user in db.scan("users", model=User):
        assert_type(user, User)
    async for page in db.scan_pages("users"):
        assert_type(page, ScanPage)
        assert_type(page["Items"], list[dict[str, Any]])


def shout(item: dict[str, Any]) -> str:
    return str(item).upper()


async def typed(db: DynamoDB, flag: bool) -> None:
    plain = await db.batch_get_item([{"pk": "a"}], "users", model=User)
    assert_type(plain, BatchGetResponse[User])
    assert_type(plain["Items"], list[User])
    ordered = await db.batch_get_item([{"pk": "a"}], "users", ordered=True, model=User)
    assert_type(ordered["Items"], list[User | None])
    either = await db.batch_get_item([{"pk": "a"}], "users", ordered=flag, model=shout)
    assert_type(either, BatchGetResponse[str] | OrderedBatchGetResponse[str])
    one = await db.get({"pk": "a"}, "users", model=User)
    assert_type(one, ItemResponse[User])
    assert_type(one.get("Item"), User | None)
    loud = await db.get({"pk": "a"}, "users", model=shout)
    assert_type(loud, ItemResponse[str])
    async for user in db.query(
        "users", "pk = :pk", expression_attribute_values={":pk": "a"}, model=User
    ):
        assert_type(user, User)
    modelled = await db.get({"pk": "a"}, "users", model=lambda item: item["n"] + 1)
    assert_type(modelled, ItemResponse[Any])
    # As they stand in the annotations of users who have no models.
    answer: BatchGetResponse = await db.batch_get_item([], "users")
    assert_type(answer["Items"], list[dict[str, Any]])


async def typed_by_each_kind_of_model(db: DynamoDB, keys: list[dict[str, str]]) -> None:
    people = await db.batch_get_item(keys, "users", model=Person)
    assert_type(people["Items"], list[Person])
    assert_type(people["Items"][0].pk, str)
    assert_type(people.get("RejectedKeys"), list[RejectedEntry] | None)
    rows = await db.batch_get_item(keys, "users", model=Row, ordered=True)
    assert_type(rows, OrderedBatchGetResponse[Row])
    assert_type(rows["Items"], list[Row | None])
    thing = await db.get({"pk": "a"}, "users", model=Thing)
    assert_type(thing.get("Item"), Thing | None)
    found = db.query("users", "a", expression_attribute_values={}, model=Person.model_validate)
    assert_type([person async for person in found], list[Person])
    # A model that is only known at run time, or is none.
    model: type[Person] | None = Person if keys else None
    if model is None:
        assert_type(await db.get({"pk": "a"}, "users", model=model), ItemResponse)
    else:
        assert_type(await db.get({"pk": "a"}, "users", model=model), ItemResponse[Person])


async def several_tables(db: DynamoDB) -> None:
    read = await db.batch_get(
        {
            "users": [{"pk": "a"}],
            "orders": {"keys": [{"pk": "a"}], "consistent_read": True, "model": User},
        },
        timeout=1,
    )
    assert_type(read, TablesGetResponse)
    assert_type(read["Tables"]["users"]["Items"], list[Any])
    await db.batch_get(read["UnprocessedKeys"])
    written = await db.batch_write({"users": [Put(User("a")), Delete({"pk": "b"})]})
    assert_type(written, TablesWriteResponse)
    assert_type(written["Tables"]["users"], TableWriteResponse)
    await db.batch_write(written["UnprocessedItems"])
    try:
        await db.batch_get({})
    except ModelMismatch as error:
        assert_type(error.errors, dict[int, Exception])


async def transacting(db: DynamoDB) -> None:
    done = await db.transact_write_items(
        [
            Put(User("a"), "users", condition_expression="attribute_not_exists(pk)"),
            Update({"pk": "b"}, "users", "REMOVE a"),
            ConditionCheck({"pk": "c"}, "users", "attribute_exists(pk)"),
            Delete({"pk": "d"}, "users"),
        ],
        client_request_token="once",
    )
    assert_type(done, TransactWriteResponse)
    read = await db.transact_get_items([Get({"pk": "a"}, "users", model=User)])
    assert_type(read, TransactGetResponse)
    updated = await db.update({"pk": "a"}, "users", "REMOVE a", return_values="ALL_NEW")
    assert_type(updated, WriteResponse)
    await db.update({"pk": "a"}, "users", "ADD n :n", idempotent=True)


def watching() -> None:
    def watch(event: Event) -> None:
        if isinstance(event, CallFinished):
            assert_type(event.seconds, float)
            assert_type(event.error_type, str | None)

    DynamoDB(hooks=[watch, print])


async def failing(db: DynamoDB) -> None:
    try:
        await db.batch_write_item([], "users")
    except InvalidItem as error:
        assert_type(error.index, int | None)
        assert_type(error.path, str)
        assert_type(error.reason, str)
    except BatchTimeout as error:
        assert_type(error.cause, BaseException | None)
    except BatchError as error:
        print(error.response["ProcessedCount"])
        if isinstance(error.cause, ServiceError):
            assert_type(error.cause.code, str)
            assert_type(error.cause.status, int)
            assert_type(error.cause.request_id, str | None)
            assert_type(error.cause.throttling_reasons, list[dict[str, Any]])
    except ConditionFailed as error:
        assert_type(error.after_retry, bool)
    except aiobatch.AiobatchError:
        raise


async def loading(db: DynamoDB, flag: bool) -> None:
    users = db.loader("users", max_wait=0.002, max_batch=50, cache={}, retry=Retry())
    assert_type(users, Loader)
    assert_type(await users.load({"pk": "a"}), dict[str, Any] | None)
    assert_type(await users.load_many([User("a")]), list[dict[str, Any] | None])
    assert_type(
        await users.load_many([{"pk": "a"}], return_exceptions=True),
        list[dict[str, Any] | BaseException | None],
    )
    await users.load_many([{"pk": "a"}], return_exceptions=flag)
    users.prime({"pk": "a"}, {"pk": "a"})
    users.prime({"pk": "b"}, None)
    users.clear({"pk": "a"})
    users.clear()
    assert_type(users.stats, LoaderStats)
    assert_type(users.stats.batches, int)
    typed = db.loader("users", model=User, cache={})
    assert_type(typed, Loader[User])
    assert_type(await typed.load({"pk": "a"}), User | None)
    assert_type(await typed.load_many([{"pk": "a"}]), list[User | None])
    assert_type(
        await typed.load_many([{"pk": "a"}], return_exceptions=True),
        list[User | BaseException | None],
    )
    assert_type(db.loader("users", model=shout), Loader[str])


async def streaming(db: DynamoDB, keys: AsyncIterator[dict[str, str]]) -> None:
    missing: list[dict[str, str]] = []
    async with db.iter_get(keys, "users", on_missing=missing.append) as items:
        assert_type(items, ItemStream)
        async for item in items:
            assert_type(item, dict[str, Any])
    assert_type(items.report, ReadReport)
    assert_type(items.report.missing, int)
    assert_type(items.report.unprocessed_keys, list[Any])
    assert_type(items.report.metrics, Metrics)
    assert_type(items.report.invalid_keys, list[InvalidEntry])
    async with db.iter_get(keys, "users", model=User) as found:
        assert_type(found, ItemStream[User])
        async for user in found:
            assert_type(user, User)
    assert_type(db.iter_get([User("a")], "users", model=shout), ItemStream[str])
    db.iter_get([User("a")], "users", on_invalid="collect", max_pending=500, retry=Retry())

    async with db.batch_writer("users", max_wait=1) as writer:
        assert_type(writer, BatchWriter)
        await writer.put(User("a"))
        await writer.delete({"pk": "a"})
        await writer.flush()
        assert_type(writer.report, WriteReport)
        assert_type(writer.report.unknown, int)

    report = await db.bulk_write(
        (User(str(number)) for number in range(3)),
        "users",
        operation="put",
        on_progress=lambda report: print(report.processed),
        on_invalid="collect",
    )
    assert_type(report, WriteReport)
    assert_type(report.rejected_items, list[RejectedEntry])
    assert_type(report.invalid_items[0]["path"], str)
    await db.bulk_write(keys, "users", operation="delete", on_progress=follow)


def follow(report: WriteReport) -> None:
    print(report.accepted, report.pending, report.take())


async def together(db: DynamoDB) -> None:
    async with asyncio.TaskGroup() as group:
        read = group.create_task(db.batch_get_item([{"pk": "a"}], "users"))
        written = group.create_task(db.batch_write_item([{"pk": "a"}], "users"))
    assert_type(read.result(), BatchGetResponse)
    assert_type(written.result(), BatchWriteResponse)
