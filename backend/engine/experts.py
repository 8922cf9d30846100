"""What each expert of a mixture wrote at the final position, by the model's own modules."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.instrument import Instrument
from backend.engine.trace import Trace


@dataclass(frozen=True)
class ExpertWrites:
    """What the experts of one layer added to the residual stream, times their weights; float32 on the CPU.

    Attributes:
        routed: 0 for experts that were not chosen.
        shared: of the expert that every position goes through; None where there is none.
    """

    routed: Float[Tensor, "expert d_model"]
    shared: Float[Tensor, " d_model"] | None


@torch.no_grad()
def expert_writes(instrument: Instrument, trace: Trace, layer: int) -> ExpertWrites | None:
    """The writes in one layer; None where its MLP is no mixture.

    The experts are called once more, with a row for each that was chosen and this one alone as its choice; the shared
    one by a call of the whole MLP in which the others give nothing.
    """
    family, called = instrument.family, trace.routed[layer]
    block = family.layers(instrument.model)[layer]
    experts = family.experts(block)
    if called is None or experts is None:
        return None
    rows = called.hidden.repeat(len(called.experts), 1)
    each: Tensor = experts(rows, called.experts[:, None], called.weights[:, None])
    count: Any = experts.num_experts
    routed = torch.zeros(count, instrument.shape.d_model)
    routed[called.experts.cpu()] = each.float().cpu()
    if not family.has_shared_expert(block):
        return ExpertWrites(routed, None)
    silent = experts.register_forward_hook(lambda _, args, output: torch.zeros_like(output))
    try:
        shared: Tensor = family.mlp(block)(called.hidden[None, None])
    finally:
        silent.remove()
    return ExpertWrites(routed, shared[0, 0].float().cpu())
