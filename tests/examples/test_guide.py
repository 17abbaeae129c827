"""Code written for boto3-assist runs with one import changed and one `await` a call.

The snippets below are synchronous and use boto3-assist's calls. `ported()` makes the two changes
and no other; then they run as they are, with `DynamoDB()` without arguments and tables by name.
"""

import ast
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest

from aiobatch import Retry
from aiobatch.testing import Fault, FaultProxy
from examples.models import User, sample_users
from tests.examples.conftest import Held

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

THEIR_IMPORT = "from boto3_assist.dynamodb.dynamodb import DynamoDB\n"
OUR_IMPORT = "from aiobatch import DynamoDB\n"
CALL = re.compile(r"\bdb\.(?:batch_get_item|batch_write_item|get|save|delete)\(")

BASIC_GET = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
keys = [{"pk": f"user#user-00{n}", "sk": f"user#user-00{n}"} for n in (1, 2, 99)]
response = db.batch_get_item(keys=keys, table_name="users")
items = response["Items"]
print(f"{response['Count']} found, {len(response['UnprocessedKeys'])} unprocessed")
for item in items:
    print(item["first_name"], item["last_name"])
"""

PROJECTION = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
response = db.batch_get_item(
    keys=[{"pk": "user#user-001", "sk": "user#user-001"}],
    table_name="users",
    projection_expression="id,first_name,email",
)
(item,) = response["Items"]
print(item)
"""

RESERVED_WORDS = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
response = db.batch_get_item(
    keys=[{"pk": "user#user-001", "sk": "user#user-001"}],
    table_name="users",
    projection_expression="id,#name,#status",
    expression_attribute_names={"#name": "name", "#status": "status"},
)
print(response["Items"])
"""

CONSISTENT_READ = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
db.save(item={"pk": "user#new", "sk": "user#new", "age": 30}, table_name="users")
response = db.batch_get_item(
    keys=[{"pk": "user#new", "sk": "user#new"}], table_name="users", consistent_read=True
)
print(response["Items"])
"""

PUT = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
users = [User(id=f"batch-{n:02d}", first_name=f"Batch{n}") for n in range(30)]
response = db.batch_write_item(
    items=[user.to_resource_dictionary() for user in users], table_name="users", operation="put"
)
print(response["ProcessedCount"], response["UnprocessedCount"])
"""

DELETE = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
user_ids = [f"user-{n:03d}" for n in range(30)]
keys = [{"pk": f"user#{user_id}", "sk": f"user#{user_id}"} for user_id in user_ids]
response = db.batch_write_item(items=keys, table_name="users", operation="delete")
print(f"{response['ProcessedCount']} deleted")
"""

MANY_KEYS = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
keys = [{"pk": f"user#user-{n:03d}", "sk": f"user#user-{n:03d}"} for n in range(150)]
response = db.batch_get_item(keys=keys, table_name="users")
print(response["Count"], len(response["Items"]))
"""

UNPROCESSED_KEYS = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
keys = [{"pk": f"user#user-{n:03d}", "sk": f"user#user-{n:03d}"} for n in range(20)]
response = db.batch_get_item(keys=keys, table_name="users")
found = response["Items"]
if response["UnprocessedKeys"]:
    print(f"{len(response['UnprocessedKeys'])} unprocessed")
    again = db.batch_get_item(keys=response["UnprocessedKeys"], table_name="users")
    found += again["Items"]
print(len(found), len({item["pk"] for item in found}))
"""

UNPROCESSED_ITEMS = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
items = [{"pk": f"new#{n}", "sk": "x"} for n in range(20)]
response = db.batch_write_item(items=items, table_name="users", operation="put")
if response["UnprocessedCount"] > 0:
    print(f"{response['UnprocessedCount']} unprocessed")
    response = db.batch_write_item(
        items=response["UnprocessedItems"], table_name="users", operation="put"
    )
print(response["ProcessedCount"], response["UnprocessedCount"])
"""

SINGLE_ITEMS = """
from boto3_assist.dynamodb.dynamodb import DynamoDB

db = DynamoDB()
key = {"pk": "user#one", "sk": "user#one"}
db.save(item={**key, "visits": 1.5}, table_name="users", fail_if_exists=True)
response = db.get(key=key, table_name="users")
print(response["Item"])
print("Item" in db.get(key={"pk": "user#two", "sk": "user#two"}, table_name="users"))
"""

SNIPPETS = {
    "basic get": (BASIC_GET, ["2 found, 0 unprocessed", "First1 Last1", "First2 Last2"]),
    "projection": (
        PROJECTION,
        ["{'id': 'user-001', 'first_name': 'First1', 'email': 'user1@example.com'}"],
    ),
    "reserved words": (
        RESERVED_WORDS,
        ["[{'id': 'user-001', 'name': 'First1 Last1', 'status': 'active'}]"],
    ),
    "consistent read": (
        CONSISTENT_READ,
        ["[{'pk': 'user#new', 'sk': 'user#new', 'age': 30}]"],
    ),
    "put": (PUT, ["30 0"]),
    "delete": (DELETE, ["30 deleted"]),
    "150 keys": (MANY_KEYS, ["150 150"]),
    "single items": (
        SINGLE_ITEMS,
        ["{'pk': 'user#one', 'sk': 'user#one', 'visits': 1.5}", "False"],
    ),
}


def ported(snippet: str) -> str:
    """One import changed, and one `await` a call."""
    assert snippet.count(THEIR_IMPORT) == 1
    calls = CALL.findall(snippet)
    code = CALL.sub(lambda call: f"await {call[0]}", snippet.replace(THEIR_IMPORT, OUR_IMPORT))
    assert code.count("await ") == len(calls) > 0
    return code


async def execute(code: str) -> dict[str, Any]:
    """Run a snippet as it stands, its `await`s at the top level, and return its names."""
    names: dict[str, Any] = {"User": User}
    compiled = compile(code, "<snippet>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await cast("Awaitable[None]", eval(compiled, names))
    return names


@pytest.fixture
async def users_table(raw_client: "DynamoDBClient") -> AsyncIterator[None]:
    """The table that the snippets name."""
    await raw_client.create_table(
        TableName="users",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    await raw_client.get_waiter("table_exists").wait(
        TableName="users", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    yield
    await raw_client.delete_table(TableName="users")


@pytest.fixture
async def proxy(endpoint_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultProxy]:
    """Between the backend and the endpoint that the environment names, which `DynamoDB()` uses."""
    async with FaultProxy(endpoint_url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint_url)
        yield proxy


Fill = Callable[[int], Awaitable[None]]


@pytest.fixture
async def fill(users_table: None, raw_client: "DynamoDBClient") -> Fill:
    async def fill(count: int) -> None:
        for user in sample_users(count):
            item = {name: {"S": value} for name, value in user.to_resource_dictionary().items()}
            await raw_client.put_item(TableName="users", Item=cast("Any", item))

    return fill


async def close(names: dict[str, Any]) -> None:
    # The snippets leave that to the end of the loop, and the guards look before it.
    await names["db"].aclose()


@pytest.mark.parametrize(("snippet", "printed"), SNIPPETS.values(), ids=SNIPPETS.keys())
async def test_snippet(
    snippet: str,
    printed: Sequence[str],
    fill: Fill,
    proxy: FaultProxy,
    held: Held,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await fill(150 if snippet is MANY_KEYS else 40)
    await close(await execute(ported(snippet)))
    assert capsys.readouterr().out.splitlines() == printed
    assert proxy.requests, "the snippet has not met the proxy"
    there = await held("users")
    if snippet is PUT:
        assert len(there) == 70
        assert there["user#batch-29", "user#batch-29"]["first_name"] == "Batch29"
    elif snippet is DELETE:
        assert sorted(item["id"] for item in there.values()) == [
            f"user-{n:03d}" for n in range(30, 40)
        ]


STUBBORN = {"user#user-003", "user#user-017"}


@pytest.fixture
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """`DynamoDB()` has the guide's number of retries, but not its waits of 3.1 s together."""
    # A snippet cannot be given a policy, so the default itself is another for a while.
    defaults = Retry.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "base_delay", 0.001)


@pytest.mark.usefixtures("without_waits")
async def test_unprocessed_keys(
    fill: Fill, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(20)
    at_fault = Fault.partial(entry=lambda entry: entry.value["pk"]["S"] in STUBBORN)
    # The first attempt and the guide's 5 retries.
    proxy.script([at_fault] * 6, operation="BatchGetItem")
    await close(await execute(ported(UNPROCESSED_KEYS)))
    assert capsys.readouterr().out.splitlines() == ["2 unprocessed", "20 20"]
    assert [seen.entries for seen in proxy.requests] == [20, 2, 2, 2, 2, 2, 2]


@pytest.mark.usefixtures("without_waits")
async def test_unprocessed_items(
    users_table: None, proxy: FaultProxy, held: Held, capsys: pytest.CaptureFixture[str]
) -> None:
    at_fault = Fault.partial(entry=lambda entry: entry.value["pk"]["S"] in {"new#3", "new#4"})
    proxy.script([at_fault] * 6, operation="BatchWriteItem")
    await close(await execute(ported(UNPROCESSED_ITEMS)))
    assert capsys.readouterr().out.splitlines() == ["2 unprocessed", "2 0"]
    assert len(await held("users")) == 20
