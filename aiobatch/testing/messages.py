"""DynamoDB's messages, taken apart and put together again. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from aiobatch.testing.faults import Ending, Entry, ErrorAnswer, Malformation

__all__ = [
    "BATCHES",
    "DATA_OPERATIONS",
    "Asked",
    "Reply",
    "arn_of",
    "error_reply",
    "name_of",
    "ok_reply",
    "shares",
]

BATCHES = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}
_SINGLE: dict[str, tuple[str, Literal["get", "put", "delete", "update"]]] = {
    "GetItem": ("Key", "get"),
    "PutItem": ("Item", "put"),
    "DeleteItem": ("Key", "delete"),
    "UpdateItem": ("Key", "update"),
}
_IN_TRANSACTIONS: dict[str, tuple[str, Literal["get", "put", "delete", "update"]]] = {
    "Get": ("Key", "get"),
    "Put": ("Item", "put"),
    "Delete": ("Key", "delete"),
    "Update": ("Key", "update"),
    "ConditionCheck": ("Key", "get"),
}
_READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})
DATA_OPERATIONS = _READS | {*_SINGLE, "BatchWriteItem", "TransactWriteItems"}
"""What faults happen to unless a rule names another operation: all that moves items."""

_ARN = re.compile(r"arn:[^:]*:dynamodb:[^:]*:[^:]*:table/([^/]+)")
_JSON = "application/x-amz-json-1.0"


def name_of(table: str) -> str:
    """The name in a table's ARN, or the name itself."""
    found = _ARN.fullmatch(table)
    return found[1] if found else table


def arn_of(table: str) -> str:
    """An ARN for a table's name, or the ARN itself."""
    return (
        table if _ARN.fullmatch(table) else f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}"
    )


@dataclass(slots=True)
class Reply:
    """What comes back: an answer, and how the connection ends with it."""

    status: int
    headers: dict[str, str]
    body: bytes
    ending: Ending = Ending.ANSWER

    @property
    def is_answer(self) -> bool:
        """Whether the request succeeded."""
        return self.status < 300

    def with_body(self, body: bytes) -> Reply:
        """The same with another body and its checksum."""
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("content-length", "content-encoding", "x-amz-crc32")
        }
        return Reply(self.status, {**kept, "x-amz-crc32": str(zlib.crc32(body))}, body, self.ending)


@dataclass(slots=True)
class Asked:
    """One request, as far as faults need to know it.

    Attributes:
        operation: such as ``"BatchGetItem"``; empty for a request that is not DynamoDB's.
        body: its body.
        content: the body's JSON, or None where it is none, or is of no interest.
        entries: the entries of a batch or of a single-item operation.
    """

    operation: str
    body: bytes
    content: dict[str, Any] | None = None
    entries: list[Entry] = field(default_factory=list)

    @classmethod
    def read(cls, operation: str, body: bytes) -> Asked:
        """Take a request apart. What is no legal request has no entries, and passes as it is."""
        asked = cls(operation, body)
        if operation not in DATA_OPERATIONS:
            return asked
        try:
            content = orjson.loads(body)
            if not isinstance(content, dict):
                return asked
            asked.content = content
            asked.entries = list(_entries(operation, content))
        except (AttributeError, KeyError, TypeError, ValueError):
            asked.entries = []
        return asked

    @property
    def is_batch(self) -> bool:
        """Whether a part of it can be refused."""
        return self.operation in BATCHES and bool(self.entries)

    @property
    def direction(self) -> Literal["read", "write"]:
        """Which capacity it takes."""
        return "read" if self.operation in _READS else "write"

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it is about, as it names them."""
        if self.entries:
            return tuple(dict.fromkeys(entry.table for entry in self.entries))
        named = (self.content or {}).get("TableName")
        return (named,) if isinstance(named, str) else ()

    def without(self, refused: Collection[int]) -> bytes:
        """The body without these entries of the batch."""
        if not refused or self.content is None:
            return self.body
        kept = [at for at in range(len(self.entries)) if at not in refused]
        return orjson.dumps({**self.content, "RequestItems": self.part(kept)})

    def part(self, chosen: Collection[int]) -> dict[str, Any]:
        """These entries as RequestItems has them, in the shape of Unprocessed* too."""
        assert self.content is not None
        part: dict[str, Any] = {}
        at = 0
        for table, requests in self.content["RequestItems"].items():
            of_table = requests["Keys"] if self.operation == "BatchGetItem" else requests
            taken = [one for place, one in enumerate(of_table, at) if place in chosen]
            at += len(of_table)
            if taken:
                whole = self.operation == "BatchGetItem"
                part[table] = {**requests, "Keys": taken} if whole else taken
        return part

    def leave_over(self, answer: dict[str, Any], refused: Collection[int]) -> None:
        """Let an answer leave these entries over, whole and as they were sent."""
        left = answer.setdefault(BATCHES[self.operation], {})
        for table, part in self.part(refused).items():
            # A backend may name the table otherwise than the request did.
            same = [other for other in left if name_of(other) == name_of(table)]
            if self.operation == "BatchGetItem":
                keys = [key for other in same for key in left.pop(other)["Keys"]]
                left[same[0] if same else table] = {**part, "Keys": keys + part["Keys"]}
                answer.setdefault("Responses", {}).setdefault(same[0] if same else table, [])
            else:
                left[same[0] if same else table] = (left[same[0]] if same else []) + part

    def cut(self, answer: dict[str, Any], max_bytes: int, size: Callable[[Any], int]) -> None:
        """Let a read's answer end at so many bytes of items; the other keys are left over."""
        room = max_bytes
        dropped: list[int] = []
        for table, items in answer.get("Responses", {}).items():
            kept: list[Any] = []
            for item in items:
                at = self._entry_of(table, item)
                room -= size(item)
                # The first item always comes: an answer makes progress.
                if room >= 0 or not kept or at is None:
                    kept.append(item)
                else:
                    dropped.append(at)
            answer["Responses"][table] = kept
        if dropped:
            self.leave_over(answer, set(dropped))

    def _entry_of(self, table: str, item: Mapping[str, Any]) -> int | None:
        for at, entry in enumerate(self.entries):
            if name_of(entry.table) == name_of(table) and all(
                item.get(name) == value for name, value in entry.value.items()
            ):
                return at
        return None

    def malformed(self, reply: Reply, how: Malformation) -> Reply:
        """The answer to this request, malformed."""
        match how:
            case "not_json":
                return reply.with_body(b'{"Responses":{"t":[{"pk":')
            case "not_utf8":
                return reply.with_body(b'{"Responses":{"\xff\xfe":[]},"UnprocessedKeys":{}}')
            case "empty_body":
                return reply.with_body(b"")
            case "list":
                return reply.with_body(b"[" + reply.body + b"]")
            case "empty_object":
                return reply.with_body(b"{}")
            case _:
                answer = orjson.loads(reply.body)
                if self.is_batch:
                    self._spoil(answer, how)
                else:
                    _spoil_one(answer, how)
                return reply.with_body(orjson.dumps(answer))

    def _spoil(self, answer: dict[str, Any], how: Malformation) -> None:
        reads = self.operation == "BatchGetItem"
        left = BATCHES[self.operation]
        first = self.entries[0]
        items = [item for of_table in answer.get("Responses", {}).values() for item in of_table]
        if how == "wrong_shape":
            if reads:
                answer["Responses"] = {first.table: {"Items": items}}
            answer[left] = {first.table: 7}
        elif how == "unknown_type" and items:
            # The last item, so that others have been taken in when it is met.
            items[-1]["aiobatch_spoilt"] = {"X": "1"}
        elif how == "unknown_type":
            spoilt = {name: {"X": "1"} for name in first.value}
            answer[left] = {first.table: _as_left(first, spoilt)}
        elif how == "stranger":
            strange = {name: _strange(value) for name, value in first.value.items()}
            answer[left] = {first.table: _as_left(first, strange)}
        elif how == "contradiction" and items and first.value.keys() <= items[0].keys():
            keys = [{name: items[0][name] for name in first.value}]
            answer[left] = {first.table: {"Keys": keys}}
        else:  # twice, in whatever words
            if reads:
                answer["Responses"] = {first.table: []}
            once = _as_left(first, first.value)
            answer[left] = {
                first.table: {"Keys": once["Keys"] * 2} if isinstance(once, dict) else once * 2
            }

    def by_arn(self, reply: Reply) -> Reply:
        """The answer, keyed by ARNs."""
        answer = orjson.loads(reply.body)
        for member in ("Responses", "UnprocessedKeys", "UnprocessedItems"):
            if isinstance(answer.get(member), dict):
                answer[member] = {arn_of(table): part for table, part in answer[member].items()}
        return reply.with_body(orjson.dumps(answer))


def _entries(operation: str, content: Mapping[str, Any]) -> Iterator[Entry]:
    if operation == "BatchGetItem":
        for table, request in content["RequestItems"].items():
            for key in request["Keys"]:
                yield Entry(table, "get", key)
    elif operation == "BatchWriteItem":
        for table, requests in content["RequestItems"].items():
            for request in requests:
                if "PutRequest" in request:
                    yield Entry(table, "put", request["PutRequest"]["Item"])
                else:
                    yield Entry(table, "delete", request["DeleteRequest"]["Key"])
    elif operation in ("TransactGetItems", "TransactWriteItems"):
        for one in content["TransactItems"]:
            [(kind, action)] = one.items()
            if kind in _IN_TRANSACTIONS:
                member, entry_kind = _IN_TRANSACTIONS[kind]
                yield Entry(action["TableName"], entry_kind, action[member])
    elif operation in _SINGLE:
        member, kind = _SINGLE[operation]
        yield Entry(content["TableName"], kind, content[member])


def _as_left(entry: Entry, value: Mapping[str, Any]) -> Any:
    if entry.kind == "get":
        return {"Keys": [value]}
    return [
        {"PutRequest": {"Item": value}}
        if entry.kind == "put"
        else {"DeleteRequest": {"Key": value}}
    ]


def _spoil_one(answer: dict[str, Any], how: Malformation) -> None:
    """An answer that is no batch's. Each operation looks at its own member."""
    spoilt: Any = 7 if how == "wrong_shape" else {"aiobatch_spoilt": {"X": "1"}}
    answer.update(
        Item=spoilt, Attributes=spoilt, Items=7 if how == "wrong_shape" else [spoilt], Table=7
    )


def _strange(typed: Mapping[str, Any]) -> dict[str, Any]:
    [(tag, value)] = typed.items()
    match tag:
        case "S":
            return {"S": value + " of a stranger"}
        case "N":
            return {"N": "98765432109876543210"}
        case "B":
            return {"B": "c3RyYW5nZXI="}
        case _:
            return dict(typed)


def error_reply(
    error: ErrorAnswer, asked: Asked, cancelled_for: list[dict[str, Any]] | None = None
) -> Reply:
    """The answer for an error, with its checksum; a cancelled transaction's with its reasons."""
    if not error.code:
        page = f"<html><body><h1>{error.status} {error.message}</h1></body></html>"
        return Reply(error.status, {"Content-Type": "text/html"}, page.encode())
    content: dict[str, Any] = {
        "__type": f"com.amazonaws.dynamodb.v20120810#{error.code}",
        "message": error.message,
    }
    if error.reason:
        reason = error.reason.replace("{Direction}", asked.direction.capitalize())
        content[error.reasons_member] = [
            {"reason": reason, "resource": arn_of(table)} for table in asked.tables[:1]
        ]
    if cancelled_for is not None:
        content["CancellationReasons"] = cancelled_for
    headers = {"Content-Type": _JSON, "x-amzn-RequestId": "FAULTBYAIOBATCHTESTING"}
    return Reply(error.status, headers, b"").with_body(orjson.dumps(content))


def ok_reply(body: bytes) -> Reply:
    """A successful answer, with its checksum."""
    return Reply(200, {"Content-Type": _JSON}, b"").with_body(body)


def shares(count: int, share: float) -> int:
    """How many of so many entries a share refuses: at least one, and all but one at most."""
    return min(max(1, round(count * share)), max(1, count - 1)) if count else 0
