"""Path patching: what one node's write, as in another run, does through one input of a later node alone.

The sender's change is added to the clean residual stream that the receiver reads; nothing between them moves. What the
receiver then gives is computed by the model's own modules, and a sweep patches it into the clean run (Goldowsky-Dill et
al. 2023, arXiv 2304.05969; Wang et al. 2022, arXiv 2211.00593, section 3.1).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.attention_hook import AttentionCall, replacing
from backend.engine.instrument import Instrument
from backend.engine.pattern import final_attention
from backend.engine.sweep import Pairing
from backend.engine.trace import Trace
from backend.engine.writes import head_changes
from backend.models.placement import device_of

INPUTS = ("query", "key", "value")
CHUNK = 32
"""Senders whose rows are projected together."""


@dataclass(frozen=True)
class Senders:
    """How each node's write differs in the source run, at every position of the base run.

    Where a position has no counterpart in the source run nothing differs.
    """

    embedding: Float[Tensor, "position d_model"]
    heads: list[Float[Tensor, "head position d_model"]]
    mlps: list[Float[Tensor, "position d_model"]]


def senders(instrument: Instrument, base: Trace, source: Trace, pairing: Pairing, layers: int) -> Senders:
    """The embedding, and heads and MLPs of the first `layers` layers."""
    matched = _Matched(base, source, pairing)
    return Senders(
        embedding=matched.change("resid_pre", 0),
        heads=[
            head_changes(instrument, layer, base.z[layer], matched.of_source("z", layer))
            for layer in range(layers)
        ],
        mlps=[matched.change("mlp_out", layer) for layer in range(layers)],
    )


def whole_change(
    base: Trace, source: Trace, pairing: Pairing, layer: int, after_attention: bool
) -> Float[Tensor, "position d_model"]:
    """How the residual stream before a layer, or the one between its attention and MLP, differs in the source run."""
    name = "resid_mid" if after_attention else "resid_pre"
    return _Matched(base, source, pairing).change(name, layer)


class _Matched:
    """The source's activations at the base's positions; the base's own where there is no counterpart."""

    def __init__(self, base: Trace, source: Trace, pairing: Pairing) -> None:
        self._base, self._source = base, source
        pairs = [(here, there) for here, there in enumerate(pairing.match) if there is not None]
        self._here = torch.tensor([here for here, _ in pairs], dtype=torch.long)
        self._there = torch.tensor([there for _, there in pairs], dtype=torch.long)

    def of_source(self, name: str, layer: int) -> Tensor:
        values: Tensor = getattr(self._base, name)[layer].clone()
        values[self._here] = getattr(self._source, name)[layer, self._there]
        return values

    def change(self, name: str, layer: int) -> Tensor:
        own: Tensor = getattr(self._base, name)[layer]
        return self.of_source(name, layer) - own


def through_heads(
    instrument: Instrument, base: Trace, layer: int, changes: Float[Tensor, "sender position d_model"]
) -> Float[Tensor, "sender input head d_head"]:
    """Each head's `z` at the final position if only its query, its keys or its values see a change before `layer`."""
    parts = [_through(instrument, base, layer, part) for part in torch.split(changes, CHUNK)]
    return torch.cat(parts)


def _through(
    instrument: Instrument, base: Trace, layer: int, changes: Float[Tensor, "sender position d_model"]
) -> Float[Tensor, "sender input head d_head"]:
    seen = _projected(instrument, base, layer, base.resid_pre[layer] + changes)
    group = instrument.shape.heads // instrument.shape.kv_heads
    query = base.q_rotated[layer, :, -1:]
    keys = base.k_rotated[layer].repeat_interleave(group, 0)
    values = base.v[layer].transpose(0, 1).repeat_interleave(group, 0)
    other_query = seen.query[:, :, -1:]
    other_keys = seen.key.repeat_interleave(group, 1)
    other_values = seen.value.repeat_interleave(group, 1)

    def attended(products: Tensor, read: Tensor) -> Tensor:
        return (final_attention(base, layer, products) @ read)[..., 0, :]

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
    """What the attention function is called with."""

    query: Float[Tensor, "sender head position d_head"]
    key: Float[Tensor, "sender kv_head position d_head"]
    value: Float[Tensor, "sender kv_head position d_head"]


class _Seen(Exception):
    """Leaves a layer as soon as its attention function is called: the rest is not needed."""


@torch.no_grad()
def _projected(
    instrument: Instrument, base: Trace, layer: int, residual: Float[Tensor, "sender position d_model"]
) -> _Projected:
    """Queries and keys after the rotary embedding, and values, where the layer's input is `residual`."""
    seen: list[_Projected] = []

    def record(call: AttentionCall) -> Tensor:
        seen.append(_Projected(*(part.float().cpu() for part in (call.query, call.key, call.value))))
        raise _Seen

    module = instrument.family.layers(instrument.model)[layer]
    device = device_of(module)
    with replacing(instrument.model, instrument.family, record):
        try:
            module(residual.to(device, instrument.model.dtype), **base.calls[layer])
        except _Seen:
            return seen[0]
    raise AssertionError("the layer did not call the attention function")
