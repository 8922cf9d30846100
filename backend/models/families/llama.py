"""Llama and the families built like it: a norm before each sublayer, rotary positions, grouped-query heads."""

from backend.models.families.family import Family


class LlamaLike(Family):
    """Those that name their parts alike; a mixture of experts is one MLP.

    StarCoder2 has LayerNorm; some layers of SmolLM3 turn no queries and keys.
    """

    model_types = ("llama", "mistral", "qwen2", "mixtral", "qwen2_moe", "smollm3", "starcoder2")
    experts_at = "experts"
    shared_expert_at = "shared_expert"


class Qwen3(Family):
    """A norm on each head's query and key, before the rotary embedding."""

    model_types = ("qwen3", "qwen3_moe")
    experts_at = "experts"
    query_at = "q_norm"
    key_at = "k_norm"
