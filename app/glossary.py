"""The words that texts of pages explain: those of the list in docs/README.md, the only one there is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from app.documents import FIRST, documents

HEADING = "## Words"
ROW = re.compile(r"^\| (?P<words>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE)
# A name of one head is an example in the list, not a word.
NAME = re.compile(r"^L\d+H\d+$")


@dataclass(frozen=True)
class Mark:
    """A word to explain, at `part[start:end]` of a text's part with this index."""

    part: int
    start: int
    end: int
    meaning: str


@cache
def glossary() -> dict[str, str]:
    """Every word of the list and what it means. A row may explain several words, separated by commas."""
    text = documents()[FIRST].read_text(encoding="utf-8")
    rows = ROW.findall(text[text.index(HEADING) :])
    words = {word.strip(): meaning.strip() for several, meaning in rows for word in several.split(",")}
    return {
        word: meaning
        for word, meaning in words.items()
        if word not in ("word", "---") and not NAME.match(word)
    }


@cache
def _pattern() -> re.Pattern[str]:
    """Any of the words, the longest first, also in the plural."""
    words = sorted(glossary(), key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, words))})s?\b", re.IGNORECASE)


def marks(parts: Sequence[str]) -> list[Mark]:
    """The first place of each known word in the plain parts of a text; parts are in turn plain and strong.

    >>> [(one.start, one.end) for one in marks(["Two logits, one logit."])]
    [(4, 10)]
    """
    by_form = {word.lower(): meaning for word, meaning in glossary().items()}
    found: dict[str, Mark] = {}
    for number, part in enumerate(parts):
        if number % 2:
            continue  # what is strong is a figure, or what a user typed
        for match in _pattern().finditer(part):
            word = match[1].lower()
            found.setdefault(word, Mark(number, match.start(), match.end(), by_form[word]))
    return sorted(found.values(), key=lambda mark: (mark.part, mark.start))
