"""The browser that the page is tried in: the system's Chromium, driven by Playwright."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import BrowserContext, async_playwright

VARIABLE = "AIOBATCH_TEST_BROWSER"
COMMANDS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_browser() -> str | None:
    """The command of a Chromium: what the environment names, or one that is installed."""
    named = os.environ.get(VARIABLE, "").strip()
    return shutil.which(named) if named else next(filter(None, map(shutil.which, COMMANDS)), None)


@asynccontextmanager
async def open_browser(width: int, height: int) -> AsyncIterator[BrowserContext]:
    """A browser with a profile of its own, which is gone afterwards."""
    command = find_browser()
    assert command is not None, f"no Chromium: run `make browser`, or name one in {VARIABLE}"
    with tempfile.TemporaryDirectory(prefix="aiobatch-browser-") as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=command,
                headless=True,
                args=FLAGS,
                viewport={"width": width, "height": height},
                locale="en-GB",
            )
            try:
                yield context
            finally:
                await context.close()
