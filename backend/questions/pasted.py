"""A whole question as somebody pastes it, split into its stem, its options and, where it is given, the right one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

from backend.contract.errors import QuestionError
from backend.contract.question import MAX_OPTIONS, MIN_OPTIONS, Question

SERIES = (ascii_uppercase[:MAX_OPTIONS], ascii_lowercase[:MAX_OPTIONS], "123456789")
STYLES = ("()", "[]", "（）", ")", ".", ":", "]", "）", "．", "、")
"""What stands around a letter, or behind it: (A) [A] A) A. A:"""
BEFORE_ON_A_LINE = r"(?:^|\n)[ \t]*(?:[-*•][ \t]+)?\**"
BEFORE_INLINE = r"(?:^|(?<=\s))\**"
ANSWER = re.compile(
    r"(?:^|\s)\**(?:the )?(?:correct |right )?answer(?: is)?\s*[:=]\**(?P<said>[^\n?]*)$", re.IGNORECASE
)
"""The end of a text that says which option is right, or only asks: "Answer: B" or "Answer: ("."""


@dataclass(frozen=True)
class Pasted:
    """What was understood of a text. `labelled`: whether options were found by their letters; else lines are taken."""

    stem: str
    options: tuple[str, ...]
    answer: int | None
    labelled: bool

    def question(self) -> Question:
        """The question. Raises QuestionError where options were not found, or are not usable."""
        if not self.labelled:
            raise QuestionError(
                "No options were found. Put a letter in front of each, as in A) red  B) blue, or correct the fields."
            )
        return Question(self.stem, self.options, self.answer)


def split_question(text: str) -> Pasted:
    """Split a text such as "What color is snow? A) red B) white".

    Options may begin with A) A. A: (A) [A] a) or 1), each on a line or all on one. A last line "Answer: B" gives the
    right one. Where there are no such letters, the first line is taken for the stem and the others for options.

    >>> split_question("What color is snow? A) red B) white")
    Pasted(stem='What color is snow?', options=('red', 'white'), answer=None, labelled=True)
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    end = ANSWER.search(text)
    body, said = (text, "") if end is None else (text[: end.start()], end["said"].strip(" *(["))
    found = _best_run(body)
    if found is None:
        stem, *lines = [line.strip() for line in text.split("\n") if line.strip()] or [""]
        return Pasted(stem, tuple(lines[:MAX_OPTIONS]), None, labelled=False)
    series, marks = found
    ends = [*(begin for begin, _ in marks[1:]), len(body)]
    options = tuple(_one_line(body[after:until]) for (_, after), until in zip(marks, ends, strict=True))
    answer = _answer(said, series, options)
    if said and answer is None:  # it names no option, so it is part of the last one
        options = (*options[:-1], _one_line(text[marks[-1][1] :]))
    return Pasted(body[: marks[0][0]].strip(), options, answer, labelled=True)


def _best_run(text: str) -> tuple[str, list[tuple[int, int]]] | None:
    """A series and where its marks are: the longest run A, B, C; of equal ones that on lines, then the last."""
    best: tuple[str, list[tuple[int, int]]] | None = None
    for before in (BEFORE_ON_A_LINE, BEFORE_INLINE):
        for series, run in _runs(text, before):
            if len(run) >= MIN_OPTIONS and (best is None or len(run) > len(best[1])):
                best = (series, run)
    return best


def _runs(text: str, before: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """For each series and style the runs of its marks, the last in the text first.

    A run is a mark of the first label, then the next mark of each following label.
    """
    for series in SERIES:
        for style in STYLES:
            runs: dict[str, list[tuple[int, int]]] = {}  # by label, the run from its next mark on
            for label, begin, end in reversed(_marks(text, before, series, style)):
                at = series.index(label)
                runs[label] = [(begin, end), *runs.get(series[at + 1 : at + 2], [])]
                if at == 0:
                    yield series, runs[label]


def _marks(text: str, before: str, series: str, style: str) -> list[tuple[str, int, int]]:
    """Every mark of one style: its label, where it begins, and where it ends."""
    left, right = re.escape(style[:-1]), re.escape(style[-1])
    # Without an opening bracket something has to tell "A. red" from "A.D. 70".
    after = "" if left else r"(?=\s|$)"
    pattern = rf"{before}{left}(?P<label>[{series}]){right}\**{after}"
    return [(match["label"], match.start(), match.end()) for match in re.finditer(pattern, text)]


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text).strip()


def _answer(said: str, series: str, options: tuple[str, ...]) -> int | None:
    """The index of the option that an answer names, by its letter or its text."""
    letter = re.match(r"[(\[]?(\w)(?:[)\].:]|\s|$)", said)
    if letter and letter[1] in series[: len(options)]:
        return series.index(letter[1])
    texts = [option.casefold() for option in options]
    said = said.rstrip(".").casefold()
    return texts.index(said) if said in texts else None
