"""A small DynamoDB in memory. Pure: bytes in, bytes or a refusal out.

It knows BatchGetItem, BatchWriteItem, GetItem, PutItem, DeleteItem, UpdateItem, TransactGetItems,
TransactWriteItems, DescribeTable and plain queries, and holds them to the rules of DynamoDB that
clients get wrong: how many entries, no key twice, keys complete and of the right type and length,
sizes, numbers, sets, depth. A request that breaks one is refused whole, and nothing of it is
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from aiobatch import limits
from aiobatch.codec.size import item_size
from aiobatch.testing.buckets import query_units, read_units, write_units
from aiobatch.testing.conditions import holds
from aiobatch.testing.expressions import Path
from aiobatch.testing.messages import arn_of, name_of
from aiobatch.testing.transacting import cancelled_for, operations_of, same_item_twice
from aiobatch.testing.updating import updated
from aiobatch.testing.values import Refused, binary, check, invalid, number

__all__ = ["Database", "Refused", "Table", "TableKeys"]

TableKeys = tuple[str, ...] | list[str] | Mapping[str, str]
"""Key names, the partition key first: ``("pk", "sk")``, strings all; or with their types,
``{"pk": "S", "n": "N"}``."""

_TWICE = "Provided list of item keys contains duplicates"


class Table:
    """One table: its keys, and its items by key.

    Args:
        name: its name.
        keys: see :data:`TableKeys`.
    """

    def __init__(self, name: str, keys: TableKeys) -> None:
        self.name = name
        types = dict(keys) if isinstance(keys, Mapping) else dict.fromkeys(keys, "S")
        if not 1 <= len(types) <= 2 or not set(types.values()) <= {"S", "N", "B"}:
            raise ValueError('keys must be such as ("pk", "sk") or {"pk": "S", "sk": "N"}')
        self.types = types
        self.partition = next(iter(types))
        self.items: dict[tuple[Any, ...], dict[str, Any]] = {}

    def identity(self, attributes: Mapping[str, Any]) -> tuple[Any, ...]:
        """The key among these attributes, equal for equal keys. Raises Refused."""
        identity: list[Any] = []
        for name, kind in self.types.items():
            typed = attributes.get(name)
            if not isinstance(typed, dict) or len(typed) != 1:
                raise invalid(
                    f"One or more parameter values were invalid: Missing the key {name} in the item"
                )
            value = typed.get(kind)
            if not isinstance(value, str):
                raise invalid(
                    "One or more parameter values were invalid: Type mismatch for key"
                    f" {name} expected: {kind} actual: {next(iter(typed))}"
                )
            if kind == "N":
                identity.append(number(value))
                continue
            raw = value.encode() if kind == "S" else binary(value)
            if not raw:
                raise invalid(
                    "One or more parameter values are not valid. The AttributeValue for a key"
                    f" attribute cannot contain an empty string value. Key: {name}"
                )
            first = name == self.partition
            most = limits.PARTITION_KEY_MAX_BYTES if first else limits.SORT_KEY_MAX_BYTES
            if len(raw) > most:
                raise invalid(
                    "One or more parameter values were invalid: Size of"
                    f" {'hashkey' if first else 'rangekey'} has exceeded the maximum size limit"
                )
            identity.append(raw)
        return tuple(identity)

    def key(self, attributes: Any) -> tuple[Any, ...]:
        """The identity of a key that has nothing but key attributes. Raises Refused."""
        if not isinstance(attributes, dict) or attributes.keys() != self.types.keys():
            raise invalid("The provided key element does not match the schema")
        return self.identity(attributes)

    def item(self, attributes: Any) -> tuple[Any, ...]:
        """The identity of an item that DynamoDB would store. Raises Refused."""
        if not isinstance(attributes, dict):
            raise Refused("SerializationException", "an item is not a map")
        identity = self.identity(attributes)
        for typed in attributes.values():
            check(typed)
        if item_size(attributes) > limits.ITEM_MAX_BYTES:
            raise invalid("Item size has exceeded the maximum allowed size")
        return identity

    def describe(self) -> dict[str, Any]:
        """The Table of DescribeTable."""
        roles = zip(self.types, ("HASH", "RANGE"), strict=False)
        return {
            "TableName": self.name,
            "TableArn": arn_of(self.name),
            "TableStatus": "ACTIVE",
            "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role in roles],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in self.types.items()
            ],
            "ItemCount": len(self.items),
        }


class Database:
    """The tables, and the operations on them."""

    def __init__(self, tables: Mapping[str, TableKeys]) -> None:
        self.tables = {name: Table(name, keys) for name, keys in tables.items()}
        # The transactions done, by their tokens.
        self._done: dict[str, Any] = {}

    def table(self, name: Any) -> Table:
        """A table by its name or ARN. Raises Refused."""
        found = self.tables.get(name_of(name)) if isinstance(name, str) else None
        if found is None:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return found

    def store(self, name: str, fragment: bytes) -> None:
        """Put one item, given as its JSON. Raises Refused."""
        table = self.table(name)
        item = orjson.loads(fragment)
        table.items[table.item(item)] = item

    def execute(self, operation: str, body: bytes) -> bytes:
        """Answer a request. Raises Refused, and NotImplementedError for what it does not know."""
        run = {
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
            "GetItem": self._get,
            "PutItem": self._put,
            "DeleteItem": self._delete,
            "UpdateItem": self._update,
            "TransactGetItems": self._transact_get,
            "TransactWriteItems": self._transact_write,
            "Query": self._query,
            "DescribeTable": self._describe,
        }.get(operation)
        if run is None:
            raise NotImplementedError(f"FakeWire does not know {operation}: use FaultProxy")
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            raise Refused("SerializationException", "the body is not a JSON object")
        return orjson.dumps(run(content))

    # ------------------------------------------------------------------ batches

    def _batch_get(self, content: dict[str, Any]) -> dict[str, Any]:
        asked = _request_items(content)
        count = sum(len(_list(part, "Keys")) for part in asked.values())
        if not 1 <= count <= limits.BATCH_GET_MAX_KEYS:
            raise invalid("Too many items requested for the BatchGetItem call")
        wanted: list[tuple[str, Table, dict[str, Any], list[tuple[Any, ...]]]] = []
        for name, part in asked.items():
            table = self.table(name)
            identities = [table.key(key) for key in part["Keys"]]
            if len(set(identities)) != len(identities):
                raise invalid(_TWICE)
            wanted.append((name, table, part, identities))
        if len({id(table) for _, table, _, _ in wanted}) != len(wanted):
            raise invalid(_TWICE)
        responses: dict[str, list[Any]] = {}
        left: dict[str, Any] = {}
        capacity: list[dict[str, Any]] = []
        room = limits.RESPONSE_MAX_BYTES
        for name, table, part, identities in wanted:
            project = _projection(part)
            found = responses.setdefault(name, [])
            units = 0.0
            for key, identity in zip(part["Keys"], identities, strict=True):
                item = table.items.get(identity)
                size = item_size(item) if item is not None else 0
                if size > room:
                    left.setdefault(name, {**part, "Keys": []})["Keys"].append(key)
                    continue
                room -= size
                units += read_units(item, consistent=bool(part.get("ConsistentRead")))
                if item is not None:
                    found.append(project(item))
            capacity.append({"TableName": name, "CapacityUnits": units})
        return _told({"Responses": responses, "UnprocessedKeys": left}, content, capacity)

    def _batch_write(self, content: dict[str, Any]) -> dict[str, Any]:
        asked = _request_items(content)
        count = sum(len(requests) for requests in asked.values() if isinstance(requests, list))
        if not 1 <= count <= limits.BATCH_WRITE_MAX_OPERATIONS:
            raise invalid("Too many items requested for the BatchWriteItem call")
        writes: dict[tuple[str, tuple[Any, ...]], dict[str, Any] | None] = {}
        capacity: list[dict[str, Any]] = []
        for name, requests in asked.items():
            table = self.table(name)
            units = 0.0
            for request in requests:
                if not isinstance(request, dict) or len(request) != 1:
                    raise invalid("Supplied AttributeValue has more than one operation, or none")
                if "PutRequest" in request:
                    item = request["PutRequest"]["Item"]
                    identity = table.item(item)
                    units += write_units(item)
                elif "DeleteRequest" in request:
                    item = None
                    identity = table.key(request["DeleteRequest"]["Key"])
                    units += write_units(table.items.get(identity) or {})
                else:
                    raise invalid("Supplied AttributeValue is empty")
                if (table.name, identity) in writes:
                    raise invalid(_TWICE)
                writes[table.name, identity] = item
            capacity.append({"TableName": name, "CapacityUnits": units})
        for (name, identity), item in writes.items():
            if item is None:
                self.tables[name].items.pop(identity, None)
            else:
                self.tables[name].items[identity] = item
        return _told({"UnprocessedItems": {}}, content, capacity)

    # ------------------------------------------------------------------ single items

    def _get(self, content: dict[str, Any]) -> dict[str, Any]:
        table = self.table(content.get("TableName"))
        item = table.items.get(table.key(content.get("Key")))
        units = read_units(item, consistent=bool(content.get("ConsistentRead")))
        project = _projection(content)
        answer = {} if item is None else {"Item": project(item)}
        return _told_one(answer, content, units)

    def _put(self, content: dict[str, Any]) -> dict[str, Any]:
        write = _Write(self, "Put", content)
        write.attempt()
        write.take_effect()
        return _told_one(_old(content, write.old), content, write.units)

    def _delete(self, content: dict[str, Any]) -> dict[str, Any]:
        write = _Write(self, "Delete", content)
        write.attempt()
        write.take_effect()
        return _told_one(_old(content, write.old), content, write.units)

    def _update(self, content: dict[str, Any]) -> dict[str, Any]:
        write = _Write(self, "Update", content)
        write.attempt()
        write.take_effect()
        return _told_one(write.attributes(), content, write.units)

    # ------------------------------------------------------------------ transactions

    def _transact_get(self, content: dict[str, Any]) -> dict[str, Any]:
        responses = []
        capacity: dict[str, float] = {}
        for _, asked in operations_of(content):
            table = self.table(asked.get("TableName"))
            item = table.items.get(table.key(asked.get("Key")))
            project = _projection(asked)
            responses.append({} if item is None else {"Item": project(item)})
            # A transaction reads twice.
            units = 2 * read_units(item, consistent=True)
            capacity[table.name] = capacity.get(table.name, 0.0) + units
        return _told({"Responses": responses}, content, _by_table(capacity))

    def _transact_write(self, content: dict[str, Any]) -> dict[str, Any]:
        token = content.get("ClientRequestToken")
        operations = operations_of(content)
        if token in self._done:
            if self._done[token] != operations:
                raise Refused(
                    "IdempotentParameterMismatchException",
                    "The request uses the same client token as a previous, but non-identical"
                    " request",
                )
            return _told({}, content, [])
        writes = [_Write(self, kind, operation) for kind, operation in operations]
        if len({(write.table.name, write.identity) for write in writes}) != len(writes):
            raise same_item_twice()
        cancelled_for(
            [write.attempt for write in writes], [(write.wants_old, write.old) for write in writes]
        )
        capacity: dict[str, float] = {}
        for write in writes:
            write.take_effect()
            name = write.table.name
            capacity[name] = capacity.get(name, 0.0) + 2 * write.units
        if token is not None:
            self._done[token] = operations
        return _told({}, content, _by_table(capacity))

    def _describe(self, content: dict[str, Any]) -> dict[str, Any]:
        return {"Table": self.table(content.get("TableName")).describe()}

    def _query(self, content: dict[str, Any]) -> dict[str, Any]:
        for unknown in ("FilterExpression", "IndexName"):
            if content.get(unknown) is not None:
                raise NotImplementedError(f"FakeWire knows no {unknown}: use FaultProxy")
        table = self.table(content.get("TableName"))
        matches = _key_condition(content, table)
        chosen = [(identity, item) for identity, item in table.items.items() if matches(identity)]
        chosen.sort(reverse=content.get("ScanIndexForward") is False, key=lambda pair: pair[0])
        start = content.get("ExclusiveStartKey")
        if start is not None:
            after = table.key(start)
            backwards = content.get("ScanIndexForward") is False
            chosen = [
                pair for pair in chosen if (pair[0] < after if backwards else pair[0] > after)
            ]
        page: list[dict[str, Any]] = []
        size = 0
        for _, item in chosen:
            size += item_size(item)
            page.append(item)
            if len(page) == content.get("Limit") or size >= limits.QUERY_PAGE_MAX_BYTES:
                break
        project = _projection(content)
        answer: dict[str, Any] = {
            "Items": [project(item) for item in page],
            "Count": len(page),
            "ScannedCount": len(page),
        }
        if page and (len(page) < len(chosen) or len(page) == content.get("Limit")):
            answer["LastEvaluatedKey"] = {name: page[-1][name] for name in table.types}
        units = query_units(size, consistent=bool(content.get("ConsistentRead")))
        return _told_one(answer, content, units)


class _Write:
    """One operation on one item: first what it would do, then the doing.

    Args:
        database: the tables.
        kind: ``"Put"``, ``"Delete"``, ``"Update"`` or ``"ConditionCheck"``.
        content: the request, or the operation of a transaction.
    """

    def __init__(self, database: Database, kind: str, content: dict[str, Any]) -> None:
        self.kind = kind
        self.content = content
        self.table = database.table(content.get("TableName"))
        if kind == "Put":
            self.identity = self.table.item(content.get("Item"))
        else:
            self.identity = self.table.key(content.get("Key"))
        self.old = self.table.items.get(self.identity)
        self.new = self.old
        self.paths: list[Path] = []

    @property
    def wants_old(self) -> bool:
        """Whether the item is to be shown where its condition does not hold."""
        return self.content.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    @property
    def units(self) -> float:
        """The capacity units that it consumes."""
        return max(write_units(self.old or {}), write_units(self.new or {}))

    def attempt(self) -> None:
        """See what it would make of the item. Raises Refused."""
        _check_condition(self.content, self.old)
        if self.kind == "Put":
            self.new = self.content["Item"]
        elif self.kind == "Delete":
            self.new = None
        elif self.kind == "Update":
            self._attempt_update()

    def _attempt_update(self) -> None:
        key = self.content["Key"]
        self.new = {**(self.old or {}), **key}
        if self.content.get("UpdateExpression") is not None:
            self.new, self.paths = updated(self.content, self.new)
        for path in self.paths:
            if path[0] in key:
                raise invalid(
                    "One or more parameter values were invalid: Cannot update attribute"
                    f" {path[0]}. This attribute is part of the key"
                )
        self.table.item(self.new)

    def take_effect(self) -> None:
        """Do it."""
        if self.new is None:
            self.table.items.pop(self.identity, None)
        elif self.kind != "ConditionCheck":
            self.table.items[self.identity] = self.new

    def attributes(self) -> dict[str, Any]:
        """What an update returns."""
        wanted = self.content.get("ReturnValues", "NONE")
        item = self.old if wanted.endswith("_OLD") else self.new
        if wanted == "NONE" or item is None:
            return {}
        if wanted.startswith("UPDATED_"):
            if any(len(path) > 1 for path in self.paths):
                raise NotImplementedError(
                    f"FakeWire knows {wanted} of top-level attributes alone: use FaultProxy"
                )
            item = {str(path[0]): item[path[0]] for path in self.paths if path[0] in item}
        return {"Attributes": item} if item else {}


# ---------------------------------------------------------------------- shapes


def _request_items(content: dict[str, Any]) -> dict[str, Any]:
    asked = content.get("RequestItems")
    if not isinstance(asked, dict) or not asked:
        raise invalid("1 validation error detected: requestItems must not be empty")
    return asked


def _list(part: Any, member: str) -> list[Any]:
    found = part.get(member) if isinstance(part, dict) else None
    if not isinstance(found, list) or not found:
        raise invalid(f"1 validation error detected: {member} must not be empty")
    return found


def _told(
    answer: dict[str, Any], content: dict[str, Any], capacity: list[dict[str, Any]]
) -> dict[str, Any]:
    if content.get("ReturnConsumedCapacity") in ("TOTAL", "INDEXES"):
        answer["ConsumedCapacity"] = capacity
    return answer


def _by_table(units: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"TableName": name, "CapacityUnits": of_table} for name, of_table in units.items()]


def _told_one(answer: dict[str, Any], content: dict[str, Any], units: float) -> dict[str, Any]:
    if content.get("ReturnConsumedCapacity") in ("TOTAL", "INDEXES"):
        told = {"TableName": content["TableName"], "CapacityUnits": units}
        answer["ConsumedCapacity"] = told
    return answer


def _old(content: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
    wanted = content.get("ReturnValues") == "ALL_OLD" and old is not None
    return {"Attributes": old} if wanted else {}


# ---------------------------------------------------------------------- expressions


def _projection(content: dict[str, Any]) -> Any:
    """What a ProjectionExpression of top-level attributes leaves of an item."""
    expression = content.get("ProjectionExpression")
    if expression is None:
        return lambda item: item
    names = content.get("ExpressionAttributeNames", {})
    wanted = [part.strip() for part in expression.split(",")]
    if any("." in part or "[" in part for part in wanted):
        raise NotImplementedError("FakeWire projects top-level attributes alone: use FaultProxy")
    plain = [_named(part, names) for part in wanted]
    return lambda item: {name: item[name] for name in plain if name in item}


def _named(part: str, names: Mapping[str, str]) -> str:
    if part.startswith("#"):
        if part not in names:
            raise invalid(f"An expression attribute name used in expression is not defined: {part}")
        return names[part]
    return part


def _check_condition(content: dict[str, Any], old: dict[str, Any] | None) -> None:
    if content.get("ConditionExpression") is None or holds(content, old or {}):
        return
    raise Refused("ConditionalCheckFailedException", "The conditional request failed")


_COMPARED = re.compile(r"([#\w.-]+)\s*(=|<=|>=|<|>)\s*(:\w+)")
_BEGINS = re.compile(r"begins_with\s*\(\s*([#\w.-]+)\s*,\s*(:\w+)\s*\)")
_BETWEEN = re.compile(r"([#\w.-]+)\s+BETWEEN\s+(:\w+)\s+AND\s+(:\w+)")


def _key_condition(content: dict[str, Any], table: Table) -> Any:
    names = content.get("ExpressionAttributeNames", {})
    values = content.get("ExpressionAttributeValues", {})
    order = list(table.types)
    expression = str(content.get("KeyConditionExpression", ""))

    def value(placeholder: str) -> Any:
        if placeholder not in values:
            raise invalid(f"An expression attribute value is not defined: {placeholder}")
        [(tag, raw)] = values[placeholder].items()
        return raw.encode() if tag == "S" else number(raw) if tag == "N" else binary(raw)

    def position(name: str) -> int:
        plain = _named(name, names)
        if plain not in order:
            raise invalid(f"Query condition missed key schema element: {order[0]}")
        return order.index(plain)

    tests: list[Any] = []
    has_partition = False
    for part in _conditions(expression):
        if (found := _COMPARED.fullmatch(part)) is not None:
            at, sign, wanted = position(found[1]), found[2], value(found[3])
            has_partition = has_partition or (at == 0 and sign == "=")
            tests.append(_comparison(at, sign, wanted))
        elif (found := _BEGINS.fullmatch(part)) is not None:
            at, wanted = position(found[1]), value(found[2])
            tests.append(lambda key, at=at, wanted=wanted: key[at].startswith(wanted))
        elif (found := _BETWEEN.fullmatch(part)) is not None:
            at, low, high = position(found[1]), value(found[2]), value(found[3])
            tests.append(lambda key, at=at, low=low, high=high: low <= key[at] <= high)
        else:
            raise invalid("Invalid KeyConditionExpression: syntax error")
    if not has_partition:
        raise invalid(f"Query condition missed key schema element: {order[0]}")
    return lambda key: all(test(key) for test in tests)


def _conditions(expression: str) -> Iterator[str]:
    """The parts between AND, but for the AND of a BETWEEN."""
    pieces = re.split(r"\s+AND\s+", expression.strip())
    while pieces:
        piece = pieces.pop(0)
        if " BETWEEN " in piece and pieces:
            piece = f"{piece} AND {pieces.pop(0)}"
        yield piece.strip()


def _comparison(at: int, sign: str, wanted: Any) -> Any:
    match sign:
        case "=":
            return lambda key: key[at] == wanted
        case "<":
            return lambda key: key[at] < wanted
        case "<=":
            return lambda key: key[at] <= wanted
        case ">":
            return lambda key: key[at] > wanted
        case _:
            return lambda key: key[at] >= wanted
