"""StableLM: LayerNorm, part of each head rotary, attention and MLP side by side in some models."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape, normed_heads
from backend.models.families.norm import Norm, layer_norm
from backend.models.families.slot import Slot


class StableLM(Family):
    """Llama's parts; some models have a norm of its own for the query and key of each head."""

    model_types = ("stablelm",)

    def parallel(self, config: Any) -> bool:
        return bool(config.use_parallel_residual)

    def d_head(self, config: Any) -> int:
        return int(config.hidden_size // config.num_attention_heads)

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return normed_heads(attention, "q_layernorm", super().query(attention, shape))

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return normed_heads(attention, "k_layernorm", super().key(attention, shape))

    def norm(self, module: nn.Module) -> Norm:
        return layer_norm(module)
