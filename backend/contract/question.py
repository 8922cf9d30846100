"""A multiple-choice question: what is asked, its options, and which of them is right."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.contract.errors import QuestionError, shown

MIN_OPTIONS = 2
MAX_OPTIONS = 10
FIELDS = ("subject", "stem", "options", "answer", "pairs")
PAIRS = ("position", "letter", "both")
"""What a corrupted form of a question changes: the place of the right option, the labels, or both."""
# Control characters but tab and newline, and halves of surrogate pairs, which are no text.
UNWELCOME = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Question:
    """One question. `answer` is the index of the right option, or None where nobody said which is right.

    `pairs` are corrupted forms that its source gives with it: of each of PAIRS at most one.

    Raises QuestionError where a field is not usable; text is kept as it was typed, never cleaned in silence.
    """

    stem: str
    options: tuple[str, ...]
    answer: int | None = None
    subject: str = "general knowledge"
    pairs: tuple["Pair", ...] = ()

    def __post_init__(self) -> None:
        _check_text("subject", self.subject)
        _check_text("question", self.stem)
        if not MIN_OPTIONS <= len(self.options) <= MAX_OPTIONS:
            raise QuestionError(
                f"A question has {MIN_OPTIONS} to {MAX_OPTIONS} options; this one has {len(self.options)}. "
                "Add or remove options."
            )
        for place, option in enumerate(self.options, start=1):
            _check_text(f"option {place}", option)
        seen: dict[str, int] = {}
        for place, option in enumerate(self.options, start=1):
            first = seen.setdefault(option.strip(), place)
            if first != place:
                raise QuestionError(
                    f"Options {first} and {place} are the same, {shown(option)}. Make each option different."
                )
        if self.answer is not None and not 0 <= self.answer < len(self.options):
            raise QuestionError(
                f"The right answer is option {self.answer} counted from 0, but there are {len(self.options)} "
                f"options. Use 0 to {len(self.options) - 1}."
            )
        if len({pair.kind for pair in self.pairs}) < len(self.pairs):
            raise QuestionError("Two pairs of the question are of one kind. Give one of each.")

    def pair(self, kind: str) -> "Pair | None":
        """Its pair of one of PAIRS; None where it has none."""
        return next((pair for pair in self.pairs if pair.kind == kind), None)

    def swapped(self, first: int, second: int) -> "Question":
        """The question with the options at these two places swapped; the right one is the same text. Its pairs go.

        >>> Question("Which?", ("a", "b", "c"), 0).swapped(0, 2).answer
        2
        """
        options = list(self.options)
        options[first], options[second] = options[second], options[first]
        moved = {first: second, second: first}
        answer = None if self.answer is None else moved.get(self.answer, self.answer)
        return replace(self, options=tuple(options), answer=answer, pairs=())

    @classmethod
    def from_json(cls, data: object) -> "Question":
        """Build from `{"subject"?, "stem", "options", "answer"?, "pairs"?}`. Raises QuestionError naming the field."""
        if not isinstance(data, Mapping):
            raise QuestionError(f"A question is an object with stem and options, not {shown(data)}.")
        unknown = sorted(str(key) for key in data if key not in FIELDS)
        if unknown:
            raise QuestionError(
                f"A question has no field {shown(unknown[0])}. Use subject, stem, options and answer."
            )
        options = data.get("options")
        if not isinstance(options, list | tuple):
            raise QuestionError(f"options must be a list of texts, not {shown(options)}.")
        answer = data.get("answer")
        if answer is not None and (isinstance(answer, bool) or not isinstance(answer, int)):
            raise QuestionError(
                f"answer must be the right option's index from 0, or null, not {shown(answer)}."
            )
        return cls(
            stem=_text("stem", data.get("stem", "")),
            options=tuple(_text(f"option {place}", option) for place, option in enumerate(options, start=1)),
            answer=answer,
            subject=_text("subject", data.get("subject", cls.subject)),
            pairs=pairs_of(data.get("pairs", {})),
        )

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values. `pairs` are left out where there are none."""
        return {
            "subject": self.subject,
            "stem": self.stem,
            "options": list(self.options),
            "answer": self.answer,
            **({"pairs": {pair.kind: pair.to_json() for pair in self.pairs}} if self.pairs else {}),
        }


@dataclass(frozen=True)
class Pair:
    """A corrupted form of a question: another place of the right option, other labels, or both.

    `labels` are those that it is asked with; empty: the prompt's. Raises QuestionError where a field is not usable.
    """

    kind: str
    question: Question
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in PAIRS:
            raise QuestionError(
                f"There is no kind of pair {shown(self.kind)}. Choose one of {', '.join(PAIRS)}."
            )
        if self.question.pairs:
            raise QuestionError("A pair has no pairs of its own. Leave them out.")
        if self.labels and len(self.labels) != len(self.question.options):
            raise QuestionError(
                f"The pair {self.kind} has {len(self.labels)} labels for {len(self.question.options)} options."
            )

    @classmethod
    def from_json(cls, kind: str, data: object) -> "Pair":
        """Build from a question's JSON with `labels`. Raises QuestionError naming the field."""
        if not isinstance(data, Mapping):
            raise QuestionError(f"The pair {shown(kind)} must be an object, not {shown(data)}.")
        labels = data.get("labels", ())
        if not isinstance(labels, list | tuple):
            raise QuestionError(f"The labels of a pair must be a list of texts, not {shown(labels)}.")
        question = Question.from_json({name: value for name, value in data.items() if name != "labels"})
        return cls(kind, question, tuple(_text("label", label) for label in labels))

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values."""
        return {**self.question.to_json(), **({"labels": list(self.labels)} if self.labels else {})}


def pairs_of(data: object) -> tuple[Pair, ...]:
    """Pairs by kind, as a question's JSON has them. Raises QuestionError naming the field."""
    if not isinstance(data, Mapping):
        raise QuestionError(f"pairs must be an object of {', '.join(PAIRS)}, not {shown(data)}.")
    return tuple(Pair.from_json(str(kind), pair) for kind, pair in data.items())


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise QuestionError(f"The {name} must be a text, not {shown(value)}.")
    return value


def _check_text(name: str, text: str) -> None:
    if not text.strip():
        raise QuestionError(f"The {name} is empty. Write some text.")
    found = UNWELCOME.search(text)
    if found:
        raise QuestionError(
            f"The {name} holds the control character U+{ord(found[0]):04X} at place {found.start() + 1}. "
            "Remove it."
        )
