"""One call of one of the model's own decoder layers on the rows of many experiments.

The layer's modules do all the arithmetic; hooks put patched values into what they take or give. The attention call
is answered in `cone_attention.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

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

# What a layer is given once for each position, on axis 1.
BY_POSITION = ("position_embeddings", "position_ids")
# Components that some module gives, in the order in which they are put.
GIVEN = ("q", "k", "v", "attn_out", "resid_mid", "mlp_out")


def call_layer(
    instrument: Instrument,
    base: Trace,
    layer: int,
    hidden: Float[Tensor, "row d_model"],
    blocks: Sequence[Block],
    patches: Mapping[str, Patch],
    last_only: bool = False,
) -> Float[Tensor, "row d_model"]:
    """The residual stream after `layer`.

    Args:
        hidden: the residual stream before it, on the layer's device; it is overwritten where patched.
        patches: patched values by component.
        last_only: whether only the last row of each cell is needed; attention and MLP leave out the others.
    """
    family = instrument.family
    module = family.layers(instrument.model)[layer]
    blocks = joined(blocks)
    patches = _residual(patches, hidden, blocks)
    attend = cone_attention(base, layer, blocks, patches.get("pattern"), last_only)
    with ExitStack() as stack:
        stack.enter_context(replacing(instrument.model, family, attend))
        if "z" in patches:
            z = family.z(family.attention(module), instrument.shape)
            before = z.module.register_forward_pre_hook(lambda _, args: patches["z"].write(z, args[0]))
            stack.callback(before.remove)
        # Hooks run in this order: z is put before rows are left out, the others after all rows are there again.
        if last_only:
            rows = last_rows(blocks).to(hidden.device)
            for part in (family.output(family.attention(module)), family.mlp(module)):
                _only(stack, part, rows, len(hidden))
        for name in GIVEN:
            if name in patches:
                slot = _slot(instrument, module, name)
                stack.callback(slot.module.register_forward_hook(_patching(slot, patches[name])).remove)
        stack.enter_context(fast_products(module.modules()))
        output = module(hidden[None], **arguments_at(base, layer, positions(blocks)))
    result: Tensor = output[0] if isinstance(output, tuple) else output
    return result[0]


def arguments_at(base: Trace, layer: int, at: Int[Tensor, " row"]) -> dict[str, Any]:
    """Keyword arguments for a call of `layer` whose rows stand at the positions `at`."""
    return {
        name: _gather(value, at) if name in BY_POSITION and value is not None else value
        for name, value in base.calls[layer].items()
    }


def _gather(value: Tensor | tuple[Tensor, ...], at: Tensor) -> Any:
    if isinstance(value, tuple):
        return tuple(_gather(part, at) for part in value)
    return value[:, at.to(value.device)]


def _slot(instrument: Instrument, layer: nn.Module, component: str) -> Slot:
    """Where a module gives one of GIVEN (for `resid_mid` see `_residual`)."""
    family, shape = instrument.family, instrument.shape
    if component in ("attn_out", "resid_mid"):
        return family.attn_out(layer, shape)
    if component == "mlp_out":
        return family.mlp_out(layer, shape)
    part = {"q": family.query, "k": family.key, "v": family.value}[component]
    return part(family.attention(layer), shape)


def _residual(patches: Mapping[str, Patch], hidden: Tensor, blocks: Sequence[Block]) -> Mapping[str, Patch]:
    """Set patched rows of `hidden`; turn a patch between attention and MLP into one of what attention writes."""
    if "resid_pre" in patches:
        before = patches["resid_pre"]
        hidden[before.rows.to(hidden.device)] = before.values.to(hidden)
    if "resid_mid" not in patches:
        return patches
    middle = patches["resid_mid"]
    rows, wanted = middle.rows.to(hidden.device), middle.values.to(hidden)
    # Nobody else reads the keys and values of a cell's only row, so the wanted value may come in from below: what
    # attention has to write is then 0, and the model's addition gives it to the last bit.
    alone = widths(blocks)[middle.rows].to(hidden.device) == 1
    hidden[rows[alone]] = wanted[alone]
    return {**patches, "resid_mid": Patch(middle.rows, None, wanted - hidden[rows])}


def _patching(slot: Slot, patch: Patch) -> Callable[[nn.Module, object, Tensor], None]:
    return lambda _, args, output: patch.write(slot, output)


def _only(stack: ExitStack, module: nn.Module, rows: Tensor, whole: int) -> None:
    """Until the stack is left, `module` computes these rows only of its `whole` rows; the others' output is 0."""

    def gather(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0][..., rows, :], *args[1:])

    def scatter(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        room = output.new_zeros(*output.shape[:-2], whole, output.shape[-1])
        room[..., rows, :] = output
        return room

    stack.callback(module.register_forward_pre_hook(gather).remove)
    stack.callback(module.register_forward_hook(scatter).remove)
