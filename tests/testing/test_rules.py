"""FakeWire holds requests to DynamoDB's rules: raw ones, which no client of ours would send."""

from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from aiobatch import ServiceError
from aiobatch.testing import FakeWire
from aiobatch.wire.opening import open_wire
from aiobatch.wire.protocol import Request, Wire
from aiobatch.wire.settings import ConnectionSettings
from tests.backends import Backend
from tests.conftest import REGION, TableFactory

T, U = "<table>", "<table with a sort key>"
INVALID, MALFORMED, MISSING = (
    "ValidationException",
    "SerializationException",
    "ResourceNotFoundException",
)
A = {"pk": {"S": "a"}}


@dataclass(frozen=True)
class Case:
    """A request and the code that DynamoDB refuses it with; None where it is taken.

    `otherwise` are the servers that treat it otherwise than DynamoDB.
    """

    name: str
    code: str | None
    operation: str
    content: Any
    otherwise: str = ""

    def body(self, *names: str) -> bytes:
        body = orjson.dumps(self.content)
        for placeholder, name in zip((T, U), names, strict=True):
            body = body.replace(placeholder.encode(), name.encode())
        return body


def put(item: Any, table: str = T) -> dict[str, Any]:
    return {"TableName": table, "Item": item}


def attribute(value: Any) -> dict[str, Any]:
    return put({**A, "a": value})


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "deep"}
    for _ in range(levels - 1):
        value = {"L": [value]}
    return value


def reads(*keys: Any, table: str = T) -> dict[str, Any]:
    return {"RequestItems": {table: {"Keys": list(keys)}}}


def writes(*requests: Any, table: str = T) -> dict[str, Any]:
    return {"RequestItems": {table: list(requests)}}


def put_request(n: int) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"pk": {"S": str(n)}}}}


def query(condition: str, values: Any, table: str = U, **more: Any) -> dict[str, Any]:
    return {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        **more,
    }


def transaction(*operations: Any) -> dict[str, Any]:
    return {"TransactItems": list(operations)}


def update(expression: str, values: Any = None, **more: Any) -> dict[str, Any]:
    given = {} if values is None else {"ExpressionAttributeValues": values}
    return {"TableName": T, "Key": A, "UpdateExpression": expression, **given, **more}


V = {":v": {"S": "a"}}

CASES = [
    # Tables and keys.
    Case("no such table", MISSING, "GetItem", {"TableName": "nowhere-at-all", "Key": A}),
    Case("a key", None, "GetItem", {"TableName": T, "Key": A}),
    Case("half a key", INVALID, "GetItem", {"TableName": U, "Key": A}),
    Case("more than a key", INVALID, "GetItem", {"TableName": T, "Key": {**A, "b": {"S": "c"}}}),
    Case(
        "a key of another type",
        INVALID,
        "GetItem",
        {"TableName": T, "Key": {"pk": {"N": "1"}}},
        otherwise="moto",
    ),
    Case("an item without its key", INVALID, "PutItem", put({"a": {"S": "b"}})),
    Case(
        "an item whose key has two types",
        INVALID,
        "PutItem",
        put({"pk": {"S": "a", "N": "1"}}),
        otherwise="moto",
    ),
    Case("an empty key", INVALID, "PutItem", put({"pk": {"S": ""}})),
    Case("a partition key of 2048 bytes", None, "PutItem", put({"pk": {"S": "a" * 2048}})),
    Case("a partition key of 2049 bytes", INVALID, "PutItem", put({"pk": {"S": "a" * 2049}})),
    Case("a sort key of 1024 bytes", None, "PutItem", put({**A, "sk": {"S": "a" * 1024}}, U)),
    Case("a sort key of 1025 bytes", INVALID, "PutItem", put({**A, "sk": {"S": "a" * 1025}}, U)),
    # Values.
    Case("an item that is none", MALFORMED, "PutItem", put(7), otherwise="moto ministack"),
    Case("400 KB", None, "PutItem", attribute({"S": "x" * (400 * 1024 - 4)}), otherwise="moto"),
    Case("400 KB and a byte", INVALID, "PutItem", attribute({"S": "x" * (400 * 1024 - 3)})),
    Case("two types", INVALID, "PutItem", attribute({"S": "a", "N": "1"}), otherwise="moto"),
    Case("no type", INVALID, "PutItem", attribute({}), otherwise="moto"),
    Case("no such type", INVALID, "PutItem", attribute({"X": "1"}), otherwise="moto"),
    Case("a string that is none", MALFORMED, "PutItem", attribute({"S": 1}), otherwise="ministack"),
    Case(
        "a boolean that is none",
        MALFORMED,
        "PutItem",
        attribute({"BOOL": 1}),
        otherwise="moto ministack",
    ),
    Case("32 levels", None, "PutItem", attribute(nested(32))),
    Case("33 levels", INVALID, "PutItem", attribute(nested(33)), otherwise="moto dynalite"),
    Case("no number", INVALID, "PutItem", attribute({"N": "one"})),
    Case("no number in a map", INVALID, "PutItem", attribute({"M": {"n": {"N": "0x1"}}})),
    Case("39 digits", INVALID, "PutItem", attribute({"N": "1" * 39}), otherwise="moto"),
    Case("1E126", INVALID, "PutItem", attribute({"N": "1E126"}), otherwise="moto"),
    Case("1E-131", INVALID, "PutItem", attribute({"N": "1E-131"})),
    Case("0E200", None, "PutItem", attribute({"N": "0E200"}), otherwise="ministack"),
    Case("no base64", MALFORMED, "PutItem", attribute({"B": "*"}), otherwise="moto ministack"),
    Case("an empty set", INVALID, "PutItem", attribute({"SS": []})),
    Case(
        "a number twice in a set",
        INVALID,
        "PutItem",
        attribute({"NS": ["1", "1.0"]}),
        otherwise="moto",
    ),
    Case("a set of bytes", None, "PutItem", attribute({"BS": ["AQ==", "Ag=="]})),
    Case("all kinds", None, "PutItem", attribute({"L": [{"NULL": True}, {"BOOL": False}]})),
    # Batches.
    Case("a read of nothing", INVALID, "BatchGetItem", {"RequestItems": {}}, otherwise="moto"),
    Case("a read without keys", INVALID, "BatchGetItem", reads(), otherwise="moto"),
    Case("101 keys", INVALID, "BatchGetItem", reads(*[{"pk": {"S": str(n)}} for n in range(101)])),
    Case("a key twice", INVALID, "BatchGetItem", reads(A, A)),
    Case("a write of nothing", INVALID, "BatchWriteItem", {"RequestItems": {}}, otherwise="moto"),
    Case("25 writes", None, "BatchWriteItem", writes(*map(put_request, range(25)))),
    Case(
        "26 writes",
        INVALID,
        "BatchWriteItem",
        writes(*map(put_request, range(26))),
        otherwise="moto",
    ),
    Case("an item twice", INVALID, "BatchWriteItem", writes(put_request(1), put_request(1))),
    Case(
        "a put and a delete of one item",
        INVALID,
        "BatchWriteItem",
        writes({"PutRequest": {"Item": A}}, {"DeleteRequest": {"Key": A}}),
        otherwise="moto",
    ),
    Case(
        "a put and a delete in one",
        INVALID,
        "BatchWriteItem",
        writes({"PutRequest": {"Item": A}, "DeleteRequest": {"Key": A}}),
        otherwise="moto ministack dynalite",
    ),
    Case("a write of no kind", INVALID, "BatchWriteItem", writes({}), otherwise="moto ministack"),
    Case(
        "a write of a kind unknown",
        INVALID,
        "BatchWriteItem",
        writes({"Upsert": {"Item": A}}),
        otherwise="moto ministack",
    ),
    # Queries.
    Case("a partition", None, "Query", query("pk = :v", V)),
    Case("no partition", INVALID, "Query", query("sk = :v", V)),
    Case("no attribute of the key", INVALID, "Query", query("pk = :v AND x = :v", V)),
    Case("no condition", INVALID, "Query", query("pk ~ :v", V)),
    Case("a value that is not there", INVALID, "Query", query("pk = :w", V)),
    Case("a name that is not there", INVALID, "Query", query("#p = :v", V)),
    # Projections.
    Case(
        "a name that no projection has",
        INVALID,
        "GetItem",
        {"TableName": T, "Key": A, "ProjectionExpression": "#a"},
        otherwise="moto",
    ),
    # Transactions.
    Case("no operations", INVALID, "TransactWriteItems", transaction(), otherwise="moto dynalite"),
    Case(
        "101 operations",
        INVALID,
        "TransactWriteItems",
        transaction(*({"Put": put({"pk": {"S": str(n)}})} for n in range(101))),
        otherwise="dynalite",
    ),
    Case(
        "two operations on an item",
        INVALID,
        "TransactWriteItems",
        transaction({"Put": put(A)}, {"Delete": {"TableName": T, "Key": A}}),
        otherwise="dynalite",
    ),
    Case(
        "an operation of no kind",
        INVALID,
        "TransactWriteItems",
        transaction({}),
        otherwise="moto dynalite",
    ),
    Case(
        "an operation of two kinds",
        INVALID,
        "TransactWriteItems",
        transaction({"Put": put(A), "Delete": {"TableName": T, "Key": A}}),
        otherwise="ministack dynalite",
    ),
    Case(
        "a transaction",
        None,
        "TransactWriteItems",
        transaction({"Put": put(A)}, {"Delete": {"TableName": U, "Key": {**A, "sk": A["pk"]}}}),
        otherwise="dynalite",
    ),
    # Updates.
    Case("an update of nothing", INVALID, "UpdateItem", update(" ")),
    Case("a path into a path", INVALID, "UpdateItem", update("SET m.a = :v, m = :v", V)),
    Case("a delete of a number", INVALID, "UpdateItem", update("DELETE n :v", {":v": {"N": "1"}})),
    Case("an addition of a string", INVALID, "UpdateItem", update("ADD s :v", V)),
    Case("an addition of nothing", INVALID, "UpdateItem", update("ADD s t"), otherwise="ministack"),
    Case(
        "lists of none",
        INVALID,
        "UpdateItem",
        update("SET l = list_append(:v, :v)", V),
        otherwise="ministack",
    ),
    Case("a name of none", INVALID, "UpdateItem", update("SET #n = :v", V), otherwise="moto"),
    Case(
        "a place that is none",
        INVALID,
        "UpdateItem",
        update("SET l[x] = :v", V),
        otherwise="ministack",
    ),
    Case("signs of none", INVALID, "UpdateItem", update("SET a = :v ?", V), otherwise="ministack"),
    Case(
        "a value for a path", INVALID, "UpdateItem", update("SET :v = :v", V), otherwise="ministack"
    ),
    Case(
        "brackets",
        None,
        "UpdateItem",
        update("SET n = (:a + :b)", {":a": {"N": "1"}, ":b": {"N": "2"}}),
        otherwise="moto",
    ),
]


async def outcome(wire: Wire, case: Case, names: tuple[str, str]) -> str | None:
    try:
        await wire.send(Request(case.operation, names[0], case.body(*names)))
    except ServiceError as error:
        return error.code
    return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_rule(case: Case) -> None:
    wire = FakeWire({"one": ("pk",), "two": ("pk", "sk")})
    assert await outcome(wire, case, ("one", "two")) == case.code
    if case.code is not None:
        # Refused whole.
        assert wire.items("one") == wire.items("two") == []


async def test_servers_have_the_same_rules(backend: Backend, table: TableFactory) -> None:
    names = (await table("pk"), await table("pk", "sk"))
    wire = await open_wire(
        ConnectionSettings(max_concurrency=1, region_name=REGION, endpoint_url=backend.endpoint_url)
    )
    try:
        differ = {
            case.name: (case.code, there)
            for case in CASES
            if backend.name not in case.otherwise.split()
            and (there := await outcome(wire, case, names)) != case.code
        }
    finally:
        await wire.aclose()
    assert differ == {}
