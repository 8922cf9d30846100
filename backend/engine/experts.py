"""What each expert of a mixture writes at the final position, computed by the model's own modules."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.instrument import Instrument
from backend.engine.trace import Trace


@dataclass(frozen=True)
class ExpertWrites:
    """What the experts of one layer add to the residual stream, their weights included; float32 on the CPU.

    Attributes:
        routed: of the experts that the router chooses among; 0 for those that it did not choose.
        shared: of the expert that every position goes through; None if there is none.
    """

    routed: Float[Tensor, "expert d_model"]
    shared: Float[Tensor, " d_model"] | None


@torch.no_grad()
def expert_writes(instrument: Instrument, trace: Trace, layer: int) -> ExpertWrites | None:
    """The experts' writes in one layer; None if its MLP is not a mixture.

    The chosen experts are called again, with one row for each, routed to this expert alone. The shared expert is the
    output of the MLP while a hook sets the output of the others to 0.
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
