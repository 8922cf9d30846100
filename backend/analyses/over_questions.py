"""Going through several questions with progress, and refusing those that an average cannot use."""

from collections.abc import Iterator

from backend.analyses.task import Task
from backend.contract.errors import QuestionError, shown
from backend.contract.progress import Progress, give_way
from backend.engine.instrument import Instrument
from backend.questions.prompt import Prompt


def each_prompt(instrument: Instrument, task: Task, progress: Progress) -> Iterator[tuple[Prompt, Progress]]:
    """The task's prompts, one after the other, each with a Progress for what is done with it.

    That Progress keeps showing how many questions are done, and so lets a job be cancelled inside one of them. All
    prompts are rendered first, so that a bad one is told at once.
    """
    prompts: list[Prompt] = []
    for question, shots in zip(task.questions, task.shots, strict=True):
        progress("Rendering the questions", len(prompts), len(task.questions))
        prompts.append(instrument.prompt(question, task.request.prompt, shots))
    for done, prompt in enumerate(prompts):
        within = at_question(progress, done, len(prompts))
        within("")
        yield prompt, within


def at_question(progress: Progress, done: int, total: int) -> Progress:
    """A Progress for what is done with one question of several. A short job that waits goes first (see `give_way`)."""
    give_way()

    def within(message: str, step: int = 0, steps: int = 0) -> None:
        progress("Going through the questions", done, total)

    return within


def answered(prompt: Prompt) -> int:
    """The right label's index. Raises QuestionError where nobody said which is right."""
    if prompt.answer is None:
        raise QuestionError(
            f"A question without a right answer cannot be averaged: {shown(prompt.text[-200:], 220)}. "
            "Give its answer, or leave it out."
        )
    return prompt.answer
