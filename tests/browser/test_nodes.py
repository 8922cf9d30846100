"""From a node's effects to its head, and from there along the paths that feed it."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.driver import settle, visit
from tests.browser.test_ways import params

pytestmark = [pytest.mark.browser, pytest.mark.small_model]

# Where in the window the first chart's mark of this name stands; the chart tells pixels of its own frame.
PLACE = """name => {
    const chart = document.querySelector(".js-plotly-plot");
    const marks = chart.calcdata[0];
    const mark = marks.find((one, place) => marks[0].trace.text[place] === name);
    const frame = chart.getBoundingClientRect();
    const { xaxis, yaxis } = chart._fullLayout;
    return [frame.x + xaxis._offset + xaxis.c2p(mark.x), frame.y + yaxis._offset + yaxis.c2p(mark.y)];
}"""


def click_mark(page: Page, name: str) -> None:
    page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    x, y = page.evaluate(PLACE, name)
    page.mouse.move(x, y)
    expect(page.locator(".hovertext")).to_contain_text(name)
    page.mouse.click(x, y)


def test_from_an_effect_to_its_head_and_upstream(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/effects?bank=copy-colors")
    expect(page.locator(".notice.lead")).to_contain_text("L16H7 has the largest direct effect")
    expect(page.locator(".notice.quiet").last).to_contain_text("additivity error")
    click_mark(page, "L16H7")
    expect(page.get_by_role("heading", name="L16H7", exact=True)).to_be_visible()
    settle(page)
    page.get_by_role("link", name="Who feeds this head?").click()
    expect(page.locator(".heatmap .title").first).to_have_text("Heads into L16H7's query")
    settle(page)
    assert params(page)["head"] == "L16H7"
    queries = page.locator(".heatmap .plot").first
    queries.focus()
    for key in ("ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".heatmap .spoken").first).to_contain_text("L15H6: ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="L15H6", exact=True)).to_be_visible()
    settle(page)
    assert params(page)["head"] == "L15H6"
    assert params(page)["bank"] == "copy-colors"


def test_a_map_that_begins_with_a_late_layer_leads_to_its_heads(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/paths?bank=copy-colors&mode=sender&head=L21H3")
    keys = page.locator(".heatmap .plot").nth(1)
    keys.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".heatmap .spoken").nth(1)).to_contain_text("L23H4: ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="L23H4", exact=True)).to_be_visible()
    settle(page)
    assert params(page)["head"] == "L23H4"
