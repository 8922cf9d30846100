"""The page Heads by hand: a slider names the heads again, and map, scatter and table lead to a head."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driver import settle, visit
from tests.browser.test_ways import params

pytestmark = [pytest.mark.browser, pytest.mark.small_model]

ADDRESS = "/heads?bank=copy-colors&sampled=8"
# Where in the window the mark of this name stands, in whichever trace.
PLACE = """name => {
    const chart = document.querySelector(".js-plotly-plot");
    const mark = chart.calcdata.flatMap(
        marks => marks.filter((one, place) => marks[0].trace.text[place] === name))[0];
    const frame = chart.getBoundingClientRect();
    const { xaxis, yaxis } = chart._fullLayout;
    return [frame.x + xaxis._offset + xaxis.c2p(mark.x), frame.y + yaxis._offset + yaxis.c2p(mark.y)];
}"""


@pytest.fixture
def page(app: str, context: BrowserContext) -> Page:
    return visit(context, f"{app}{ADDRESS}", seconds=600)


def opened(page: Page, head: str) -> None:
    expect(page.get_by_role("heading", name=head, exact=True)).to_be_visible()
    settle(page)
    assert params(page)["head"] == head
    assert params(page)["bank"] == "copy-colors"


def test_a_slider_names_the_heads_again(page: Page) -> None:
    expect(page.locator(".notice.lead")).to_contain_text("single letter: L20H12 (C)")
    page.get_by_text("Thresholds of the classes").click()
    slider = page.get_by_role("slider", name="Gap of a letter, at least")
    slider.focus()
    for _ in range(13):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".notice.lead")).not_to_contain_text("single letter: L20H12 (C)")
    settle(page)
    assert params(page)["thresholds"] == "gap:0.95"
    page.reload()
    settle(page)
    expect(page.locator(".notice.lead")).not_to_contain_text("single letter: L20H12 (C)")


def test_a_mark_leads_to_its_head(page: Page) -> None:
    page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    x, y = page.evaluate(PLACE, "L16H7")
    page.mouse.move(x, y)
    expect(page.locator(".hovertext")).to_contain_text("L16H7")
    page.mouse.click(x, y)
    opened(page, "L16H7")


def test_the_map_by_keyboard(page: Page) -> None:
    plot = page.locator(".heatmap .plot").first
    plot.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".heatmap .spoken").first).to_contain_text("L1H1: ")
    page.keyboard.press("Enter")
    opened(page, "L1H1")


def test_the_table_by_keyboard(page: Page) -> None:
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.get_by_test_id("data-grid-canvas").focus()
    for key in ("ArrowDown", "ArrowDown", "Shift+Space"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="One head")).to_be_visible()
    settle(page)
    assert params(page)["head"].startswith("L")
