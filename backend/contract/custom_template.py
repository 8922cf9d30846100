"""A template of the user's own: a text with named places, split into what stands before the question and the question.

    The following are questions about {subject}.

    {stem}
    {label}) {option}
    Answer: {answer}

The line with {label} and {option} is written once for each option. What stands before the first blank line is written
once, in front of the solved questions, if it has no {stem}. Blanks before {answer} belong to the label that answers.
"""

import re
from collections import Counter
from dataclasses import dataclass

from backend.contract.errors import RequestError, shown

PLACES = ("subject", "stem", "label", "option", "answer")
PLACE = re.compile(r"\{(\w+)\}")
MAX_CHARACTERS = 4_000
EXAMPLE = "Questions about {subject}.\n\n{stem}\n{label}) {option}\nAnswer: {answer}"
UNWELCOME = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class CustomTemplate:
    """The parts of a text: `prelude` is written once; `head`, `line` (for each option) and `tail` for every question.

    `tail` ends where the answer begins; `blank` are the blanks in front of the answer's label.
    """

    prelude: str
    head: str
    line: str
    tail: str
    blank: str


def split_template(text: str) -> CustomTemplate:
    """The parts of a text. Raises RequestError saying which place is missing, written twice or in the wrong order."""
    text = text.replace("\r\n", "\n")
    _check(text)
    before = text[: text.index("{answer}")]
    lines = re.split(r"(?<=\n)", before)  # not splitlines: it splits at other characters too
    option_line = next(number for number, line in enumerate(lines) if "{option}" in line)
    if "{label}" not in lines[option_line]:
        raise RequestError(
            f"The line {shown(lines[option_line].strip())} has {{option}} but no {{label}}. Put both on one line."
        )
    head, tail = "".join(lines[:option_line]), "".join(lines[option_line + 1 :])
    if "{stem}" not in head:
        raise RequestError("{stem} must stand on a line before the options. Move it there.")
    if not tail.strip():
        raise RequestError("{answer} must stand on a line of its own words, such as Answer: {answer}.")
    prelude, gap, rest = head.partition("\n\n")
    if not gap or "{stem}" in prelude:
        prelude, gap, rest = "", "", head
    bare = tail.rstrip(" ")
    return CustomTemplate(prelude + gap, rest, lines[option_line], bare, tail[len(bare) :])


def _check(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise RequestError(f"The template is {len(text):,} characters; at most {MAX_CHARACTERS:,} are taken.")
    found = UNWELCOME.search(text)
    if found:
        raise RequestError(f"The template holds the control character U+{ord(found[0]):04X}. Remove it.")
    places = Counter(PLACE.findall(text))
    unknown = [name for name in places if name not in PLACES]
    if unknown:
        raise RequestError(
            f"There is no place {{{unknown[0]}}}. Use {', '.join('{' + name + '}' for name in PLACES)}."
        )
    for name in PLACES[1:]:
        if places[name] != 1:
            said = "has no" if not places[name] else f"has {places[name]} times"
            raise RequestError(f"The template {said} {{{name}}}. Write it once, as in {shown(EXAMPLE, 200)}.")
    order = sorted(("stem", "option", "answer"), key=lambda name: text.index(f"{{{name}}}"))
    if order != ["stem", "option", "answer"]:
        raise RequestError("The places must stand in the order {stem}, {label} and {option}, {answer}.")
    after = text[text.index("{answer}") + len("{answer}") :]
    if after.strip():
        raise RequestError(
            f"The text {shown(after.strip())} stands after {{answer}}. The model answers there: leave it out."
        )
