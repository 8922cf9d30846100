"""What heads and MLPs would write to the residual stream with another input, computed by the model's own modules."""

from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.engine.attention_call import AttentionCall
from backend.engine.attention_hook import replacing
from backend.engine.instrument import Instrument
from backend.engine.sweep.final_sets import FinalOutputs
from backend.engine.sweep.layer_call import arguments_at
from backend.engine.trace import Trace
from backend.models.placement import device_of


@torch.no_grad()
def head_changes(
    instrument: Instrument,
    layer: int,
    z: Float[Tensor, "position head d_head"],
    other: Float[Tensor, "position head d_head"],
) -> Float[Tensor, "head position d_model"]:
    """How attention's output changes if one head's `z` is replaced by `other`'s, for each head; float32, CPU.

    If the family has a norm after attention, it is recomputed for each head. Then the changes of single heads do not
    add up to the change of all heads together.
    """
    family = instrument.family
    block = family.layers(instrument.model)[layer]
    heads = z.shape[1]
    rows = z.expand(1 + heads, *z.shape).clone()
    each = torch.arange(heads)
    rows[1 + each, :, each] = other.transpose(0, 1)
    device = device_of(block)
    written: Tensor = family.output(family.attention(block))(
        rows.flatten(2).to(device, instrument.model.dtype)
    )
    norm = family.attention_norm(block)
    written = (written if norm is None else norm(written)).float().cpu() * family.multiplier(block)
    return written[1:] - written[0]


def write_changes(
    instrument: Instrument, clean: FinalOutputs, other: FinalOutputs
) -> Float[Tensor, "node d_model"]:
    """Each node's write to the residual stream with `other`'s output minus that with `clean`'s; heads, then MLPs."""
    heads = [
        head_changes(instrument, layer, clean.z[layer][None], other.z[layer][None])[:, 0]
        for layer in range(instrument.shape.layers)
    ]
    return torch.cat([*heads, other.mlp_out - clean.mlp_out])


@torch.no_grad()
def mlp_writes(
    instrument: Instrument, base: Trace, layer: int, before: Float[Tensor, "row d_model"]
) -> Float[Tensor, "row d_model"]:
    """What the MLP adds to the residual stream if its input is `before`; float32, CPU.

    The layer is called with `before` as its input while attention's output is set to 0. The layer's other arguments are
    those of `base`, which may be any run.
    """
    family, shape = instrument.family, instrument.shape
    block = family.layers(instrument.model)[layer]
    device = device_of(block)
    slot = family.mlp_out(block, shape)
    written: list[Tensor] = []

    def zeros(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    def record(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        written.append(slot.read(output)[:, 0].float().cpu())

    with ExitStack() as stack:
        stack.enter_context(replacing(instrument.model, family, AttentionCall.zeros))
        stack.callback(family.attn_out(block, shape).module.register_forward_hook(zeros).remove)
        stack.callback(slot.module.register_forward_hook(record).remove)
        at = torch.zeros(len(before), dtype=torch.long)
        block(before[None].to(device, instrument.model.dtype), **arguments_at(base, layer, at))
    return written[0]
