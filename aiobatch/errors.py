"""The exceptions of aiobatch.

What a caller catches::

    AiobatchError
    ├── InvalidItem (also a ValueError)    DynamoDB would refuse this item or key; nothing was sent
    ├── KeyNamesUnknown                    the table's key names are needed and could not be learnt
    ├── ConditionFailed                    the condition of a single write did not hold
    ├── TransactionFailed                  a transaction was cancelled, with a reason per operation
    ├── ModelMismatch                      the model= of a read refused items; they are in the error
    ├── ClientClosed                       the client was closed before or during the call
    ├── BatchError                         a batch ended with entries that need the caller's eye
    │   └── BatchTimeout (also a TimeoutError)
    ├── ServiceError                       DynamoDB answered with an error
    │   ├── Throttled
    │   ├── TableNotFound
    │   └── AccessDenied
    └── WireError                          no answer, or one that is not DynamoDB's

A ``BatchError`` carries the whole account in ``response`` and the ``ServiceError`` or ``WireError``
behind it in ``cause`` (which is its ``__cause__`` too). DynamoDB's own messages may quote keys and
items, so they stand in ``ServiceError.message`` and in the account, never in an error's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "AccessDenied",
    "AiobatchError",
    "BatchError",
    "BatchTimeout",
    "ClientClosed",
    "ConditionFailed",
    "InvalidItem",
    "KeyNamesUnknown",
    "ModelMismatch",
    "ServiceError",
    "TableNotFound",
    "Throttled",
    "TransactionFailed",
    "WireError",
]

_TOLD_AT_MOST = 5
_MOST_TABLES_NAMED = 3


class AiobatchError(Exception):
    """The root of every error that aiobatch raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls __init__ with args alone, which keyword-only errors cannot
        # take, and it drops the cause.
        return _rebuild, (type(self), self.args, self.__dict__.copy(), self.__cause__)

    @property
    def cause(self) -> BaseException | None:
        """The error behind this one, or None. It is the same object as ``__cause__``."""
        return self.__cause__


def _rebuild(
    cls: type[AiobatchError],
    args: tuple[Any, ...],
    state: dict[str, Any],
    cause: BaseException | None,
) -> AiobatchError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class InvalidItem(AiobatchError, ValueError):
    """An item or a key that DynamoDB would refuse. It was found before it was sent.

    Attributes:
        index: the position in the caller's list, counted from 0; None for a single-item call.
        path: where in the item, such as ``address.tags[2]``; empty for the item itself.
        reason: what is wrong with it and what to do. Never the value.
        response: the account of a stream, which had sent what came before this item; None for any
            other call, which had sent nothing.
        table_name: the table, in a call on several tables; else None.
    """

    def __init__(
        self,
        index: int | None,
        path: str,
        reason: str,
        *,
        what: str = "item",
        response: Mapping[str, Any] | None = None,
        table_name: str | None = None,
    ) -> None:
        self.index = index
        self.path = path
        self.reason = reason
        self.response = response
        self.table_name = table_name
        place = what if index is None else f"{what} {index}"
        if table_name is not None:
            place += f" of table {table_name!r}"
        where = f", attribute {path}" if path else ""
        super().__init__(f"{place}{where}: {reason}")


class KeyNamesUnknown(AiobatchError):
    """The key attributes of a table are needed and could not be learnt.

    Puts need them (the last write to a key wins), and so does ``fail_if_exists``.

    Attributes:
        table_name: the table, as the caller named it.
    """

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name
        super().__init__(
            f"the key attributes of table {table_name!r} are unknown: DescribeTable was denied."
            " Nothing was sent. Name them, the partition key first, as in"
            f' DynamoDB(key_names={{{table_name!r}: ("pk", "sk")}}),'
            " or allow dynamodb:DescribeTable."
        )


class ConditionFailed(AiobatchError):
    """The condition of a single put, delete or update did not hold: nothing was changed.

    Attributes:
        table_name: the table, as the caller named it.
        operation: ``"PutItem"``, ``"DeleteItem"`` or ``"UpdateItem"``.
        after_retry: True if an earlier attempt of this same write ended without a clear answer.
            Then the condition may have failed on the item that this very call had written.
        request_id: DynamoDB's request id, or None.
    """

    def __init__(
        self,
        table_name: str,
        *,
        operation: str,
        after_retry: bool = False,
        request_id: str | None = None,
    ) -> None:
        self.table_name = table_name
        self.operation = operation
        self.after_retry = after_retry
        self.request_id = request_id
        hint = (
            " An earlier attempt of this call had no clear answer and may have written it: read the"
            " item to tell."
            if after_retry
            else ""
        )
        super().__init__(f"{operation} on {table_name!r}: the condition did not hold.{hint}")


class TransactionFailed(AiobatchError):
    """A transaction was cancelled: none of its operations took effect.

    Attributes:
        reasons: a mapping per operation, in their order: ``{"Code", "Message"}``, and ``Item``
            (as Python values) where it was asked for; ``{"Code": "None"}`` for an operation that
            was not at fault. They may quote items, unlike this error's text.
        request_id: DynamoDB's request id, or None.
    """

    def __init__(
        self, reasons: Sequence[Mapping[str, Any]], *, request_id: str | None = None
    ) -> None:
        self.reasons = [dict(reason) for reason in reasons]
        self.request_id = request_id
        told = ", ".join(
            f"operation {index}: {reason.get('Code')}"
            for index, reason in enumerate(self.reasons)
            if reason.get("Code") not in (None, "None")
        )
        super().__init__(f"the transaction was cancelled, nothing was written ({told})")


class ModelMismatch(AiobatchError):
    """The ``model=`` of a read refused items. What was read is in the error, all of it.

    Attributes:
        model: the model's name.
        table_name: the table, as the caller named it.
        errors: what the model raised, by position: that of the key in the caller's keys, or, in a
            query, that of the item. A model's own errors may quote the item, so keep them out of
            logs; for the same reason none is this error's ``__cause__``.
        response: the answer: objects of the model for the items that it took, and the others as
            the plain dicts that were read, in their places.
    """

    def __init__(
        self,
        model: str,
        errors: Mapping[int, Exception],
        response: Mapping[str, Any],
        *,
        table_name: str,
        what: str = "the item of key",
    ) -> None:
        self.model = model
        self.table_name = table_name
        self.errors = dict(errors)
        self.response = response
        places = [
            f"{what} {position} ({type(error).__name__})"
            for position, error in list(self.errors.items())[:_TOLD_AT_MOST]
        ]
        more = len(self.errors) - len(places)
        super().__init__(
            f"model {model} refused {', '.join(places)}{f' and {more} more' if more else ''} of"
            f" table {table_name!r}. What was read is in error.response, the model's words are in"
            " error.errors"
        )


class ClientClosed(AiobatchError):
    """The client was closed, so it takes no new call, and the calls in flight ended.

    Attributes:
        response: the account of a batch that was under way, in the shape of an answer; None for
            a call that had not begun.
    """

    def __init__(self, message: str, response: Mapping[str, Any] | None = None) -> None:
        self.response = response
        super().__init__(message)


class BatchError(AiobatchError):
    """A batch ended with entries rejected, unknown, or failed for another reason than throttling.

    Everything that could be done was done first. Throttling that outlives the retry budget is not
    an error: what is left is returned in the answer.

    Attributes:
        response: the whole account in the shape of an answer, with ``RejectedItems`` or
            ``RejectedKeys`` (``[{"index", "item", "code", "message"}]``) and ``UnknownItems``
            where there are any. Nothing that was read is missing from it.
        cause: the ``ServiceError`` or ``WireError`` behind it, or None.
    """

    def __init__(self, message: str, response: Mapping[str, Any]) -> None:
        self.response = response
        super().__init__(message)


class BatchTimeout(BatchError, TimeoutError):
    """The ``timeout=`` of a batch call ran out. ``response`` holds the account."""


class ServiceError(AiobatchError):
    """DynamoDB answered with an error.

    Attributes:
        code: DynamoDB's name for it, such as ``"ValidationException"``.
        message: DynamoDB's own words. They may quote keys and items: keep them out of logs.
        status: the HTTP status.
        request_id: DynamoDB's request id, or None.
        operation: the API operation, such as ``"BatchGetItem"``.
        tables: the tables that the request was about, as the caller named them.
        throttling_reasons: ``[{"reason", "resource"}]`` as DynamoDB gave them, or empty.
        cancellation_reasons: of a cancelled transaction, ``[{"Code", "Message", "Item"}]`` as
            DynamoDB gave them, one for each operation; else empty. They may quote items.
        retryable: whether sending the same request again may help.
        ambiguous: whether a write may have taken effect in spite of the error.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        operation: str,
        status: int = 400,
        request_id: str | None = None,
        throttling_reasons: Sequence[Mapping[str, Any]] = (),
        cancellation_reasons: Sequence[Mapping[str, Any]] = (),
        retryable: bool = False,
        ambiguous: bool = False,
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.operation = operation
        self.throttling_reasons = [dict(reason) for reason in throttling_reasons]
        self.cancellation_reasons = [dict(reason) for reason in cancellation_reasons]
        self.retryable = retryable
        self.ambiguous = ambiguous
        # Of the engine, which knows them.
        self.tables: tuple[str, ...] = ()
        super().__init__(code)

    def __str__(self) -> str:
        tables = f"{len(self.tables)} tables"
        if len(self.tables) <= _MOST_TABLES_NAMED:
            tables = ", ".join(map(repr, self.tables))
        told = "".join(
            f", {reason['reason']}" for reason in self.throttling_reasons if reason.get("reason")
        )
        return (
            f"{self.operation}{f' on {tables}' if tables else ''}: {self.code}{told}"
            f" (HTTP {self.status}, request id {self.request_id or 'none'};"
            " DynamoDB's own words are in .message)"
        )


class Throttled(ServiceError):
    """DynamoDB refused the whole request because it asks for too much at once."""


class TableNotFound(ServiceError):
    """The table does not exist in this account and region."""


class AccessDenied(ServiceError):
    """The credentials are missing, wrong, expired, or not allowed to do this."""


class WireError(AiobatchError):
    """No answer, or an answer that is not DynamoDB's: cut short, corrupt, or of another shape.

    Attributes:
        operation: the API operation, such as ``"BatchGetItem"``.
        reason: what happened.
        sent: False if it is certain that the request never left this machine; then a write cannot
            have taken effect.
        disconnected: True if the server closed the connection without a word, which is how a
            reused idle connection dies.
    """

    retryable = True

    def __init__(
        self,
        reason: str,
        *,
        operation: str,
        sent: bool = True,
        disconnected: bool = False,
    ) -> None:
        self.reason = reason
        self.operation = operation
        self.sent = sent
        self.disconnected = disconnected
        super().__init__(f"{operation}: {reason}")

    @property
    def ambiguous(self) -> bool:
        """Whether a write may have taken effect in spite of the error."""
        return self.sent
