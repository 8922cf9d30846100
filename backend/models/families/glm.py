"""GLM 4: norms before and after each sublayer, part of each head rotary."""

from backend.models.families.family import Family


class Glm4(Family):
    """RMSNorm; the norm named post_attention_layernorm is the MLP's."""

    model_types = ("glm4",)
    attention_norm_at = "post_self_attn_layernorm"
    mlp_norm_at = "post_mlp_layernorm"
