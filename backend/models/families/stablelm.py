"""StableLM: LayerNorm, part of each head rotary, attention and MLP side by side in some models."""

from typing import Any

from backend.models.families.family import Family


class StableLM(Family):
    """Llama's parts; some models have a norm of its own for the query and key of each head."""

    model_types = ("stablelm",)
    query_norm_at = "q_layernorm"
    key_norm_at = "k_layernorm"

    def parallel(self, config: Any) -> bool:
        return bool(config.use_parallel_residual)

    def d_head(self, config: Any) -> int:
        return int(config.hidden_size // config.num_attention_heads)
