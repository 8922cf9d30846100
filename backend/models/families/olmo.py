"""OLMo 1 to 3."""

from dataclasses import replace
from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape
from backend.models.families.norm import Norm
from backend.models.families.slot import Slot


class Olmo(Family):
    """Llama's parts; LayerNorm without weights, queries, keys and values clamped in some models."""

    model_types = ("olmo",)

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return _clamped(attention, super().query(attention, shape))

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return _clamped(attention, super().key(attention, shape))

    def value(self, attention: nn.Module, shape: Shape) -> Slot:
        return _clamped(attention, super().value(attention, shape))

    def norm(self, module: nn.Module) -> Norm:
        return Norm(epsilon=1e-5, weight=None, centred=True)


def _clamped(attention: nn.Module, plain: Slot) -> Slot:
    config: Any = attention.config
    return replace(plain, limit=config.clip_qkv)


class Olmo2(Family):
    """RMSNorm after each sublayer and none before; one norm for the queries of all heads together, one for the keys."""

    model_types = ("olmo2", "olmo3")
    mid_at = "mlp"
    attention_norm_at = "post_attention_layernorm"
    mlp_norm_at = "post_feedforward_layernorm"
    query_at = "q_norm"
    key_at = "k_norm"
