"""What the scripts stand on when they are run by hand: a server, a table, and what is in it.

Nothing in here is part of what the examples show.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aiobatch import AiobatchError, DynamoDB, Retry
from aiobatch.testing import FaultProxy
from benchmarks.embedded import embedded_server, placeholder_credentials
from benchmarks.tables import own_region, own_table

KEYS = ("pk", "sk")

Main = Callable[[DynamoDB, str], Awaitable[object]]
Trouble = Callable[[FaultProxy], None]


def run(
    main: Main,
    *,
    seed: Sequence[Any] = (),
    trouble: Trouble | None = None,
    retry: Retry | None = None,
) -> None:
    """Run an example against a table of its own, and exit with its status.

    Args:
        main: the example.
        seed: what the table holds before.
        trouble: arranges what goes wrong. No server throttles by itself, so a proxy does it.
        retry: the retry policy of the example's client.
    """
    parser = argparse.ArgumentParser(
        description="Without options, moto serves DynamoDB from this process: no account, no"
        " network. The table is made for this run and deleted after it.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--endpoint-url", help="use this endpoint instead of moto")
    where.add_argument(
        "--aws", action="store_true", help="use the AWS settings of the environment as they are"
    )
    options = parser.parse_args()
    if options.aws and trouble is not None:
        parser.error("this example needs a server that can be made to fail: leave out --aws")
    try:
        with contextlib.ExitStack() as stack:
            endpoint_url = options.endpoint_url
            if endpoint_url is None and not options.aws:
                stack.enter_context(placeholder_credentials())
                endpoint_url = stack.enter_context(embedded_server())
            asyncio.run(_run(main, endpoint_url, seed, trouble, retry))
    except (AiobatchError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(
    main: Main,
    endpoint_url: str | None,
    seed: Sequence[Any],
    trouble: Trouble | None,
    retry: Retry | None,
) -> None:
    region = own_region()
    async with contextlib.AsyncExitStack() as stack:
        table, _ = await stack.enter_async_context(
            own_table(endpoint_url, "aiobatch-example", *KEYS)
        )
        async with DynamoDB(endpoint_url=endpoint_url, region_name=region) as db:
            seeded = await db.batch_write_item(seed, table, retry=Retry.patient())
            if seeded["UnprocessedCount"]:
                sys.exit(f"error: {seeded['UnprocessedCount']} items could not be prepared")
        if trouble is not None and endpoint_url is not None:
            proxy = await stack.enter_async_context(FaultProxy(endpoint_url))
            trouble(proxy)
            endpoint_url = proxy.endpoint_url
        async with DynamoDB(endpoint_url=endpoint_url, region_name=region, retry=retry) as db:
            await main(db, table)
