"""Wrong uses, each of which a type checker must refuse.

An `ignore` that hides no error is an error itself: `warn_unused_ignores` is a part of `--strict`.
"""

from aiobatch import DynamoDB, Get, Retry, Update


def making() -> None:
    DynamoDB("eu-west-1")  # type: ignore[call-arg]
    DynamoDB(region="eu-west-1")  # type: ignore[call-arg]
    DynamoDB(numbers="float")  # type: ignore[arg-type]
    DynamoDB(wire="copper")  # type: ignore[arg-type]
    DynamoDB(max_concurrency="16")  # type: ignore[arg-type]
    DynamoDB(retry=5)  # type: ignore[arg-type]
    DynamoDB(key_names={"users": "pk"})  # type: ignore[dict-item]
    DynamoDB(config={"read_timeout": 5})  # type: ignore[arg-type]
    Retry(3)  # type: ignore[call-arg]
    Retry(on_progress="keep")  # type: ignore[arg-type]
    Retry().max_retries = 7  # type: ignore[misc]


async def reading(db: DynamoDB) -> None:
    await db.batch_get_item("users", [{"pk": "a"}])  # type: ignore[call-overload]
    await db.batch_get_item([{"pk": "a"}])  # type: ignore[call-overload]
    await db.batch_get_item([{"pk": "a"}], "users", True)  # type: ignore[call-overload]
    await db.batch_get_item([], "users", filter_expression="a")  # type: ignore[call-overload]
    await db.batch_get_item([], "users", timeout="5")  # type: ignore[call-overload]
    await db.batch_get_item(None, "users")  # type: ignore[call-overload]
    await db.batch_get_item([], "users", return_consumed_capacity="ALL")  # type: ignore[call-overload]
    plain = await db.batch_get_item([{"pk": "a"}], "users")
    plain["Responses"]  # type: ignore[typeddict-item]
    plain["UnknownItems"]  # type: ignore[typeddict-item]
    ordered = await db.batch_get_item([{"pk": "a"}], "users", ordered=True)
    # It may be None.
    ordered["Items"][0]["pk"]  # type: ignore[index]
    db.batch_get_item([], "users")  # type: ignore[unused-coroutine]


async def writing(db: DynamoDB) -> None:
    await db.batch_write_item([], "users", operation="update")  # type: ignore[arg-type]
    await db.batch_write_item([], "users", "delete")  # type: ignore[call-arg]
    await db.batch_write_item([], "users", condition_expression="a = b")  # type: ignore[arg-type]
    await db.batch_write_item([], "users", fail_if_exists=True)  # type: ignore[arg-type]
    await db.batch_write_item(None, "users")  # type: ignore[arg-type]
    written = await db.batch_write_item([], "users")
    written["Items"]  # type: ignore[typeddict-item]


async def single_items(db: DynamoDB) -> None:
    await db.get({"pk": "a"})  # type: ignore[call-overload]
    await db.get({"pk": "a"}, "users", ordered=True)  # type: ignore[call-overload]
    await db.save({"pk": "a"}, "users", True)  # type: ignore[call-arg]
    await db.save({"pk": "a"}, "users", return_values="ALL_NEW")  # type: ignore[arg-type]
    await db.delete({"pk": "a"}, "users", fail_if_exists=True)  # type: ignore[call-arg]


async def querying(db: DynamoDB) -> None:
    values = {":pk": "a"}
    await db.query("users", "pk = :pk", expression_attribute_values=values)  # type: ignore[misc]
    db.query("users", "pk = :pk")  # type: ignore[call-overload]
    for _ in db.query("users", "a", expression_attribute_values=values):  # type: ignore[attr-defined]
        pass


async def loading(db: DynamoDB) -> None:
    db.loader("users", cache=True)  # type: ignore[call-overload]
    db.loader("users", model="User")  # type: ignore[call-overload]
    loaded = await db.loader("users").load({"pk": "a"})
    # It may be None.
    loaded["pk"]  # type: ignore[index]
    [one] = await db.loader("users").load_many([{"pk": "a"}], return_exceptions=True)
    one["pk"]  # type: ignore[index]


async def streaming(db: DynamoDB) -> None:
    async for _ in db.iter_get(None, "users"):  # type: ignore[call-overload]
        pass
    with db.batch_writer("users"):  # type: ignore[attr-defined]
        pass
    db.iter_get([], "users", on_invalid="skip")  # type: ignore[call-overload]
    db.iter_get([], "users", model=7)  # type: ignore[call-overload]
    await db.bulk_write([], "users", operation="update")  # type: ignore[arg-type]
    report = await db.bulk_write([], "users")
    print(report.missing)  # type: ignore[attr-defined]


class Model:
    def __init__(self, item: dict[str, object]) -> None:
        self.item = item


async def typed(db: DynamoDB) -> None:
    await db.get({"pk": "a"}, "users", model="Model")  # type: ignore[call-overload]
    await db.batch_get_item([], "users", model=7)  # type: ignore[call-overload]
    typed = await db.batch_get_item([], "users", model=Model)
    # It is an object, no mapping.
    typed["Items"][0]["pk"]  # type: ignore[index]
    ordered = await db.batch_get_item([], "users", model=Model, ordered=True)
    # It may be None.
    print(ordered["Items"][0].item)  # type: ignore[union-attr]
    one = await db.get({"pk": "a"}, "users", model=Model)
    print(one["Item"].pk)  # type: ignore[attr-defined]


async def several_tables(db: DynamoDB) -> None:
    await db.batch_write({"users": [{"pk": "a"}, 7]})  # type: ignore[list-item]
    await db.batch_write({"users": [Get({"pk": "a"}, "users")]})  # type: ignore[list-item]
    await db.transact_write_items([Get({"pk": "a"}, "users")])  # type: ignore[list-item]
    await db.transact_get_items([{"pk": "a"}])  # type: ignore[list-item]
    await db.update({"pk": "a"}, "users")  # type: ignore[call-arg]
    Update({"pk": "a"}, "users")  # type: ignore[call-arg]
    DynamoDB(hooks=[len])  # type: ignore[list-item]
