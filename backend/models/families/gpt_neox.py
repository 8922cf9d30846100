"""GPT-NeoX and Pythia: LayerNorm, part of each head rotary, attention and MLP side by side in most models."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape, fused
from backend.models.families.slot import Slot


class GPTNeoX(Family):
    """The projection gives each head's query, key and value together."""

    model_types = ("gpt_neox",)
    layers_at = "gpt_neox.layers"
    final_norm_at = "gpt_neox.final_layer_norm"
    attention_at = "attention"
    output_at = "dense"

    def kv_heads(self, config: Any) -> int:
        return int(config.num_attention_heads)

    def parallel(self, config: Any) -> bool:
        return bool(config.use_parallel_residual)

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("query_key_value"), shape, range(0, 3 * shape.heads, 3))

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("query_key_value"), shape, range(1, 3 * shape.heads, 3))

    def value(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("query_key_value"), shape, range(2, 3 * shape.heads, 3))
