"""The ways of a visitor through the pages."""

import random
import string
from urllib.parse import parse_qs, quote, urlparse

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Position, expect

from tests.browser.driver import settle, visit

pytestmark = [pytest.mark.browser, pytest.mark.small_model]


def params(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def pictures(page: Page) -> list[str]:
    """What a visitor can compare: headings, verdicts, chart titles and token strips."""
    shown = page.locator("h1, h2, .gtitle, .notice.lead, .heatmap .title, .tokens .text")
    return [text.strip() for text in shown.all_text_contents()]


def test_choosing_a_question(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/question?bank=copy-colors&item=1")
    before = page.locator(".tokens .text").text_content()
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".tokens .text")).not_to_have_text(before or "")
    settle(page)
    assert params(page)["item"] == "2"
    assert (page.locator(".notice.lead").text_content() or "").startswith("The model says ")
    page.get_by_role("link", name="Attribution", exact=True).click()
    expect(page.get_by_role("heading", name="Who wrote the letter?")).to_be_visible()
    settle(page)
    assert params(page)["item"] == "2"
    page.go_back()
    expect(page.get_by_role("heading", name="Which letter, and who writes it?")).to_be_visible()
    settle(page)
    assert params(page)["item"] == "2"


def test_writing_a_question_with_markup_in_it(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/question?bank=copy-colors")
    page.get_by_text("Your own", exact=True).click()
    stem = "<img src=x onerror=alert(1)> **Snow** is white ☝️. What is snow? ما هذا"
    field = page.get_by_label("Question", exact=True)
    field.fill(stem)
    field.press("Control+Enter")
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".tokens .text")).to_contain_text("<img src=x onerror=alert(1)> **Snow** is white")
    settle(page)
    assert "<img src=x" in params(page)["question"]
    assert page.locator("img[src=x]").count() == 0
    assert page.get_by_label("Question", exact=True).input_value() == stem


def test_a_cell_leads_to_its_head_and_its_address_to_the_same_view(
    app: str, context: BrowserContext, browser: Browser
) -> None:
    page = visit(context, f"{app}/attribution?bank=copy-colors&item=3")
    plot = page.locator(".heatmap .plot")
    box = plot.bounding_box()
    assert box is not None
    place = Position(x=box["width"] * 0.52, y=box["height"] * 0.6)
    plot.hover(position=place)
    name = (page.locator(".heatmap .tip").text_content() or "").split(":")[0]
    plot.click(position=place)
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    settle(page)
    assert params(page)["head"] == name
    assert params(page)["item"] == "3"
    elsewhere = browser.new_context(viewport={"width": 1280, "height": 900})
    other = visit(elsewhere, page.url)
    assert len(pictures(page)) > 5
    assert pictures(other) == pictures(page)
    elsewhere.close()


def test_the_keyboard_reaches_a_head(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/attribution?bank=copy-colors")
    page.locator(".heatmap .plot").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".heatmap .spoken")).to_contain_text("L2H1: ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="L2H1", exact=True)).to_be_visible()


def test_a_typed_question_is_in_the_copied_address(app: str, context: BrowserContext) -> None:
    question = quote(
        '{"stem":"Coal is black. What color is coal?","options":["red","black","blue"],"answer":1}'
    )
    page = visit(context, f"{app}/question?question={question}&labels=1&template=plain")
    strip = page.locator(".tokens .text").text_content() or ""
    assert "Coal is black. What color is coal?" in strip
    assert "intelligent" not in strip
    expect(page.locator(".gtitle").first).to_have_text("Probability among the labels")


def test_dark_colours(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page = visit(context, f"{app}/attention?bank=copy-colors")
    background = page.locator("[data-testid=stApp]").evaluate(
        "element => getComputedStyle(element).backgroundColor"
    )
    assert background == "rgb(20, 23, 27)"
    assert "Inter" in page.locator("h1 + *, p").first.evaluate(
        "element => getComputedStyle(element).fontFamily"
    )
    assert page.evaluate(
        "document.fonts.check('16px Inter') && [...document.fonts].some(font => font.status === 'loaded')"
    )
    context.close()


@pytest.mark.parametrize(
    "path", ["", "question", "attribution", "attention", "patching", "effects", "paths", "head", "model"]
)
def test_a_narrow_screen(app: str, browser: Browser, path: str) -> None:
    context = browser.new_context(viewport={"width": 480, "height": 900})
    page = visit(context, f"{app}/{path}?bank=copy-colors&limit=10")
    assert page.evaluate("document.documentElement.scrollWidth") <= 480
    widths = page.locator("canvas, .js-plotly-plot, .tokens").evaluate_all(
        "elements => elements.filter(one => !one.closest('[data-testid=stDataFrame]'))"
        ".map(one => one.getBoundingClientRect().right)"
    )
    assert all(right <= 481 for right in widths)
    context.close()


def test_limits_and_both_models_are_in_view_on_a_narrow_screen(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 480, "height": 900})
    page = visit(context, f"{app}/model?bank=copy-colors&limit=10")
    limit = page.get_by_test_id("stTable").get_by_text("limit").bounding_box()
    assert limit is not None
    assert limit["x"] + limit["width"] <= 480
    page = visit(context, f"{app}/drift?bank=copy-colors&limit=2&against_dtype=bfloat16", seconds=600)
    both = page.get_by_test_id("stDataFrame").first
    inner, outer = both.locator(".dvn-stack").first.bounding_box(), both.bounding_box()
    assert inner is not None
    assert outer is not None
    assert inner["width"] <= outer["width"]
    context.close()


def test_a_hand_edited_address(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/head?head=L99H99&item=one&bank=%3Cb%3E&dtype=int3")
    warnings = " ".join(page.locator(".notice.warning").all_text_contents())
    assert all(word in warnings for word in ("'one'", "'<b>'", "int3", "no head L99H99"))
    assert page.get_by_text("Traceback").count() == 0
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_long_job_stops_at_cancel(app: str, context: BrowserContext) -> None:
    # Labels that nobody used before, so that no saved result is in the way.
    labels = " ".join(random.sample(string.ascii_uppercase, 10))
    page = context.new_page()
    page.goto(f"{app}/attribution?bank=knowledge&scope=bank&limit=288&labels={quote(labels)}")
    start = page.get_by_role("button", name="Run the questions (about ")
    expect(start).to_be_visible()
    start.click()
    button = page.get_by_role("button", name="Cancel")
    far = page.get_by_text("of 288")
    expect(far).to_be_visible(timeout=120_000)
    # It stays the same button however often the progress is drawn: one that is replaced loses a click.
    first = button.element_handle()
    for _ in range(2):
        expect(far).not_to_have_text(far.inner_text())
        assert first.evaluate("button => button.isConnected")
    button.click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
