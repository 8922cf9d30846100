"""A clean prompt, a corrupted one, and what the change between them is measured by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.patching.corruptions import Clean, Corrupted, draws
from backend.analyses.patching.metrics import ChosenMetric, Readings, chosen_metric
from backend.analyses.task import Task
from backend.contract.metrics import METRICS
from backend.contract.progress import Progress, silent
from backend.engine.instrument import Instrument
from backend.engine.sweep import Pairing, RunSource, run_source
from backend.questions.prompt import Prompt


@dataclass(frozen=True)
class Runs:
    """A pair in one direction.

    Attributes:
        base, source: the token ids of the run that is changed and of the run that the values come from.
        match: for each base position the source position that stands for it; None where there is none.
        places: for each position of the clean prompt the base position; None where it cannot be patched.
    """

    base: tuple[int, ...]
    source: tuple[int, ...]
    match: tuple[int | None, ...]
    places: tuple[int | None, ...]

    @property
    def pairing(self) -> Pairing:
        """Which source position stands for which base position."""
        return Pairing(self.base, self.source, self.match)

    def run_source(self, instrument: Instrument, progress: Progress = silent) -> RunSource:
        """The source run's activations, at base positions."""
        return run_source(instrument, self.base, self.source, self.match, progress)


@dataclass(frozen=True)
class Pair:
    """Two runs and a metric."""

    clean: Clean
    other: Corrupted
    metric: ChosenMetric

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The tokens whose logits the metric reads: the labels' answer tokens."""
        return self.clean.prompt.answer_ids

    @property
    def vocabulary(self) -> bool:
        """Whether the metric needs the log of the sum of exp over all tokens too."""
        return self.metric.metric.vocabulary

    def runs(self, direction: str) -> Runs:
        """Denoise: a clean activation into the corrupted run. Noise: the reverse."""
        clean, other, match = self.clean.prompt.token_ids, self.other.token_ids, self.other.match
        if direction == "noise":
            places = tuple(None if there is None else here for here, there in enumerate(match))
            return Runs(base=clean, source=other, match=match, places=places)
        back: list[int | None] = [None] * len(other)
        for here, there in enumerate(match):
            if there is not None:
                back[there] = here
        return Runs(base=other, source=clean, match=tuple(back), places=match)

    def reference(self, instrument: Instrument) -> Float[Tensor, " label"]:
        """The clean run's logits of the labels."""
        return instrument.trace(self.clean.prompt.token_ids).logits[list(self.token_ids)]

    def values(
        self, instrument: Instrument, logits: Tensor, logsumexp: Tensor | None
    ) -> Float[Tensor, " cell"]:
        """The metric of some runs, given their labels' logits `[cell, label]`."""
        return self.metric(Readings(logits, logsumexp, self.reference(instrument)))

    def ends(self, instrument: Instrument, progress: Progress) -> tuple[float, float]:
        """The metric of the clean and of the corrupted run, unpatched."""
        runs = (self.clean.prompt.token_ids, self.other.token_ids)
        both = torch.stack([instrument.trace(ids, progress).logits for ids in runs])
        labels = both[:, list(self.token_ids)]
        clean, corrupted = self.values(instrument, labels, both.logsumexp(-1) if self.vocabulary else None)
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

    `values` hold `corruption` and `metric`. A metric that does not say which label it is of is one of the right label.
    """
    clean = Clean(task.questions[number], task.request.prompt, task.shots[number], prompt)
    metric = values["metric"]
    if "label" in METRICS[metric["kind"]].labels and "label" not in metric:
        metric = {**metric, "label": _label(instrument, prompt, progress)}
    others = draws(instrument, clean, values["corruption"])
    return [Pair(clean, other, chosen_metric(metric, prompt.labels)) for other in others]


def _label(instrument: Instrument, prompt: Prompt, progress: Progress) -> str:
    """The right label; where none is right, the likeliest."""
    if prompt.answer is not None:
        return prompt.labels[prompt.answer]
    logits = instrument.trace(prompt.token_ids, progress).logits
    return prompt.labels[int(logits[list(prompt.answer_ids)].argmax())]


def pair_scalars(pairs: Sequence[Pair], ends: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """What every result about pairs says of them: the metric, and both runs' values, means over the draws."""
    count = len(pairs)
    return {
        "metric": pairs[0].metric.metric.name,
        "corruption": "; ".join(pair.other.note for pair in pairs),
        "clean": sum(clean for clean, _ in ends) / count,
        "corrupted": sum(corrupted for _, corrupted in ends) / count,
        "draws": [
            {"note": pair.other.note, "corrupted": corrupted}
            for pair, (_, corrupted) in zip(pairs, ends, strict=True)
        ],
    }
