"""How each metric is computed from the labels' logits.

Zhang & Nanda 2023 (arXiv 2309.16042): prefer logit differences, which are linear in the residual stream, to
probabilities.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.errors import RequestError, shown
from backend.contract.metrics import METRICS, Metric

Logits = Float[Tensor, "cell label"]
Values = Float[Tensor, " cell"]


@dataclass(frozen=True)
class LabelLogits:
    """What a metric of some runs is computed from.

    Attributes:
        logits: the labels' logits, one row a run.
        logsumexp: the log-sum-exp over the vocabulary; None if the metric does not need it.
        reference: the labels' logits of the clean run.
    """

    logits: Logits
    logsumexp: Values | None
    reference: Float[Tensor, " label"]


@dataclass(frozen=True)
class ChosenMetric:
    """A metric with the indices of its labels."""

    metric: Metric
    labels: Mapping[str, int]

    def __call__(self, runs: LabelLogits) -> Values:
        """The metric of each run."""
        return VALUES[self.metric.name](runs, self.labels)


def _logit_difference(runs: LabelLogits, labels: Mapping[str, int]) -> Values:
    return runs.logits[:, labels["label"]] - runs.logits[:, labels["other"]]


def _net_logit(runs: LabelLogits, labels: Mapping[str, int]) -> Values:
    own = runs.logits[:, labels["label"]]
    others = runs.logits.shape[1] - 1
    return own - (runs.logits.sum(1) - own) / others


def _log_probability(runs: LabelLogits, labels: Mapping[str, int]) -> Values:
    assert runs.logsumexp is not None  # the metric asked for it
    return runs.logits[:, labels["label"]] - runs.logsumexp


def _divergence(runs: LabelLogits, labels: Mapping[str, int]) -> Values:
    clean = torch.log_softmax(runs.reference.double(), dim=-1)
    patched = torch.log_softmax(runs.logits.double(), dim=-1)
    return (clean.exp() * (clean - patched)).sum(-1)


VALUES: dict[str, Callable[[LabelLogits, Mapping[str, int]], Values]] = {
    "net_logit": _net_logit,
    "logit_difference": _logit_difference,
    "log_probability": _log_probability,
    "probability": lambda *given: _log_probability(*given).exp(),
    "loss": lambda *given: -_log_probability(*given),
    "kl": _divergence,
}
"""For each metric one number a run, from the labels' logits and the indices of the labels that it is about."""


def chosen_metric(data: Mapping[str, Any], labels: Sequence[str]) -> ChosenMetric:
    """The metric of `{"kind": "logit_difference", "label": "B", "other": "D"}`, as the schema reads it.

    Raises RequestError where the question does not show a label, or where both are the same.
    """
    metric = METRICS[data["kind"]]
    chosen = {name: _label(metric, name, data[name], labels) for name in metric.labels}
    if len(set(chosen.values())) != len(chosen):
        raise RequestError(f"label and other are both {shown(data['label'])}. Choose two different labels.")
    return ChosenMetric(metric, chosen)


def _label(metric: Metric, name: str, value: object, labels: Sequence[str]) -> int:
    if value not in labels:
        raise RequestError(
            f"params.metric.{name} of {metric.name} must be one of the labels {', '.join(labels)}, not {shown(value)}."
        )
    return labels.index(str(value))
