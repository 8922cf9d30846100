"""GPT-J: LayerNorm, part of each head rotary, attention and MLP side by side, an unembedding with a bias."""

from typing import Any

from backend.models.families.family import Family


class GPTJ(Family):
    """Attention is computed by a method of its module."""

    model_types = ("gptj",)
    layers_at = "transformer.h"
    final_norm_at = "transformer.ln_f"
    attention_at = "attn"
    output_at = "out_proj"
    attention_interface = False
    attention_method = "_attn"

    def kv_heads(self, config: Any) -> int:
        return int(config.num_attention_heads)

    def parallel(self, config: Any) -> bool:
        return True
