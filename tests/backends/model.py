"""What a test knows about the server that it talks to."""

import enum
from dataclasses import dataclass, field


class BackendUnavailable(Exception):
    """A selected backend could not be started. The message says what to do about it."""


class Quirk(enum.Enum):
    """A departure of a backend from DynamoDB, and what it does instead.

    `tests/test_quirks.py` holds each backend to exactly the quirks that it is listed with.
    """

    DUPLICATE_WRITES_ACCEPTED = (
        "accepts two writes to one key in a BatchWriteItem, unless the whole items are equal"
    )
    EQUAL_ITEMS_OVER_TABLES_REFUSED = "takes equal items in two tables for one item written twice"
    TOO_MANY_WRITES_ACCEPTED = "accepts more than 25 writes in a BatchWriteItem"
    TOO_MANY_WRITES_OVER_TABLES_ACCEPTED = "counts the 25 writes of a request by table"
    TOO_MANY_KEYS_OVER_TABLES_ACCEPTED = "counts the 100 keys of a request by table"
    EMPTY_KEYS_READABLE = "accepts an empty string as a key attribute when it reads"
    WRONG_KEY_TYPES_READABLE = "finds no item, instead of refusing a key of the wrong type"
    LONG_NUMBERS_ACCEPTED = "accepts numbers of more than 38 significant digits"
    LARGE_NUMBERS_ACCEPTED = "accepts numbers out of DynamoDB's range"
    EMPTY_SETS_ACCEPTED = "accepts empty sets"
    REJECTED_BATCH_PARTLY_WRITTEN = "keeps the puts that stand before the one it rejects"
    LEFTOVER_PROJECTION_LOST = "leaves the projection out of UnprocessedKeys"
    WRITE_CAPACITY_WRONG = "says that any BatchWriteItem consumed one unit"
    READ_CAPACITY_UNTOLD = "leaves ConsumedCapacity out of BatchGetItem's answer"
    CAPACITY_UNASKED = "tells ConsumedCapacity without being asked"
    READS_NEVER_CUT = "answers more than 16 MB instead of leaving keys unprocessed"
    READS_CUT_EARLY = "leaves keys unprocessed from about 1 MB"
    LARGEST_ITEMS_REFUSED = "counts more bytes than DynamoDB, so that 400 KB are too many"
    EXPONENT_KEYS_NOT_FOUND = "finds no item by a number key that is written with an exponent"
    INDEXED_PLACEHOLDER_REFUSED = (
        "overlooks a projection's placeholder before an index, as in #a[0]"
    )
    RESERVED_WORD_IS_500 = "answers 500 instead of a ValidationException to a reserved word"
    READ_ORDER_SHUFFLED = "answers a BatchGetItem in another order than the request's"
    TABLE_ARN_REFUSED = "knows tables by their names alone, not by their ARNs"
    NO_TRANSACTIONS = "knows neither TransactGetItems nor TransactWriteItems"
    TRANSACTION_PROJECTIONS_IGNORED = "gives whole items where TransactGetItems has a projection"
    TRANSACTION_READS_LIMITED = "takes at most 25 operations in a TransactGetItems"
    TRANSACTION_TOKENS_IGNORED = "does a transaction again, given the token of one that it has done"
    NO_KEEP_ALIVE = "closes the connection after each answer, so no pooling is exercised"


@dataclass(frozen=True, slots=True)
class Backend:
    """A server that answers."""

    name: str
    endpoint_url: str
    quirks: frozenset[Quirk] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name
