"""``model=`` on every read, over real servers."""

from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

from aiobatch import BatchError, DynamoDB, ModelMismatch, Put
from aiobatch.testing import Fault, FaultProxy
from tests.backends import Backend
from tests.conformance.conftest import Connect, SentLog
from tests.conformance.test_reads import key_of, users
from tests.conftest import TableFactory


class PydanticUser(pydantic.BaseModel):
    pk: str
    n: int


@dataclass
class DataclassUser:
    pk: str
    n: int


class StructUser(msgspec.Struct):
    pk: str
    n: int


@attrs.define
class AttrsUser:
    pk: str
    n: int


MODELS: list[Any] = [PydanticUser, DataclassUser, StructUser, AttrsUser]


@pytest.mark.parametrize("model", MODELS)
async def test_objects_are_written_and_read(model: Any, db: DynamoDB, table: TableFactory) -> None:
    name, keys = await table(), [key_of(item) for item in users(130)]
    objects = [model(**item) for item in users(130)]
    assert (await db.batch_write_item(objects, name))["ProcessedCount"] == 130
    read = await db.batch_get_item([*keys, {"pk": "nobody"}], name, model=model)
    assert read["Items"] == objects
    assert (read["Count"], read["MissingKeys"]) == (130, [{"pk": "nobody"}])
    ordered = await db.batch_get_item(
        [{"pk": "nobody"}, keys[0], keys[0]], name, ordered=True, model=model
    )
    assert ordered["Items"] == [None, objects[0], objects[0]]
    assert (await db.get(keys[3], name, model=model)).get("Item") == objects[3]
    assert "Item" not in await db.get({"pk": "nobody"}, name, model=model)
    found = db.query(name, "pk = :k", expression_attribute_values={":k": "user#0001"}, model=model)
    assert [item async for item in found] == [objects[1]]
    both = await db.batch_get({name: {"keys": keys[:2], "model": model}})
    assert both["Tables"][name]["Items"] == objects[:2]


async def test_a_projection_gives_the_model_what_was_asked_for(
    db: DynamoDB, table: TableFactory
) -> None:
    name = await table()
    await db.batch_write_item(users(2), name)
    read = await db.batch_get_item(
        [{"pk": "user#0001"}], name, projection_expression="n", model=dict.keys
    )
    assert [list(keys) for keys in read["Items"]] == [["n"]]


async def test_loaders_and_streams_take_models(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name, keys = await table(), [key_of(item) for item in users(130)]
    await db.batch_write_item([*users(130), {"pk": "odd", "n": "secret"}], name)
    sent.clear()
    for model in MODELS:
        loader = db.loader(name, model=model)
        assert await loader.load_many([*keys, {"pk": "nobody"}]) == [
            *(model(**item) for item in users(130)),
            None,
        ]
        async with db.iter_get(keys, name, model=model) as items:
            found = [one async for one in items]
        assert sorted(found, key=lambda one: str(one.pk)) == [model(**item) for item in users(130)]
    good, odd = await db.loader(name, model=PydanticUser).load_many(
        [keys[0], {"pk": "odd"}], return_exceptions=True
    )
    assert good == PydanticUser(pk="user#0000", n=0)
    assert isinstance(odd, ModelMismatch)
    assert odd.response["Items"] == [{"pk": "odd", "n": "secret"}]
    async with db.iter_get([{"pk": "odd"}], name, model=PydanticUser) as stream:
        with pytest.raises(ModelMismatch) as caught:
            await anext(stream)
    assert caught.value.response["Items"] == [{"pk": "odd", "n": "secret"}]
    assert (stream.report.accepted, stream.report.processed) == (1, 1)
    assert set(sent.operations) == {"BatchGetItem"}


async def test_a_refused_item_loses_nothing(
    db: DynamoDB, table: TableFactory, sent: SentLog
) -> None:
    name = await table()
    await db.batch_write_item([*users(120), {"pk": "odd", "n": "secret"}, {"pk": "bad"}], name)
    keys = [{"pk": "odd"}, *map(key_of, users(120)), {"pk": "odd"}, {"pk": "bad"}]
    with pytest.raises(ModelMismatch) as caught:
        await db.batch_get_item(keys, name, model=PydanticUser)
    error = caught.value
    assert list(error.errors) == [0, 122]
    assert error.response["Count"] == 122
    assert error.response["Items"][0] == {"pk": "odd", "n": "secret"}
    assert error.response["Items"][1] == PydanticUser(pk="user#0000", n=0)
    assert error.response["Items"][-1] == {"pk": "bad"}
    assert "secret" not in str(error)
    assert f"{error!r}".count("odd") == 0
    # The call was a success to DynamoDB: nothing is sent again.
    assert sent.operations.count("BatchGetItem") == 2


async def test_refusals_of_single_reads(db: DynamoDB, table: TableFactory) -> None:
    name = await table("pk", "n", n="N")
    await db.batch_write_item([{"pk": "a", "n": n} for n in range(3)], name)
    await db.save({"pk": "a", "n": 3, "bad": True}, name)

    def strict(item: dict[str, Any]) -> int:
        if "bad" in item:
            raise ValueError("secret")
        return int(item["n"])

    with pytest.raises(
        ModelMismatch, match=r"strict refused the item of key 0 \(ValueError\)"
    ) as one:
        await db.get({"pk": "a", "n": 3}, name, model=strict)
    assert one.value.response["Item"] == {"pk": "a", "n": 3, "bad": True}
    query = db.query(name, "pk = :k", expression_attribute_values={":k": "a"}, model=strict)
    assert [await anext(query) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ModelMismatch, match="refused item 3") as many:
        await anext(query)
    assert many.value.response["Item"] == {"pk": "a", "n": 3, "bad": True}
    other = await table()
    await db.batch_write({name: [Put({"pk": "b", "n": 1, "bad": 1})], other: [Put({"pk": "c"})]})
    with pytest.raises(ModelMismatch) as both:
        await db.batch_get(
            {other: [{"pk": "c"}], name: {"keys": [{"pk": "b", "n": 1}], "model": strict}}
        )
    assert both.value.table_name == name
    assert both.value.response["Tables"][other]["Items"] == [{"pk": "c"}]
    assert both.value.response["Tables"][name]["Items"] == [{"pk": "b", "n": 1, "bad": 1}]


async def test_an_error_has_objects_in_its_account(
    backend: Backend, connect: Connect, table: TableFactory
) -> None:
    name = await table()
    async with FaultProxy(backend.endpoint_url) as proxy:
        db = connect(endpoint_url=proxy.endpoint_url, max_concurrency=1)
        await db.batch_write_item(users(130), name)
        proxy.script([Fault.none(), Fault.access_denied()], operation="BatchGetItem")
        with pytest.raises(BatchError) as caught:
            await db.batch_get_item(map(key_of, users(130)), name, model=DataclassUser)
        assert caught.value.response["Items"] == [DataclassUser(**item) for item in users(100)]


async def test_a_model_that_cannot_be_one_is_refused_at_once(db: DynamoDB, sent: SentLog) -> None:
    wrong: Any = "User"
    with pytest.raises(TypeError, match="model must be"):
        await db.batch_get_item([{"pk": "a"}], "users", model=wrong)
    with pytest.raises(TypeError, match="model must be"):
        await db.get({"pk": "a"}, "users", model=wrong)
    with pytest.raises(TypeError, match="model must be"):
        await db.batch_get({"users": {"keys": [], "model": wrong}})
    with pytest.raises(TypeError, match="model must be"):
        db.query("users", "pk = :k", expression_attribute_values={":k": "a"}, model=wrong)
    with pytest.raises(TypeError, match="model must be"):
        db.loader("users", model=wrong)
    with pytest.raises(TypeError, match="model must be"):
        db.iter_get([], "users", model=wrong)
    assert not sent
