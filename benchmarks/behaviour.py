"""What other libraries do where DynamoDB does not do as it is told: the facts behind the README.

Run it where one of them is installed, which need not have aiobatch::

    python -m benchmarks.behaviour boto3-assist   # or aioboto3, aiodynamo, pydynox

A scripted server stands for DynamoDB. It knows no rules, so what it is asked is what DynamoDB would
be asked. Waits of boto3-assist, which are `time.sleep`, are counted and not waited for; the others
pass. With boto3-assist, some of what was slept is the SDK's.
"""

import argparse
import asyncio
import contextlib
import importlib
import io
import json
import logging
import os
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any, Protocol

TABLE = "users"
ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}"
ENOUGH = 200
"""Requests of one question after which the server refuses, so that what has no end ends."""

Message = dict[str, Any]
Answer = tuple[int, Message]


class Library(Protocol):
    """One library, such that each of these is one call of its own."""

    async def read(self, keys: list[Message], projection: list[str] | None = None) -> Any:
        """Read these keys by batch."""

    async def write(self, items: list[Message]) -> Any:
        """Put these items by batch."""


@dataclass
class Server:
    """Answers each request by a rule, and keeps what it was asked."""

    rule: Callable[[str, Message, int], Answer]
    asked: list[Message] = field(default_factory=list)
    url: str = ""

    def answer(self, operation: str, body: Message) -> Answer:
        self.asked.append(body)
        if len(self.asked) > ENOUGH:
            return error("ValidationException", f"that was {ENOUGH} requests")
        return self.rule(operation, body, len(self.asked))

    def sizes(self) -> list[int]:
        """How many entries each request has."""
        found = []
        for body in self.asked:
            (asked,) = body["RequestItems"].values()
            found.append(len(asked["Keys"] if isinstance(asked, dict) else asked))
        return found


@contextlib.contextmanager
def serving(server: Server) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            operation = self.headers["x-amz-target"].partition(".")[2]
            status, message = server.answer(operation, body)
            text = json.dumps(message).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(text)))
            self.send_header("x-amz-crc32", str(zlib.crc32(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}"
        yield
        listening.shutdown()


# ------------------------------------------------------------------------ rules


def error(code: str, message: str = "by the script") -> Answer:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}


def works(operation: str, body: Message, number: int) -> Answer:
    """Every key is found, with no more than its key; every write is done."""
    if operation == "BatchWriteItem":
        return 200, {"UnprocessedItems": {}}
    return 200, {"Responses": {TABLE: body["RequestItems"][TABLE]["Keys"]}, "UnprocessedKeys": {}}


def leaves_two(operation: str, body: Message, number: int) -> Answer:
    """The first two entries of each request are left over, for ever."""
    asked = body["RequestItems"][TABLE]
    if operation == "BatchWriteItem":
        return 200, {"UnprocessedItems": {TABLE: asked[:2]}}
    left = {**asked, "Keys": asked["Keys"][:2]}
    return 200, {"Responses": {TABLE: asked["Keys"][2:]}, "UnprocessedKeys": {TABLE: left}}


def refuses_the_second(operation: str, body: Message, number: int) -> Answer:
    if number > 1:
        return error("ValidationException")
    return works(operation, body, number)


def answers_by_arn(operation: str, body: Message, number: int) -> Answer:
    """Two entries are left over, and the maps are keyed by the table's ARN."""
    status, answer = leaves_two(operation, body, number)
    return status, {name: {ARN: part[TABLE]} for name, part in answer.items()}


def throttles(operation: str, body: Message, number: int) -> Answer:
    return error("ProvisionedThroughputExceededException")


def gives(attributes: Message) -> Callable[[str, Message, int], Answer]:
    def rule(operation: str, body: Message, number: int) -> Answer:
        return 200, {"Responses": {TABLE: [attributes]}, "UnprocessedKeys": {}}

    return rule


# -------------------------------------------------------------------- libraries


class BotoAssist:
    def __init__(self, url: str) -> None:
        module = importlib.import_module("boto3_assist.dynamodb.dynamodb")
        self.db = module.DynamoDB(aws_end_point_url=url, use_connection_pool=False)
        # It opens at the first use, and prints advice when it is not the first of its process.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            _ = self.db.dynamodb_resource

    async def read(self, keys: list[Message], projection: list[str] | None = None) -> Any:
        expression = ",".join(projection) if projection else None
        return self.db.batch_get_item(keys, TABLE, projection_expression=expression)

    async def write(self, items: list[Message]) -> Any:
        return self.db.batch_write_item(items, TABLE)


class Aioboto3:
    """Reads by the client's call, writes by `batch_writer`."""

    def __init__(self, resource: Any) -> None:
        self.resource = resource

    async def read(self, keys: list[Message], projection: list[str] | None = None) -> Any:
        asked: Message = {"Keys": keys}
        if projection:
            asked["ProjectionExpression"] = ",".join(projection)
        answer = await self.resource.batch_get_item(RequestItems={TABLE: asked})
        return {name: answer[name] for name in ("Responses", "UnprocessedKeys")}

    async def write(self, items: list[Message]) -> Any:
        table = await self.resource.Table(TABLE)
        async with table.batch_writer() as writer:
            for item in items:
                await writer.put_item(Item=item)


class Aiodynamo:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.models = importlib.import_module("aiodynamo.models")
        self.expressions = importlib.import_module("aiodynamo.expressions")

    async def read(self, keys: list[Message], projection: list[str] | None = None) -> Any:
        wanted = None
        for name in projection or ():
            one = self.expressions.F(name)
            wanted = one if wanted is None else wanted & one
        return await self.client.batch_get(
            {TABLE: self.models.BatchGetRequest(keys=keys, projection=wanted)}
        )

    async def write(self, items: list[Message]) -> Any:
        return await self.client.batch_write(
            {TABLE: self.models.BatchWriteRequest(items_to_put=items)}
        )


class Pydynox:
    def __init__(self, url: str, **settings: Any) -> None:
        module = importlib.import_module("pydynox.client")
        self.client = module.DynamoDBClient(
            region="us-east-1", endpoint_url=url, access_key="t", secret_key="t", **settings
        )

    async def read(self, keys: list[Message], projection: list[str] | None = None) -> Any:
        return await self.client.batch_get(TABLE, keys, projection=projection)

    async def write(self, items: list[Message]) -> Any:
        return await self.client.batch_write(TABLE, items)


@contextlib.asynccontextmanager
async def opened(name: str, url: str) -> AsyncIterator[Library]:
    if name == "boto3-assist":
        yield BotoAssist(url)
    elif name == "pydynox":
        yield Pydynox(url)
    elif name == "aioboto3":
        module = importlib.import_module("aioboto3")
        async with module.Session().resource("dynamodb", endpoint_url=url) as resource:
            yield Aioboto3(resource)
    else:
        client = importlib.import_module("aiodynamo.client")
        credentials = importlib.import_module("aiodynamo.credentials")
        http = importlib.import_module("aiodynamo.http.httpx")
        httpx, yarl = importlib.import_module("httpx"), importlib.import_module("yarl")
        async with httpx.AsyncClient() as session:
            yield Aiodynamo(
                client.Client(
                    http.HTTPX(session),
                    credentials.Credentials.auto(),
                    "us-east-1",
                    yarl.URL(url),
                )
            )


# -------------------------------------------------------------------- questions


def keys(count: int) -> list[Message]:
    return [{"pk": f"user#{number}"} for number in range(count)]


def with_value(value: Any) -> list[Message]:
    return [{"pk": "user#1", "n": value}]


Question = tuple[str, Callable[[str, Message, int], Answer], Callable[[Library], Any]]
QUESTIONS: list[Question] = [
    ("150 keys in one read", works, lambda library: library.read(keys(150))),
    ("60 items in one write", works, lambda library: library.write(keys(60))),
    ("leftovers of a read, for ever", leaves_two, lambda library: library.read(keys(5))),
    ("leftovers of a write, for ever", leaves_two, lambda library: library.write(keys(25))),
    ("the second request of a read fails", refuses_the_second, lambda li: li.read(keys(150))),
    ("a read answered by ARN", answers_by_arn, lambda library: library.read(keys(5))),
    ("a write answered by ARN", answers_by_arn, lambda library: library.write(keys(5))),
    ("one key twice in a read", works, lambda library: library.read(keys(1) * 2)),
    ("one key twice in a write", works, lambda library: library.write(keys(1) * 2)),
    ("a float", works, lambda library: library.write(with_value(0.1))),
    ("NaN", works, lambda library: library.write(with_value(float("nan")))),
    (
        "numbers read",
        gives({"i": {"N": "5"}, "f": {"N": "0.5"}, "s": {"NS": ["1", "2"]}}),
        lambda library: library.read(keys(1)),
    ),
    ("1E+28 read", gives({"n": {"N": "1E+28"}}), lambda library: library.read(keys(1))),
    (
        "a number key left over",
        lambda operation, body, number: (
            (200, {"Responses": {TABLE: []}, "UnprocessedKeys": body["RequestItems"]})
            if number < ENOUGH
            else error("ValidationException")
        ),
        lambda library: library.read([{"pk": Decimal("0.1234567890123456789")}]),
    ),
    ("reserved words in a projection", works, lambda li: li.read(keys(1), ["name", "status"])),
    ("every request is throttled", throttles, lambda library: library.read(keys(1))),
]


async def ask(name: str, question: Question) -> None:
    """Ask one question, and print what came of it."""
    what, rule, call = question
    server = Server(rule)
    with serving(server), counted_sleeps() as slept:
        async with opened(name, server.url) as library:
            began = time.monotonic()
            try:
                outcome = shortened(repr(await call(library)))
            except Exception as raised:
                kept = ", ".join(vars(raised)) or "nothing"
                outcome = f"{type(raised).__name__}: {shortened(str(raised))} (it carries {kept})"
            seconds = time.monotonic() - began
    print(f"\n{what}\n  {outcome}")
    waits = f", slept {sum(slept):.1f} s" if slept else ""
    print(f"  {len(server.asked)} requests in {seconds:.1f} s{waits}, of {server.sizes()[:12]}")
    if "projection" in what and server.asked:
        (asked,) = server.asked[0]["RequestItems"].values()
        print(f"  asked for {asked.get('ProjectionExpression')}")
    if what in ("a float", "NaN") and server.asked:
        print(f"  sent {server.asked[0]['RequestItems'][TABLE]}")


async def ask_of_the_limiter() -> None:
    """How long pydynox's limiter holds the loop: 200 keys at 50 a second."""
    server = Server(works)
    with serving(server):
        limit = importlib.import_module("pydynox.rate_limit").FixedRate(rcu=50, burst=50)
        library = Pydynox(server.url, rate_limit=limit)
        worst, over = 0.0, asyncio.Event()

        async def watch() -> None:
            nonlocal worst
            last = time.monotonic()
            while not over.is_set():
                await asyncio.sleep(0.005)
                now = time.monotonic()
                worst, last = max(worst, now - last), now

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        for _ in range(4):
            await library.read(keys(50))
        over.set()
        await watching
    print(f"\nFixedRate(rcu=50) and 4 reads of 50 keys\n  the loop was held {worst:.2f} s at worst")


@contextlib.contextmanager
def counted_sleeps() -> Iterator[list[float]]:
    """`time.sleep` of the main thread returns at once."""
    slept: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            slept.append(seconds)
        else:
            real(seconds)

    setattr(time, "sleep", sleep)  # noqa: B010 - mypy sees a function, which cannot be assigned
    try:
        yield slept
    finally:
        setattr(time, "sleep", real)  # noqa: B010


def shortened(text: str, length: int = 300) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.behaviour")
    parser.add_argument("library", choices=["boto3-assist", "aioboto3", "aiodynamo", "pydynox"])
    name = parser.parse_args().library
    below = {"boto3-assist": ["boto3"], "aioboto3": ["aiobotocore"]}.get(name, [])
    print(", ".join(f"{package} {version(package)}" for package in [name, *below]))
    for question in QUESTIONS:
        await ask(name, question)
    if name == "pydynox":
        await ask_of_the_limiter()


if __name__ == "__main__":
    os.environ.update(
        AWS_ACCESS_KEY_ID="t", AWS_SECRET_ACCESS_KEY="t", AWS_DEFAULT_REGION="us-east-1"
    )
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
