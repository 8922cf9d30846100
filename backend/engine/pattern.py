"""Attention patterns from queries and keys: one row for every head, or every row of some."""

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.trace import Trace


def final_rows(trace: Trace, layer: int) -> Float[Tensor, "head key"]:
    """Each head's attention from the final position; each row sums to 1."""
    query = trace.q_rotated[layer, :, -1:]
    key = for_heads(trace.k_rotated[layer], query.shape[0])
    return final_attention(trace, layer, (query @ key.mT)[:, 0])


def final_attention(
    trace: Trace, layer: int, products: Float[Tensor, "*batch key"]
) -> Float[Tensor, "*batch key"]:
    """Attention of the final position from the products of its query with all keys; each row sums to 1."""
    found, mask = _scores(trace, layer, products), trace.masks[layer]
    return torch.softmax(found if mask is None else found + mask[-1], dim=-1)


def full_pattern(trace: Trace, layer: int, head: int) -> Float[Tensor, "query key"]:
    """One head's pattern for all positions; each row sums to 1 and is 0 on later positions."""
    query, key = trace.q_rotated[layer, head], trace.k_rotated[layer, kv_head_of(trace, head)]
    return patterns(trace, layer, query[None], key[None])[0]


def patterns(
    trace: Trace,
    layer: int,
    query: Float[Tensor, "head query d_head"],
    key: Float[Tensor, "kv_head key d_head"],
) -> Float[Tensor, "head query key"]:
    """The patterns of these rotated queries and keys, with the mask, scaling and soft cap of a layer of the trace."""
    return torch.softmax(scores(trace, layer, query, key), dim=-1)


def scores(
    trace: Trace,
    layer: int,
    query: Float[Tensor, "head query d_head"],
    key: Float[Tensor, "kv_head key d_head"],
) -> Float[Tensor, "head query key"]:
    """The scores before the softmax; minus infinity for keys that the mask hides."""
    found = _scores(trace, layer, query @ for_heads(key, len(query)).mT)
    mask = trace.masks[layer]
    if mask is None:
        mask = torch.full(found.shape[1:], float("-inf")).triu(1)
    return found + mask.to(found)


def _scores(trace: Trace, layer: int, products: Float[Tensor, "*batch key"]) -> Float[Tensor, "*batch key"]:
    scaled, cap = products * trace.scaling[layer], trace.softcaps[layer]
    return scaled if cap is None else torch.tanh(scaled / cap) * cap


def values_for_heads(trace: Trace, layer: int) -> Float[Tensor, "head position d_head"]:
    """The values of each head's kv head."""
    return for_heads(trace.v[layer].transpose(0, 1), trace.z.shape[2])


def for_heads(
    shared: Float[Tensor, "kv_head position d_head"], heads: int
) -> Float[Tensor, "head position d_head"]:
    """Keys or values, each repeated for all heads that share it."""
    return shared.repeat_interleave(heads // shared.shape[0], dim=0)


def kv_head_of(trace: Trace, head: int) -> int:
    """The kv head whose keys and values a head uses."""
    return head // (trace.q.shape[2] // trace.k.shape[2])
