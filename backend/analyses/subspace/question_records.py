"""The records of the questions that a result used."""

from collections.abc import Iterable
from typing import Any

from backend.analyses.subspace.head_inputs import HeadInputs
from backend.analyses.task import Task
from backend.contract.request import QuestionSet
from backend.questions.banks import load_bank


def count_wrong(used: Iterable[HeadInputs]) -> int:
    """How many of the questions the model answers wrong."""
    return sum(one.predicted != one.right for one in used)


def question_records(task: Task, used: list[HeadInputs]) -> list[dict[str, Any]]:
    """Stem, subject, right and predicted label of each question.

    `item` is the question's index in its bank, None where the questions are not of a bank.
    """
    asked = task.request.questions
    bank = load_bank(asked.bank).questions if isinstance(asked, QuestionSet) else ()
    items = {question: item for item, question in reversed(list(enumerate(bank)))}
    return [
        {
            "stem": task.questions[one.number].stem,
            "subject": task.questions[one.number].subject,
            "answer": one.prompt.labels[one.right],
            "predicted": one.prompt.labels[one.predicted],
            "right": one.predicted == one.right,
            "item": items.get(task.questions[one.number]),
        }
        for one in used
    ]
