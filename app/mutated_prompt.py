"""One prompt for a whole bank under a mutation: a request has the same labels for all its questions, drawn once."""

from collections.abc import Sequence
from dataclasses import replace

from backend.contract.errors import QuestionError
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.mutations import MUTATIONS


def mutated_prompt(name: str, asked: PromptSpec, questions: Sequence[Question], options: int) -> PromptSpec:
    """The prompt for those of the bank's `questions` that have so many `options`, the only ones that are used.

    Labels for longer questions follow, so that these too can be asked. Raises QuestionError where the prompt cannot be
    changed so, or stays as it is.
    """
    used = next(question for question in questions if len(question.options) == options)
    _, changed = MUTATIONS[name].change(used, asked, 0)
    if changed.template == asked.template and changed.labels[:options] == asked.labels[:options]:
        raise QuestionError(f"{MUTATIONS[name].title}: It changes nothing here.")
    longest = max(len(question.options) for question in questions)
    others = [label for label in asked.labels if label not in changed.labels]
    return replace(changed, labels=(*changed.labels, *others[: max(0, longest - len(changed.labels))]))
