"""A clean prompt, a corrupted one, and what the change between them is measured by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.analysis import Task
from backend.analyses.corruptions import Clean, Corrupted, draws
from backend.analyses.metrics import ChosenMetric, Readings, chosen_metric
from backend.engine.instrument import Instrument
from backend.questions.prompt import Prompt

PAIR_PARAMS = ("corruption", "metric")
DEFAULT_CORRUPTION = {"kind": "swap_options"}


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

    def reference(self, instrument: Instrument) -> Float[Tensor, " label"]:
        """The clean run's logits of the labels."""
        return instrument.trace(self.clean.prompt.token_ids).logits[list(self.token_ids)]

    def values(
        self, instrument: Instrument, logits: Tensor, logsumexp: Tensor | None
    ) -> Float[Tensor, " cell"]:
        """The metric of some runs, given their labels' logits `[cell, label]`."""
        return self.metric(Readings(logits, logsumexp, self.reference(instrument)))

    def ends(self, instrument: Instrument) -> tuple[float, float]:
        """The metric of the clean and of the corrupted run, unpatched."""
        runs = (self.clean.prompt.token_ids, self.other.token_ids)
        both = torch.stack([instrument.trace(ids).logits for ids in runs])
        labels = both[:, list(self.token_ids)]
        clean, corrupted = self.values(instrument, labels, both.logsumexp(-1) if self.vocabulary else None)
        return float(clean), float(corrupted)


def pairs_of(instrument: Instrument, task: Task, number: int, prompt: Prompt) -> list[Pair]:
    """The pairs of the task's question `number`, one for each corrupted prompt drawn. Raises RequestError."""
    params = task.request.params
    clean = Clean(task.questions[number], task.request.prompt, task.shots[number], prompt)
    metric = chosen_metric(with_label(params.get("metric", {"kind": "net_logit"}), prompt), prompt.labels)
    others = draws(instrument, clean, params.get("corruption", DEFAULT_CORRUPTION))
    return [Pair(clean, other, metric) for other in others]


def with_label(data: object, prompt: Prompt) -> object:
    """A metric that does not say of which label is one of the right label's, of the first where none is right."""
    if not isinstance(data, Mapping) or "label" in data or data.get("kind") == "kl":
        return data
    return {**data, "label": prompt.labels[prompt.answer or 0]}


def pair_scalars(pairs: list[Pair], ends: list[tuple[float, float]]) -> dict[str, Any]:
    """What every result about pairs says of them: the metric, and both runs' values, means over the draws."""
    count = len(pairs)
    return {
        "metric": pairs[0].metric.metric.kind,
        "corruption": "; ".join(pair.other.note for pair in pairs),
        "clean": sum(clean for clean, _ in ends) / count,
        "corrupted": sum(corrupted for _, corrupted in ends) / count,
        "draws": [
            {"note": pair.other.note, "corrupted": corrupted}
            for pair, (_, corrupted) in zip(pairs, ends, strict=True)
        ],
    }
