"""The rotary embedding of a layer as the linear map that it is at one position, measured by calling the layer.

It lets a query or key that never was in a run be rotated as the model would. Without a rotary embedding the map is
the identity.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.errors import RequestError, shown
from backend.engine.attention_hook import AttentionCall, replacing
from backend.engine.instrument import Instrument
from backend.engine.sweep.layer_call import arguments_at
from backend.engine.trace import Trace
from backend.models.families import Slot
from backend.models.placement import device_of

Matrix = Float[Tensor, "d_head d_head"]
UNIT = 2**-6
"""The length of the vectors put in: small enough for a family that clamps queries and keys; a power of two, so that
no digit is lost."""


class Rotations:
    """One layer's maps, each measured once: the same for all heads. Where queries are scaled, theirs does that too."""

    def __init__(self, instrument: Instrument, layer: int) -> None:
        """Raises RequestError for a model whose layers cannot be called alone."""
        if not instrument.family.layer_by_layer:
            raise RequestError(
                f"The architecture {shown(instrument.shape.model_type)} is not one of those known here, so its "
                "layers cannot be called alone to rotate queries and keys. Choose a model of a known architecture."
            )
        self._instrument, self._layer = instrument, layer
        self._queries: dict[int, Matrix] = {}
        self._keys: dict[int, Matrix] = {}

    def of_queries(self, trace: Trace, positions: Sequence[int]) -> Float[Tensor, "position d_head d_head"]:
        """For each position the matrix that a query, a row vector, is multiplied with; float32 on the CPU.

        `trace` is any run that is long enough.
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
    """What becomes of each unit vector, put in as the first head's query and key at each position."""
    family, shape = instrument.family, instrument.shape
    block = family.layers(instrument.model)[layer]
    attention = family.attention(block)
    units = UNIT * torch.eye(shape.d_head).repeat(len(positions), 1)
    rows = torch.arange(len(units))
    rotated: list[Tensor] = []

    def putting(slot: Slot) -> Any:
        def put(_: nn.Module, args: object, output: Tensor) -> None:
            slot.write(output, rows, torch.zeros_like(rows), units)

        return slot.module.register_forward_hook(put)

    def record(call: AttentionCall) -> Tensor:
        rotated.extend(part[0, 0].float().cpu() / UNIT for part in (call.query, call.key))
        return call.zeros()

    device = device_of(block)
    hidden = torch.zeros(1, len(units), shape.d_model, dtype=instrument.model.dtype, device=device)
    at = torch.tensor(positions).repeat_interleave(shape.d_head)
    with ExitStack() as stack:
        stack.enter_context(replacing(instrument.model, family, record))
        for slot in (family.query(attention, shape), family.key(attention, shape)):
            stack.callback(putting(slot).remove)
        block(hidden, **arguments_at(trace, layer, at))
    queries, keys = (part.view(len(positions), shape.d_head, shape.d_head) for part in rotated)
    return queries, keys
