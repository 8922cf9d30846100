"""What made-up results are put together from: a model's sizes, a bank, prompts, and numbers with axes."""

from typing import Any

import numpy as np

from backend.analyses import ANALYSES
from backend.contract.head import HeadRef
from backend.contract.question import Question
from backend.contract.request import Request

Arrays = dict[str, tuple[Any, tuple[str, ...]]]
"""Values and axes by name."""
Made = tuple[Arrays, dict[str, tuple[str, ...]], dict[str, Any]]
"""Arrays, ticks and scalars."""

LAYERS, HEADS = 6, 4
STAR = (3, 2)  # the head that writes the right letter
HELPER = (1, 3)  # the head that acts through others
SUBJECTS = {"red": "colors", "blue": "colors", "green": "plants", "round": "shapes"}
BANK = (
    *(
        Question(f"Which is {what}?", (what, "up", "down", "left"), 0, subject)
        for what, subject in SUBJECTS.items()
    ),
    Question("Where is <b>up</b>?", ("down", "up ☝️", "left", "right"), 1, "directions"),
)
QUOTED = "<|im_end|>"
SIZES = {"layer": LAYERS, "head": HEADS, "kv_head": 2}
SWAPPED = "options 1 and 2 swapped"
RUNS = {
    "clean": 0.8,
    "corrupted": -0.4,
    "corruption": SWAPPED,
    "draws": [{"note": SWAPPED, "corrupted": -0.4}],
}


def drawn(
    generator: np.random.Generator, axes: dict[str, tuple[str, ...]], spread: float = 1.0, **sizes: int
) -> Arrays:
    """Normal numbers over these axes, of the model's sizes and those given."""
    sizes |= SIZES
    return {
        name: (generator.normal(0, spread, [sizes[axis] for axis in of]), of) for name, of in axes.items()
    }


def with_ends(name: str, values: Any, axes: tuple[str, ...], low: float, high: float) -> Arrays:
    """Values and the ends of their intervals, that far below and above."""
    ends = (("", 0.0), ("_low", -low), ("_high", high))
    return {f"{name}{end}": (np.asarray(values) + by, axes) for end, by in ends}


def prompt_of(request: Request) -> dict[str, Any]:
    """Tokens, roles, text, labels and right label of the request's question."""
    question = request.question
    assert question is not None
    labels = list(request.prompt.labels[: len(question.options)])
    tokens, roles = ["About", f" {question.subject}", ".\n"], ["prelude"] * 3
    tokens, roles = [*tokens, question.stem, "\n"], [*roles, "stem", "stem"]
    for place, option in enumerate(question.options):
        tokens += ["(", labels[place], ") ", option, "\n"]
        roles += [f"{name} {place}" for name in ("bracket", "label", "bracket", "option", "newline")]
    tokens, roles = [*tokens, "Answer:", " ("], [*roles, "suffix", "final"]
    answer = None if question.answer is None else labels[question.answer]
    text = "".join(tokens)
    controls = [QUOTED] if QUOTED in question.stem else []
    notes = [f"The prompt quotes control tokens of this model: {name}." for name in controls]
    told = {"tokens": tokens, "roles": roles, "text": text, "labels": labels, "answer": answer}
    return {**told, "notes": notes, "controls": controls}


def answered(request: Request, predicted: str) -> dict[str, Any]:
    """The same with what the model answers."""
    told = prompt_of(request)
    loss = None if told["answer"] is None else 0.3
    return {**told, "predicted": predicted, "loss": loss}


MISREAD = "Misread: "
"""How the stem begins of a question that the made-up model answers wrongly."""


def letter_said(request: Request) -> int:
    """The index of the letter that the model says: the right one; the last if none is known, or it misreads."""
    question = request.question
    assert question is not None
    wrong = question.answer is None or question.stem.startswith(MISREAD)
    return len(question.options) - 1 if wrong or question.answer is None else question.answer


def head_of(request: Request) -> str | None:
    """The name of the head that the request asks about."""
    head = values_of(request).get("head")
    return None if head is None else str(HeadRef(*head))


def heads_of(request: Request) -> list[str]:
    """The names of the heads that the request asks about."""
    values = values_of(request)
    return [str(HeadRef(*head)) for head in values["heads"] or [values["head"]]]


def values_of(request: Request) -> dict[str, Any]:
    """The request's parameters, defaults filled in."""
    return ANALYSES[request.analysis].values(request)
