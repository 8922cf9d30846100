"""The guide in a real browser: there and back with the choices, its pictures, and a narrow screen."""

from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.driver import settle, visit

pytestmark = [pytest.mark.browser, pytest.mark.small_model]

OVERFLOW = "document.querySelector('[data-testid=stMain]').scrollWidth - window.innerWidth"


def test_from_a_page_to_its_guide_and_back(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/head?bank=copy-colors&head=L16H7")
    page.get_by_role("link", name="How to read this page").click()
    expect(page.get_by_role("heading", name="What can mislead")).to_be_visible()
    picture = page.locator("[data-testid=stMarkdown] img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") == 1920
    page.get_by_role("link", name="Open Head").click()
    expect(page.get_by_role("heading", name="L16H7")).to_be_visible()
    settle(page)
    assert parse_qs(urlparse(page.url).query)["bank"] == ["copy-colors"]


def test_a_link_in_a_guide_leads_to_the_heading(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/guide?of=patching")
    with context.expect_page() as opening:
        page.get_by_role("link", name="attribution patching").click()
    methods = opening.value
    expect(methods.get_by_role("heading", name="Attribution patching")).to_be_in_viewport()


def test_a_guide_fits_a_narrow_screen(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 480, "height": 900})
    for name in ("api", "methods", "mutations", "performance"):  # the widest tables, formulas and code
        page = visit(context, f"{app}/guide?of={name}")
        assert page.evaluate(OVERFLOW) <= 0, name
        page.close()
    context.close()
