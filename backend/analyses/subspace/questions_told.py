"""What a result says of each question that it used."""

from collections.abc import Iterable
from typing import Any

from backend.analyses.subspace.head_inputs import HeadInputs
from backend.analyses.task import Task
from backend.contract.request import QuestionSet
from backend.questions.banks import load_bank


def wrong(kept: Iterable[HeadInputs]) -> int:
    """How many of the questions the model answers wrong."""
    return sum(one.predicted != one.right for one in kept)


def told(task: Task, kept: list[HeadInputs]) -> list[dict[str, Any]]:
    """Stem, answer and what the model says; `item` is the question's place in its bank, None where it has none."""
    asked = task.request.questions
    bank = load_bank(asked.bank).questions if isinstance(asked, QuestionSet) else ()
    places = {question: place for place, question in reversed(list(enumerate(bank)))}
    return [
        {
            "stem": task.questions[one.number].stem,
            "subject": task.questions[one.number].subject,
            "answer": one.prompt.labels[one.right],
            "predicted": one.prompt.labels[one.predicted],
            "right": one.predicted == one.right,
            "item": places.get(task.questions[one.number]),
        }
        for one in kept
    ]
