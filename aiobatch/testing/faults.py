"""What can go wrong with one request. Each fault is a value; others carry it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args

__all__ = ["Ending", "Entry", "ErrorAnswer", "Fault", "Malformation"]


class Entry(NamedTuple):
    """One entry of a request.

    Attributes:
        table: the table's name or ARN, as the request has it.
        kind: ``"get"``, ``"put"``, ``"delete"`` or ``"update"``.
        value: its item (of a put) or key, in DynamoDB's JSON, such as ``{"pk": {"S": "a"}}``.
    """

    table: str
    kind: Literal["get", "put", "delete", "update"]
    value: Mapping[str, Any]


Malformation = Literal[
    "not_json",
    "not_utf8",
    "empty_body",
    "list",
    "empty_object",
    "wrong_shape",
    "unknown_type",
    "stranger",
    "twice",
    "contradiction",
]
"""How an answer may be malformed; the first four, ``wrong_shape`` and ``unknown_type`` are for
single items and queries, too:

- ``not_json``, ``not_utf8``, ``empty_body``: its body is none of DynamoDB's; the checksum is right;
- ``list``: JSON, but a list;
- ``empty_object``: ``{}``, so that ``Responses`` or ``UnprocessedItems`` is missing;
- ``wrong_shape``: its members are there, with something else in them;
- ``unknown_type``: an attribute of an item (of a leftover, in a write) has a type ``X``;
- ``stranger``: it leaves over an entry that nobody sent;
- ``twice``: it leaves over one entry twice;
- ``contradiction``: an entry was answered and is left over too (reads); as ``twice`` for writes.
"""


class Ending(Enum):
    """How an exchange ends on the wire."""

    ANSWER = "an answer"
    RESET = "the connection is reset"
    HANG_UP = "the connection is closed without a word"
    CUT = "the connection is closed in the middle of the body"
    SILENCE = "nothing ever comes"


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An answer that is an error.

    Attributes:
        code: DynamoDB's name for it; empty for an answer that is not DynamoDB's, but HTML.
        message: DynamoDB's words.
        status: the HTTP status.
        reason: the one in its ThrottlingReasons, where ``{Direction}`` stands for Read or Write;
            empty for none.
        reasons_member: how the member with the reasons is spelt.
    """

    code: str
    message: str
    status: int = 400
    reason: str = ""
    reasons_member: str = "ThrottlingReasons"


_OF_ANY_ANSWER = frozenset(
    {"not_json", "not_utf8", "empty_body", "list", "wrong_shape", "unknown_type", "wrong_checksum"}
)

_Altered = Malformation | Literal["wrong_checksum", "arn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong with one request. Make it with a class method.

    Faults are values: they compare and hash, and one can be used any number of times.

    Example::

        proxy.script([Fault.throttle(), Fault.partial(0.5), Fault.reset_after()])
    """

    name: str
    before: float = 0.0
    after: float = 0.0
    error: ErrorAnswer | None = None
    executed: bool = True
    share: float = 0.0
    refuses: Callable[[Entry], bool] | None = None
    ending: Ending = Ending.ANSWER
    altered: _Altered | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_only_latency(self) -> bool:
        """Whether it slows the request and does nothing else; such faults add up."""
        return self.name == "latency"

    @property
    def needs_batch(self) -> bool:
        """Whether it only makes sense for a BatchGetItem or BatchWriteItem."""
        altered = self.altered is not None and self.altered not in _OF_ANY_ANSWER
        return altered or self.share > 0 or self.refuses is not None

    # ------------------------------------------------------------------ nothing, and slowness

    @classmethod
    def none(cls) -> Fault:
        """Nothing goes wrong: a step of a script that lets a request pass."""
        return cls(name="none")

    @classmethod
    def latency(cls, seconds: float) -> Fault:
        """The exchange takes so long, half of it before the request is executed, half after."""
        _check_seconds(seconds)
        return cls(name="latency", before=seconds / 2, after=seconds / 2)

    @classmethod
    def late_answer(cls, seconds: float) -> Fault:
        """The request is executed at once; the answer comes so much later."""
        _check_seconds(seconds)
        return cls(name="late_answer", after=seconds)

    @classmethod
    def silence(cls, *, executed: bool = False) -> Fault:
        """No answer ever comes, so that only a timeout ends the wait."""
        return cls(name="silence", ending=Ending.SILENCE, executed=executed)

    # ------------------------------------------------------------------ throttling

    @classmethod
    def throttle(
        cls,
        code: str = "ProvisionedThroughputExceededException",
        *,
        reason: str = "Table{Direction}ProvisionedThroughputExceeded",
    ) -> Fault:
        """The whole request is refused for throttling, with a ThrottlingReason.

        Args:
            code: the error's code; ``ThrottlingException`` spells ``throttlingReasons`` in lower
                case, as DynamoDB does.
            reason: ``{Direction}`` stands for Read or Write; empty for no reasons.
        """
        lower = code == "ThrottlingException"
        error = ErrorAnswer(
            code,
            "The level of configured provisioned throughput for the table was exceeded.",
            reason=reason,
            reasons_member="throttlingReasons" if lower else "ThrottlingReasons",
        )
        return cls(name=f"throttle:{code}", error=error, executed=False)

    @classmethod
    def throttling_exception(cls) -> Fault:
        """A ThrottlingException, as an on-demand table throws it."""
        return cls.throttle(
            "ThrottlingException", reason="Table{Direction}MaxOnDemandThroughputExceeded"
        )

    @classmethod
    def request_limit(cls) -> Fault:
        """A RequestLimitExceeded: the account's limit, without reasons."""
        return cls.throttle("RequestLimitExceeded", reason="")

    @classmethod
    def hot_key_range(cls) -> Fault:
        """A throttling that is about one partition alone."""
        return replace(
            cls.throttle(reason="Table{Direction}KeyRangeThroughputExceeded"), name="hot_key_range"
        )

    @classmethod
    def partial(cls, share: float = 0.5, *, entry: Callable[[Entry], bool] | None = None) -> Fault:
        """A part of the batch is not executed and comes back as it was sent.

        At least one entry is executed and one is refused; a batch of one is throttled, since
        DynamoDB never answers that it did nothing.

        Args:
            share: how much of the batch is refused, from 0.0 to 1.0; which entries is drawn.
            entry: refuse these entries instead of a share; the whole request is throttled if that
                is all of it.
        """
        if not 0.0 < share <= 1.0:
            raise ValueError("share must be over 0.0 and at most 1.0")
        return cls(name="partial", share=0.0 if entry else share, refuses=entry)

    # ------------------------------------------------------------------ errors

    @classmethod
    def fails(
        cls, code: str, message: str = "", *, status: int = 400, executed: bool = False
    ) -> Fault:
        """Any error of DynamoDB's.

        Args:
            code: such as ``"ValidationException"``.
            message: its words.
            status: the HTTP status.
            executed: whether the request takes effect all the same.
        """
        name = f"{code}:executed" if executed else code
        return cls(name=name, error=ErrorAnswer(code, message, status), executed=executed)

    @classmethod
    def internal_error(cls, *, executed: bool = False) -> Fault:
        """InternalServerError, 500; the request may have been executed."""
        message = "The request processing has failed because of an unknown error."
        return cls.fails("InternalServerError", message, status=500, executed=executed)

    @classmethod
    def unavailable(cls, *, executed: bool = False) -> Fault:
        """503 with a page of HTML, as a load balancer answers."""
        name = "unavailable:executed" if executed else "unavailable"
        error = ErrorAnswer("", "Service Unavailable", 503)
        return cls(name=name, error=error, executed=executed)

    @classmethod
    def validation(
        cls, message: str = "One or more parameter values were invalid: by the script"
    ) -> Fault:
        """A ValidationException; give the rule an ``entry=`` to have one entry cause it."""
        return cls.fails("ValidationException", message)

    @classmethod
    def collection_too_large(cls) -> Fault:
        """ItemCollectionSizeLimitExceededException: a partition with a local index is full."""
        return cls.fails(
            "ItemCollectionSizeLimitExceededException", "Collection size exceeded by the script."
        )

    @classmethod
    def access_denied(cls) -> Fault:
        """AccessDeniedException."""
        return cls.fails("AccessDeniedException", "User is not authorized to perform this action")

    @classmethod
    def expired_token(cls) -> Fault:
        """ExpiredTokenException: the credentials ran out."""
        return cls.fails(
            "ExpiredTokenException", "The security token included in the request is expired"
        )

    @classmethod
    def table_not_found(cls) -> Fault:
        """ResourceNotFoundException."""
        return cls.fails("ResourceNotFoundException", "Requested resource not found")

    @classmethod
    def write_conflict(cls) -> Fault:
        """ReplicatedWriteConflictException: a global table is busy with the same item."""
        return cls.fails("ReplicatedWriteConflictException", "Replicated write conflict")

    # ------------------------------------------------------------------ the connection

    @classmethod
    def reset_before(cls) -> Fault:
        """The connection is reset; nothing was executed."""
        return cls(name="reset_before", ending=Ending.RESET, executed=False)

    @classmethod
    def reset_after(cls) -> Fault:
        """The connection is reset once the request was executed: written, but the answer lost."""
        return cls(name="reset_after", ending=Ending.RESET)

    @classmethod
    def hang_up_before(cls) -> Fault:
        """The connection is closed without an answer, as a server closes one that was idle."""
        return cls(name="hang_up_before", ending=Ending.HANG_UP, executed=False)

    @classmethod
    def hang_up_after(cls) -> Fault:
        """As ``hang_up_before``, but the request was executed."""
        return cls(name="hang_up_after", ending=Ending.HANG_UP)

    @classmethod
    def truncated(cls) -> Fault:
        """The request is executed; its answer breaks off in the middle."""
        return cls(name="truncated", ending=Ending.CUT)

    # ------------------------------------------------------------------ the answer

    @classmethod
    def wrong_checksum(cls) -> Fault:
        """The request is executed; ``x-amz-crc32`` is not that of the answer's body."""
        return cls(name="wrong_checksum", altered="wrong_checksum")

    @classmethod
    def malformed(cls, how: Malformation) -> Fault:
        """The request is executed; its answer, with status 200 and the right checksum, is none.

        Args:
            how: see :data:`Malformation`.
        """
        if how not in get_args(Malformation):
            raise ValueError(f"how must be one of {', '.join(get_args(Malformation))}")
        return cls(name=f"malformed:{how}", altered=how)

    @classmethod
    def answer_by_arn(cls) -> Fault:
        """Legal, and a trap: the answer's maps are keyed by the table's ARN."""
        return cls(name="answer_by_arn", altered="arn")


def _check_seconds(seconds: float) -> None:
    if not seconds >= 0:
        raise ValueError("seconds must be 0 or more")
