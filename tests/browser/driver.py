"""The real app in a real Chromium: starting both, and waiting until a page has settled."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
# Drawing on the processor leaves the model little of it, so as little as can be: no GPU emulation, no own traffic.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SETTLED = """() => {
    const app = document.querySelector("[data-testid=stApp]");
    const waiting = document.querySelector("[data-testid=stProgress], [data-testid=stSkeleton]");
    const bare = document.querySelector(".js-plotly-plot:not(:has(svg.main-svg))");
    return app?.dataset.testScriptState === "notRunning" && !waiting && !bare;
}"""

PRICED = re.compile(
    "^(Compute the effects|Find the nodes|Follow the paths|Collect queries|Ask the questions|Run the question|"
    "Read both|Read every head|Patch the questions)"
)

# The first question waits for the model to load.
expect.set_options(timeout=90_000)


@contextmanager
def served(model: str) -> Iterator[str]:
    """The address of the app, started with this model as its default."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = subprocess.Popen(
        [sys.executable, "serve.py", f"--port={port}", "--address=127.0.0.1"],
        cwd=ROOT,
        env=os.environ | {"LETTERHEADS_MODEL": model},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/_stcore/health", app)
        yield address
    finally:
        app.terminate()
        app.wait(timeout=120)


def _wait_for(address: str, app: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and app.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError("The app did not start: run `python serve.py` to see why.")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium named by LETTERHEADS_CHROMIUM, or Debian's."""
    path = os.environ.get("LETTERHEADS_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def visit(context: BrowserContext, address: str, seconds: float = 180) -> Page:
    """A new page at this address, settled. What waits for a click because it takes long here is asked for."""
    page = context.new_page()
    page.goto(address)
    settle(page, seconds)
    waiting = page.get_by_role("button", name=PRICED)
    if waiting.count():
        waiting.first.click()
        settle(page, seconds)
    return page


def settle(page: Page, seconds: float = 180) -> None:
    """Wait until the script has run, no job is under way, and charts are drawn. No page may end in a traceback."""
    # A click reaches the server a moment later: only two quiet looks in a row count.
    for _ in range(2):
        page.wait_for_timeout(350)
        page.wait_for_function(SETTLED, timeout=seconds * 1000)
    expect(page.get_by_test_id("stException")).to_have_count(0, timeout=1_000)
