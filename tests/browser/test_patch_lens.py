"""Patch Lens in a real browser: a block is put in by mouse, by keyboard and by the button, and taken back."""

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.driver import settle, visit
from tests.browser.test_ways import params

pytestmark = [pytest.mark.browser, pytest.mark.small_model]
ADDRESS = "/patch_lens?bank=copy-colors&item=1"
# Rows of the small model, and tokens of the first question from its stem on.
DEPTHS, COLUMNS = 25, 30
# Around the cells of a canvas: row names, a little space, and tokens.
LEFT, TOP, RIGHT, BOTTOM = 34, 4, 4, 74
MOVED = "says A instead of B"


def canvas(page: Page, side: int) -> Locator:
    return page.locator(".side canvas").nth(side)


def at(page: Page, side: int, depth: int, from_end: int = 0) -> tuple[float, float]:
    """The middle of a cell on the page: its depth, and how many tokens before the last one."""
    box = canvas(page, side).bounding_box()
    assert box is not None
    height, width = box["height"] - TOP - BOTTOM, box["width"] - LEFT - RIGHT
    y = box["y"] + TOP + (depth + 0.5) * height / DEPTHS
    return box["x"] + box["width"] - RIGHT - (from_end + 0.5) * width / COLUMNS, y


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    page.mouse.up()


def test_a_cell_is_dragged_and_the_answer_moves_and_the_address_keeps_it(
    app: str, context: BrowserContext
) -> None:
    page = visit(context, app + ADDRESS)
    expect(page.get_by_text("Nothing is put in yet.")).to_be_visible()
    drag(page, at(page, 0, 23), at(page, 1, 12))
    settle(page)
    expect(page.get_by_text(MOVED)).to_be_visible()
    patches = params(page)["patches"]
    assert patches.startswith("clean:22..22:")
    expect(page.get_by_text("Being checked")).to_have_count(0)
    expect(page.get_by_text("oracle error").first).to_be_visible()

    fresh = visit(context, page.url)
    expect(fresh.get_by_text(MOVED)).to_be_visible()
    expect(fresh.get_by_text("1. From your question: after layer 22")).to_be_visible()
    fresh.close()

    page.get_by_role("button", name="Undo the last").click()
    settle(page)
    expect(page.get_by_text("Nothing is put in yet.")).to_be_visible()
    expect(page.get_by_text(MOVED)).to_have_count(0)
    assert "patches" not in params(page)


def test_a_block_is_selected_then_dragged_and_each_one_can_be_removed(
    app: str, context: BrowserContext
) -> None:
    page = visit(context, app + ADDRESS)
    drag(page, at(page, 0, 10, 3), at(page, 0, 13, 1))
    drag(page, at(page, 0, 12, 2), at(page, 1, 3, 5))
    settle(page)
    first = params(page)["patches"]
    layers, positions = first.split(":")[1:]
    assert layers == "9..12"
    start, end = map(int, positions.split(".."))
    assert end - start == 2
    drag(page, at(page, 1, 23), at(page, 0, 8))
    settle(page)
    assert params(page)["patches"].split(",")[0] == first
    assert params(page)["patches"].split(",")[1].startswith("corrupted:22..22")
    expect(page.get_by_text("your question says B instead of A")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).first.click()
    settle(page)
    assert params(page)["patches"].startswith("corrupted:22..22")


def test_keys_select_put_in_and_take_back(app: str, context: BrowserContext) -> None:
    page = visit(context, app + ADDRESS)
    plot = page.locator(".side .plot").first
    plot.focus()
    page.keyboard.press("Space")  # the last token, middle layer
    for _ in range(11):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator(".status")).to_contain_text("layer 21 to layer 22")
    page.keyboard.press("Enter")
    settle(page)
    assert params(page)["patches"].startswith("clean:21..22:")
    expect(page.get_by_text(MOVED)).to_be_visible()
    plot.focus()
    page.keyboard.press("Backspace")
    settle(page)
    assert "patches" not in params(page)


def test_what_cannot_be_put_in_is_told(app: str, context: BrowserContext) -> None:
    page = visit(context, app + ADDRESS)
    page.locator(".side .plot").first.focus()
    page.mouse.click(*at(page, 0, 24))
    page.keyboard.press("c")
    expect(page.locator(".status")).to_contain_text("only the answer is read")
    assert "patches" not in params(page)


def test_the_two_grids_stack_on_a_narrow_screen_and_a_button_puts_in(
    app: str, context: BrowserContext
) -> None:
    page = visit(context, app + ADDRESS)
    page.set_viewport_size({"width": 480, "height": 900})
    settle(page)
    upper, lower = (canvas(page, side).bounding_box() for side in (0, 1))
    assert upper is not None
    assert lower is not None
    assert lower["y"] > upper["y"] + upper["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 480
    canvas(page, 0).scroll_into_view_if_needed()
    page.mouse.click(*at(page, 0, 23))
    page.get_by_role("button", name="Put “(”, after layer 22 into the other prompt").click()
    settle(page)
    assert params(page)["patches"].startswith("clean:22..22:")
    expect(page.get_by_text(MOVED)).to_be_visible()
