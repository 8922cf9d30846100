"""OPT: learned positions, LayerNorm before each sublayer, an MLP without a module of its own."""

from typing import Any

from backend.models.families.family import Family, refused


class OPT(Family):
    """Queries are scaled after their projection instead of the scores; there is no rotary embedding."""

    model_types = ("opt",)
    layers_at = "model.decoder.layers"
    final_norm_at = "model.decoder.final_layer_norm"
    mlp_at = "fc2"
    mid_at = "final_layer_norm"
    output_at = "out_proj"

    def check(self, config: Any) -> None:
        if not config.do_layer_norm_before:
            raise refused(config, "puts its norms after the residual stream (do_layer_norm_before is false)")
        if config.word_embed_proj_dim != config.hidden_size:
            raise refused(
                config,
                f"has embeddings of width {config.word_embed_proj_dim} for a residual stream of {config.hidden_size}",
            )
        if config._remove_final_layer_norm:
            raise refused(config, "has no norm before the unembedding")

    def kv_heads(self, config: Any) -> int:
        return int(config.num_attention_heads)
