"""The final position's row of many runs, taken through the layers one by one, so that heads can be replaced on the way.

The input of a head is known only once the outputs of replaced heads in lower layers are set. So the caller alternates:
read `inputs()` of a layer, decide the outputs of some of its heads, call `go_up()`. The rows before the final position
stay the base run's: nothing at the final position reaches them.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.errors import RequestError
from backend.contract.progress import Progress, silent
from backend.engine.instrument import Instrument
from backend.engine.model_pass import on_cpu
from backend.engine.sweep.batching import batch_rows, budget_for
from backend.engine.sweep.cost import needs_whole_model
from backend.engine.sweep.layer_call import Batch, call_layer
from backend.engine.sweep.patches import Patch
from backend.engine.sweep.rows import Block
from backend.engine.trace import Trace
from backend.models.families import Slot
from backend.models.placement import device_of


@dataclass(frozen=True)
class FinalInputs:
    """A layer's queries, keys and values at the final position of each run, before rotation; float32, CPU."""

    q: Float[Tensor, "case head d_head"]
    k: Float[Tensor, "case kv_head d_head"]
    v: Float[Tensor, "case kv_head d_head"]


def check_rows(instrument: Instrument) -> None:
    """Raise RequestError for a model whose rows cannot go through a layer without the rest of their run."""
    if needs_whole_model(instrument):
        raise RequestError(
            f"Heads of several layers cannot be projected together in {instrument.resolved.name} stored as "
            f"{instrument.resolved.quantization}: a row of it cannot go through a layer without the rest of its run. "
            "Choose heads of one layer, or another quantization."
        )


class FinalRows:
    """The rows before one layer; at first all are the base run's.

    Attributes:
        layer: the layer that the rows enter next.
    """

    def __init__(
        self, instrument: Instrument, base: Trace, layer: int, cases: int, progress: Progress = silent
    ) -> None:
        self.layer = layer
        self._instrument, self._base, self._progress = instrument, base, progress
        self._rows = base.resid_pre[layer, -1].to(instrument.model.dtype).repeat(cases, 1)
        self._replaced = False

    @torch.no_grad()
    def inputs(self) -> FinalInputs:
        """Queries, keys and values of this layer. Raises RequestError as `check_rows` does."""
        if not self._replaced:
            of_base = (getattr(self._base, name)[self.layer, -1] for name in ("q", "k", "v"))
            return FinalInputs(*(part.expand(len(self._rows), -1, -1) for part in of_base))
        family, shape = self._instrument.family, self._instrument.shape
        attention = family.attention(family.layers(self._instrument.model)[self.layer])
        slots = [part(attention, shape) for part in (family.query, family.key, family.value)]
        seen: list[list[Tensor]] = [[] for _ in slots]
        with ExitStack() as stack:
            for slot, found in zip(slots, seen, strict=True):
                stack.callback(slot.module.register_forward_hook(_recording(slot, found)).remove)
            self._through({})
        return FinalInputs(*(torch.cat(found) for found in seen))

    @torch.no_grad()
    def go_up(self, z: Mapping[int, Float[Tensor, "case d_head"]]) -> None:
        """Take the rows through this layer, with the outputs `z` of some heads replaced.

        Raises RequestError as `check_rows` does.
        """
        self._rows, self._replaced = self._through(z), self._replaced or bool(z)
        self.layer += 1

    def _through(self, z: Mapping[int, Tensor]) -> Float[Tensor, "case d_model"]:
        instrument, base = self._instrument, self._base
        check_rows(instrument)
        self._progress("Going up the layers", self.layer, instrument.shape.layers)
        device = device_of(instrument.family.layers(instrument.model)[self.layer])
        step = batch_rows(instrument, base.positions, budget_for(instrument))
        after = []
        for first in range(0, len(self._rows), step):
            rows = self._rows[first : first + step].to(device, copy=True)
            blocks = [Block(base.positions - 1, 1, len(rows))]
            part = {head: values[first : first + step] for head, values in z.items()}
            after.append(call_layer(instrument, [base], self.layer, Batch(rows, blocks, _patches(part))))
        return torch.cat(after)


def _patches(z: Mapping[int, Float[Tensor, "case d_head"]]) -> dict[str, Patch]:
    if not z:
        return {}
    cases = len(next(iter(z.values())))
    heads = torch.tensor([*z]).repeat_interleave(cases)
    return {"z": Patch(torch.arange(cases).repeat(len(z)), heads, torch.cat([*z.values()]))}


def _recording(slot: Slot, found: list[Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    return lambda _, args, output: found.append(on_cpu(slot.read(output)))
