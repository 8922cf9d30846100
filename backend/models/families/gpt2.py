"""GPT-2: learned positions, LayerNorm before each sublayer, one projection for queries, keys and values."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape, fused, refused
from backend.models.families.slot import Slot


class GPT2(Family):
    """There is no rotary embedding: queries and keys are those that attention uses."""

    model_types = ("gpt2",)
    layers_at = "transformer.h"
    final_norm_at = "transformer.ln_f"
    attention_at = "attn"
    mid_at = "ln_2"
    output_at = "c_proj"

    def check(self, config: Any) -> None:
        if config.add_cross_attention:
            raise refused(config, "attends to another model (add_cross_attention)")

    def kv_heads(self, config: Any) -> int:
        return int(config.num_attention_heads)

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("c_attn"), shape, range(shape.heads))

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("c_attn"), shape, range(shape.heads, 2 * shape.heads))

    def value(self, attention: nn.Module, shape: Shape) -> Slot:
        return fused(attention.get_submodule("c_attn"), shape, range(2 * shape.heads, 3 * shape.heads))
