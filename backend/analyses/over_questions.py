"""Going through several questions with progress, and refusing those that an average cannot use."""

from collections.abc import Iterator

from backend.analyses.analysis import Task
from backend.engine.instrument import Instrument
from backend.errors import QuestionError, shown
from backend.progress import Progress
from backend.questions.prompt import Prompt


def each_prompt(instrument: Instrument, task: Task, progress: Progress) -> Iterator[Prompt]:
    """The task's prompts, one after the other. All are rendered first, so that a bad one is told at once."""
    prompts = task.prompts(instrument)
    for done, prompt in enumerate(prompts):
        progress("Going through the questions", done, len(prompts))
        yield prompt
    progress("Going through the questions", len(prompts), len(prompts))


def answered(prompt: Prompt) -> int:
    """The right label's index. Raises QuestionError where nobody said which is right."""
    if prompt.answer is None:
        raise QuestionError(
            f"A question without a right answer cannot be averaged: {shown(prompt.text[-200:], 220)}. "
            "Give its answer, or leave it out."
        )
    return prompt.answer
