"""The documentation: its links, pictures, paths and commands are there, and its examples run. No network."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backend.cli import main
from backend.contract.request import Request
from tests.app.opened import PAGES
from tests.browser.screenshots import PICTURES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("**/*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`((?:app|backend|benchmarks|docs|scripts|static|tests)/[\w./-]+)`")
COMMAND = re.compile(r"python -m backend (\w[\w-]*)")
SCRIPT = re.compile(r"scripts/([\w-]+)(?: (\w+))?")

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def anchors(file: Path) -> set[str]:
    """What a link to a heading of this file may name: GitHub's form of it.

    >>> sorted(anchors(ROOT / "CONTRIBUTING.md"))[:2]
    ['a-new-analysis', 'a-new-model-family']
    """
    text = FENCED.sub("", file.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in plain}


def blocks(file: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", file.read_text(encoding="utf-8"), re.M | re.S)
    return [str(block) for block in found]


@every_file
def test_links_lead_somewhere(file: Path) -> None:
    for target in LINK.findall(FENCED.sub("", file.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        found = (file.parent / path).resolve() if path else file
        assert found.exists(), f"{target} is not there"
        assert found.is_relative_to(ROOT), f"{target} leads out of the repository"
        assert not anchor or anchor in anchors(found), f"{target}: there is no such heading"


@every_file
def test_paths_that_are_named_are_there(file: Path) -> None:
    for path in PATH.findall(file.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), f"{path} is not there"


@every_file
def test_commands_that_are_named_are_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.read_text(encoding="utf-8")
    for name, argument in SCRIPT.findall(text):
        assert (ROOT / "scripts" / name).exists(), f"scripts/{name} is not there"
        if name == "bench" and argument:
            assert (ROOT / "benchmarks" / f"{argument}.py").exists(), f"scripts/bench {argument} is not there"
    for name in COMMAND.findall(text):
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0, f"python -m backend {name}: {capsys.readouterr().err}"


@every_file
def test_requests_are_ones(file: Path) -> None:
    for block in blocks(file, "json"):
        assert Request.from_json(json.loads(block))


def test_every_page_has_a_guide_with_its_picture() -> None:
    guides = {file.stem: file for file in (DOCS / "guide").glob("*.md")}
    assert guides.keys() == set(PAGES) == PICTURES.keys()
    for page, file in guides.items():
        assert f"(../../static/screenshots/{page}.png)" in file.read_text(encoding="utf-8")


def test_the_index_lists_every_document() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / target).resolve() for target in LINK.findall(index.read_text(encoding="utf-8"))}
    assert {file.resolve() for file in DOCS.glob("**/*.md")} - {index.resolve()} <= listed


@pytest.mark.small_model
@pytest.mark.parametrize("name", ["README.md", "docs/api.md"])
def test_python_examples_run(name: str) -> None:
    (code,) = blocks(ROOT / name, "python")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
