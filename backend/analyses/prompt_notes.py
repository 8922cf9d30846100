"""What a user should know of the prompts of a result over several questions."""

from collections import Counter
from typing import Any

from backend.analyses.right_letters import right_letters
from backend.analyses.task import Task
from backend.contract.errors import QuestionError
from backend.engine.instrument import Instrument

MOST = 3


def about_questions(instrument: Instrument, task: Task) -> dict[str, Any]:
    """The scalars of every result over several questions; none of one question."""
    return {**right_letters(task), **prompt_notes(instrument, task)}


def prompt_notes(instrument: Instrument, task: Task) -> dict[str, Any]:
    """The scalar `prompt_notes` of every result over several questions; none of one question, which has `notes`.

    Each is a sentence with the number of questions that it holds for; the most frequent first.
    """
    if not task.questions or task.request.question is not None:
        return {}
    told: Counter[str] = Counter()
    for question, shots in zip(task.questions, task.shots, strict=True):
        try:
            told.update(instrument.prompt(question, task.request.prompt, shots).notes)
        except QuestionError:  # what cannot be asked is told by the analysis
            continue
    notes = [f"{count} of {len(task.questions)} questions: {note}" for note, count in told.most_common(MOST)]
    if len(told) > MOST:
        notes.append(f"{len(told) - MOST} more notes on single questions are not listed here.")
    return {"prompt_notes": notes}
