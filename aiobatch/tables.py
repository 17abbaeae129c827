"""Several tables in one call: each table's keys or writes, checked, encoded and accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiobatch import codec, intake
from aiobatch.account import GetAccount, WriteAccount
from aiobatch.codec import KeySchema, Serialize
from aiobatch.engine.call import BatchCall
from aiobatch.engine.plan import at
from aiobatch.engine.requests import BatchGet, GetPart, WritePart
from aiobatch.engine.tables import plain_name
from aiobatch.models import converter
from aiobatch.operations import Delete, Put

__all__ = [
    "TableRead",
    "TableWrite",
    "attach_reads",
    "attach_writes",
    "check_tables",
    "read_answer",
    "told",
    "write_answer",
]

_OPTIONS = frozenset(
    {
        "keys",
        "projection_expression",
        "expression_attribute_names",
        "consistent_read",
        "model",
    }
)


def check_tables(requests: Mapping[str, Any]) -> None:
    """Raise unless this maps tables to what is asked of them, each table once."""
    if not isinstance(requests, Mapping):
        raise TypeError(f"requests must map tables to requests, not {type(requests).__name__}")
    by_plain_name: dict[str, str] = {}
    for table_name in requests:
        intake.check_table_name(table_name)
        plain = plain_name(table_name)
        other = by_plain_name.setdefault(plain, table_name)
        # Two ARNs are two tables. A name and an ARN may be one, which DynamoDB refuses.
        if other != table_name and plain in (other, table_name):
            raise ValueError(
                f"{other!r} and {table_name!r} may be one table, which a request must not name"
                " twice: use the name or the ARN for all of its entries"
            )


class TableRead:
    """What is read from one table.

    Args:
        table_name: the table's name or ARN.
        request: keys, or a mapping with ``keys`` and options, as ``batch_get`` takes them.

    Attributes:
        account: where the keys ended.
        part: the keys, ready to be sent, once :meth:`encode` has run.
    """

    def __init__(self, table_name: str, request: Any) -> None:
        self.table_name = table_name
        self.options: dict[str, Any] = {}
        keys = request
        if isinstance(request, Mapping):
            unknown = [name for name in request if name not in _OPTIONS]
            if unknown or "keys" not in request:
                wrong = f"has unknown options {unknown}" if unknown else "has no keys"
                raise ValueError(
                    f"table {table_name!r}: the request {wrong}: give a list of keys, or"
                    f" a mapping of {', '.join(sorted(_OPTIONS))}"
                )
            self.options = {name: value for name, value in request.items() if name != "keys"}
            keys = request["keys"]
        self.convert = converter(self.options.get("model"))
        self.account = GetAccount(intake.as_list(keys, "keys"))
        self.part: GetPart | None = None
        self.refusals: Mapping[int, Exception] = {}
        # Checked first without the keys' names, which the first key may have to tell.
        self._projection(())

    def _projection(self, names: Sequence[str]) -> codec.Projection | None:
        try:
            return codec.compile_projection(
                self.options.get("projection_expression"),
                self.options.get("expression_attribute_names"),
                names,
            )
        except ValueError as error:
            raise ValueError(f"table {self.table_name!r}: {error}") from None

    async def encode(self, schema: KeySchema | None, serialize: Serialize | None) -> GetPart:
        """Encode the keys. Raises InvalidItem."""
        keys, table_name = self.account.keys, self.table_name
        known = schema or intake.schema_of_first(keys, serialize, table_name)
        identities = await intake.encode_keys(
            keys, known, lambda key: codec.encode_key(key, known, serialize), table_name
        )
        self.account.positions, self.account.entries = await intake.distinct(
            identities, keep="first"
        )
        self.part = GetPart(
            table=table_name,
            fragments=at(identities, self.account.positions),
            names=known.names,
            projection=self._projection(known.names),
            consistent_read=bool(self.options.get("consistent_read")),
            convert=self.convert,
        )
        return self.part

    def left(self) -> Any:
        """What can be passed back to read what is unprocessed, or None if nothing is."""
        keys = self.account.view(ordered=False, metrics={})["UnprocessedKeys"]
        return ({**self.options, "keys": keys} if self.options else keys) if keys else None


class TableWrite:
    """What is written to one table.

    Args:
        table_name: the table's name or ARN.
        operations: Put and Delete, or boto3's wrapped form of them.

    Attributes:
        account: where the operations ended.
    """

    def __init__(self, table_name: str, operations: Any) -> None:
        self.table_name = table_name
        self.account = WriteAccount(intake.as_list(operations, "operations"))

    @property
    def needs_schema(self) -> bool:
        """Whether there are puts, whose keys stand among other attributes."""
        return any(not _is_delete(operation) for operation in self.account.items)

    async def check(self, serialize: Serialize | None) -> None:
        """Refuse what can be refused without the table's key names. Raises InvalidItem."""
        await self._encode(None, serialize)

    async def encode(self, schema: KeySchema | None, serialize: Serialize | None) -> WritePart:
        """Encode the operations. Only deletes do without a schema. Raises InvalidItem."""
        operations = self.account.items
        if schema is None:
            await self.check(serialize)
            first = [_unwrapped(operations[0])[1]]
            schema = intake.schema_of_first(first, serialize, self.table_name)
        encoded = await self._encode(schema, serialize)
        positions, self.account.entries = await intake.distinct(
            [identity for _, identity, _ in encoded], keep="last"
        )
        deletes = [encoded[position][2] for position in positions]
        return WritePart(
            table=self.table_name,
            fragments=[encoded[position][0] for position in positions],
            identities=[encoded[position][1] for position in positions],
            deletes=deletes[0] if len(set(deletes)) == 1 else deletes,
            names=schema.names,
        )

    async def _encode(
        self, schema: KeySchema | None, serialize: Serialize | None
    ) -> list[tuple[bytes, bytes, bool]]:
        def encode(operation: Any) -> tuple[bytes, bytes, bool]:
            deletes, value = _unwrapped(operation)
            if deletes:
                key = codec.encode_key(value, schema, serialize)
                return key, key, True
            return *codec.encode_item(value, schema, serialize), False

        return await intake.encode_all(self.account.items, encode, "operation", self.table_name)


_CONDITIONS = (
    "condition_expression",
    "expression_attribute_names",
    "expression_attribute_values",
    "return_values_on_condition_check_failure",
)


def _is_delete(operation: Any) -> bool:
    if isinstance(operation, Mapping):
        return "DeleteRequest" in operation
    return isinstance(operation, Delete)


def _unwrapped(operation: Any) -> tuple[bool, Any]:
    """Whether it is a delete, and its key or item. Raises Refusal."""
    if isinstance(operation, Put | Delete):
        if operation.table_name is not None:
            raise codec.Refusal("names a table itself: in batches, the mapping's key names it")
        if any(getattr(operation, name) is not None for name in _CONDITIONS):
            raise codec.Refusal(
                "has a condition, which BatchWriteItem does not take: use transact_write_items"
            )
        deletes = isinstance(operation, Delete)
        return deletes, operation.key if isinstance(operation, Delete) else operation.item
    if isinstance(operation, Mapping):
        for deletes, name in ((False, "put"), (True, "delete")):
            if ("DeleteRequest" if deletes else "PutRequest") in operation:
                inner = intake.unwrapped(operation, name)
                if inner is not operation:
                    return deletes, inner
    raise codec.Refusal(
        f"is of type {type(operation).__name__}: wrap it, as in Put(item) or Delete(key)"
    )


def attach_reads(reads: Sequence[TableRead], call: BatchCall, requests: BatchGet) -> None:
    """Let the accounts show what becomes of a call."""
    first = 0
    for read, found, refusals in zip(reads, requests.found, requests.refusals, strict=True):
        read.account.ledger = call.ledger.part(first, len(found))
        read.account.items, read.refusals = found, refusals
        first += len(found)


def attach_writes(
    writes: Sequence[TableWrite], call: BatchCall, parts: Sequence[WritePart]
) -> None:
    """Let the accounts show what becomes of a call."""
    first = 0
    for write, part in zip(writes, parts, strict=True):
        write.account.ledger = call.ledger.part(first, len(part.fragments))
        first += len(part.fragments)


def read_answer(reads: Sequence[TableRead], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The account of a read, in the shape of an answer."""
    tables = {}
    for read in reads:
        tables[read.table_name] = read.account.view(ordered=False, metrics={})
        del tables[read.table_name]["Metrics"]
    return {
        "Tables": tables,
        "Count": sum(table["Count"] for table in tables.values()),
        "UnprocessedKeys": _present({read.table_name: read.left() for read in reads}),
        "Metrics": metrics,
    }


def write_answer(writes: Sequence[TableWrite], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The account of a write, in the shape of an answer."""
    tables = {}
    for write in writes:
        tables[write.table_name] = write.account.view(metrics={})
        del tables[write.table_name]["Metrics"]
    return {
        "Tables": tables,
        "ProcessedCount": sum(table["ProcessedCount"] for table in tables.values()),
        "UnprocessedCount": sum(table["UnprocessedCount"] for table in tables.values()),
        "UnprocessedItems": _present(
            {name: table["UnprocessedItems"] for name, table in tables.items()}
        ),
        "Metrics": metrics,
    }


def told(accounts: Mapping[str, GetAccount | WriteAccount]) -> str:
    """The counts of each table, in words."""
    return "; ".join(f"{table!r}: {account.told()}" for table, account in accounts.items())


def _present(by_table: Mapping[str, Any]) -> dict[str, Any]:
    return {table: left for table, left in by_table.items() if left}
