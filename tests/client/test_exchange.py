"""What can go wrong in an exchange, and what the caller sees of it."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from aiobatch import (
    AccessDenied,
    BatchError,
    ConditionFailed,
    DynamoDB,
    KeyNamesUnknown,
    Retry,
    ServiceError,
    TableNotFound,
    Throttled,
    WireError,
)
from tests.client.conftest import Connect
from tests.client.server import Asked, Reply, Script, Server
from tests.conftest import REGION

KEYS = [{"pk": str(n)} for n in range(3)]
SOON = Retry(base_delay=0.001)
NEVER = Retry(max_retries=0)


def first(*replies: Reply) -> Script:
    """These replies one after the other, then obliging ones."""
    left = list(replies)
    return lambda asked: left.pop(0) if left else None


GARBLED = b"\xff\xfe{not json"
HTML = b"<html><body>busy</body></html>"
OF_NO_USE: dict[str, Reply] = {
    "wrong checksum": Reply.json(
        {"Responses": {}, "UnprocessedKeys": {}, "UnprocessedItems": {}}, x_amz_crc32="1"
    ),
    "checksum of a truncated body": Reply(200, b'{"Responses":{},', {"x-amz-crc32": "99"}),
    "body cut short": Reply(200, b'{"Responses":{},"UnprocessedKeys":{}}', cut=10),
    "no JSON": Reply(200, HTML, {"content-type": "text/html"}),
    "no text": Reply(200, GARBLED),
    "empty": Reply(200, b""),
    "a list": Reply(200, b"[]"),
    "nothing in it": Reply(200, b"{}"),
    "HTML 503": Reply(503, HTML, {"content-type": "text/html"}),
    "HTML 502": Reply(502, HTML, {"content-type": "text/html"}),
    "HTML 403": Reply(403, HTML, {"content-type": "text/html"}),
    "garbled 500": Reply(500, GARBLED),
    "empty 500": Reply(500, b""),
    "500": Reply.error("InternalServerError", status=500),
    "503": Reply.error("ServiceUnavailable", status=503),
    "connection closed": Reply(silent=True),
    "an item nobody asked for": Reply.json(
        {
            "Responses": {"users": [{"pk": {"S": "stranger"}}]},
            "UnprocessedKeys": {},
            "UnprocessedItems": {"users": [{"DeleteRequest": {"Key": {"pk": {"S": "x"}}}}]},
        }
    ),
    "tables of the wrong shape": Reply.json(
        {"Responses": {"users": 5}, "UnprocessedKeys": {}, "UnprocessedItems": []}
    ),
}


@pytest.fixture(params=["direct", "aiobotocore"])
def wire(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["direct", "aiobotocore", "client", "legacy client"])
async def db(request: pytest.FixtureRequest, server: Server, shared_session: AioSession) -> Any:
    """Our own client, and clients of the caller's, with and without retries of their own."""
    if request.param in ("direct", "aiobotocore"):
        async with DynamoDB(
            session=shared_session,
            region_name=REGION,
            endpoint_url=server.url,
            retry=SOON,
            wire=request.param,
        ) as db:
            yield db
        return
    retries: Any = {"total_max_attempts": 1, "mode": "standard"}
    if request.param == "legacy client":
        retries = {"total_max_attempts": 1, "mode": "legacy"}
    async with (
        shared_session.create_client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=server.url,
            config=AioConfig(retries=retries),
        ) as client,
        DynamoDB(client=client, retry=SOON) as db,
    ):
        yield db


async def test_answers_of_no_use_are_asked_for_again(db: DynamoDB, server: Server) -> None:
    for label, reply in OF_NO_USE.items():
        server.script = first(reply, reply)
        answer = await db.batch_get_item(KEYS, "users")
        assert answer["Items"] == KEYS, label
        assert answer["MissingKeys"] == answer["UnprocessedKeys"] == [], label
        server.script = first(reply, reply)
        written = await db.batch_write_item(KEYS, "users", operation="delete")
        assert written["ProcessedCount"] == 3, label


async def test_answers_of_no_use_to_the_end(db: DynamoDB, server: Server) -> None:
    for label, reply in OF_NO_USE.items():
        server.script = lambda asked, reply=reply: reply
        with pytest.raises(BatchError) as caught:
            await db.batch_get_item(KEYS, "users", retry=NEVER)
        assert isinstance(caught.value.cause, WireError | ServiceError), label
        assert caught.value.response["UnprocessedKeys"] == KEYS, label
        assert caught.value.response["Items"] == [], label
        with pytest.raises(BatchError) as caught:
            await db.batch_write_item(KEYS, "users", operation="delete", retry=NEVER)
        response = caught.value.response
        assert response["ProcessedCount"] == 0, label
        # None of these says that nothing was written (but an HTML page may come from anywhere).
        assert response.get("UnknownItems") == KEYS, label
        assert response["UnprocessedItems"] == [], label


async def test_single_calls_over_answers_of_no_use(db: DynamoDB, server: Server) -> None:
    for label, reply in OF_NO_USE.items():
        if label in ("nothing in it", "an item nobody asked for", "tables of the wrong shape"):
            continue  # legal answers to a get
        server.script = first(reply)
        try:
            assert (await db.get(KEYS[0], "users"))["Item"] == KEYS[0], label
        except WireError as error:
            pytest.fail(f"{label}: {error}")


async def test_a_dropped_idle_connection_costs_nothing(db: DynamoDB, server: Server) -> None:
    """The server closes it at the moment when the next request arrives."""
    for call in (
        lambda: db.batch_get_item(KEYS, "users", retry=NEVER),
        lambda: db.get(KEYS[0], "users", retry=NEVER),
        lambda: db.batch_write_item(KEYS, "users", operation="delete", retry=NEVER),
    ):
        server.script = None
        await call()
        idle = server.connections
        server.script = lambda asked, idle=idle: (
            Reply(silent=True) if asked.connection == idle else None
        )
        answer: Any = await call()
        assert answer["Metrics"]["requests"] == 2
        assert answer["Metrics"]["retries"] == 0


async def test_an_earlier_attempt_of_the_clients_own_is_not_the_answer(
    server: Server, shared_session: AioSession
) -> None:
    """Retries are on in the caller's client: refused at first, then no answer at all."""
    server.script = lambda asked: (
        Reply.error("ThrottlingException") if len(server.asked) == 1 else Reply(silent=True)
    )
    config: Any = AioConfig(retries={"total_max_attempts": 2, "mode": "standard"})
    async with (
        shared_session.create_client(
            "dynamodb", region_name=REGION, endpoint_url=server.url, config=config
        ) as client,
        DynamoDB(client=client, retry=NEVER) as db,
    ):
        with pytest.raises(BatchError) as caught:
            await db.batch_write_item(KEYS, "users", operation="delete")
    # The second attempt may have written it.
    assert caught.value.response["UnknownItems"] == KEYS


async def test_nobody_listens(connect: Connect, server: Server) -> None:
    async with Server() as gone:
        url = gone.url
    db = connect(endpoint_url=url, retry=Retry(max_retries=1, base_delay=0.001))
    with pytest.raises(BatchError, match="could not connect") as caught:
        await db.batch_write_item(KEYS, "users", operation="delete")
    cause = caught.value.cause
    assert isinstance(cause, WireError)
    assert not cause.sent
    # It is certain that nothing was written.
    assert caught.value.response["UnprocessedItems"] == KEYS
    assert "UnknownItems" not in caught.value.response
    with pytest.raises(WireError):
        await db.get(KEYS[0], "users")


async def test_a_reset_amid_the_exchange_may_have_written(connect: Connect, server: Server) -> None:
    server.script = lambda asked: Reply(silent=True)
    db = connect(retry=Retry(max_retries=1, base_delay=0.001))
    with pytest.raises(BatchError) as caught:
        await db.batch_write_item(KEYS, "users", operation="delete")
    assert caught.value.response["UnknownItems"] == KEYS
    assert caught.value.response["UnprocessedItems"] == []


# --- the service's own errors ---


async def test_errors_carry_what_the_service_said(db: DynamoDB, server: Server) -> None:
    reasons = [{"reason": "TableReadProvisionedThroughputExceeded", "resource": "arn:x"}]
    server.script = lambda asked: Reply.error("AccessDeniedException", "User s3cr3t is not allowed")
    with pytest.raises(BatchError) as caught:
        await db.batch_get_item(KEYS, "users")
    denied = caught.value.cause
    assert isinstance(denied, AccessDenied)
    assert denied.code == "AccessDeniedException"
    assert denied.message == "User s3cr3t is not allowed"
    assert (denied.status, denied.operation) == (400, "BatchGetItem")
    assert denied.request_id == "REQUEST1"
    assert "s3cr3t" not in str(caught.value) + str(denied) + repr(denied)
    assert len(server.asked) == 1
    server.script = lambda asked: Reply.error(
        "ProvisionedThroughputExceededException", "slow down", ThrottlingReasons=reasons
    )
    with pytest.raises(Throttled) as throttled:
        await db.get(KEYS[0], "users", retry=NEVER)
    assert throttled.value.throttling_reasons == reasons
    assert "TableReadProvisionedThroughputExceeded" in str(throttled.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ResourceNotFoundException", TableNotFound),
        ("AccessDeniedException", AccessDenied),
        ("UnrecognizedClientException", AccessDenied),
        ("InvalidSignatureException", AccessDenied),
        ("UnknownOperationException", ServiceError),
        ("SerializationException", ServiceError),
    ],
)
async def test_what_stops_a_call_at_once(
    code: str, kind: type[ServiceError], connect: Connect, server: Server
) -> None:
    server.script = lambda asked: Reply.error(code, "s3cr3t words")
    db = connect(max_concurrency=1, retry=SOON)
    keys = [{"pk": str(n)} for n in range(300)]
    with pytest.raises(BatchError, match=code) as caught:
        await db.batch_get_item(keys, "users")
    assert type(caught.value.cause) is kind
    assert caught.value.response["UnprocessedKeys"] == keys
    assert "s3cr3t" not in str(caught.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "ReplicatedWriteConflictException",
    ],
)
async def test_throttling_to_the_end_is_no_error(
    code: str, connect: Connect, server: Server
) -> None:
    server.script = lambda asked: Reply.error(code)
    db = connect(retry=Retry(max_retries=2, base_delay=0.001))
    answer = await db.batch_get_item(KEYS, "users")
    assert answer["UnprocessedKeys"] == KEYS
    assert all(a is b for a, b in zip(answer["UnprocessedKeys"], KEYS, strict=True))
    assert answer["Metrics"]["throttled"] == answer["Metrics"]["requests"] == 3
    assert answer["Metrics"]["retries"] == 6
    written = await db.batch_write_item(KEYS, "users", operation="delete", retry=NEVER)
    assert written["UnprocessedItems"] == KEYS
    assert "UnknownItems" not in written


async def test_leftovers_are_asked_for_again(db: DynamoDB, server: Server) -> None:
    def half(asked: Asked) -> Reply | None:
        keys = asked.parameters["RequestItems"]["users"]["Keys"]
        if len(keys) == 1:
            return None
        return Reply.json(
            {
                "Responses": {"users": keys[:1]},
                "UnprocessedKeys": {"users": {"Keys": keys[1:]}},
            }
        )

    server.script = half
    answer = await db.batch_get_item(KEYS, "users", ordered=True)
    assert answer["Items"] == KEYS
    assert answer["Metrics"]["requests"] == 3
    assert answer["Metrics"]["retries"] == 3
    assert answer["Metrics"]["throttled"] == 0


async def test_an_answer_keyed_by_the_tables_arn(db: DynamoDB, server: Server) -> None:
    """DynamoDB may use the ARN in the answer whatever was sent. boto3-assist loops for ever."""
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/users"

    def by_arn(asked: Asked) -> Reply:
        keys = asked.parameters["RequestItems"]["users"]["Keys"]
        left = {arn: {"Keys": keys[2:]}} if len(keys) > 2 else {}
        return Reply.json({"Responses": {arn: keys[:2]}, "UnprocessedKeys": left})

    server.script = by_arn
    answer = await db.batch_get_item(KEYS, "users")
    assert answer["Items"] == KEYS
    assert answer["Metrics"]["requests"] == 2


async def test_the_key_names_are_a_secret(connect: Connect, server: Server) -> None:
    def deny(asked: Asked) -> Reply | None:
        return Reply.error("AccessDeniedException") if asked.operation == "DescribeTable" else None

    server.script = deny
    db = connect(retry=SOON)
    for call in (
        lambda: db.batch_write_item(KEYS, "users"),
        lambda: db.save(KEYS[0], "users", fail_if_exists=True),
    ):
        with pytest.raises(KeyNamesUnknown, match=r"key_names=\{'users'") as caught:
            await call()
        assert caught.value.table_name == "users"
        assert isinstance(caught.value.cause, AccessDenied)
    assert server.operations == ["DescribeTable"] * 2
    # Deletes and plain saves need no names.
    await db.batch_write_item(KEYS, "users", operation="delete")
    await db.save(KEYS[0], "users")


async def test_a_description_is_retried_like_any_request(connect: Connect, server: Server) -> None:
    server.script = first(Reply.error("ThrottlingException"), Reply(500, b""))
    db = connect(retry=SOON)
    answer = await db.batch_write_item(KEYS, "users")
    assert answer["ProcessedCount"] == 3
    assert answer["Metrics"]["requests"] == 4
    assert server.operations == [*["DescribeTable"] * 3, "BatchWriteItem"]


async def test_a_condition_that_may_have_failed_on_our_own_write(
    db: DynamoDB, server: Server
) -> None:
    """The first attempt was written and its answer lost: the second finds the item there."""
    server.script = first(Reply(500, b""), Reply.error("ConditionalCheckFailedException", "s3cr3t"))
    with pytest.raises(ConditionFailed, match="may have written it") as caught:
        await db.save(KEYS[0], "users", condition_expression="attribute_not_exists(pk)")
    assert caught.value.after_retry
    assert "s3cr3t" not in str(caught.value)
    server.script = first(Reply.error("ConditionalCheckFailedException"))
    with pytest.raises(ConditionFailed) as caught:
        await db.delete(KEYS[0], "users", condition_expression="a = b")
    assert not caught.value.after_retry


async def test_expired_credentials_are_asked_for_anew(db: DynamoDB, server: Server) -> None:
    server.script = first(Reply.error("ExpiredTokenException"))
    assert (await db.batch_get_item(KEYS, "users"))["Items"] == KEYS


# --- the clock ---


def is_signed(asked: Asked, secret: str = "testing") -> bool:
    """Whether the signature is right for the time that the request itself tells."""
    kind, *parts = asked.headers["authorization"].replace(",", " ").split()
    fields = dict(part.split("=", 1) for part in parts)
    _, *scope = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            *("POST", "/", ""),
            *(f"{name}:{asked.headers[name]}" for name in names),
            *("", fields["SignedHeaders"], hashlib.sha256(asked.body).hexdigest()),
        ]
    )
    told = asked.headers["x-amz-date"]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (*scope, "\n".join([kind, told, "/".join(scope), digest])):
        key = hmac.digest(key, part.encode(), "sha256")
    return scope[0] == told[:8] and key.hex() == fields["Signature"]


@pytest.mark.parametrize("ahead", [timedelta(hours=30), timedelta(minutes=-20)])
async def test_a_wrong_clock_is_corrected(ahead: timedelta, db: DynamoDB, server: Server) -> None:
    """The server's clock is elsewhere, and like DynamoDB it takes five minutes for an error."""

    def strict(asked: Asked) -> Reply | None:
        now = datetime.now(UTC) + ahead
        date = {"date": format_datetime(now, usegmt=True)}
        signed = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        if not is_signed(asked):
            return Reply.error("IncompleteSignatureException")
        if abs(signed.replace(tzinfo=UTC) - now) > timedelta(minutes=5):
            refused = Reply.error("InvalidSignatureException", "Signature expired")
            return Reply(refused.status, refused.body, date)
        return None

    server.script = strict
    answer = await db.batch_get_item(KEYS, "users")
    assert answer["Items"] == KEYS
    assert answer["Metrics"]["requests"] == 2
    # It is known from now on, and holds for large bodies too.
    assert (await db.get(KEYS[0], "users"))["Metrics"]["requests"] == 1
    large = [{"pk": str(n), "v": "x" * 300_000} for n in range(8)]
    written = await db.batch_write_item(large, "users")
    assert written["ProcessedCount"] == 8
    # The read taught the key names: no description.
    assert len(server.asked) == 4


async def test_a_signature_refused_for_another_reason(db: DynamoDB, server: Server) -> None:
    """The clocks agree: it is the secret that is wrong, and asking again would not help."""
    server.script = lambda asked: Reply.error("InvalidSignatureException")
    with pytest.raises(BatchError):
        await db.batch_get_item(KEYS, "users")
    assert len(server.asked) == 1


# --- large bodies ---


async def test_large_bodies_raise_no_warning(db: DynamoDB, server: Server) -> None:
    """aiohttp warns of bytes over 1 MiB, and here a warning is an error."""
    items = [{"pk": str(n), "v": "x" * 390_000} for n in range(30)]
    answer = await db.batch_write_item(items, "users")
    assert answer["ProcessedCount"] == 30
    stored = {
        put["PutRequest"]["Item"]["pk"]["S"]: put["PutRequest"]["Item"]
        for asked in server.asked
        if asked.operation == "BatchWriteItem"
        for put in asked.parameters["RequestItems"]["users"]
    }
    assert len(stored) == 30
    assert max(len(asked.body) for asked in server.asked) > 5_000_000

    def large(asked: Asked) -> Reply:
        keys = asked.parameters["RequestItems"]["users"]["Keys"]
        found = [stored[key["pk"]["S"]] for key in keys]
        return Reply.json({"Responses": {"users": found}, "UnprocessedKeys": {}})

    server.script = large
    read = await db.batch_get_item([{"pk": item["pk"]} for item in items], "users")
    assert read["Items"] == items
    # Sent again after a failure, a large body is whole as well.
    server.asked.clear()
    server.script = first(Reply(500, b""), Reply(silent=True))
    assert (await db.batch_write_item(items[:20], "users"))["ProcessedCount"] == 20
    assert len({asked.body for asked in server.asked}) == 1
    assert len(server.asked) == 3
