"""Each backend departs from DynamoDB exactly where its list of quirks says.

So a test may trust the list, and a new release of a backend cannot change it unnoticed. An endpoint
that the user names is not looked into: it has no list.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.backends import Backend, Quirk
from tests.backends.selection import GIVEN
from tests.conftest import TableFactory

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

# Whether the backend departs. The requests break DynamoDB's rules, and its types, on purpose.
Probe = Callable[[Any, TableFactory], Awaitable[bool]]
PROBES: dict[Quirk, Probe] = {}


def probes(quirk: Quirk) -> Callable[[Probe], Probe]:
    def register(probe: Probe) -> Probe:
        PROBES[quirk] = probe
        return probe

    return register


def put(key: str, **attributes: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"pk": {"S": key}, **attributes}}}


def keys(names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"pk": {"S": name}} for name in names]


def numbered(count: int, prefix: str = "k") -> list[str]:
    return [f"{prefix}{number:03}" for number in range(count)]


async def accepted(call: Awaitable[Any]) -> bool:
    """Whether the request went through; a refusal has to be a ValidationException."""
    try:
        await call
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return False
    return True


async def read_large(client: Any, name: str, count: int) -> dict[str, Any]:
    """Reads `count` items of 390 kB in one request, with a projection."""
    large = "z" * 390_000
    # aiohttp warns of a body over 1 MB that it is given as bytes.
    for start in range(0, count, 2):
        writes = [put(key, x={"S": large}) for key in numbered(count)[start : start + 2]]
        await client.batch_write_item(RequestItems={name: writes})
    request = {"Keys": keys(numbered(count)), "ProjectionExpression": "pk, x"}
    answer: dict[str, Any] = await client.batch_get_item(RequestItems={name: request})
    return answer


@probes(Quirk.DUPLICATE_WRITES_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    writes = [put("a", v={"S": "1"}), put("a", v={"S": "2"})]
    return await accepted(client.batch_write_item(RequestItems={await table(): writes}))


@probes(Quirk.EQUAL_ITEMS_OVER_TABLES_REFUSED)
async def _(client: Any, table: TableFactory) -> bool:
    requests = {await table(): [put("a")], await table(): [put("a")]}
    return not await accepted(client.batch_write_item(RequestItems=requests))


@probes(Quirk.TOO_MANY_WRITES_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    writes = [put(key) for key in numbered(26)]
    return await accepted(client.batch_write_item(RequestItems={await table(): writes}))


@probes(Quirk.TOO_MANY_WRITES_OVER_TABLES_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    requests = {await table(): [put(key) for key in numbered(13, prefix)] for prefix in "ab"}
    return await accepted(client.batch_write_item(RequestItems=requests))


@probes(Quirk.TOO_MANY_KEYS_OVER_TABLES_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    requests = {await table(): {"Keys": keys(numbered(51))} for _ in range(2)}
    return await accepted(client.batch_get_item(RequestItems=requests))


@probes(Quirk.EMPTY_KEYS_READABLE)
async def _(client: Any, table: TableFactory) -> bool:
    request = {await table(): {"Keys": keys([""])}}
    return await accepted(client.batch_get_item(RequestItems=request))


@probes(Quirk.WRONG_KEY_TYPES_READABLE)
async def _(client: Any, table: TableFactory) -> bool:
    request = {await table(): {"Keys": [{"pk": {"N": "1"}}]}}
    return await accepted(client.batch_get_item(RequestItems=request))


@probes(Quirk.LONG_NUMBERS_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    writes = [put("a", v={"N": "1" * 39})]
    return await accepted(client.batch_write_item(RequestItems={await table(): writes}))


@probes(Quirk.LARGE_NUMBERS_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    writes = [put("a", v={"N": "1E126"})]
    return await accepted(client.batch_write_item(RequestItems={await table(): writes}))


@probes(Quirk.EMPTY_SETS_ACCEPTED)
async def _(client: Any, table: TableFactory) -> bool:
    writes = [put("a", v={"SS": []})]
    return await accepted(client.batch_write_item(RequestItems={await table(): writes}))


@probes(Quirk.REJECTED_BATCH_PARTLY_WRITTEN)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    writes = [put("first"), {"PutRequest": {"Item": {"not the key": {"S": "x"}}}}]
    assert not await accepted(client.batch_write_item(RequestItems={name: writes}))
    return "Item" in await client.get_item(TableName=name, Key={"pk": {"S": "first"}})


@probes(Quirk.LEFTOVER_PROJECTION_LOST)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    left = (await read_large(client, name, 48))["UnprocessedKeys"]
    # A backend that leaves nothing unprocessed has nothing to lose.
    return bool(left) and "ProjectionExpression" not in left[name]


@probes(Quirk.WRITE_CAPACITY_WRONG)
async def _(client: Any, table: TableFactory) -> bool:
    writes = [put(key, v={"S": "x" * 3000}) for key in numbered(3)]
    answer = await client.batch_write_item(
        RequestItems={await table(): writes}, ReturnConsumedCapacity="TOTAL"
    )
    return float(answer["ConsumedCapacity"][0]["CapacityUnits"]) != 9.0


@probes(Quirk.READ_CAPACITY_UNTOLD)
async def _(client: Any, table: TableFactory) -> bool:
    answer = await client.batch_get_item(
        RequestItems={await table(): {"Keys": keys(["a"])}}, ReturnConsumedCapacity="TOTAL"
    )
    return not answer.get("ConsumedCapacity")


@probes(Quirk.CAPACITY_UNASKED)
async def _(client: Any, table: TableFactory) -> bool:
    answer = await client.batch_write_item(RequestItems={await table(): [put("a")]})
    return bool(answer.get("ConsumedCapacity"))


@probes(Quirk.READS_NEVER_CUT)
async def _(client: Any, table: TableFactory) -> bool:
    return not (await read_large(client, await table(), 48))["UnprocessedKeys"]


@probes(Quirk.READS_CUT_EARLY)
async def _(client: Any, table: TableFactory) -> bool:
    return bool((await read_large(client, await table(), 10))["UnprocessedKeys"])


@probes(Quirk.LARGEST_ITEMS_REFUSED)
async def _(client: Any, table: TableFactory) -> bool:
    room = 400 * 1024 - len("pk" + "a" + "v")
    item = put("a", v={"S": "x" * room})
    return not await accepted(client.batch_write_item(RequestItems={await table(): [item]}))


@probes(Quirk.EXPONENT_KEYS_NOT_FOUND)
async def _(client: Any, table: TableFactory) -> bool:
    name, key = await table("id", id="N"), {"id": {"N": "1E+125"}}
    await client.put_item(TableName=name, Item=key)
    return "Item" not in await client.get_item(TableName=name, Key=key)


@probes(Quirk.INDEXED_PLACEHOLDER_REFUSED)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    await client.put_item(TableName=name, Item={"pk": {"S": "a"}, "v": {"L": [{"S": "x"}]}})
    request = {
        "Keys": keys(["a"]),
        "ProjectionExpression": "#v[0]",
        "ExpressionAttributeNames": {"#v": "v"},
    }
    return not await accepted(client.batch_get_item(RequestItems={name: request}))


@probes(Quirk.RESERVED_WORD_IS_500)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    await client.put_item(TableName=name, Item={"pk": {"S": "a"}, "status": {"S": "x"}})
    request = {name: {"Keys": keys(["a"]), "ProjectionExpression": "pk, status"}}
    with pytest.raises(ClientError) as caught:
        await client.batch_get_item(RequestItems=request)
    return bool(caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500)


@probes(Quirk.READ_ORDER_SHUFFLED)
async def _(client: Any, table: TableFactory) -> bool:
    name, asked = await table(), numbered(25)[::-1]
    await client.batch_write_item(RequestItems={name: [put(key) for key in sorted(asked)]})
    answer = await client.batch_get_item(RequestItems={name: {"Keys": keys(asked)}})
    return [item["pk"]["S"] for item in answer["Responses"][name]] != asked


@probes(Quirk.TABLE_ARN_REFUSED)
async def _(client: Any, table: TableFactory) -> bool:
    described = await client.describe_table(TableName=await table())
    request = {described["Table"]["TableArn"]: {"Keys": keys(["a"])}}
    return not await accepted(client.batch_get_item(RequestItems=request))


@probes(Quirk.NO_TRANSACTIONS)
async def _(client: Any, table: TableFactory) -> bool:
    get = {"TableName": await table(), "Key": {"pk": {"S": "a"}}}
    try:
        await client.transact_get_items(TransactItems=[{"Get": get}])
    except ClientError as error:
        if error.response["Error"]["Code"] != "UnknownOperationException":
            raise
        return True
    return False


async def knows_transactions(client: Any, table: TableFactory) -> bool:
    """The quirks of transactions are of those backends alone that know them."""
    return not await PROBES[Quirk.NO_TRANSACTIONS](client, table)


@probes(Quirk.TRANSACTION_PROJECTIONS_IGNORED)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    if not await knows_transactions(client, table):
        return False
    await client.put_item(TableName=name, Item={"pk": {"S": "a"}, "x": {"S": "b"}})
    get = {"TableName": name, "Key": {"pk": {"S": "a"}}, "ProjectionExpression": "x"}
    answer = await client.transact_get_items(TransactItems=[{"Get": get}])
    return bool(answer["Responses"][0]["Item"] != {"x": {"S": "b"}})


@probes(Quirk.TRANSACTION_READS_LIMITED)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    if not await knows_transactions(client, table):
        return False
    gets = [{"Get": {"TableName": name, "Key": key}} for key in keys(numbered(26))]
    return not await accepted(client.transact_get_items(TransactItems=gets))


@probes(Quirk.TRANSACTION_TOKENS_IGNORED)
async def _(client: Any, table: TableFactory) -> bool:
    name = await table()
    if not await knows_transactions(client, table):
        return False
    add = {
        "TableName": name,
        "Key": {"pk": {"S": "a"}},
        "UpdateExpression": "ADD hits :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        await client.transact_write_items(
            TransactItems=[{"Update": add}], ClientRequestToken="the-same"
        )
    answer = await client.get_item(TableName=name, Key={"pk": {"S": "a"}})
    return bool(answer["Item"]["hits"]["N"] == "2")


@probes(Quirk.NO_KEEP_ALIVE)
async def _(client: Any, table: TableFactory) -> bool:
    answer = await client.list_tables()
    return bool(answer["ResponseMetadata"]["HTTPHeaders"].get("connection") == "close")


@pytest.mark.parametrize("quirk", Quirk, ids=lambda quirk: quirk.name.lower())
async def test_the_list_of_quirks_is_true(
    quirk: Quirk, backend: Backend, raw_client: "DynamoDBClient", table: TableFactory
) -> None:
    if backend.name == GIVEN:
        return
    assert await PROBES[quirk](raw_client, table) is (quirk in backend.quirks)
