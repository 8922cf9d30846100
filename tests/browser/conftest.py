"""One app with the small model and one Chromium for all browser tests; a fresh browser context for each."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.driver import chromium, served


@pytest.fixture(scope="session")
def app() -> Iterator[str]:
    """The app's address."""
    with served("qwen2.5-coder-0.5b") as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A new visitor on a desktop, in light colours."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield opened
    opened.close()
