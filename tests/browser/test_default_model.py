"""One way through the pages with the model that a newcomer sees."""

import pytest
from playwright.sync_api import BrowserContext, expect

from backend.contract.model import DEFAULT_MODEL
from tests.browser.driver import served, settle, visit

pytestmark = [pytest.mark.browser, pytest.mark.default_model]


def test_a_knowledge_question_is_answered_right_and_its_heads_are_shown(context: BrowserContext) -> None:
    with served(DEFAULT_MODEL) as app:
        page = visit(context, app)
        expect(page.locator(".notice.lead").filter(has_text="The model says")).to_contain_text(
            "and that is right"
        )
        page.get_by_role("link", name="Attribution", exact=True).click()
        expect(page.get_by_role("heading", name="Who wrote the letter?")).to_be_visible()
        settle(page)
        expect(page.locator(".heatmap .title")).to_contain_text("the right letter: heads and MLPs")
        expect(page.get_by_text("✓ passed")).to_be_visible()
