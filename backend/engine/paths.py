"""Path patching: what the change of one node's write does through one input of one later node.

Example: the path from head L3H1 (the sender) to the query of head L5H2 (the receiver).

1. The sender's change is its write in the source run minus its write in the base run.
2. It is added to the base run's residual stream before layer 5, at every position. All nodes between stay as they are.
3. The model's own modules compute the receiver's query from that, and its `z` from this query and the base run's keys
   and values (`through_heads`).
4. A sweep patches this `z` into the base run (`analyses/circuit/paths.py`).

Source: Goldowsky-Dill et al. 2023, arXiv 2304.05969; Wang et al. 2022, arXiv 2211.00593, section 3.1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.attention_call import AttentionCall
from backend.engine.attention_hook import replacing
from backend.engine.instrument import Instrument
from backend.engine.pattern import final_attention
from backend.engine.sweep import Pairing
from backend.engine.trace import Trace
from backend.engine.writes import head_changes
from backend.models.placement import device_of

INPUTS = ("query", "key", "value")
CHUNK = 32
"""How many senders go through a layer together."""


@dataclass(frozen=True)
class Senders:
    """Each node's write in the source run minus its write in the base run, at every position of the base run.

    0 at positions that have no counterpart in the source run. `heads` and `mlps` have one entry for each layer.
    """

    embedding: Float[Tensor, "position d_model"]
    heads: list[Float[Tensor, "head position d_model"]]
    mlps: list[Float[Tensor, "position d_model"]]


def senders(instrument: Instrument, base: Trace, source: Trace, pairing: Pairing, layers: int) -> Senders:
    """The changes of the embedding, and of heads and MLPs of the first `layers` layers; float32, CPU."""
    matched = _Matched(base, source, pairing)
    return Senders(
        embedding=matched.change("resid_pre", 0),
        heads=[
            head_changes(instrument, layer, base.z[layer], matched.of_source("z", layer))
            for layer in range(layers)
        ],
        mlps=[matched.change("mlp_out", layer) for layer in range(layers)],
    )


def residual_change(
    base: Trace, source: Trace, pairing: Pairing, layer: int, after_attention: bool
) -> Float[Tensor, "position d_model"]:
    """The residual stream in the source run minus the base run's: before a layer, or between its attention and MLP."""
    name = "resid_mid" if after_attention else "resid_pre"
    return _Matched(base, source, pairing).change(name, layer)


class _Matched:
    """The source run's activations at the base run's positions; the base run's own at those without counterpart."""

    def __init__(self, base: Trace, source: Trace, pairing: Pairing) -> None:
        self._base, self._source = base, source
        pairs = [(base, source) for base, source in enumerate(pairing.match) if source is not None]
        self._base_positions = torch.tensor([base for base, _ in pairs], dtype=torch.long)
        self._source_positions = torch.tensor([source for _, source in pairs], dtype=torch.long)

    def of_source(self, name: str, layer: int) -> Tensor:
        values: Tensor = getattr(self._base, name)[layer].clone()
        values[self._base_positions] = getattr(self._source, name)[layer, self._source_positions]
        return values

    def change(self, name: str, layer: int) -> Tensor:
        own: Tensor = getattr(self._base, name)[layer]
        return self.of_source(name, layer) - own


def through_heads(
    instrument: Instrument, base: Trace, layer: int, changes: Float[Tensor, "sender position d_model"]
) -> Float[Tensor, "sender input head d_head"]:
    """Each head's `z` at the final position if only its query, its keys or its values (`INPUTS`) are changed.

    Args:
        changes: for each sender, what is added to the residual stream before `layer`.
    """
    parts = [_through(instrument, base, layer, part) for part in torch.split(changes, CHUNK)]
    return torch.cat(parts)


def _through(
    instrument: Instrument, base: Trace, layer: int, changes: Float[Tensor, "sender position d_model"]
) -> Float[Tensor, "sender input head d_head"]:
    changed = _projected(instrument, base, layer, base.resid_pre[layer] + changes)
    group = instrument.shape.heads // instrument.shape.kv_heads
    query = base.q_rotated[layer, :, -1:]
    keys = base.k_rotated[layer].repeat_interleave(group, 0)
    values = base.v[layer].transpose(0, 1).repeat_interleave(group, 0)
    other_query = changed.query[:, :, -1:]
    other_keys = changed.key.repeat_interleave(group, 1)
    other_values = changed.value.repeat_interleave(group, 1)

    def attended(products: Tensor, head_values: Tensor) -> Tensor:
        return (final_attention(base, layer, products) @ head_values)[..., 0, :]

    return torch.stack(
        [
            attended(other_query @ keys.mT, values),
            attended(query @ other_keys.mT, values),
            attended(query @ keys.mT, other_values),
        ],
        dim=1,
    )


@dataclass(frozen=True)
class _Projected:
    """The arguments of the attention function."""

    query: Float[Tensor, "sender head position d_head"]
    key: Float[Tensor, "sender kv_head position d_head"]
    value: Float[Tensor, "sender kv_head position d_head"]


class _Recorded(Exception):
    """Leaves a layer as soon as its attention function is called: the rest is not needed."""


@torch.no_grad()
def _projected(
    instrument: Instrument, base: Trace, layer: int, residual: Float[Tensor, "sender position d_model"]
) -> _Projected:
    """Queries and keys after the rotary embedding, and values, if the layer's input is `residual`; float32, CPU."""
    recorded: list[_Projected] = []

    def record(call: AttentionCall) -> Tensor:
        recorded.append(_Projected(*(part.float().cpu() for part in (call.query, call.key, call.value))))
        raise _Recorded

    module = instrument.family.layers(instrument.model)[layer]
    device = device_of(module)
    with replacing(instrument.model, instrument.family, record):
        try:
            module(residual.to(device, instrument.model.dtype), **base.calls[layer])
        except _Recorded:
            return recorded[0]
    raise AssertionError("the layer did not call the attention function")
