"""Llama and the families built like it: RMSNorm before each sublayer, rotary positions, grouped-query heads."""

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.models.families.family import Family, FrozenNorm, Shape, rms_norm


class LlamaLike(Family):
    """llama, mistral and qwen2 name their parts alike; qwen3 adds a norm on each head's query and key."""

    model_types = ("llama", "mistral", "qwen2", "qwen3")

    def shape(self, model: PreTrainedModel) -> Shape:
        config = model.config
        d_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return Shape(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            d_model=config.hidden_size,
            d_head=d_head,
            vocabulary=config.vocab_size,
            max_positions=config.max_position_embeddings,
        )

    def layers(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        layers: Sequence[nn.Module] = model.model.layers
        return layers

    def attention(self, layer: nn.Module) -> nn.Module:
        return layer.get_submodule("self_attn")

    def mlp(self, layer: nn.Module) -> nn.Module:
        return layer.get_submodule("mlp")

    def mlp_norm(self, layer: nn.Module) -> nn.Module:
        return layer.get_submodule("post_attention_layernorm")

    def query(self, attention: nn.Module) -> nn.Module:
        return attention.get_submodule("q_norm" if hasattr(attention, "q_norm") else "q_proj")

    def key(self, attention: nn.Module) -> nn.Module:
        return attention.get_submodule("k_norm" if hasattr(attention, "k_norm") else "k_proj")

    def value(self, attention: nn.Module) -> nn.Module:
        return attention.get_submodule("v_proj")

    def output(self, attention: nn.Module) -> nn.Module:
        return attention.get_submodule("o_proj")

    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        norm: nn.Module = model.model.norm
        return norm

    def frozen_norm(self, model: PreTrainedModel, residual: Tensor) -> FrozenNorm:
        norm = model.model.norm
        return rms_norm(norm.weight, norm.variance_epsilon, residual)
