"""The oracle: forward passes of the whole model with hooks that patch it, a row of the batch for each experiment.

It shares only the patched values with the cone, so that each can be checked against the other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.progress import Progress, silent
from backend.engine.components import before_module
from backend.engine.instrument import Instrument
from backend.engine.model_pass import between_layers, final_logits_of
from backend.engine.sweep.cells import Cell
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.source import Source

TOKENS = 256
"""About so many tokens go through the model together: more are no faster on a processor, and delay a cancel."""


def run_together(instrument: Instrument, tokens: int) -> int:
    """How many experiments on a prompt of so many tokens one pass takes.

    Of a quantized model one: how its activations are rounded depends on all rows of a batch.
    """
    return max(1, TOKENS // tokens) if instrument.resolved.quantization == "none" else 1


def patched_run(
    instrument: Instrument,
    base_ids: tuple[int, ...],
    source: Source,
    experiment: Experiment,
    progress: Progress = silent,
) -> tuple[Float[Tensor, " vocabulary"], Float[Tensor, " d_model"]]:
    """As `patched_runs`, of one experiment."""
    logits, final = patched_runs(instrument, base_ids, source, [experiment], progress)
    return logits[0], final[0]


@torch.no_grad()
def patched_runs(
    instrument: Instrument,
    base_ids: tuple[int, ...],
    source: Source,
    experiments: Sequence[Experiment],
    progress: Progress = silent,
) -> tuple[Float[Tensor, "experiment vocabulary"], Float[Tensor, "experiment d_model"]]:
    """Final logits and final residual streams of the base run with each experiment's nodes patched; float32, CPU.

    All in one pass. Raises Cancelled between two layers when `progress` does.
    """
    model = instrument.model
    finals: list[Tensor] = []
    with patched(instrument, source, experiments), ExitStack() as stack:
        before_module(
            stack,
            instrument.family.final_norm(model),
            lambda residual: finals.append(residual[:, -1].float().cpu()),
        )
        stack.enter_context(between_layers(model, instrument.family, progress))
        logits = final_logits_of(model, instrument.family, [base_ids] * len(experiments))
    return logits.float().cpu(), finals[-1]


@contextmanager
def patched(instrument: Instrument, source: Source, experiments: Sequence[Experiment]) -> Iterator[None]:
    """While inside, each experiment's nodes are patched into its row of every pass of the model."""
    with ExitStack() as stack:
        for row, experiment in enumerate(experiments):
            for component, cell in experiment.nodes:
                value = source.values(component, cell.layer, [(experiment.number, cell)])[0]
                for hook in HOOKS[component](_PatchedLayer(instrument, (row, len(experiments)), cell, value)):
                    stack.callback(hook.remove)
        yield


def step_of(progress: Progress, message: str, done: int, total: int) -> Progress:
    """A progress for one of `total` passes: whatever the pass reports, `progress` hears that `done` are finished."""
    return lambda *_: progress(message, done, total)


class _PatchedLayer:
    """A cell of one row of the batch, its patched value, and the modules of its layer that have its components."""

    def __init__(self, instrument: Instrument, row: tuple[int, int], cell: Cell, value: Tensor) -> None:
        """`row`: the row of the batch, and how many it has."""
        family = instrument.family
        (self.row, self.rows), self.cell, self.value = row, cell, value
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

    def own(self, tensor: Tensor) -> Tensor:
        """The part of the row, a view. Some models join rows and positions in one axis before an MLP."""
        return tensor.tensor_split(self.rows)[self.row]

    def patch_layer_input(self) -> Any:
        """A hook that writes the value into the layer's input."""

        def change(hidden: Tensor) -> Tensor:
            changed = hidden.clone()
            changed[self.row, self.cell.position] = self.value.to(hidden)
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
        self.slots[name].write(self.own(changed), at, head, value[None])
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
        before.append(hidden[patched.row, patched.cell.position])
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
        values.append(patched.slots["v"].read(patched.own(output))[:, kv_head])
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
