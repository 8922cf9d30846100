"""Turning the picture of a head's queries and keys, going on to one of its questions, and taking it away as a file."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from backend.analyses import ANALYSES
from tests.browser.driver import settle, visit
from tests.browser.test_ways import params

pytestmark = [
    pytest.mark.browser,
    pytest.mark.small_model,
    pytest.mark.skipif("subspace" not in ANALYSES, reason="the analysis is not there yet"),
]
EYE = """() => {
    const { x, y, z } = document.querySelector(".js-plotly-plot")._fullLayout.scene.camera.eye;
    return [x, y, z];
}"""
ROW = 36


def eye(page: Page) -> list[float]:
    """Where the camera of the first chart stands."""
    return [round(float(part), 4) for part in page.evaluate(EYE)]


def turn(page: Page) -> None:
    scene = page.locator(".js-plotly-plot").first
    scene.scroll_into_view_if_needed()
    box = scene.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 20, steps=6)
    page.mouse.up()
    page.wait_for_timeout(300)


def opened(app: str, context: BrowserContext) -> Page:
    page = visit(context, f"{app}/subspace?bank=copy-colors&limit=20", seconds=600)
    expect(page.locator(".gtitle").first).to_contain_text("queries and keys")
    return page


def test_the_camera_turns_and_stays(app: str, context: BrowserContext) -> None:
    page = opened(app, context)
    before = eye(page)
    turn(page)
    turned = eye(page)
    assert turned != before
    page.get_by_test_id("stCheckbox").filter(has_text="Means").locator("label").click()
    settle(page)
    assert params(page)["means"] == "True"
    assert eye(page) == turned
    page.get_by_role("combobox", name="Colour").click()
    page.get_by_role("option", name="Subject").click()
    settle(page)
    assert params(page)["colour"] == "subject"
    assert eye(page) == turned


def test_a_row_opens_its_question(app: str, context: BrowserContext) -> None:
    page = opened(app, context)
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    table.click(position={"x": 18, "y": 2.5 * ROW})
    expect(page.get_by_role("heading", name="Which letter, and who writes it?")).to_be_visible()
    settle(page)
    assert params(page)["bank"] == "copy-colors"
    assert "item" in params(page)
    assert "What color is" in (page.locator(".tokens .text").text_content() or "")


def test_the_saved_file_turns_without_a_network(
    app: str, context: BrowserContext, browser: Browser, tmp_path: Path
) -> None:
    page = opened(app, context)
    with page.expect_download() as told:
        page.get_by_role("button", name="Save as HTML").click()
    file = tmp_path / told.value.suggested_filename
    told.value.save_as(file)
    alone = browser.new_context(viewport={"width": 1000, "height": 800}, offline=True)
    other, asked = alone.new_page(), list[str]()
    other.on("request", lambda request: asked.append(request.url))
    other.goto(file.as_uri())
    expect(other.locator(".gtitle")).to_contain_text("queries and keys")
    before = eye(other)
    turn(other)
    assert eye(other) != before
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    alone.close()
