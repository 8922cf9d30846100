"""What heads and MLPs would write to the residual stream, by the model's own modules, if their input were another."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.engine.instrument import Instrument


@torch.no_grad()
def head_changes(
    instrument: Instrument,
    layer: int,
    z: Float[Tensor, "position head d_head"],
    other: Float[Tensor, "position head d_head"],
) -> Float[Tensor, "head position d_model"]:
    """How attention's write changes when one head's `z` is exchanged for `other`'s, for each head; float32, CPU."""
    family = instrument.family
    module = family.output(family.attention(family.layers(instrument.model)[layer]))
    heads = z.shape[1]
    rows = z.expand(1 + heads, *z.shape).clone()
    each = torch.arange(heads)
    rows[1 + each, :, each] = other.transpose(0, 1)
    written = _called(instrument, layer, module, rows.flatten(2))
    return written[1:] - written[0]


@torch.no_grad()
def mlp_writes(
    instrument: Instrument, layer: int, resid_mid: Float[Tensor, "row d_model"]
) -> Float[Tensor, "row d_model"]:
    """What the MLP writes where the residual stream before it is `resid_mid`; float32, CPU."""
    family = instrument.family
    block = family.layers(instrument.model)[layer]
    normed = _called(instrument, layer, family.mlp_norm(block), resid_mid[None])
    return _called(instrument, layer, family.mlp(block), normed)[0]


def _called(
    instrument: Instrument, layer: int, module: nn.Module, rows: Float[Tensor, "batch row size"]
) -> Float[Tensor, "batch row d_model"]:
    device = next(instrument.family.layers(instrument.model)[layer].parameters()).device
    output: Tensor = module(rows.to(device, instrument.model.dtype))
    return output.float().cpu()
