"""Falcon: LayerNorm, attention and MLP side by side in most models, keys and values shared by some or all heads."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape, fused, refused
from backend.models.families.slot import Slot


class Falcon(Family):
    """Of the projection's heads, each group's queries are followed by its key and its value.

    A model with as many keys as queries, or with one key and one value for all, is a special case of that.
    """

    model_types = ("falcon",)
    layers_at = "transformer.h"
    final_norm_at = "transformer.ln_f"
    attention_at = "self_attention"
    output_at = "dense"
    attention_interface = False

    def check(self, config: Any) -> None:
        if config.alibi:
            raise refused(config, "adds position biases to its scores (alibi)")

    def kv_heads(self, config: Any) -> int:
        if config.multi_query and not config.new_decoder_architecture:
            return 1
        return int(config.num_kv_heads)

    def parallel(self, config: Any) -> bool:
        return bool(config.parallel_attn or config.new_decoder_architecture)

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        group = shape.heads // shape.kv_heads
        blocks = [(head // group) * (group + 2) + head % group for head in range(shape.heads)]
        return fused(attention.get_submodule("query_key_value"), shape, blocks)

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return _after_queries(attention, shape, 0)

    def value(self, attention: nn.Module, shape: Shape) -> Slot:
        return _after_queries(attention, shape, 1)


def _after_queries(attention: nn.Module, shape: Shape, place: int) -> Slot:
    group = shape.heads // shape.kv_heads
    blocks = range(group + place, shape.heads + 2 * shape.kv_heads, group + 2)
    return fused(attention.get_submodule("query_key_value"), shape, blocks)
