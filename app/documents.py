"""The documentation as the dashboard shows it: the files of docs/, with links and pictures that work in the app."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs"
FIRST = "README"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


@cache
def documents() -> dict[str, Path]:
    """Every file of docs/ by its name, such as `attribution` for docs/guide/attribution.md; the index first."""
    files = sorted(FOLDER.glob("**/*.md"), key=lambda file: (file.stem != FIRST, file.parts))
    return {file.stem: file for file in files}


def title_of(name: str) -> str:
    """The first heading of a document."""
    return documents()[name].read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")


def in_app(name: str, address: str, choices: dict[str, str]) -> str:
    """A document's text with its links rewritten for the app.

    A link to another document goes to `address` with its name as `of` and these `choices`. A picture is the one that
    the server serves from static/. Of a link to any other file of the repository only the text stays.
    """
    file = documents()[name]

    def rewritten(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        path, mark, anchor = target.partition("#")
        if "://" in path:
            return match[0]
        anchor = mark + anchor.replace("_", "-")  # so Streamlit names a heading; GitHub keeps the underscore
        if not path:
            return f"[{text}]({anchor})"
        found = (file.parent / path).resolve()
        if picture:
            return f"![{text}](app/{found.relative_to(ROOT.resolve()).as_posix()})"
        if found.is_relative_to(FOLDER.resolve()) and found.stem in documents():
            query = urlencode({"of": found.stem, **choices})
            return f"[{text}]({address}?{query}{anchor})"
        return text

    return LINK.sub(rewritten, file.read_text(encoding="utf-8"))
