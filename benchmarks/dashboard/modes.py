"""The example's application, with the way of reading that ``DASHBOARD_READS`` names.

``uvicorn --factory benchmarks.dashboard.modes:create_app`` serves it. Handlers, models and settings
are the example's; what is exchanged is the dependency by which the dashboard reads.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import FastAPI, Request

from aiobatch import DynamoDB, Item
from examples.fastapi_dashboard.app import app
from examples.fastapi_dashboard.dependencies import LoadItems, get_load_items
from examples.fastapi_dashboard.keys import Key


def client_and_table(request: Request) -> tuple[DynamoDB, str]:
    """What the example's own dependency would use, at no more cost."""
    return request.state.db, request.state.settings.users_table


async def by_batch(request: Request) -> LoadItems:
    """One batch call per handler."""
    db, table = client_and_table(request)

    async def load(keys: Sequence[Key]) -> list[Item | None]:
        answer = await db.batch_get_item(keys, table, ordered=True)
        if answer["UnprocessedKeys"]:
            raise RuntimeError("keys were left over")
        return answer["Items"]

    return load


async def by_single_items(request: Request) -> LoadItems:
    """One GetItem per key, all of a handler's at once."""
    db, table = client_and_table(request)

    async def load(keys: Sequence[Key]) -> list[Item | None]:
        answers = await asyncio.gather(*[db.get(key, table) for key in keys])
        return [answer.get("Item") for answer in answers]

    return load


async def one_after_another(request: Request) -> LoadItems:
    """One GetItem per key, in a loop, as the guide has it under what not to do."""
    db, table = client_and_table(request)

    async def load(keys: Sequence[Key]) -> list[Item | None]:
        return [(await db.get(key, table)).get("Item") for key in keys]

    return load


MODES: dict[str, Callable[..., Coroutine[Any, Any, LoadItems]] | None] = {
    "loader": None,  # the example as it is
    "waiting": None,  # with DASHBOARD_MAX_WAIT
    "batch": by_batch,
    "single": by_single_items,
    "sequential": one_after_another,
}


def create_app() -> FastAPI:
    """The application for one process."""
    way = MODES[os.environ["DASHBOARD_READS"]]
    if way is not None:
        app.dependency_overrides[get_load_items] = way

    @app.get("/bench/cpu")
    async def cpu() -> float:
        """CPU seconds that this process has used."""
        return time.process_time()

    return app
