"""Phi 1 to 3. Phi 1 and 2 compute attention and MLP side by side; Phi 3 is Llama with a fused projection."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape, fused
from backend.models.families.slot import Slot


class Phi(Family):
    """LayerNorm, one for attention and MLP together; some models have a norm on each head's query and key."""

    model_types = ("phi",)
    final_norm_at = "model.final_layernorm"
    output_at = "dense"
    query_norm_at = "q_layernorm"
    key_norm_at = "k_layernorm"

    def parallel(self, config: Any) -> bool:
        return True


class Phi3(Family):
    """RMSNorm; the projection gives all queries, then all keys, then all values."""

    model_types = ("phi3",)

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("qkv_proj"), shape, range(shape.heads))

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        first = shape.heads
        return fused(attention.get_submodule("qkv_proj"), shape, range(first, first + shape.kv_heads))

    def value(self, attention: nn.Module, shape: Shape) -> Slot:
        first = shape.heads + shape.kv_heads
        return fused(attention.get_submodule("qkv_proj"), shape, range(first, first + shape.kv_heads))
