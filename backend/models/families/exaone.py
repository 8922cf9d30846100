"""EXAONE 4: norms after each sublayer, layers with and without a sliding window."""

from backend.models.families.family import Family


class Exaone4(Family):
    """RMSNorm after each sublayer and none before; a norm on each head's query and key.

    Where some layers have a sliding window, only those turn their queries and keys.
    """

    model_types = ("exaone4",)
    mid_at = "mlp"
    attention_norm_at = "post_attention_layernorm"
    mlp_norm_at = "post_feedforward_layernorm"
    query_norm_at = "q_norm"
    key_norm_at = "k_norm"
