"""The example's application, with the way of reading that ``DASHBOARD_READS`` names.

``uvicorn --factory benchmarks.dashboard.modes:create_app`` serves it. Handlers, models and settings
are the example's; what is exchanged is the dependency by which the dashboard reads.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import FastAPI

from aiobatch import Item
from examples.fastapi_dashboard.app import app
from examples.fastapi_dashboard.dependencies import (
    CurrentSettings,
    Db,
    LoadItems,
    get_load_items,
)
from examples.fastapi_dashboard.keys import Key


async def by_batch(db: Db, settings: CurrentSettings) -> LoadItems:
    """One batch call per handler."""

    async def load(keys: Sequence[Key]) -> list[Item | None]:
        answer = await db.batch_get_item(keys, settings.users_table, ordered=True)
        if answer["UnprocessedKeys"]:
            raise RuntimeError("keys were left over")
        return answer["Items"]

    return load


async def by_single_items(db: Db, settings: CurrentSettings) -> LoadItems:
    """One GetItem per key, all of a handler's at once."""

    async def load(keys: Sequence[Key]) -> list[Item | None]:
        answers = await asyncio.gather(*[db.get(key, settings.users_table) for key in keys])
        return [answer.get("Item") for answer in answers]

    return load


async def one_after_another(db: Db, settings: CurrentSettings) -> LoadItems:
    """One GetItem per key, in a loop, as the guide has it under what not to do."""

    async def load(keys: Sequence[Key]) -> list[Item | None]:
        return [(await db.get(key, settings.users_table)).get("Item") for key in keys]

    return load


MODES: dict[str, Callable[..., Coroutine[Any, Any, LoadItems]] | None] = {
    "loader": None,  # the example as it is
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
