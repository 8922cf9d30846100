"""How often each letter is right among the questions of a result: a mean over them may favour one that often is."""

from collections import Counter
from typing import Any

from backend.analyses import analysis_named
from backend.analyses.task import Task


def right_letters(task: Task) -> dict[str, Any]:
    """The scalars of every result over several questions; none of one question.

    `right_letters` is the number of questions by right label, 0 where a label never is. `letters_weigh_alike` is
    whether means weigh each right label the same.
    """
    if not task.questions or task.request.question is not None:
        return {}
    counts = Counter(question.answer for question in task.questions)
    shown = task.request.prompt.labels[: max(len(question.options) for question in task.questions)]
    return {
        "right_letters": {label: counts[place] for place, label in enumerate(shown)},
        "letters_weigh_alike": analysis_named(task.request.analysis).letters_alike,
    }
