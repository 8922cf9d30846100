"""The page Story as a newcomer meets it: one paste, the whole story, switches, and an address that keeps all."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import settle, visit

pytestmark = [pytest.mark.browser, pytest.mark.small_model]

PASTED = "A sparrow is brown. What color is a <b>sparrow</b>?\nA) red\nB) brown\nC) blue\nD) pink"


def sentences(page: Page) -> list[str]:
    return page.locator(".notice.lead").all_text_contents()


def complete(page: Page) -> None:
    """Wait for the whole story. On a busy machine a part that would take long waits for a click."""
    settle(page)
    buttons = page.get_by_role("button", name=re.compile(r"\(about "))
    while buttons.count():
        buttons.first.click()
        settle(page)


def test_one_paste_tells_the_whole_story_and_its_address_tells_it_again(app: str, browser: Browser) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = visit(context, f"{app}/?bank=copy-colors")
    page.evaluate("text => navigator.clipboard.writeText(text)", PASTED)
    page.get_by_label("Ask your own").focus()
    page.keyboard.press("Control+V")
    expect(page.locator(".notice.lead").first).to_have_text(
        "A sparrow is brown. What color is a <b>sparrow</b>?"
    )
    complete(page)
    expect(page.locator(".notice.lead").nth(7)).to_contain_text("of the change")
    assert len(sentences(page)) >= 8
    assert sentences(page)[1].startswith("The model says ")
    assert page.locator(".arcs path").count() > 3
    page.locator(".arcs path").first.hover(force=True)
    expect(page.locator(".arcs .tip")).to_contain_text("of its attention on")
    before = sentences(page)[6]
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.get_by_text("No head is replaced.")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="All of them", exact=True).click()
    expect(page.locator(".notice.lead").nth(6)).to_have_text(before)
    page.get_by_test_id("stButtonGroup").nth(1).locator("button").last.click()
    expect(page.locator(".notice.lead").nth(6)).not_to_have_text(before)
    settle(page)
    told = sentences(page)
    elsewhere = browser.new_context(viewport={"width": 1280, "height": 900})
    other = visit(elsewhere, page.url)
    complete(other)
    assert sentences(other) == told
    elsewhere.close()
    context.close()


def test_a_slider_turns_the_letter_and_the_address_keeps_it(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = visit(context, f"{app}/?bank=copy-colors&item=2")
    complete(page)
    turned = page.locator(".notice.lead").filter(has_text=re.compile("^At strength "))
    expect(turned).to_contain_text("At strength 1 ")
    slider = page.get_by_role("slider", name="Strength")
    slider.focus()
    page.keyboard.press("End")
    expect(turned).to_contain_text("At strength 12 ")
    settle(page)
    assert "strength=12" in page.url
    told, flips = turned.text_content() or "", page.get_by_text(re.compile("first turns, to|never turns"))
    assert ("instead of" in told) == ("first turns" in (flips.first.text_content() or ""))
    page.get_by_text(re.compile("^Options . and . swapped$")).click()
    settle(page)
    complete(page)
    expect(page.locator(".notice.lead").filter(has_text=re.compile("^With options "))).to_contain_text(
        "as before."
    )
    everything = sentences(page)
    elsewhere = browser.new_context(viewport={"width": 1280, "height": 900})
    other = visit(elsewhere, page.url)
    complete(other)
    assert sentences(other) == everything
    elsewhere.close()
    context.close()


def test_a_word_is_explained_by_keyboard_and_pointer(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 480, "height": 900})
    page = visit(context, f"{app}/?bank=copy-colors")
    word = page.locator("abbr").first
    meaning = "element => getComputedStyle(element, '::after').content"
    assert word.evaluate(meaning) == "none"
    word.focus()
    assert word.evaluate(meaning).strip('"') == word.get_attribute("data-meaning")
    page.keyboard.press("Escape")
    assert word.evaluate(meaning) == "none"
    word.hover()
    assert word.evaluate(meaning) != "none"
    context.close()


def test_the_figure_can_be_taken_away(app: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = visit(context, f"{app}/?bank=copy-colors")
    complete(page)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Take the figure away (HTML)").click()
    file = downloading.value.path()
    assert file.read_text("utf-8").startswith("<!doctype html>")
    alone = context.new_page()
    alone.set_content(file.read_text("utf-8"))
    expect(alone.locator("svg.main-svg").first).to_be_visible()
    context.close()


def test_a_paste_that_does_not_split_is_shown_to_be_corrected(app: str, browser: Browser) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = visit(context, f"{app}/?bank=copy-colors")
    page.evaluate("text => navigator.clipboard.writeText(text)", "What is snow?\nblack\nwhite")
    page.get_by_label("Ask your own").focus()
    page.keyboard.press("Control+V")
    expect(page.get_by_text("No options were found.")).to_be_visible()
    assert page.get_by_label("Question", exact=True).input_value() == "What is snow?"
    context.close()
