"""aiobatch, with the codec and the wire that the options name."""

import contextlib
import os
from collections.abc import AsyncIterator
from importlib.util import find_spec

from benchmarks.adapters import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    Job,
    NotAvailable,
    Operations,
    table_of,
)
from benchmarks.items import ITEMS_A_PUT, KEYS_A_GET, keys, make_items

DISTRIBUTIONS = ("aiobatch", "aiobatch-native", "aiobotocore", "aiohttp", "orjson")


def use_codec(name: str) -> str:
    """See to it that the codec is the one named, and return the one in use.

    Raises:
        NotAvailable: the native codec was asked for and is not there.
    """
    if name == "plain":
        os.environ["AIOBATCH_CODEC"] = "python"
    from aiobatch import codec

    # Before there was a choice, there was the plain one alone.
    taken = getattr(codec, "CODEC", None)
    native = taken is not None and taken.name != "python"
    if name == "native" and not native:
        reason = (
            "aiobatch_native is installed, but aiobatch did not take it"
            if find_spec("aiobatch_native") is not None
            else "the wheel aiobatch-native is not installed (`make native` builds it)"
        )
        raise NotAvailable(reason)
    if name == "plain" and native:
        raise NotAvailable("AIOBATCH_CODEC=python did not keep the native codec out")
    return "native" if native else "plain"


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[Operations]:
    """One client, shared by all tasks."""
    codec = use_codec(job.options["codec"])
    from aiobatch import DynamoDB

    wire, table = job.options["wire"], table_of(job)
    try:
        db = DynamoDB(
            endpoint_url=job.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            max_concurrency=job.concurrency,
            key_names={table: ("pk",)},
            wire=wire,
        )
    except ValueError as error:
        if "wire" not in str(error):
            raise
        raise NotAvailable(f"this aiobatch has no wire={wire!r}: {error}") from None
    requests = job.options.get("requests", 1)
    asked, written = keys(KEYS_A_GET * requests), make_items(job.shape, ITEMS_A_PUT * requests)

    async def get() -> list[object]:
        answer = await db.batch_get_item(asked, table)
        return answer["Items"]  # type: ignore[return-value]

    async def put() -> int:
        answer = await db.batch_write_item(written, table)
        return answer["ProcessedCount"]

    async with db:
        yield Operations(get, put, requests=requests, told={"codec": codec, "wire": wire})
