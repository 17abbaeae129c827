"""The tree of errors, what they carry, and that no text of theirs tells an item's content."""

import copy
import inspect
import pickle
import re
from typing import Any

import pytest

import aiobatch
from aiobatch import (
    AccessDenied,
    AiobatchError,
    BatchError,
    BatchTimeout,
    ClientClosed,
    ConditionFailed,
    InvalidItem,
    KeyNamesUnknown,
    ModelMismatch,
    ServiceError,
    TableNotFound,
    Throttled,
    TransactionFailed,
    WireError,
    errors,
)

SECRET = "s3cr3t"

TREE: dict[type[Exception], tuple[type[Exception], ...]] = {
    AiobatchError: (Exception,),
    InvalidItem: (AiobatchError, ValueError),
    KeyNamesUnknown: (AiobatchError,),
    ConditionFailed: (AiobatchError,),
    TransactionFailed: (AiobatchError,),
    ModelMismatch: (AiobatchError,),
    ClientClosed: (AiobatchError,),
    BatchError: (AiobatchError,),
    BatchTimeout: (BatchError, TimeoutError),
    ServiceError: (AiobatchError,),
    Throttled: (ServiceError,),
    TableNotFound: (ServiceError,),
    AccessDenied: (ServiceError,),
    WireError: (AiobatchError,),
}


def test_the_tree_is_as_drawn() -> None:
    public = {
        error
        for error in vars(errors).values()
        if inspect.isclass(error) and issubclass(error, AiobatchError)
    }
    assert public == set(TREE)
    for error, bases in TREE.items():
        assert error.__bases__ == bases
    assert set(errors.__all__) == {error.__name__ for error in TREE}
    assert set(errors.__all__) <= set(aiobatch.__all__)


def test_the_drawing_in_the_docstring_is_true() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    (?P<indent>[│ ]*)(?:[├└]── )?(?P<name>[A-Z]\w+)", line)
        if match is None:
            continue
        depth = 0 if "──" not in line else line.index("──") // 4
        path[depth:] = [match["name"]]
        if depth:
            drawn[match["name"]] = path[depth - 1]
    assert drawn == {
        error.__name__: bases[0].__name__
        for error, bases in TREE.items()
        if error is not AiobatchError
    }


def service_error(kind: type[ServiceError] = ServiceError) -> ServiceError:
    return kind(
        "ValidationException",
        f"the key {SECRET} is wrong",
        operation="BatchWriteItem",
        status=400,
        request_id="REQ1",
        throttling_reasons=[{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": "arn"}],
        retryable=True,
        ambiguous=True,
    )


RESPONSE = {
    "ProcessedCount": 1,
    "UnprocessedCount": 1,
    "UnprocessedItems": [{"pk": SECRET}],
    "RejectedItems": [{"index": 0, "item": {"pk": SECRET}, "code": "X", "message": SECRET}],
}
REASONS: list[dict[str, object]] = [
    {"Code": "None"},
    {"Code": "ConditionalCheckFailed", "Message": SECRET, "Item": {"pk": {"S": SECRET}}},
]

# One of each, and the fields that it must keep.
EXAMPLES: dict[str, tuple[AiobatchError, tuple[str, ...]]] = {
    "AiobatchError": (AiobatchError("root"), ()),
    "InvalidItem": (
        InvalidItem(3, "address.tags[2]", "is NaN, which DynamoDB cannot store"),
        ("index", "path", "reason"),
    ),
    "KeyNamesUnknown": (KeyNamesUnknown("users"), ("table_name",)),
    "ConditionFailed": (
        ConditionFailed("users", operation="PutItem", after_retry=True, request_id="REQ1"),
        ("table_name", "operation", "after_retry", "request_id"),
    ),
    "TransactionFailed": (TransactionFailed(REASONS), ("reasons",)),
    "ModelMismatch": (
        ModelMismatch("User", {0: ValueError(SECRET)}, {"Items": [SECRET]}, table_name="users"),
        ("model", "table_name", "response"),
    ),
    "ClientClosed": (ClientClosed("closed", RESPONSE), ("response",)),
    "BatchError": (BatchError("of 3 items, 1 rejected", RESPONSE), ("response",)),
    "BatchTimeout": (BatchTimeout("of 3 items, 1 unknown", RESPONSE), ("response",)),
    **{
        kind.__name__: (
            service_error(kind),
            (
                "code",
                "message",
                "status",
                "request_id",
                "operation",
                "throttling_reasons",
                "retryable",
                "ambiguous",
            ),
        )
        for kind in (ServiceError, Throttled, TableNotFound, AccessDenied)
    },
    "WireError": (
        WireError("no answer", operation="GetItem", sent=False, disconnected=True),
        ("reason", "operation", "sent", "disconnected", "ambiguous", "retryable"),
    ),
}


def test_there_is_an_example_of_each() -> None:
    assert set(EXAMPLES) == {error.__name__ for error in TREE}


@pytest.mark.parametrize("name", EXAMPLES)
def test_errors_survive_pickling_with_all_they_know(name: str) -> None:
    error, fields = EXAMPLES[name]
    error.__cause__ = cause = service_error(Throttled)
    for clone in (
        *(pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, 6)),
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(clone) is type(error)
        assert str(clone) == str(error)
        assert clone.args == error.args
        for field in fields:
            assert getattr(clone, field) == getattr(error, field)
        assert clone.cause is clone.__cause__
        assert type(clone.cause) is Throttled
        assert vars(clone.cause) == vars(cause)
    error.__cause__ = None


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_text_tells_an_items_content(name: str) -> None:
    error, _ = EXAMPLES[name]
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert SECRET not in repr(error.args)
    assert str(error)


@pytest.mark.parametrize("kind", TREE)
def test_every_error_says_what_it_means_and_what_it_carries(kind: type[Any]) -> None:
    documented = inspect.getdoc(kind)
    assert documented
    _, fields = EXAMPLES[kind.__name__]
    own = vars(kind).get("__init__")
    if own is None:
        return
    for field in fields:
        if field != "retryable" or kind is ServiceError:
            assert f"{field}:" in documented or isinstance(getattr(kind, field, None), property)


def test_the_texts_say_where_and_what() -> None:
    invalid, _ = EXAMPLES["InvalidItem"]
    assert str(invalid) == (
        "item 3, attribute address.tags[2]: is NaN, which DynamoDB cannot store"
    )
    assert str(InvalidItem(None, "", "is empty", what="key")) == "key: is empty"
    unknown, _ = EXAMPLES["KeyNamesUnknown"]
    assert 'key_names={\'users\': ("pk", "sk")}' in str(unknown)
    assert "DescribeTable" in str(unknown)
    service, _ = EXAMPLES["ServiceError"]
    for part in ("BatchWriteItem", "ValidationException", "400", "REQ1", "KeyRange"):
        assert part in str(service)
    transaction, _ = EXAMPLES["TransactionFailed"]
    assert "ConditionalCheckFailed" in str(transaction)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ((), "BatchWriteItem: Val"),
        (("users",), "BatchWriteItem on 'users': Val"),
        (("a", "b", "c"), "BatchWriteItem on 'a', 'b', 'c': Val"),
        (("a", "b", "c", "d"), "BatchWriteItem on 4 tables: Val"),
    ],
)
def test_a_services_error_names_the_tables(tables: tuple[str, ...], told: str) -> None:
    service = service_error()
    service.tables = tables
    assert str(service).startswith(told)
    assert str(pickle.loads(pickle.dumps(service))) == str(service)


def test_catching() -> None:
    """What a caller writes in an except clause."""
    for name in ("InvalidItem", "BatchTimeout", "WireError", "Throttled", "ClientClosed"):
        with pytest.raises(AiobatchError):
            raise EXAMPLES[name][0]
    with pytest.raises(ValueError, match="NaN"):
        raise EXAMPLES["InvalidItem"][0]
    with pytest.raises(TimeoutError):
        raise EXAMPLES["BatchTimeout"][0]
    with pytest.raises(BatchError):
        raise EXAMPLES["BatchTimeout"][0]
