"""Steering a head's keys: the slider goes over what was computed, by keyboard too, and stays in the address."""

import random
import string
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.driver import settle, visit
from tests.browser.test_ways import params

pytestmark = [pytest.mark.browser, pytest.mark.small_model]

STEERED = """() => document.querySelectorAll(".js-plotly-plot").values()
    .find(chart => chart.layout.title.text.includes("keys are steered")).layout.shapes[0].x0"""


def test_the_slider_tells_another_strength_at_once(app: str, context: BrowserContext) -> None:
    # Labels that nobody used before, so that no saved result takes the button away.
    labels = quote(" ".join(random.sample(string.ascii_uppercase, 4)))
    page = visit(context, f"{app}/mutations?bank=copy-colors&limit=8&labels={labels}&head=L16H7")
    page.get_by_role("button", name="Steer the keys (about").click()
    expect(page.get_by_text("At strength 1, steered at an option")).to_be_visible()
    settle(page)
    assert page.evaluate(STEERED) == 1
    page.get_by_role("slider", name="Strength").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("At strength 2, steered at an option")).to_be_visible()
    settle(page)
    assert params(page)["strength"] == "2.0"
    assert page.evaluate(STEERED) == 2
