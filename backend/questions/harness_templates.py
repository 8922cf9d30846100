"""Layouts of public evaluations, and the user's own. The prompt ends in a word; the answer is a label after a blank.

`mmlu`: Hendrycks et al. 2021, as their evaluation prints it and the harnesses after it. `colon`: the evaluation code of
Wiegreffe et al. 2024 (arXiv 2407.15018), which has two options; with more, its instruction names them all. `arc`: the
prompts of MIB's ARC rows (Mueller et al. 2025).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.custom_template import PLACE, CustomTemplate
from backend.contract.question import Question
from backend.questions.segments import Segment, Segments, check_labels, right_label, text_of


@dataclass(frozen=True)
class _Layout:
    """How one question is written: around its stem, between a label and its option, and before the answer."""

    before: str
    after: str
    separator: str
    answer: str

    def block(self, question: Question, labels: Sequence[str]) -> Segments:
        """The question, up to the place of its answer."""
        check_labels(question, labels)
        segments = [Segment(f"{self.before}{question.stem}{self.after}", "stem")]
        for i, (label, option) in enumerate(zip(labels, question.options, strict=False)):
            segments += [
                Segment(label, f"label {i}"),
                Segment(self.separator, f"bracket {i}"),
                Segment(f" {option}", f"option {i}"),
                Segment("\n", f"newline {i}"),
            ]
        return (*segments, Segment(self.answer, "suffix"))

    def solved(self, shots: Sequence[Question], labels: Sequence[str]) -> Segments:
        """Solved questions, each with a blank line after it."""
        texts = [f"{text_of(self.block(shot, labels))} {right_label(shot, labels)}\n\n" for shot in shots]
        return tuple(Segment(text, "shot") for text in texts)


MMLU = _Layout("", "\n", ".", "Answer:")
ARC = _Layout("Question: ", "\n", ".", "Answer:")
COLON = _Layout("Phrase: ", "\nChoices:\n", ":", "The correct answer is:")


def mmlu(question: Question, labels: Sequence[str], shots: Sequence[Question]) -> Segments:
    """A line that names the subject, then questions with `A. text` and `Answer:`."""
    prelude = f"The following are multiple choice questions (with answers) about {question.subject}.\n\n"
    return (
        Segment(prelude, "prelude"),
        *MMLU.solved(shots, labels),
        *MMLU.block(question, labels),
    )


def arc(question: Question, labels: Sequence[str], shots: Sequence[Question]) -> Segments:
    """`Question:` before the stem, `A. text` and `Answer:`, no first line."""
    return (*ARC.solved(shots, labels), *ARC.block(question, labels))


def colon(question: Question, labels: Sequence[str], shots: Sequence[Question]) -> Segments:
    """An instruction that names the labels, `Phrase:`, `Choices:`, `A: text` and `The correct answer is:`."""
    check_labels(question, labels)
    *most, last = labels[: len(question.options)]
    prelude = (
        f"For each of the following phrases, select the best completion ({', '.join(most)} or {last}).\n\n"
    )
    return (
        Segment(prelude, "prelude"),
        *COLON.solved(shots, labels),
        *COLON.block(question, labels),
    )


def custom(
    parts: CustomTemplate, question: Question, labels: Sequence[str], shots: Sequence[Question]
) -> Segments:
    """The user's own text; its prelude once, then the solved questions and the question."""
    solved = [
        f"{text_of(_own_block(parts, shot, labels))}{parts.blank}{right_label(shot, labels)}\n\n"
        for shot in shots
    ]
    return (
        *_filled(parts.prelude, {"subject": question.subject}, {}, "prelude"),
        *(Segment(text, "shot") for text in solved),
        *_own_block(parts, question, labels),
    )


def _own_block(parts: CustomTemplate, question: Question, labels: Sequence[str]) -> Segments:
    check_labels(question, labels)
    subject = {"subject": question.subject}
    segments = [*_filled(parts.head, {**subject, "stem": question.stem}, {}, "stem")]
    for i, (label, option) in enumerate(zip(labels, question.options, strict=False)):
        line = parts.line.removesuffix("\n")
        roles = {"label": f"label {i}", "option": f"option {i}"}
        values = {**subject, "label": label, "option": option}
        segments += [*_filled(line, values, roles, f"bracket {i}"), Segment("\n", f"newline {i}")]
    return (*segments, *_filled(parts.tail, subject, {}, "suffix"))


def _filled(text: str, values: dict[str, str], roles: dict[str, str], role: str) -> Segments:
    """A text with its places filled, each in its own role or that of the text around it; values are not read again."""
    pieces = PLACE.split(text)  # text and the names of places in turn
    return tuple(
        Segment(values[piece], roles.get(piece, role)) if place % 2 else Segment(piece, role)
        for place, piece in enumerate(pieces)
        if piece
    )
