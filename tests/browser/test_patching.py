"""A sweep as a visitor sees it: estimates, progress, a cancel that loses nothing, and a way on to a head."""

import random
import re
import string
import time
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlparse

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Position, expect

from tests.browser.driver import visit

pytestmark = [pytest.mark.browser, pytest.mark.small_model]


def test_a_sweep_fills_the_picture_stops_and_goes_on(app: str, context: BrowserContext) -> None:
    # Labels that nobody used before, so that no saved result is in the way.
    labels = " ".join(random.sample(string.ascii_uppercase, 4))
    page = visit(context, f"{app}/patching?bank=copy-colors&where=all&labels={quote(labels)}")
    expect(page.get_by_text("Small marks are estimates")).to_be_visible()
    assert exact_cells(page) == 0
    pictures = page.locator(".heatmap")
    expect(pictures).to_have_count(2)
    pictures.evaluate_all("all => all.forEach(one => { one.dataset.first = 'yes'; })")
    assert hovered(pictures.nth(1), 0.5, 0.5).endswith(", estimate")

    page.get_by_role("button", name="Run the exact sweep").click()
    expect(page.get_by_text(re.compile(r"Patching · \d+.* left$"))).to_be_visible()
    wait_until(lambda: exact_cells(page) > 0)
    # The picture can be looked into while it fills up.
    click(pictures.nth(0), 0.9, 0.5)
    page.wait_for_url(re.compile("place="))
    token = int(parse_qs(urlparse(page.url).query)["place"][0])
    expect(pictures.nth(1).locator(".title")).to_contain_text(f"at token {token + 1},")

    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopped. What was finished is kept.")).to_be_visible()
    kept = exact_cells(page)
    assert kept > 0

    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    assert exact_cells(page) >= kept
    expect(page.get_by_text(re.compile(r"Patching · \d+.* left$"))).to_be_visible()
    assert exact_cells(page) >= kept
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    # From the first estimate to here it has been the same two pictures: nothing was taken away and drawn anew.
    assert page.locator(".heatmap[data-first=yes]").count() == 2


def test_a_patched_cell_leads_to_its_head(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/patching?bank=copy-colors&item=2")
    grid = page.locator(".heatmap")
    told = hovered(grid, 0.5, 0.5)
    assert told.endswith(", exact")
    name = told.split(":")[0]
    click(grid, 0.5, 0.5)
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    assert parse_qs(urlparse(page.url).query)["head"] == [name]


def test_the_keyboard_reaches_a_token(app: str, context: BrowserContext) -> None:
    """It starts at the framed cell, of the token whose heads are shown below."""
    page = visit(context, f"{app}/patching?bank=copy-colors&item=2&where=all")
    below = page.locator(".heatmap .title").nth(1)
    (last,) = re.findall(r"at token (\d+),", below.text_content() or "")
    page.locator(".heatmap .plot").first.focus()
    for key in ("ArrowDown", "ArrowLeft", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(below).to_contain_text(f"at token {int(last) - 2},")
    # Tokens are counted from 1, in addresses from 0.
    assert parse_qs(urlparse(page.url).query)["place"] == [str(int(last) - 3)]


def exact_cells(page: Page) -> int:
    """How many the page says are exact."""
    text = page.get_by_text("Exact so far:").text_content() or ""
    (count,) = re.findall(r"Exact so far: ([\d,]+) of", text)
    return int(count.replace(",", ""))


def hovered(heatmap: Locator, across: float, down: float) -> str:
    """What a heatmap tells of the cell at this share of its width and height."""
    heatmap.locator(".plot").hover(position=place(heatmap, across, down))
    return heatmap.locator(".tip").text_content() or ""


def click(heatmap: Locator, across: float, down: float) -> None:
    heatmap.locator(".plot").click(position=place(heatmap, across, down))


def place(heatmap: Locator, across: float, down: float) -> Position:
    box = heatmap.locator(".plot").bounding_box()
    assert box is not None
    return {"x": box["width"] * across, "y": box["height"] * down}


def wait_until(holds: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)
