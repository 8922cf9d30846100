"""The arrays of `key-steering`: shares and means over questions, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from backend.analyses.attribution.attribution import net_effect
from backend.analyses.findings import array
from backend.analyses.intervals import Floats, mean_interval, share_interval, with_ends
from backend.contract.result import Array

KINDS = ("", "_random")


@dataclass(frozen=True)
class Steered:
    """One question steered. Axis `kind` is the fitted direction, then the random one.

    Attributes:
        right, predicted: indices of labels.
        direction: what strength 1 adds to a key.
        key_length: the mean distance of the labels' keys from their mean.
        model: the labels' logits without steering.
        at_all: the labels' logits with all of the head's attention at one option.
        logits: the labels' logits with steering.
        attention_model, attention: attention to the labels, without and with steering.
    """

    right: int
    predicted: int
    direction: Float[Tensor, " d_head"]
    key_length: float
    model: Float[Tensor, " label"]
    at_all: Float[Tensor, "option label"]
    logits: Float[Tensor, "kind option strength label"]
    attention_model: Float[Tensor, " label"]
    attention: Float[Tensor, "kind option strength label"]
    own_key_error: float
    oracle_error: float


def arrays_of(rows: Sequence[Steered], strengths: tuple[float, ...]) -> dict[str, Array]:
    """The arrays of the result."""
    steered, per_label = ("question", "option", "strength", "label"), ("question", "label")
    model, attention = (torch.stack([getattr(row, name) for row in rows]) for name in ("model", "attention"))
    logits = torch.stack([row.logits for row in rows])
    predicted = torch.tensor([row.predicted for row in rows])
    arrays = {
        "strength": array(torch.tensor(strengths), ("strength",), "differences of means"),
        "label_logits": array(logits[:, 0], steered, "logits"),
        "label_logits_model": array(model, per_label, "logits"),
        "attention": array(attention[:, 0], steered, "probability"),
        "attention_model": array(
            torch.stack([row.attention_model for row in rows]), per_label, "probability"
        ),
        "right": array(torch.tensor([row.right for row in rows]), ("question",), "label"),
        "predicted": array(predicted, ("question",), "label"),
    }
    own = torch.nn.functional.one_hot(predicted, logits.shape[2]).bool()
    for number, kind in enumerate(KINDS):
        of_kind = logits[:, number]
        says = of_kind.argmax(-1)
        flipped = says == torch.arange(says.shape[1])[:, None]
        rise = _own_net(of_kind) - _own_net(model[:, None, None].expand_as(of_kind))
        attended = torch.diagonal(attention[:, number], dim1=1, dim2=3).mT
        left = (says[own] != predicted[:, None]).float()
        for name, ends, unit in (
            ("flipped", _shares(_elsewhere(flipped, own)), "share"),
            ("left", _shares(left), "share"),
            ("steered_attention", mean_interval(_elsewhere(attended, own).numpy()), "probability"),
            ("logit_rise", mean_interval(_elsewhere(rise, own).numpy()), "logits"),
        ):
            arrays |= with_ends(f"{name}{kind}", ends, ("strength",), unit)
    at_all = torch.stack([row.at_all for row in rows]).argmax(-1) == torch.arange(own.shape[1])
    share, low, high = (ends.reshape(()) for ends in _shares(_elsewhere(at_all[..., None], own)))
    return arrays | with_ends("flipped_at_all", (share, low, high), (), "share")


def _elsewhere(
    values: Float[Tensor, "question option strength"] | Bool[Tensor, "question option strength"],
    own: Bool[Tensor, "question option"],
) -> Float[Tensor, "question strength"]:
    """Each question's mean over the options that are not the model's own letter."""
    away = (~own).float()[..., None]
    return (values.float() * away).sum(1) / away.sum(1)


def _own_net(
    logits: Float[Tensor, "question option strength label"],
) -> Float[Tensor, "question option strength"]:
    """The logit of the steered option's label minus the mean of the others."""
    return torch.stack([net_effect(logits[:, option], option) for option in range(logits.shape[1])], 1)


def _shares(values: Float[Tensor, "question strength"]) -> tuple[Floats, Floats, Floats]:
    """Shares with Wilson's interval. The count is that of questions: options of one question are not independent."""
    count = len(values)
    ends = np.array([share_interval(float(share) * count, count) for share in values.mean(0)])
    return ends[:, 0], ends[:, 1], ends[:, 2]
