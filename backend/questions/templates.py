"""Templates: how a question becomes text. Each is one function from a question to segments with roles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from backend.contract.custom_template import EXAMPLE, split_template
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.harness_templates import arc, colon, custom, mmlu
from backend.questions.segments import Segment as Segment
from backend.questions.segments import Segments as Segments
from backend.questions.segments import check_labels, right_label

PRELUDE = (
    "A highly knowledgeable and intelligent artificial intelligence model "
    "answers multiple-choice questions about {subject}."
)
ANSWER = "Answer: ("


@dataclass(frozen=True)
class Template:
    """A template.

    Attributes:
        segments: called with question, labels and shots (solved questions); gives the text in segments.
        chat: whether the model's chat markup is put around it.
        blank: what stands between the prompt and the label that answers it, and belongs to the label's token.
    """

    segments: Callable[[Question, Sequence[str], Sequence[Question]], Segments]
    chat: bool = False
    blank: str = ""


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
    "mmlu": Template(mmlu, blank=" "),
    "colon": Template(colon, blank=" "),
    "arc": Template(arc, blank=" "),
    "custom": Template(partial(custom, split_template(EXAMPLE)), blank=" "),  # see `template_of`
}


def template_of(spec: PromptSpec) -> Template:
    """The template that a prompt names; with `custom`, that of its own text."""
    if spec.template != "custom":
        return REGISTRY[spec.template]
    parts = split_template(spec.custom)
    return Template(partial(custom, parts), blank=parts.blank)


def _block(question: Question, labels: Sequence[str]) -> Segments:
    check_labels(question, labels)
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
    label = right_label(shot, labels)
    return "".join(segment.text for segment in _block(shot, labels)) + f"{label})\n\n"
