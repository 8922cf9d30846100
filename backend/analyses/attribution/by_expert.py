"""Attribution of a mixture of experts' write to its experts."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.experts import expert_writes
from backend.engine.instrument import Instrument
from backend.engine.trace import Trace

Directions = Float[Tensor, "label d_model"]


@dataclass(frozen=True)
class ByExpert:
    """What each expert wrote for each label; NaN in layers whose MLP is no mixture.

    Attributes:
        routed: 0 for experts that were not chosen at the final position.
        shared: the expert that every position goes through; None where no layer has one.
        error: the largest difference between a mixture's attribution and the sum of its experts'.
    """

    routed: Float[Tensor, "layer expert label"]
    shared: Float[Tensor, "layer label"] | None
    error: float


def by_expert(
    instrument: Instrument, trace: Trace, directions: Directions, mlps: Float[Tensor, "layer label"]
) -> ByExpert | None:
    """Attribution by expert of one traced prompt; None where the model has no experts.

    `mlps` is what the MLPs wrote, `directions` what a write is multiplied with to give that.
    """
    writes = [expert_writes(instrument, trace, layer) for layer in range(len(mlps))]
    known = {layer: each for layer, each in enumerate(writes) if each is not None}
    if not known:
        return None
    first = next(iter(known.values()))
    routed = torch.full((len(mlps), len(first.routed), len(directions)), float("nan"))
    shared = None if first.shared is None else torch.full(mlps.shape, float("nan"))
    for layer, each in known.items():
        routed[layer] = each.routed @ directions.T
        if shared is not None and each.shared is not None:
            shared[layer] = directions @ each.shared
    total = routed.sum(1) if shared is None else routed.sum(1) + shared
    layers = list(known)
    return ByExpert(routed, shared, float((total - mlps)[layers].abs().max()))
