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
SCENE = 'document.querySelector(".js-plotly-plot")?._fullLayout?.scene?._scene'
# Drawn once, and never before its points are there; then one frame more.
DRAWN = f"""() => {{
    const scene = {SCENE};
    return scene?.glplot?.axesPixels && Object.keys(scene.traces).length > 0
        && new Promise((done) => requestAnimationFrame(() => done(true)));
}}"""
EYE = """() => {
    const { x, y, z } = document.querySelector(".js-plotly-plot")._fullLayout.scene.camera.eye;
    return [x, y, z].map((part) => Math.round(part * 1e4) / 1e4);
}"""
FRAME = "() => new Promise((done) => requestAnimationFrame(done))"
# Where on the page the first point of the first set is drawn: data, scaled, through the three matrices of the view.
POINT = f"""() => {{
    const scene = {SCENE};
    const {{ model, view, projection }} = scene.glplot.cameraParams;
    const {{ x, y, z }} = scene.graphDiv._fullData[0];
    const through = (m, p) =>
        [0, 1, 2, 3].map((i) => m[i] * p[0] + m[i + 4] * p[1] + m[i + 8] * p[2] + m[i + 12] * p[3]);
    const data = [x, y, z].map((values, axis) => values[0] * scene.dataScale[axis]);
    const [right, up, , depth] = [model, view, projection].reduce((p, m) => through(m, p), [...data, 1]);
    const box = scene.glplot.canvas.getBoundingClientRect();
    return [box.left + (1 + right / depth) / 2 * box.width, box.top + (1 - up / depth) / 2 * box.height];
}}"""
WATCHED = "() => document.querySelector('.js-plotly-plot')?.dataset.watched"
ROW = 36


def eye(page: Page) -> list[float]:
    """Where the camera of the first chart stands."""
    place: list[float] = page.evaluate(EYE)
    return place


def turn(page: Page) -> list[float]:
    """Drag the first chart by a point of it, however slowly it is drawn; where its camera stands then."""
    x, y = to_a_point(page)
    before = eye(page)
    page.mouse.down()
    for step in range(1, 7):
        # The camera follows when a frame is drawn: several moves between two frames would be one.
        page.mouse.move(x + 15 * step, y + 4 * step)
        page.evaluate(FRAME)
    page.mouse.up()
    page.wait_for_function(f"before => String(({EYE})()) !== String(before)", arg=before)
    return eye(page)


def to_a_point(page: Page) -> tuple[float, float]:
    """Move the pointer to a point of the first chart, and wait until it is told which; where that is."""
    page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    page.wait_for_function(DRAWN)
    x, y = page.evaluate(POINT)
    page.mouse.move(x, y)
    expect(page.locator(".hovertext")).to_be_visible()
    return x, y


def opened(app: str, context: BrowserContext) -> Page:
    page = visit(context, f"{app}/subspace?bank=copy-colors&limit=20", seconds=600)
    expect(page.locator(".gtitle").first).to_contain_text("queries and keys")
    page.wait_for_function(WATCHED)
    return page


def traces(page: Page) -> int:
    """How many point sets the first chart has."""
    count: int = page.evaluate("document.querySelector('.js-plotly-plot').data.length")
    return count


def test_the_camera_turns_and_stays(app: str, context: BrowserContext) -> None:
    page = opened(app, context)
    turned, plain = turn(page), traces(page)
    page.get_by_test_id("stCheckbox").filter(has_text="Means").locator("label").click()
    page.wait_for_function(
        "plain => document.querySelector('.js-plotly-plot')?.data?.length > plain", arg=plain
    )
    settle(page)
    assert params(page)["means"] == "True"
    assert eye(page) == turned
    page.get_by_role("combobox", name="Colour").click()
    page.get_by_role("option", name="Subject").click()
    expect(page.get_by_text("coloured by their question's subject")).to_be_visible()
    settle(page)
    assert params(page)["colour"] == "subject"
    assert eye(page) == turned


def test_a_click_opens_its_question_and_a_drag_does_not(app: str, context: BrowserContext) -> None:
    page = opened(app, context)
    turn(page)
    page.evaluate(FRAME)
    page.evaluate(FRAME)
    settle(page)
    expect(page.get_by_role("heading", name="What does this head compare?")).to_be_visible()
    to_a_point(page)
    stem = page.locator(".hovertext tspan").first.text_content() or ""
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("heading", name="Which letter, and who writes it?")).to_be_visible()
    settle(page)
    assert len(stem) > 10
    assert stem in (page.locator(".tokens .text").text_content() or "")


def test_points_under_a_mutation(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/subspace?bank=copy-colors&limit=8")
    plain = traces(page)
    page.get_by_role("combobox", name="Also the same head under").click()
    page.get_by_role("option", name="numbers").click()
    expect(page.get_by_text("Under numbers, over 8 questions")).to_be_visible()
    settle(page)
    assert params(page)["also"] == "numbers"
    assert traces(page) > plain
    expect(page.locator(".legendtext").get_by_text("1", exact=True).first).to_be_visible()
    page.wait_for_function(DRAWN)
    box = page.evaluate(
        """() => {
            const chart = document.querySelector(".js-plotly-plot");
            const [scene, legend] = [".gl-container canvas", ".legend"].map(
                (part) => chart.querySelector(part).getBoundingClientRect());
            return [legend.top - scene.bottom, chart.getBoundingClientRect().bottom - legend.bottom];
        }"""
    )
    assert min(box) >= -1


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
    page.get_by_role("button", name="Take it away").first.click()
    with page.expect_download() as told:
        page.get_by_role("button", name="Page for any browser (HTML)").click()
    file = tmp_path / told.value.suggested_filename
    told.value.save_as(file)
    alone = browser.new_context(viewport={"width": 1000, "height": 800}, offline=True)
    other, asked = alone.new_page(), list[str]()
    other.on("request", lambda request: asked.append(request.url))
    other.goto(file.as_uri())
    expect(other.locator(".gtitle")).to_contain_text("queries and keys")
    turn(other)
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    alone.close()
