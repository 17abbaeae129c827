"""The application. ``uvicorn examples.fastapi_dashboard.app:app`` serves it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypedDict

from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from aiobatch import AiobatchError, DynamoDB, InvalidItem, Loader
from examples.fastapi_dashboard import keys, models
from examples.fastapi_dashboard.checkout import (
    Busy,
    InDoubt,
    NoSuchProduct,
    OutOfStock,
    StockUnread,
    checkout,
)
from examples.fastapi_dashboard.dependencies import CurrentSettings, Db, Load, Products
from examples.fastapi_dashboard.settings import Settings

STATIC = Path(__file__).with_name("static")

# Its place in an address is `{user_id:path}`: an id may have a slash in it.
UserId = Annotated[models.Identifier, InPath()]


class State(TypedDict):
    """What requests find in ``request.state``."""

    settings: Settings
    db: DynamoDB
    users: Loader


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """One client for as long as the application runs, and one loader for all requests."""
    settings = Settings.from_environment()
    async with DynamoDB(
        endpoint_url=settings.endpoint_url,
        max_concurrency=settings.max_concurrency,
        key_names={settings.users_table: keys.NAMES, settings.products_table: keys.NAMES},
    ) as db:
        users = db.loader(settings.users_table, max_wait=settings.max_wait)
        yield {"settings": settings, "db": db, "users": users}


app = FastAPI(title="Dashboard", lifespan=lifespan)
app.mount("/static", StaticFiles(directory=STATIC), name="static")


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page."""
    return FileResponse(
        STATIC / "index.html",
        # Nothing comes from elsewhere, and browsers see to it.
        headers={"Content-Security-Policy": "default-src 'self'; img-src 'self' data:"},
    )


@app.get("/api/users/{user_id:path}/dashboard")
async def dashboard(user_id: UserId, load: Load) -> models.Dashboard:
    """Profile, settings, orders and favourites, read together."""
    profile, settings, orders, favorites = await load(keys.dashboard_keys(user_id))
    if profile is None:
        raise HTTPException(404, f"There is no user {user_id}")
    return models.Dashboard(
        profile=models.Profile(**profile),
        settings=models.UserSettings(**settings) if settings else None,
        orders=models.OrdersSummary(**orders) if orders else None,
        favorites=models.Favorites(**favorites) if favorites else None,
    )


@app.get("/api/users/{user_id:path}/products")
async def products(user_id: UserId, load: Load, loader: Products) -> models.Products:
    """The products that the user likes, and those bought of late.

    Each list is loaded where it is needed and knows nothing of the other; the loader reads both
    with one request.
    """
    profile, _, orders, favorites = await load(keys.dashboard_keys(user_id))
    if profile is None:
        raise HTTPException(404, f"There is no user {user_id}")

    async def named(product_ids: Sequence[str]) -> list[models.Product]:
        found = await loader.load_many(map(keys.product_key, product_ids))
        return [models.Product(**product) for product in found if product is not None]

    liked, recent = await asyncio.gather(
        named(models.Favorites(**favorites or {}).products),
        named(models.OrdersSummary(**orders or {}).recent),
    )
    return models.Products(favorites=liked, recent=recent)


@app.post("/api/checkout")
async def buy(cart: models.Cart, db: Db, settings: CurrentSettings) -> models.Receipt:
    """Buy what is in the cart: all of it, or nothing with a 409 that says what is short."""
    return await checkout(db, settings.products_table, cart.items)


# ---------------------------------------------------------------------- errors


def problem(status: int, message: object, **more: object) -> JSONResponse:
    """An error in FastAPI's shape."""
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse({"detail": str(message), **more}, status, headers)


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
    """There is not enough."""
    return problem(409, error, shortages=[short.model_dump() for short in error.shortages])


@app.exception_handler(Busy)
async def busy(request: Request, error: Busy) -> JSONResponse:
    """Others were faster each time."""
    return problem(409, error, shortages=[])


@app.exception_handler(NoSuchProduct)
async def no_such_product(request: Request, error: NoSuchProduct) -> JSONResponse:
    """The cart holds what is not sold."""
    return problem(404, error)


@app.exception_handler(InvalidItem)
async def invalid(request: Request, error: InvalidItem) -> JSONResponse:
    """DynamoDB would refuse what was asked for. The text never quotes it."""
    return problem(422, error)


@app.exception_handler(StockUnread)
@app.exception_handler(InDoubt)
@app.exception_handler(AiobatchError)
async def unavailable(request: Request, error: Exception) -> JSONResponse:
    """Throttled for too long, or DynamoDB is out of reach. The texts hold no item and no key."""
    return problem(503, error)
