"""The head atlas: every head over a bank, the figures of each question, and the class that they speak for.

One recorded pass of a question serves attention, attribution and queries and keys; the effects take a second pass and a
sweep of the final position. The classes and their tests are in `backend/results/head_classes.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from backend.analyses.atlas.findings import Asked, findings
from backend.analyses.atlas.kept import Kept
from backend.analyses.atlas.outside import read_outside
from backend.analyses.atlas.reading import read
from backend.analyses.atlas.schema import HEADS
from backend.analyses.circuit.effects import Effects, effects_of
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.patching.pairs import Pair, pairs_of
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import worst
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.results.bootstrap import DRAWS
from backend.results.head_figures import halves

SHOW_SECONDS = 4.0
SHOW_DRAWS = 100
METRIC = {"kind": "net_logit"}


@dataclass
class _Shown:
    """Shows what is known so far, at most every SHOW_SECONDS and a tenth of the time."""

    show: Callable[[Findings], None] | None
    next: float = 0.0

    def __call__(self, make: Callable[[], Findings]) -> None:
        began = time.monotonic()
        if self.show is not None and began >= self.next:
            self.show(make())
            self.next = time.monotonic() + max(SHOW_SECONDS, 10 * (time.monotonic() - began))


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The atlas of a bank. Raises RequestError for more questions than memory should hold.

    Questions that cannot be corrupted have no effects; they are named in the scalar `without_effects`.
    """
    rights = [question.answer or 0 for question in task.questions]
    half = halves(rights, [question.stem for question in task.questions])
    most = max(len(question.options) for question in task.questions)
    kept = Kept(instrument, len(rights), most, task.checkpoint)
    asked = Asked(instrument, task, rights, half, [], read_outside(instrument, progress))
    values = {**HEADS.values(task.request), "metric": METRIC}
    show = _Shown(task.show, time.monotonic() + SHOW_SECONDS)
    try:
        for number, (prompt, within) in enumerate(each_prompt(instrument, task, progress)):
            answered(prompt)
            pairs: list[Pair] = []
            if values["effects"]:
                try:
                    pairs = pairs_of(instrument, task, number, prompt, values, within)
                except RequestError as error:
                    asked.without_effects.append({"stem": task.questions[number].stem, "reason": str(error)})
            if number < kept.done:
                continue
            effects = _mean([effects_of(instrument, pair, within) for pair in pairs])
            kept.add(read(instrument, prompt, within), effects)
            show(lambda: findings(asked, kept, SHOW_DRAWS))
    finally:
        kept.save()
    progress("Computing means and intervals")
    return findings(asked, kept, DRAWS)


def _mean(found: list[Effects]) -> Effects | None:
    """Over the corrupted prompts of one question."""
    if not found:
        return None
    return Effects(
        heads=torch.stack([each.heads for each in found]).mean(0),
        mlps=torch.stack([each.mlps for each in found]).mean(0),
        additivity_error=worst(each.additivity_error for each in found),
        oracle_error=worst(each.oracle_error for each in found),
    )
