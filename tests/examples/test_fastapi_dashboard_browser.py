"""The page of the FastAPI example in a real browser. `make test-browser` runs it."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Locator, Page, expect

from tests.backends import Backend
from tests.examples import dashboard_server
from tests.examples.browser import open_browser
from tests.examples.dashboard_server import Dashboard

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)  # of a machine that is busy; what is there is seen at once
WIDE, NARROW = (1200, 800), (360, 740)


class Seen:
    """What the browser did besides showing the page."""

    def __init__(self, page: Page) -> None:
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type != "log" else None,
        )


@pytest.fixture
def dashboard(backend: Backend) -> Iterator[Dashboard]:
    name = f"dashboard-{secrets.token_hex(4)}"
    dashboard_server.prepare(dashboard_server.environment(backend.endpoint_url, name))
    with dashboard_server.dashboard(backend.endpoint_url, name) as running:
        yield running


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
async def page(request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    async with open_browser(*request.param) as context:
        yield context.pages[0]


def message(page: Page) -> Locator:
    """What the page tells, as assistive technology finds it."""
    return page.get_by_role("status").and_(page.locator("#message"))


async def picture(page: Page, name: str) -> None:
    """Keep what the page looks like, if the environment names a directory for it."""
    directory = os.environ.get("AIOBATCH_TEST_PICTURES")
    if directory:
        width = (page.viewport_size or {"width": 0})["width"]
        await page.screenshot(path=Path(directory, f"{name}-{width}.png"), full_page=True)


async def assert_nothing_sticks_out(page: Page) -> None:
    assert await page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


async def test_a_user_sees_the_dashboard_and_checks_out(page: Page, dashboard: Dashboard) -> None:
    seen = Seen(page)
    await page.goto(f"{dashboard.url}/?user=ada")

    await expect(page.get_by_text("Ada Larsson")).to_be_visible()
    await expect(page.get_by_text("ada@example.com")).to_be_visible()
    await expect(page.get_by_text("12 for €318.40")).to_be_visible()
    await expect(page.get_by_text("The last on March 1, 2026")).to_be_visible()
    await expect(page).to_have_title("Ada Larsson - Dashboard")
    favorites, recent = page.locator("#favorites li"), page.locator("#recent li")
    await expect(favorites.locator(".product-name")).to_have_text(
        ["Green tea", "Teapot for four", "Measuring spoon"]
    )
    await expect(recent.locator(".product-name")).to_have_text(
        ["Green tea", "Chestnut honey", "Stoneware cup"]
    )
    await expect(favorites.nth(2).locator(".stock")).to_have_text("Sold out")
    await expect(favorites.nth(2).locator(".quantity")).to_be_disabled()
    buy = page.get_by_role("button", name="Check out")
    await expect(buy).to_be_disabled()
    await assert_nothing_sticks_out(page)
    await picture(page, "dashboard")

    # One product stands in both lists: it is one line of the cart.
    await favorites.nth(0).locator(".quantity").fill("3")
    await expect(recent.nth(0).locator(".quantity")).to_have_value("3")
    await recent.nth(1).locator(".quantity").fill("2")
    await expect(page.locator("#total")).to_have_text("€27.00")
    await buy.click()
    await expect(message(page)).to_have_text("Bought 5 products for €27.00.")
    await expect(favorites.nth(0).locator(".stock")).to_have_text("37 in stock")
    await expect(recent.nth(1).locator(".stock")).to_have_text("23 in stock")
    await expect(page.locator("#total")).to_be_empty()
    await picture(page, "bought")
    assert seen.complaints == []
    assert seen.hosts == {urlsplit(dashboard.url).netloc}


async def test_a_user_is_told_what_is_short(page: Page, dashboard: Dashboard) -> None:
    await page.goto(dashboard.url)
    await expect(page.get_by_text("Ada Larsson")).to_be_visible()
    await page.get_by_label("User").fill("bob")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("Bob Okafor")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.get_by_text("None yet")).to_be_visible()

    await page.get_by_label("How many: Teapot for four").fill("3")
    await page.get_by_role("button", name="Check out").click()
    status = message(page)
    await expect(status).to_have_text("Nothing was bought. Teapot for four: 2 left.")
    # Also on a small screen, where the button is far below.
    await expect(status).to_be_in_viewport()
    await assert_nothing_sticks_out(page)
    await picture(page, "short")

    await page.get_by_label("How many: Teapot for four").fill("2")
    await page.get_by_role("button", name="Check out").click()
    await expect(status).to_have_text("Bought 2 products for €58.00.")
    await expect(page.locator("#favorites li").nth(1).locator(".stock")).to_have_text("Sold out")


async def test_a_user_that_does_not_exist_is_told(page: Page, dashboard: Dashboard) -> None:
    await page.goto(f"{dashboard.url}/?user=<b>nobody</b>")
    # Shown as text, never as markup.
    await expect(message(page)).to_have_text("There is no user <b>nobody</b>.")
    await expect(page.locator("#board")).to_be_hidden()
    await page.get_by_label("User").fill("new")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("Noa Brandt")).to_be_visible()
    await expect(page.get_by_text("Nothing here")).to_have_count(2)
    await assert_nothing_sticks_out(page)
