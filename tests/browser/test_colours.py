"""What is written can be read: contrast as WCAG 2 has it, in both themes."""

import pytest
from playwright.sync_api import Browser

from tests.browser.driver import visit

pytestmark = [pytest.mark.browser, pytest.mark.small_model]

# Text that stands straight on a colour of its own or on the page's, with the contrast between the two.
PALE = """least => {
    const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parts = (colour) => {
        brush.clearRect(0, 0, 1, 1);
        brush.fillStyle = colour;
        brush.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = (top, below) => [...[0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])), 1];
    const light = (colour) => {
        const [red, green, blue] = colour.map((part) => ((part / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    const parent = (element) => element.parentElement ?? element.getRootNode().host;
    const below = (element) => {
        if (!element) return [255, 255, 255, 1];
        const own = parts(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own : over(own, below(parent(element)));
    };
    const all = (root) => [...root.querySelectorAll("*")].flatMap((one) =>
        [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
    const told = "[data-testid=stCaptionContainer] p, [data-testid^=stBaseButton] p, .notice,"
        + " [data-variant=segmented_control] p, .token, .legend li, .xtick text, .ytick text, .xtitle, .ytitle,"
        + " .legendtext";
    return all(document)
        .filter((one) => one.matches(told) && one.getClientRects().length && !one.matches(":disabled *"))
        .map((one) => {
            const style = getComputedStyle(one);
            const ground = below(one);
            const ink = over(parts(one instanceof SVGElement ? style.fill : style.color), ground);
            const lights = [light(ink), light(ground)];
            return [one.textContent.trim(), Math.max(...lights) / Math.min(...lights)];
        })
        .filter(([text, contrast]) => text && contrast < least);
}"""


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_stands_out(app: str, browser: Browser, colours: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="dark" if colours == "dark" else "light"
    )
    for path in ("", "head", "mutations"):
        page = visit(context, f"{app}/{path}?bank=copy-colors&item=2&limit=10")
        # Between the two ends of a scale there is a colour on which neither text reaches 4.5.
        assert page.evaluate(PALE, 4.0 if path == "head" else 4.5) == []
        page.close()
    context.close()
