"""The oracle: one forward pass of the whole model for each experiment, with hooks that patch it.

It shares only the patched values with the cone, so that each can be checked against the other.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.progress import Progress, silent
from backend.engine.instrument import Instrument
from backend.engine.sweep.cells import Cell
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.source import Source
from backend.engine.trace import between_layers, final_logits


@torch.no_grad()
def patched_run(
    instrument: Instrument,
    base_ids: tuple[int, ...],
    source: Source,
    experiment: Experiment,
    progress: Progress = silent,
) -> tuple[Float[Tensor, " vocabulary"], Float[Tensor, " d_model"]]:
    """Final logits and final residual stream of the base run with an experiment's nodes patched; float32, CPU.

    Raises Cancelled between two layers when `progress` does.
    """
    model = instrument.model
    finals: list[Tensor] = []

    def note(whole: Tensor) -> Tensor:
        finals.append(whole[0, -1].float().cpu())
        return whole

    with ExitStack() as stack:
        for component, cell in experiment.nodes:
            value = source.values(component, cell.layer, [(experiment.number, cell)])[0]
            for hook in HOOKS[component](_PatchedLayer(instrument, cell, value)):
                stack.callback(hook.remove)
        stack.callback(_input(instrument.family.final_norm(model), note).remove)
        stack.enter_context(between_layers(model, instrument.family, progress))
        logits = final_logits(model, instrument.family, base_ids)
    return logits.float().cpu(), finals[-1]


class _PatchedLayer:
    """The modules of a cell's layer, and how to replace a row of what they take or give."""

    def __init__(self, instrument: Instrument, cell: Cell, value: Tensor) -> None:
        family = instrument.family
        self.cell, self.value = cell, value
        self.group = instrument.shape.heads // instrument.shape.kv_heads
        self.layer = family.layers(instrument.model)[cell.layer]
        self.attention = family.attention(self.layer)
        self.slots = {
            "attn_out": family.attn_out(self.layer, instrument.shape),
            "mlp_out": family.mlp_out(self.layer, instrument.shape),
            "z": family.z(self.attention, instrument.shape),
            "q": family.query(self.attention, instrument.shape),
            "k": family.key(self.attention, instrument.shape),
            "v": family.value(self.attention, instrument.shape),
        }

    def into_layer(self) -> Any:
        """Hook that puts the cell's value into the layer's input."""

        def change(whole: Tensor) -> Tensor:
            changed = whole.clone()
            changed[0, self.cell.position] = self.value.to(whole)
            return changed

        return _input(self.layer, change)

    def result(self, name: str) -> Any:
        """Hook that puts the cell's value into what a module gives."""
        return _result(self.slots[name].module, lambda whole: self.put(name, whole, self.value))

    def put(self, name: str, whole: Tensor, value: Tensor) -> Tensor:
        """A copy of `whole`, which holds a component, with the cell's part exchanged."""
        changed = whole.clone()
        at, head = torch.tensor([self.cell.position]), torch.tensor([self.cell.head or 0])
        self.slots[name].write(changed, at, head, value[None])
        return changed


def _input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _result(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    return module.register_forward_hook(lambda _, args, output: change(output))


def _resid_mid(patched: _PatchedLayer) -> list[Any]:
    # The model adds attention's output to its input itself; what has to be written is the difference.
    before: list[Tensor] = []

    def note(whole: Tensor) -> Tensor:
        before.append(whole[0, patched.cell.position])
        return whole

    def change(whole: Tensor) -> Tensor:
        return patched.put("attn_out", whole, patched.value.to(before[-1]) - before[-1])

    return [_input(patched.layer, note), _result(patched.slots["attn_out"].module, change)]


def _pattern(patched: _PatchedLayer) -> list[Any]:
    values: list[Tensor] = []
    assert patched.cell.head is not None  # checked with the cells
    kv_head = patched.cell.head // patched.group

    def note(whole: Tensor) -> Tensor:
        values.append(patched.slots["v"].read(whole)[:, kv_head])
        return whole

    def change(whole: Tensor) -> Tensor:
        return patched.put("z", whole, patched.value.to(values[-1]) @ values[-1])

    return [_result(patched.slots["v"].module, note), _input(patched.slots["z"].module, change)]


def _z(patched: _PatchedLayer) -> list[Any]:
    return [_input(patched.slots["z"].module, lambda whole: patched.put("z", whole, patched.value))]


HOOKS: dict[str, Callable[[_PatchedLayer], list[Any]]] = {
    "resid_pre": lambda patched: [patched.into_layer()],
    "resid_mid": _resid_mid,
    "attn_out": lambda patched: [patched.result("attn_out")],
    "mlp_out": lambda patched: [patched.result("mlp_out")],
    "z": _z,
    "q": lambda patched: [patched.result("q")],
    "k": lambda patched: [patched.result("k")],
    "v": lambda patched: [patched.result("v")],
    "pattern": _pattern,
}
