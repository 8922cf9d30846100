"""Pictures of the pages for the documentation: `python -m tests.browser.screenshots [--model MODEL] [PAGE ...]`."""

import argparse
import re

from playwright.sync_api import Browser

from backend.contract.model import DEFAULT_MODEL
from tests.browser.driver import ROOT, chromium, served, settle, visit

FOLDER = ROOT / "static" / "screenshots"
WIDTH = 1280
SWEEP = re.compile("^Run the exact sweep")
# name -> address and colours
PICTURES = {
    "story": ("/?bank=copy-colors", "light"),
    "question": ("/question", "light"),
    "attribution": ("/attribution?scope=bank&bank=copy-colors", "light"),
    "attention": ("/attention?scope=bank&bank=copy-colors", "dark"),
    "patching": ("/patching?bank=copy-colors", "light"),
    "patch_lens": ("/patch_lens?bank=copy-colors&patches=clean:22..22:44..44", "light"),
    "effects": ("/effects", "light"),
    "heads": ("/heads?bank=copy-colors", "light"),
    "paths": ("/paths", "dark"),
    "circuit": ("/circuit?bank=copy-colors&limit=48", "light"),
    "head": ("/head", "light"),
    "subspace": ("/subspace?bank=knowledge&limit=60&labels=A+B+C+D&head=L22H7", "light"),
    "mutations": ("/mutations?bank=copy-colors&limit=60&labels=A+B+C+D&head=L22H7", "light"),
    "model": ("/model", "dark"),
    "drift": ("/drift?model=qwen2.5-coder-0.5b&bank=copy-colors&limit=20&quantization=4bit", "light"),
}


def take(browser: Browser, address: str, name: str, colours: str) -> None:
    """One page from top to bottom, as high as it is, up to two screens."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 900},
        color_scheme="dark" if colours == "dark" else "light",
        device_scale_factor=1.5,
    )
    page = visit(context, address, seconds=1800)
    sweep = page.get_by_role("button", name=SWEEP)
    if sweep.count():
        sweep.click()
        settle(page, seconds=1800)
    height = page.locator("[data-testid=stMain]").evaluate("element => element.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(1500, max(900, height))})
    settle(page)
    page.screenshot(path=FOLDER / f"{name}.png")
    context.close()


def main() -> None:
    """The pictures named, or all, with the default model unless another is named."""
    parser = argparse.ArgumentParser(description="Take the documentation's pictures again.")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=", ".join(PICTURES))
    options = parser.parse_args()
    if unknown := {*options.pages} - PICTURES.keys():
        parser.error(f"There is no picture {', '.join(sorted(unknown))}. There are {', '.join(PICTURES)}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with served(options.model) as app, chromium() as browser:
        for name in options.pages or PICTURES:
            print(f"{FOLDER / name}.png", flush=True)
            take(browser, app + PICTURES[name][0], name, PICTURES[name][1])


if __name__ == "__main__":
    main()
