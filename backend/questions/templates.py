"""Templates: how a question becomes text. Each is one function from a question to segments with roles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.contract.errors import QuestionError
from backend.contract.question import Question

PRELUDE = (
    "A highly knowledgeable and intelligent artificial intelligence model "
    "answers multiple-choice questions about {subject}."
)
ANSWER = "Answer: ("


@dataclass(frozen=True)
class Segment:
    """A piece of a prompt's text and its role (see `Prompt`); `markup`: whether a chat template wrote it."""

    text: str
    role: str
    markup: bool = False


Segments = tuple[Segment, ...]


@dataclass(frozen=True)
class Template:
    """A template.

    Attributes:
        segments: called with question, labels and shots (solved questions); gives the text in segments.
        chat: whether the model's chat markup is put around it.
    """

    segments: Callable[[Question, Sequence[str], Sequence[Question]], Segments]
    chat: bool = False


def plain(question: Question, labels: Sequence[str], shots: Sequence[Question]) -> Segments:
    """The solved questions `shots`, then the question up to the open bracket of its answer.

    Raises QuestionError if there are fewer labels than options, or if a shot has no right answer.
    """
    solved = tuple(Segment(_solved(shot, labels), "shot") for shot in shots)
    return (*solved, *_block(question, labels))


def paper(question: Question, labels: Sequence[str], shots: Sequence[Question]) -> Segments:
    """As `plain`, after one line that introduces the subject.

    It is our reconstruction of the prompt of Lieberum et al. 2023, whose exact wording is not known to us.
    """
    prelude = Segment(PRELUDE.format(subject=question.subject) + "\n\n", "prelude")
    return (prelude, *plain(question, labels, shots))


def square(question: Question, labels: Sequence[str], shots: Sequence[Question]) -> Segments:
    """As `paper`, with square brackets in place of round ones, also in the shots."""
    round_to_square = str.maketrans("()", "[]")
    return tuple(
        Segment(segment.text.translate(round_to_square), segment.role)
        if segment.role.split()[0] in ("bracket", "suffix", "shot")
        else segment
        for segment in paper(question, labels, shots)
    )


REGISTRY: dict[str, Template] = {
    "paper": Template(paper),
    "plain": Template(plain),
    "chat": Template(paper, chat=True),
    "square": Template(square),
}


def _block(question: Question, labels: Sequence[str]) -> Segments:
    if len(labels) < len(question.options):
        raise QuestionError(
            f"The question has {len(question.options)} options but only {len(labels)} labels. Add labels."
        )
    segments = [Segment(question.stem + "\n", "stem")]
    for i, (label, option) in enumerate(zip(labels, question.options, strict=False)):
        segments += [
            Segment("(", f"bracket {i}"),
            Segment(label, f"label {i}"),
            Segment(")", f"bracket {i}"),
            Segment(" " + option, f"option {i}"),
            Segment("\n", f"newline {i}"),
        ]
    return (*segments, Segment(ANSWER, "suffix"))


def _solved(shot: Question, labels: Sequence[str]) -> str:
    if shot.answer is None:
        raise QuestionError(
            "A question without a right answer cannot be a solved example. Mark its right option."
        )
    return "".join(segment.text for segment in _block(shot, labels)) + f"{labels[shot.answer]})\n\n"
