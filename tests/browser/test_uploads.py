"""A bank of one's own, from the upload until it is deleted."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from backend.questions import uploads
from tests.browser.driver import settle, visit

pytestmark = [pytest.mark.browser, pytest.mark.small_model]
TITLE = "<img src=x onerror=alert(1)> **mine**.jsonl"
QUESTION = {"stem": "What color is an uploaded raven?", "options": ["red", "black", "white"], "answer": 1}


@pytest.fixture
def file() -> Iterator[dict[str, object]]:
    """What a visitor uploads; no trace of it is left in the cache folder."""
    before = set(uploads.names())
    yield {"name": TITLE, "mimeType": "application/jsonl", "buffer": json.dumps(QUESTION).encode()}
    for name in set(uploads.names()) - before:
        uploads.delete(name)


def open_uploads(page: Page) -> None:
    page.get_by_role("button", name="Uploads", exact=True).click()
    expect(page.get_by_test_id("stFileUploader")).to_be_visible()


def bank(page: Page) -> str:
    return page.get_by_role("combobox", name="Bank", exact=True).input_value()


def test_a_bank_is_uploaded_used_and_deleted(
    app: str, context: BrowserContext, file: dict[str, object]
) -> None:
    page = visit(context, f"{app}/question?bank=copy-colors")
    open_uploads(page)
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    expect(page.locator(".tokens .text")).to_contain_text("What color is an uploaded raven?")
    settle(page)
    assert bank(page) == TITLE
    assert page.locator("img[src=x]").count() == 0
    if not page.get_by_test_id("stFileUploader").is_visible():
        open_uploads(page)
    page.get_by_role("button", name="Delete this bank").click()
    page.get_by_role("button", name="Delete it", exact=True).click()
    expect(page.locator(".tokens .text")).not_to_contain_text("uploaded raven")
    settle(page)
    assert bank(page) == "General knowledge"
    assert page.locator(".notice.error, .notice.warning").count() == 0


FOREIGN = (
    "Frage;Eins;Zwei;Drei;Richtig\n"
    "Welche Farbe hat ein Rabe?;rot;schwarz;gelb;2\n"
    "Welche Farbe hat Schnee?;blau;rot;weiß;3\n"
)


@pytest.fixture
def foreign() -> Iterator[dict[str, object]]:
    before = set(uploads.names())
    yield {"name": "fragen.csv", "mimeType": "text/csv", "buffer": FOREIGN.encode()}
    for name in set(uploads.names()) - before:
        uploads.delete(name)


def choose(page: Page, label: str, option: str) -> None:
    found = page.get_by_role("option", name=option, exact=True)
    page.get_by_role("combobox", name=label).click()
    try:
        expect(found).to_be_visible(timeout=5_000)
    except AssertionError:  # the click only closed the list of another choice
        page.get_by_role("combobox", name=label).click()
    found.click()
    settle(page)


def test_columns_of_a_file_are_mapped_by_hand(
    app: str, context: BrowserContext, foreign: dict[str, object]
) -> None:
    page = visit(context, f"{app}/question?bank=copy-colors")
    open_uploads(page)
    page.locator("input[type=file]").set_input_files(foreign)  # type: ignore[arg-type]
    expect(page.get_by_text("Map the columns by hand.").first).to_be_visible()
    settle(page)
    if not page.get_by_text("The first rows").is_visible():
        open_uploads(page)
    page.get_by_text("Map the columns by hand", exact=True).click()
    settle(page)
    choose(page, "The first line", "Names the columns")
    for option in ("Eins", "Zwei", "Drei"):
        choose(page, "Columns of the options", option)
    page.get_by_text("The first rows").click()  # closes the list, not the popover
    expect(page.get_by_text("(no right answer)")).to_be_visible()
    choose(page, "Column of the right answer", "Richtig")
    expect(page.get_by_text("2 questions. The first:")).to_be_visible()
    expect(page.get_by_text("right: schwarz")).to_be_visible()
    page.get_by_role("button", name="Keep as a bank").click()
    expect(page.locator(".tokens .text")).to_contain_text("Welche Farbe hat ein Rabe?")
    settle(page)
    assert bank(page) == "fragen.csv"
    assert page.locator(".notice.error").count() == 0


def test_an_own_template_is_drawn_with_its_roles_at_once(app: str, context: BrowserContext) -> None:
    page = visit(context, f"{app}/question?bank=copy-colors&template=custom")
    field = page.get_by_role("textbox", name="Text of the template")
    expect(field).to_be_visible()
    field.fill("Read {stem}\n<{label}> {option}\nSo: {answer}")
    field.press("Control+Enter")
    expect(page.locator(".tokens .text")).to_contain_text("<A>")
    settle(page)
    assert "custom=" in page.url
    field.fill("{stem}")
    field.press("Control+Enter")
    expect(page.get_by_text("The template has no {label}.")).to_be_visible()
