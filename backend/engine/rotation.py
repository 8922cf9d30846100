"""The rotary embedding of a layer at one position, as a matrix, measured by calling the layer.

With it, a query or key that occurred in no run can be rotated as the model would rotate it. At one position the rotary
embedding is linear, so the images of the unit vectors are the rows of its matrix. For a model without rotary embedding
it is the identity.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.errors import RequestError, shown
from backend.engine.attention_call import AttentionCall
from backend.engine.attention_hook import replacing
from backend.engine.instrument import Instrument
from backend.engine.sweep.layer_call import arguments_at
from backend.engine.trace import Trace
from backend.models.families import Slot
from backend.models.placement import device_of

Matrix = Float[Tensor, "d_head d_head"]
UNIT = 2**-6
"""The length of the vectors that are rotated: so small that no family clamps them, and a power of two, so that dividing
by it is exact."""


class Rotations:
    """The matrices of one layer, the same for all heads, each measured once.

    If the model scales queries before attention, the queries' matrices do so too.
    """

    def __init__(self, instrument: Instrument, layer: int) -> None:
        """Raises RequestError for a model of unknown architecture, whose layers cannot be called alone."""
        if not instrument.family.layer_by_layer:
            raise RequestError(
                f"The architecture {shown(instrument.shape.model_type)} is not one of those known here, and its layers "
                "cannot be called alone to rotate queries and keys. Choose a model of a known architecture."
            )
        self._instrument, self._layer = instrument, layer
        self._queries: dict[int, Matrix] = {}
        self._keys: dict[int, Matrix] = {}

    def of_queries(self, trace: Trace, positions: Sequence[int]) -> Float[Tensor, "position d_head d_head"]:
        """For each position the matrix that a query, as a row vector, is multiplied with; float32 on the CPU.

        `trace` may be of any prompt that is long enough.
        """
        self._measure(trace, positions)
        return torch.stack([self._queries[position] for position in positions])

    def of_keys(self, trace: Trace, positions: Sequence[int]) -> Float[Tensor, "position d_head d_head"]:
        """The same for keys."""
        self._measure(trace, positions)
        return torch.stack([self._keys[position] for position in positions])

    def _measure(self, trace: Trace, positions: Sequence[int]) -> None:
        unknown = sorted({*positions} - self._keys.keys())
        if unknown:
            queries, keys = _measured(self._instrument, trace, self._layer, unknown)
            self._queries.update(zip(unknown, queries, strict=True))
            self._keys.update(zip(unknown, keys, strict=True))


@torch.no_grad()
def _measured(
    instrument: Instrument, trace: Trace, layer: int, positions: list[int]
) -> tuple[Tensor, Tensor]:
    """The rotated unit vectors: each replaces the first head's query and key at each position."""
    family, shape = instrument.family, instrument.shape
    block = family.layers(instrument.model)[layer]
    attention = family.attention(block)
    units = UNIT * torch.eye(shape.d_head).repeat(len(positions), 1)
    rows = torch.arange(len(units))
    rotated: list[Tensor] = []

    def replace_output(slot: Slot) -> Any:
        def write(_: nn.Module, args: object, output: Tensor) -> None:
            slot.write(output, rows, torch.zeros_like(rows), units)

        return slot.module.register_forward_hook(write)

    def record(call: AttentionCall) -> Tensor:
        rotated.extend(part[0, 0].float().cpu() / UNIT for part in (call.query, call.key))
        return call.zeros()

    device = device_of(block)
    hidden = torch.zeros(1, len(units), shape.d_model, dtype=instrument.model.dtype, device=device)
    at = torch.tensor(positions).repeat_interleave(shape.d_head)
    with ExitStack() as stack:
        stack.enter_context(replacing(instrument.model, family, record))
        for slot in (family.query(attention, shape), family.key(attention, shape)):
            stack.callback(replace_output(slot).remove)
        block(hidden, **arguments_at(trace, layer, at))
    queries, keys = (part.view(len(positions), shape.d_head, shape.d_head) for part in rotated)
    return queries, keys
