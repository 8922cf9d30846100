"""Pieces of a prompt's text, each with its role."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.errors import QuestionError
from backend.contract.question import Question


@dataclass(frozen=True)
class Segment:
    """A piece of a prompt's text and its role (see `Prompt`). `markup`: it is the chat template's, not the user's."""

    text: str
    role: str
    markup: bool = False


Segments = tuple[Segment, ...]


def check_labels(question: Question, labels: Sequence[str]) -> None:
    """Raise QuestionError where there are fewer labels than options."""
    if len(labels) < len(question.options):
        raise QuestionError(
            f"The question has {len(question.options)} options but only {len(labels)} labels. Add labels."
        )


def right_label(shot: Question, labels: Sequence[str]) -> str:
    """The label that answers a solved question. Raises QuestionError where it has no right answer."""
    if shot.answer is None:
        raise QuestionError(
            "A question without a right answer cannot be a solved example. Mark its right option."
        )
    return labels[shot.answer]


def text_of(segments: Segments) -> str:
    """The text of all of them."""
    return "".join(segment.text for segment in segments)
