"""What handlers ask for. All are coroutines: FastAPI would send plain functions to threads."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Depends, Request

from aiobatch import DynamoDB, Item, Loader
from examples.fastapi_dashboard.keys import Key
from examples.fastapi_dashboard.settings import Settings


async def get_settings(request: Request) -> Settings:
    """The settings that the application started with."""
    settings: Settings = request.state.settings
    return settings


async def get_db(request: Request) -> DynamoDB:
    """The application's one client."""
    db: DynamoDB = request.state.db
    return db


Db = Annotated[DynamoDB, Depends(get_db)]
CurrentSettings = Annotated[Settings, Depends(get_settings)]


async def get_products(db: Db, settings: CurrentSettings) -> Loader:
    """A loader for this request alone. Its cache sees to it that no product is read twice."""
    return db.loader(settings.products_table, cache={})


Products = Annotated[Loader, Depends(get_products)]

LoadItems = Callable[[Sequence[Key]], Awaitable[list[Item | None]]]


async def get_load_items(request: Request) -> LoadItems:
    """How the dashboard reads. The load test puts other ways in this place.

    All requests share one loader: those that meet in a turn of the loop read together. It has no
    cache, so no answer is older than its request.
    """
    users: Loader = request.state.users
    return users.load_many


Load = Annotated[LoadItems, Depends(get_load_items)]
