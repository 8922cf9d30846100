"""A pair: a clean prompt, a corrupted one, and the metric by which their runs are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.patching.corruptions import Clean, Corrupted, draws
from backend.analyses.patching.metrics import ChosenMetric, LabelLogits, chosen_metric
from backend.analyses.task import Task
from backend.contract.metrics import METRICS
from backend.contract.progress import Progress, silent
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_normalizer
from backend.engine.sweep import Pairing, RunSource, run_source
from backend.questions.prompt import Prompt


@dataclass(frozen=True)
class Runs:
    """The two runs of a pair in one direction.

    Example: the clean prompt has the tokens a b c d, the corrupted one a x d; b, c and x have no counterpart. In
    denoising the base run is the corrupted one, `match` is (0, None, 3) and `base_positions` is (0, None, None, 2).

    Attributes:
        base: the token ids of the run that is patched.
        source: the token ids of the run from which the patched values come.
        match: for each base position the source position with the same role; None if there is none.
        base_positions: for each position of the clean prompt the base position; None if it cannot be patched.
    """

    base: tuple[int, ...]
    source: tuple[int, ...]
    match: tuple[int | None, ...]
    base_positions: tuple[int | None, ...]

    @property
    def pairing(self) -> Pairing:
        """The same as the engine takes it."""
        return Pairing(self.base, self.source, self.match)

    def run_source(self, instrument: Instrument, progress: Progress = silent) -> RunSource:
        """The source run's activations at base positions. Raises Cancelled if `progress` does."""
        return run_source(instrument, self.base, self.source, self.match, progress)


@dataclass(frozen=True)
class Pair:
    """Two runs and a metric."""

    clean: Clean
    other: Corrupted
    metric: ChosenMetric

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The labels' answer tokens, whose logits the metric is computed from."""
        return self.clean.prompt.answer_ids

    @property
    def vocabulary(self) -> bool:
        """Whether the metric also needs the log-sum-exp of the logits of the whole vocabulary."""
        return self.metric.metric.vocabulary

    def runs(self, direction: str) -> Runs:
        """Denoise: clean activations are patched into the corrupted run. Noise: the reverse."""
        clean, corrupted, match = self.clean.prompt.token_ids, self.other.token_ids, self.other.match
        if direction == "noise":
            matched = tuple(None if other is None else position for position, other in enumerate(match))
            return Runs(base=clean, source=corrupted, match=match, base_positions=matched)
        reverse: list[int | None] = [None] * len(corrupted)
        for position, other in enumerate(match):
            if other is not None:
                reverse[other] = position
        return Runs(base=corrupted, source=clean, match=tuple(reverse), base_positions=match)

    def reference(self, instrument: Instrument) -> Float[Tensor, " label"]:
        """The clean run's logits of the labels."""
        return instrument.trace(self.clean.prompt.token_ids).logits[list(self.token_ids)]

    def values(
        self, instrument: Instrument, logits: Tensor, logsumexp: Tensor | None
    ) -> Float[Tensor, " cell"]:
        """The metric of patched runs from their labels' logits `[cell, label]` and log-sum-exp `[cell]`."""
        return self.metric(LabelLogits(logits, logsumexp, self.reference(instrument)))

    def unpatched(self, instrument: Instrument, progress: Progress) -> tuple[float, float]:
        """The metric of the clean and of the corrupted run without any patch."""
        runs = (self.clean.prompt.token_ids, self.other.token_ids)
        both = torch.stack([instrument.trace(ids, progress).logits for ids in runs])
        labels = both[:, list(self.token_ids)]
        clean, corrupted = self.values(instrument, labels, log_normalizer(both) if self.vocabulary else None)
        return float(clean), float(corrupted)


def pairs_of(
    instrument: Instrument,
    task: Task,
    number: int,
    prompt: Prompt,
    values: Mapping[str, Any],
    progress: Progress = silent,
) -> list[Pair]:
    """The pairs of the task's question `number`, one for each corrupted prompt drawn. Raises RequestError.

    `values` are the analysis' parameters, `corruption` and `metric` among them. A metric without a label takes the
    right label, and the most likely one if none is known to be right.
    """
    clean = clean_of(instrument, task, number, prompt, progress)
    metric = values["metric"]
    if "label" in METRICS[metric["kind"]].labels and "label" not in metric:
        metric = {**metric, "label": prompt.labels[clean.letter]}
    others = draws(instrument, clean, values["corruption"])
    return [Pair(clean, other, chosen_metric(metric, prompt.labels)) for other in others]


def clean_of(
    instrument: Instrument, task: Task, number: int, prompt: Prompt, progress: Progress = silent
) -> Clean:
    """The clean prompt of the task's question `number`. Raises Cancelled if `progress` does."""
    letter = prompt.answer
    if letter is None:
        logits = instrument.trace(prompt.token_ids, progress).logits
        letter = int(logits[list(prompt.answer_ids)].argmax())
    return Clean(task.questions[number], task.request.prompt, task.shots[number], prompt, letter)


def pair_scalars(pairs: Sequence[Pair], unpatched: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The scalars of every result about pairs: the metric, and its values in both runs, means over the draws."""
    count = len(pairs)
    return {
        "metric": pairs[0].metric.metric.name,
        "corruption": "; ".join(pair.other.note for pair in pairs),
        "clean": sum(clean for clean, _ in unpatched) / count,
        "corrupted": sum(corrupted for _, corrupted in unpatched) / count,
        "draws": [
            {"note": pair.other.note, "corrupted": corrupted}
            for pair, (_, corrupted) in zip(pairs, unpatched, strict=True)
        ],
    }
