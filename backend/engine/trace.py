"""The activations of one forward pass, which analyses compute with. `recording.py` makes them."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from backend.models.families import Shape

KEYS = ("k", "v", "k_rotated")
"""What a trace of the final position has of every position, which that one attends to."""


@dataclass(frozen=True)
class Routed:
    """The call of a layer's experts at the final position, in the model's dtype and on its device.

    Attributes:
        hidden: the experts' input.
        experts: the indices of those that the router chose.
        weights: the factor that each one's output is multiplied with.
    """

    hidden: Float[Tensor, " d_model"]
    experts: Int[Tensor, " chosen"]
    weights: Float[Tensor, " chosen"]


@dataclass(frozen=True, kw_only=True)
class Components:
    """All activations of the components that can be patched (but the pattern), or derivatives by them.

    Attributes:
        resid_pre: the residual stream before each layer.
        resid_mid: the residual stream between attention and MLP; None if a layer computes them side by side.
        attn_out: what attention adds to the residual stream.
        mlp_out: what the MLP adds to it.
        z: each head's output before the output projection.
        q, k, v: queries and keys before the rotary embedding, and values.
    """

    resid_pre: Float[Tensor, "layer position d_model"]
    resid_mid: Float[Tensor, "layer position d_model"] | None
    attn_out: Float[Tensor, "layer position d_model"]
    mlp_out: Float[Tensor, "layer position d_model"]
    z: Float[Tensor, "layer position head d_head"]
    q: Float[Tensor, "layer position head d_head"]
    k: Float[Tensor, "layer key kv_head d_head"]
    v: Float[Tensor, "layer key kv_head d_head"]


@dataclass(frozen=True, kw_only=True)
class Trace(Components):
    """The record of one pass, float32 on the CPU. Nothing here is larger than `[layer, position, head, d_head]`.

    A trace of the final position has that one alone, except of keys and values: `[layer, 1, d_model]`.

    Attributes:
        resid_final: the residual stream after the last layer.
        q_rotated, k_rotated: queries and keys after the rotary embedding.
        masks: for each layer, the mask that is added to the scores, `[query, key]`; None for plain causal attention.
        scaling: for each layer, the factor that the scores are multiplied with.
        softcaps: for each layer, the soft cap of the scores, applied before the mask; None if there is none.
        unembedded: the output of the unembedding at the final position, over the whole vocabulary.
        logits: the same after a soft cap or scaling, which only some families have.
        calls: for each layer, the keyword arguments of the model's call of it; mask and cache are None.
        routed: for each layer, the call of its experts; None if it has none.
    """

    resid_final: Float[Tensor, "position d_model"]
    q_rotated: Float[Tensor, "layer head position d_head"]
    k_rotated: Float[Tensor, "layer kv_head key d_head"]
    masks: tuple[Float[Tensor, "query key"] | None, ...]
    scaling: tuple[float, ...]
    softcaps: tuple[float | None, ...]
    unembedded: Float[Tensor, " vocabulary"]
    logits: Float[Tensor, " vocabulary"]
    calls: tuple[dict[str, Any], ...]
    routed: tuple[Routed | None, ...]

    @property
    def positions(self) -> int:
        """How many tokens the prompt has."""
        return self.k.shape[1]

    def resid_after(self, layer: int) -> Float[Tensor, "position d_model"]:
        """The residual stream after a layer."""
        return self.resid_final if layer + 1 == len(self.resid_pre) else self.resid_pre[layer + 1]

    def before_mlp(self, layer: int) -> Float[Tensor, "position d_model"]:
        """The residual stream that is the input of a layer's MLP."""
        return self.resid_pre[layer] if self.resid_mid is None else self.resid_mid[layer]

    @property
    def nbytes(self) -> int:
        """Bytes of the recorded tensors, without the masks (layers share one)."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor))


def trace_bytes(shape: Shape, tokens: int, *, final: bool = False) -> int:
    """Bytes of a trace: residual streams and what is added to them, queries, keys, values and z, in float32.

    With `final` that of a trace of the final position.
    """
    residual = (3 if shape.parallel else 4) * shape.d_model
    here, keys = residual + 3 * shape.heads * shape.d_head, 3 * shape.kv_heads * shape.d_head
    return 4 * shape.layers * ((1 if final else tokens) * here + tokens * keys)
