"""One call of one of the model's own decoder layers on the rows of many experiments.

The layer's modules do all the arithmetic; hooks write patched values into their inputs and outputs. The attention call
is answered in `cone_attention.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from backend.engine.attention_hook import replacing
from backend.engine.instrument import Instrument
from backend.engine.products import fast_products
from backend.engine.sweep.cone_attention import cone_attention
from backend.engine.sweep.patches import Patch
from backend.engine.sweep.rows import Block, joined, last_rows, positions, widths
from backend.engine.trace import Trace
from backend.models.families import Slot

# Arguments of a layer with one value for each position, on axis 1.
BY_POSITION = ("position_embeddings", "position_ids")
# Components that are the output of a module, in the order in which they are patched.
OUTPUTS = ("q", "k", "v", "attn_out", "resid_mid", "mlp_out")


@dataclass(frozen=True)
class Batch:
    """The input of one call.

    Attributes:
        hidden: the residual stream before the layer, on the layer's device. The call overwrites patched rows in it.
        blocks: which rows belong to which experiments.
        patches: patched values by component.
    """

    hidden: Float[Tensor, "row d_model"]
    blocks: Sequence[Block]
    patches: Mapping[str, Patch]


def call_layer(
    instrument: Instrument, bases: Sequence[Trace], layer: int, batch: Batch, last_only: bool = False
) -> Float[Tensor, "row d_model"]:
    """The residual stream after `layer`, in the model's dtype and on the layer's device.

    Args:
        bases: the runs whose keys and values stand before the experiments' rows; `Block.run` says which.
        last_only: whether only the last row of each experiment is needed; the other rows skip the output projection
            and the MLP, and their result means nothing.
    """
    family = instrument.family
    module = family.layers(instrument.model)[layer]
    hidden, blocks = batch.hidden, joined(batch.blocks)
    patches = _patch_residual(batch.patches, hidden, blocks)
    attend = cone_attention(bases, layer, blocks, patches.get("pattern"), last_only)
    with ExitStack() as stack:
        stack.enter_context(replacing(instrument.model, family, attend))
        # Hooks run in the order in which they are registered: z is patched before rows are left out, the outputs
        # after all rows are there again.
        if "z" in patches:
            z = family.z(family.attention(module), instrument.shape)
            before = z.module.register_forward_pre_hook(lambda _, args: patches["z"].write(z, args[0]))
            stack.callback(before.remove)
        if last_only:
            rows = last_rows(blocks).to(hidden.device)
            for part in (family.output(family.attention(module)), family.mlp(module)):
                _compute_only(stack, part, rows, len(hidden))
        for name in OUTPUTS:
            if name in patches:
                slot = _slot(instrument, module, name)
                stack.callback(slot.module.register_forward_hook(_patching(slot, patches[name])).remove)
        stack.enter_context(fast_products(module.modules()))
        output = module(hidden[None], **_arguments(bases, layer, blocks))
    result: Tensor = output[0] if isinstance(output, tuple) else output
    return result[0]


def _arguments(bases: Sequence[Trace], layer: int, blocks: Sequence[Block]) -> dict[str, Any]:
    """Keyword arguments for a call of `layer` on the rows of `blocks`."""
    parts = [
        arguments_at(bases[run], layer, positions([*some]))
        for run, some in groupby(blocks, key=lambda block: block.run)
    ]
    return {
        name: _joined([part[name] for part in parts]) if name in BY_POSITION else value
        for name, value in parts[0].items()
    }


def _joined(parts: Sequence[Any]) -> Any:
    """Values by position, one after the other on axis 1."""
    if len(parts) == 1 or parts[0] is None:
        return parts[0]
    if isinstance(parts[0], tuple):
        return tuple(_joined(part) for part in zip(*parts, strict=True))
    return torch.cat([*parts], dim=1)


def arguments_at(base: Trace, layer: int, at: Int[Tensor, " row"]) -> dict[str, Any]:
    """Keyword arguments for a call of `layer` on rows at the positions `at`."""
    return {
        name: _gather(value, at) if name in BY_POSITION and value is not None else value
        for name, value in base.calls[layer].items()
    }


def _gather(value: Tensor | tuple[Tensor, ...], at: Tensor) -> Any:
    if isinstance(value, tuple):
        return tuple(_gather(part, at) for part in value)
    return value[:, at.to(value.device)]


def _slot(instrument: Instrument, layer: nn.Module, component: str) -> Slot:
    """The module output that is a component of OUTPUTS (for `resid_mid` see `_patch_residual`)."""
    family, shape = instrument.family, instrument.shape
    if component in ("attn_out", "resid_mid"):
        return family.attn_out(layer, shape)
    if component == "mlp_out":
        return family.mlp_out(layer, shape)
    part = {"q": family.query, "k": family.key, "v": family.value}[component]
    return part(family.attention(layer), shape)


def _patch_residual(
    patches: Mapping[str, Patch], hidden: Tensor, blocks: Sequence[Block]
) -> Mapping[str, Patch]:
    """Write patched rows into `hidden`; turn a patch of `resid_mid` into one of attention's output."""
    if "resid_pre" in patches:
        before = patches["resid_pre"]
        hidden[before.rows.to(hidden.device)] = before.values.to(hidden)
    if "resid_mid" not in patches:
        return patches
    middle = patches["resid_mid"]
    rows, wanted = middle.rows.to(hidden.device), middle.values.to(hidden)
    # If an experiment has one row, no other row reads its keys and values. Then the wanted value may be the layer's
    # input: attention's output is patched to 0, and the model's own addition gives the value to the last bit.
    alone = widths(blocks)[middle.rows].to(hidden.device) == 1
    hidden[rows[alone]] = wanted[alone]
    return {**patches, "resid_mid": Patch(middle.rows, None, wanted - hidden[rows])}


def _patching(slot: Slot, patch: Patch) -> Callable[[nn.Module, object, Tensor], None]:
    return lambda _, args, output: patch.write(slot, output)


def _compute_only(stack: ExitStack, module: nn.Module, rows: Tensor, count: int) -> None:
    """Until the stack is closed, `module` computes these rows of its `count` rows; the others' output is 0."""

    def gather(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][..., rows, :], *args[1:])

    def scatter(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        all_rows = output.new_zeros(*output.shape[:-2], count, output.shape[-1])
        all_rows[..., rows, :] = output
        return all_rows

    stack.callback(module.register_forward_pre_hook(gather).remove)
    stack.callback(module.register_forward_hook(scatter).remove)
