"""The FastAPI example: its application over a real uvicorn, against each backend."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from aiobatch import DynamoDB
from aiobatch.testing import Fault, FaultProxy
from examples.fastapi_dashboard import checkout as shop
from examples.fastapi_dashboard import keys, models, sample
from examples.fastapi_dashboard.settings import Settings
from tests.backends import Backend
from tests.backends.process import answers, free_port
from tests.conftest import REGION
from tests.examples import dashboard_server
from tests.examples.dashboard_server import Dashboard

Answer = tuple[int, Any]


@pytest.fixture(scope="module")
def tables(backend: Backend) -> str:
    """The tables of this module with the sample in them, by the name that they begin with."""
    name = f"dashboard-{secrets.token_hex(4)}"
    dashboard_server.prepare(dashboard_server.environment(backend.endpoint_url, name))
    return name


@pytest.fixture(scope="module")
def dashboard(backend: Backend, tables: str) -> Iterator[Dashboard]:
    with dashboard_server.dashboard(backend.endpoint_url, tables) as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def db(dashboard: Dashboard) -> AsyncIterator[DynamoDB]:
    names = {dashboard.users_table: keys.NAMES, dashboard.products_table: keys.NAMES}
    async with DynamoDB(
        endpoint_url=dashboard.endpoint_url, region_name=REGION, key_names=names
    ) as db:
        yield db


class Shop:
    """Products of a test's own, and the application's door."""

    def __init__(self, db: DynamoDB, session: aiohttp.ClientSession, running: Dashboard) -> None:
        self.db = db
        self.table = running.products_table
        self._session = session
        self._url = running.url
        self._prefix = secrets.token_hex(4)

    def id(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    async def stock(self, **quantities: int) -> None:
        items = [
            sample.product(self.id(name), name, 2.5, quantity)
            for name, quantity in quantities.items()
        ]
        answer = await self.db.batch_write_item(items, self.table)
        assert answer["ProcessedCount"] == len(items)

    async def left(self, name: str) -> Any:
        answer = await self.db.get(keys.product_key(self.id(name)), self.table)
        return answer["Item"]["quantity"]

    async def buy(self, *lines: tuple[str, int]) -> Answer:
        items = [{"product_id": self.id(name), "quantity": quantity} for name, quantity in lines]
        return await self.post({"items": items})

    async def post(self, body: object) -> Answer:
        async with self._session.post(f"{self._url}/api/checkout", json=body) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def store(db: DynamoDB, session: aiohttp.ClientSession, dashboard: Dashboard) -> Shop:
    return Shop(db, session, dashboard)


async def get(session: aiohttp.ClientSession, url: str) -> Answer:
    async with session.get(url) as answer:
        return answer.status, await answer.json()


# --- the dashboard ---


async def test_a_dashboard_has_all_four_parts(
    session: aiohttp.ClientSession, dashboard: Dashboard
) -> None:
    assert await get(session, f"{dashboard.url}/api/users/ada/dashboard") == (
        200,
        {
            "profile": {"name": "Ada Larsson", "email": "ada@example.com"},
            "settings": {"theme": "light", "newsletter": True},
            "orders": {
                "count": 12,
                "total": 318.4,
                "last": "2026-03-01",
                "recent": ["green-tea", "honey", "cup"],
            },
            "favorites": {"products": ["green-tea", "pot", "spoon"]},
        },
    )


async def test_parts_that_do_not_exist_are_null(
    session: aiohttp.ClientSession, dashboard: Dashboard
) -> None:
    status, board = await get(session, f"{dashboard.url}/api/users/new/dashboard")
    assert status == 200
    assert board == {
        "profile": {"name": "Noa Brandt", "email": None},
        "settings": None,
        "orders": None,
        "favorites": None,
    }


@pytest.mark.parametrize("part", ["dashboard", "products"])
async def test_a_user_that_does_not_exist_is_not_found(
    session: aiohttp.ClientSession, dashboard: Dashboard, part: str
) -> None:
    status, told = await get(session, f"{dashboard.url}/api/users/nobody/{part}")
    assert (status, told) == (404, {"detail": "There is no user nobody"})


async def test_a_user_id_too_long_for_a_key_is_refused(
    session: aiohttp.ClientSession, dashboard: Dashboard
) -> None:
    status, _ = await get(session, f"{dashboard.url}/api/users/{'x' * 201}/dashboard")
    assert status == 422


async def test_a_user_id_may_have_any_characters(
    session: aiohttp.ClientSession, dashboard: Dashboard, db: DynamoDB
) -> None:
    user = f"{secrets.token_hex(4)}/ä#?%"
    await db.batch_write_item(sample.user(user, profile={"name": "x"}), dashboard.users_table)
    address = URL(f"{dashboard.url}/api/users/{quote(user, safe='')}/dashboard", encoded=True)
    async with session.get(address) as answer:
        assert (answer.status, (await answer.json())["profile"]["name"]) == (200, "x")


async def test_many_requests_at_once_each_get_their_own_user(
    session: aiohttp.ClientSession, dashboard: Dashboard, db: DynamoDB
) -> None:
    prefix = secrets.token_hex(4)
    users = [f"{prefix}-{number}" for number in range(60)]
    items = [item for user in users for item in sample.user(user, profile={"name": user})]
    await db.batch_write_item(items, dashboard.users_table)
    urls = [f"{dashboard.url}/api/users/{user}/dashboard" for user in users]
    boards = await asyncio.gather(*[get(session, url) for url in urls])
    assert [(status, board["profile"]["name"]) for status, board in boards] == [
        (200, user) for user in users
    ]


async def test_products_are_those_liked_and_those_bought(
    session: aiohttp.ClientSession, dashboard: Dashboard
) -> None:
    status, products = await get(session, f"{dashboard.url}/api/users/ada/products")
    assert status == 200
    assert [product["id"] for product in products["favorites"]] == ["green-tea", "pot", "spoon"]
    assert [product["id"] for product in products["recent"]] == ["green-tea", "honey", "cup"]
    assert products["recent"][1] == {
        "id": "honey",
        "name": "Chestnut honey",
        "price": 6.75,
        "quantity": 25,
    }


async def test_products_that_are_gone_are_left_out(
    session: aiohttp.ClientSession, dashboard: Dashboard, db: DynamoDB
) -> None:
    user = secrets.token_hex(4)
    items = sample.user(user, profile={"name": "x"}, favorites={"products": ["gone", "honey"]})
    await db.batch_write_item(items, dashboard.users_table)
    _, products = await get(session, f"{dashboard.url}/api/users/{user}/products")
    assert [product["id"] for product in products["favorites"]] == ["honey"]


# --- what it asks of DynamoDB ---


@contextlib.asynccontextmanager
async def watched(backend: Backend, tables: str) -> AsyncIterator[tuple[FaultProxy, str]]:
    """An application behind a proxy that counts, and throttles when told to."""
    async with FaultProxy(backend.endpoint_url) as proxy:
        with contextlib.ExitStack() as stack:
            # In a thread: starting waits for an answer of the proxy's own loop's neighbours.
            running = await asyncio.to_thread(
                stack.enter_context, dashboard_server.dashboard(proxy.endpoint_url, tables)
            )
            yield proxy, running.url


async def test_each_page_asks_in_as_few_requests_as_there_can_be(
    session: aiohttp.ClientSession, backend: Backend, tables: str
) -> None:
    async with watched(backend, tables) as (proxy, url):
        assert (await get(session, f"{url}/api/users/ada/dashboard"))[0] == 200
        asked = [(one.operation, one.entries) for one in proxy.requests]
        assert asked == [("BatchGetItem", 4)]

        # Two lists of three products with one in common: five keys.
        assert (await get(session, f"{url}/api/users/ada/products"))[0] == 200
        asked = [(one.operation, one.entries) for one in proxy.requests[1:]]
        assert asked == [("BatchGetItem", 4), ("BatchGetItem", 5)]

        # The stock in one batch, then a write for each product; the second fails for want of it.
        line = {"product_id": "honey", "quantity": 1}
        cart = {"items": [line, {"product_id": "cup", "quantity": 1}]}
        async with session.post(f"{url}/api/checkout", json=cart) as answer:
            assert answer.status == 200
        assert [one.operation for one in proxy.requests[3:]] == ["BatchGetItem", *["PutItem"] * 2]

        # A write whose answer was lost is done once.
        before = await get(session, f"{url}/api/users/ada/products")
        proxy.script([Fault.reset_after()], operation="PutItem")
        async with session.post(f"{url}/api/checkout", json={"items": [line]}) as answer:
            assert answer.status == 200
        assert proxy.unused == 0
        after = await get(session, f"{url}/api/users/ada/products")
        honey = [answer[1]["recent"][1]["quantity"] for answer in (before, after)]
        assert honey[0] - honey[1] == 1


async def test_a_server_that_keeps_failing_is_told_as_503(
    session: aiohttp.ClientSession, backend: Backend, tables: str
) -> None:
    async with watched(backend, tables) as (proxy, url):
        proxy.script([Fault.access_denied()])
        async with session.get(f"{url}/api/users/ada/dashboard") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert "AccessDenied" in (await answer.json())["detail"]
        assert (await get(session, f"{url}/api/users/ada/dashboard"))[0] == 200


# --- the checkout ---


async def test_what_is_bought_is_taken_out_of_the_stock(store: Shop) -> None:
    await store.stock(tea=5, cup=3)
    status, receipt = await store.buy(("tea", 2), ("cup", 3))
    assert status == 200
    assert receipt["total"] == 12.5
    assert receipt["items"] == [
        {"product_id": store.id("tea"), "quantity": 2},
        {"product_id": store.id("cup"), "quantity": 3},
    ]
    assert (await store.left("tea"), await store.left("cup")) == (3, 0)


async def test_a_product_named_twice_is_bought_in_one(store: Shop) -> None:
    await store.stock(tea=5)
    status, receipt = await store.buy(("tea", 2), ("tea", 3))
    assert (status, receipt["items"]) == (200, [{"product_id": store.id("tea"), "quantity": 5}])
    assert await store.left("tea") == 0
    await store.stock(tea=5)
    assert (await store.buy(("tea", 3), ("tea", 3)))[0] == 409
    assert await store.left("tea") == 5


async def test_where_stock_is_short_nothing_is_bought(store: Shop) -> None:
    await store.stock(tea=5, cup=1, pot=0)
    status, told = await store.buy(("tea", 5), ("cup", 2), ("pot", 1))
    assert status == 409
    assert told == {
        "detail": "Insufficient stock for cup, pot",
        "shortages": [
            {"product_id": store.id("cup"), "name": "cup", "wanted": 2, "available": 1},
            {"product_id": store.id("pot"), "name": "pot", "wanted": 1, "available": 0},
        ],
    }
    assert [await store.left(name) for name in ("tea", "cup", "pot")] == [5, 1, 0]


async def test_a_product_that_is_not_sold_is_not_found(store: Shop) -> None:
    await store.stock(tea=5)
    status, told = await store.buy(("tea", 1), ("nothing", 1))
    assert (status, told) == (404, {"detail": f"There is no product {store.id('nothing')}"})
    assert await store.left("tea") == 5


async def test_buyers_at_once_get_no_more_than_there_is(store: Shop) -> None:
    await store.stock(tea=7)
    answers_ = await asyncio.gather(*[store.buy(("tea", 1)) for _ in range(12)])
    assert sorted({status for status, _ in answers_}) == [200, 409]
    bought = sum(status == 200 for status, _ in answers_)
    assert await store.left("tea") == 7 - bought
    # Whoever was turned away for want of stock was so because all was sold.
    if any(told.get("shortages") for _, told in answers_):
        assert bought == 7


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": []},
        {"items": [{"product_id": "tea", "quantity": 0}]},
        {"items": [{"product_id": "tea", "quantity": -1}]},
        {"items": [{"product_id": "", "quantity": 1}]},
        {"items": [{"product_id": "tea", "quantity": 1.5}]},
        {"items": [{"product_id": "tea", "quantity": 1}] * 101},
    ],
    ids=["none", "empty", "zero", "negative", "no-id", "fraction", "too-many"],
)
async def test_carts_that_cannot_be_are_refused(store: Shop, body: object) -> None:
    assert (await store.post(body))[0] == 422


class Overtaken(DynamoDB):
    """A client that is overtaken: another buyer comes between its read and its second write."""

    def __init__(self, other: DynamoDB, table: str, taken: dict[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self._other, self._table, self._taken = other, table, taken
        self.saves = 0

    async def save(self, *arguments: Any, **options: Any) -> Any:
        self.saves += 1
        if self.saves == 2:
            await self._other.save(self._taken, self._table)
        return await super().save(*arguments, **options)


async def test_who_is_overtaken_puts_back_what_was_taken(store: Shop, dashboard: Dashboard) -> None:
    await store.stock(tea=5, cup=3)
    taken = {**sample.product(store.id("cup"), "cup", 2.5, 1), "version": 2}
    lines = [
        models.CartLine(product_id=store.id("tea"), quantity=2),
        models.CartLine(product_id=store.id("cup"), quantity=3),
    ]
    settings = {"endpoint_url": dashboard.endpoint_url, "region_name": REGION}
    async with Overtaken(store.db, store.table, taken, **settings) as db:
        with pytest.raises(shop.OutOfStock) as caught:
            await shop.checkout(db, store.table, lines)
    assert [(short.name, short.available) for short in caught.value.shortages] == [("cup", 1)]
    assert (await store.left("tea"), await store.left("cup")) == (5, 1)


# --- the page and the process ---


async def test_the_page_and_all_that_it_needs_come_from_here(
    session: aiohttp.ClientSession, dashboard: Dashboard
) -> None:
    async with session.get(dashboard.url) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        page = await answer.text()
    parts = [part.split('"')[0] for part in page.replace("src=", "href=").split('href="')[1:]]
    assert parts
    for part in parts:
        assert part.startswith("/static/")
        async with session.get(f"{dashboard.url}{part}") as answer:
            assert answer.status == 200
            text = await answer.text()
            assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_it_ends_without_leaving_anything_open(backend: Backend, tables: str) -> None:
    """Python warns of whatever is not closed, and this process shows all warnings."""
    port = free_port()
    variables = dashboard_server.environment(backend.endpoint_url, tables)
    process = subprocess.Popen(
        dashboard_server.command(port),
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        url = f"http://127.0.0.1:{port}"
        while not answers(url) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        read = subprocess.run(
            [sys.executable, "-c", FETCH, f"{url}/api/users/ada/dashboard"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Ada Larsson" in read.stdout
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert "Application shutdown complete" in output
    for trouble in ("Warning", "Unclosed", "Traceback", "never retrieved"):
        assert trouble not in output, output


FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def test_settings_come_from_the_environment() -> None:
    assert Settings.from_environment({}) == Settings()
    given = {
        "DASHBOARD_ENDPOINT_URL": "http://127.0.0.1:1",
        "DASHBOARD_USERS_TABLE": "u-table",
        "DASHBOARD_PRODUCTS_TABLE": " p-table ",
        "DASHBOARD_MAX_CONCURRENCY": "4",
        "DASHBOARD_MAX_WAIT": "0.002",
    }
    assert Settings.from_environment(given) == Settings(
        "http://127.0.0.1:1", "u-table", "p-table", 4, 0.002
    )


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5"])
def test_settings_that_cannot_be_right_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="DASHBOARD_MAX_CONCURRENCY"):
        Settings.from_environment({"DASHBOARD_MAX_CONCURRENCY": wrong})


@pytest.mark.parametrize("wrong", ["-1", "long", "nan", "inf", "2"])
def test_a_wait_that_cannot_be_right_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="DASHBOARD_MAX_WAIT"):
        Settings.from_environment({"DASHBOARD_MAX_WAIT": wrong})
