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
