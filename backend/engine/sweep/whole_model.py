"""The oracle: one forward pass of the whole model for each experiment, with hooks that patch it.

It shares only the patched values with the cone, so that each can be checked against the other.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.progress import Progress, silent
from backend.engine.components import before_module
from backend.engine.instrument import Instrument
from backend.engine.model_pass import between_layers, final_logits
from backend.engine.sweep.cells import Cell
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.source import Source


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
    with patched(instrument, source, experiment), ExitStack() as stack:
        before_module(
            stack,
            instrument.family.final_norm(model),
            lambda residual: finals.append(residual[0, -1].float().cpu()),
        )
        stack.enter_context(between_layers(model, instrument.family, progress))
        logits = final_logits(model, instrument.family, base_ids)
    return logits.float().cpu(), finals[-1]


@contextmanager
def patched(instrument: Instrument, source: Source, experiment: Experiment) -> Iterator[None]:
    """While inside, an experiment's nodes are patched into every pass of the model."""
    with ExitStack() as stack:
        for component, cell in experiment.nodes:
            value = source.values(component, cell.layer, [(experiment.number, cell)])[0]
            for hook in HOOKS[component](_PatchedLayer(instrument, cell, value)):
                stack.callback(hook.remove)
        yield


def step_of(progress: Progress, message: str, done: int, total: int) -> Progress:
    """A progress for one of `total` passes: whatever the pass reports, `progress` hears that `done` are finished."""
    return lambda *_: progress(message, done, total)


class _PatchedLayer:
    """A cell, the value that is patched there, and the modules of the cell's layer that have its components."""

    def __init__(self, instrument: Instrument, cell: Cell, value: Tensor) -> None:
        family = instrument.family
        self.cell, self.value = cell, value
        self.heads_per_kv_head = instrument.shape.heads // instrument.shape.kv_heads
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

    def patch_layer_input(self) -> Any:
        """A hook that writes the value into the layer's input."""

        def change(hidden: Tensor) -> Tensor:
            changed = hidden.clone()
            changed[0, self.cell.position] = self.value.to(hidden)
            return changed

        return _change_input(self.layer, change)

    def patch_output(self, name: str) -> Any:
        """A hook that writes the value into the output of a component's module."""
        return _change_output(
            self.slots[name].module, lambda output: self.patched_copy(name, output, self.value)
        )

    def patched_copy(self, name: str, tensor: Tensor, value: Tensor) -> Tensor:
        """A copy of `tensor`, which holds a component, with `value` at the cell."""
        changed = tensor.clone()
        at, head = torch.tensor([self.cell.position]), torch.tensor([self.cell.head or 0])
        self.slots[name].write(changed, at, head, value[None])
        return changed


def _change_input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _change_output(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    return module.register_forward_hook(lambda _, args, output: change(output))


def _resid_mid(patched: _PatchedLayer) -> list[Any]:
    # The model itself adds attention's output to the layer's input, so the output must be the difference.
    before: list[Tensor] = []

    def record(hidden: Tensor) -> Tensor:
        before.append(hidden[0, patched.cell.position])
        return hidden

    def change(output: Tensor) -> Tensor:
        return patched.patched_copy("attn_out", output, patched.value.to(before[-1]) - before[-1])

    return [
        _change_input(patched.layer, record),
        _change_output(patched.slots["attn_out"].module, change),
    ]


def _pattern(patched: _PatchedLayer) -> list[Any]:
    values: list[Tensor] = []
    assert patched.cell.head is not None  # checked with the cells
    kv_head = patched.cell.head // patched.heads_per_kv_head

    def record(output: Tensor) -> Tensor:
        values.append(patched.slots["v"].read(output)[:, kv_head])
        return output

    def change(z: Tensor) -> Tensor:
        return patched.patched_copy("z", z, patched.value.to(values[-1]) @ values[-1])

    return [
        _change_output(patched.slots["v"].module, record),
        _change_input(patched.slots["z"].module, change),
    ]


def _z(patched: _PatchedLayer) -> list[Any]:
    return [
        _change_input(patched.slots["z"].module, lambda z: patched.patched_copy("z", z, patched.value)),
    ]


HOOKS: dict[str, Callable[[_PatchedLayer], list[Any]]] = {
    "resid_pre": lambda patched: [patched.patch_layer_input()],
    "resid_mid": _resid_mid,
    "attn_out": lambda patched: [patched.patch_output("attn_out")],
    "mlp_out": lambda patched: [patched.patch_output("mlp_out")],
    "z": _z,
    "q": lambda patched: [patched.patch_output("q")],
    "k": lambda patched: [patched.patch_output("k")],
    "v": lambda patched: [patched.patch_output("v")],
    "pattern": _pattern,
}
