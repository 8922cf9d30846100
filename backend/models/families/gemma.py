"""Gemma 2 and 3: norms before and after each sublayer, soft caps, layers with and without a sliding window."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, refused
from backend.models.families.norm import Norm


class Gemma2(Family):
    """RMSNorm with a weight counted from 1; scores and logits have soft caps."""

    model_types = ("gemma2",)
    mid_at = "pre_feedforward_layernorm"
    attention_norm_at = "post_attention_layernorm"
    mlp_norm_at = "post_feedforward_layernorm"

    def check(self, config: Any) -> None:
        if getattr(config, "use_bidirectional_attention", None):
            raise refused(config, "looks at later tokens (use_bidirectional_attention)")

    def norm(self, module: nn.Module) -> Norm:
        return Norm(epsilon=module.eps, weight=1 + module.get_parameter("weight").float())  # type: ignore[arg-type]

    def logit_cap(self, config: Any) -> float | None:
        cap: float | None = config.final_logit_softcapping
        return cap


class Gemma3(Gemma2):
    """A norm on each head's query and key; the rotary embedding differs between the kinds of layers."""

    model_types = ("gemma3_text",)
    query_norm_at = "q_norm"
    key_norm_at = "k_norm"
