"""Tiny random models, one config a family, and a tokenizer that knows letters, digits and punctuation."""

from functools import cache

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from backend.models.load import RunnableModel
from backend.models.resolve import Resolved

SIZES = {
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
# What is special about a family, beside the sizes, chosen so that it shows in the numbers. The first word of a name is
# the model type.
FAMILY_CONFIGS: dict[str, dict[str, object]] = {
    "llama": {"attention_bias": True, "mlp_bias": True},
    "mistral": {"sliding_window": 7, "head_dim": 16},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 7},
    "qwen2_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 32,
        "mlp_only_layers": [1],
        "decoder_sparse_step": 1,
    },
    "qwen3_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "decoder_sparse_step": 2,
        "head_dim": 16,
    },
    "gemma2": {
        "head_dim": 16,
        "sliding_window": 7,
        "query_pre_attn_scalar": 9,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 5.0,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "gemma3_text": {
        "head_dim": 16,
        "sliding_window": 7,
        "query_pre_attn_scalar": 100,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "granite": {
        "attention_multiplier": 0.4,
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.5,
        "logits_scaling": 2.0,
        "attention_bias": True,
    },
    "phi": {"partial_rotary_factor": 0.5},
    "phi qk": {"partial_rotary_factor": 0.5, "qk_layernorm": True},
    "phi3": {"partial_rotary_factor": 0.5, "sliding_window": 7, "pad_token_id": 0},
    "olmo": {"clip_qkv": 0.5},
    "olmo2": {},
    "stablelm": {"partial_rotary_factor": 0.5, "use_qkv_bias": True},
    "stablelm parallel": {"partial_rotary_factor": 0.5, "use_parallel_residual": True, "qk_layernorm": True},
    "smollm3": {
        "no_rope_layers": [1, 0, 1],
        "use_sliding_window": True,
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "attention_bias": True,
        "pad_token_id": 0,
    },
    "starcoder2": {"sliding_window": 12, "use_bias": True},
    "olmo3": {
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "attention_bias": True,
        "pad_token_id": 0,
    },
    "exaone4": {
        "head_dim": 16,
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "glm4": {"head_dim": 16, "partial_rotary_factor": 0.5, "attention_bias": True, "pad_token_id": 0},
    "cohere": {"use_qk_norm": True, "logit_scale": 0.5, "attention_bias": True},
    "cohere2": {
        "head_dim": 16,
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "logit_scale": 2.0,
        "attention_bias": True,
    },
    "gpt2": {"scale_attn_by_inverse_layer_idx": True, "n_inner": 64},
    "gpt_neox": {"rotary_pct": 0.5},
    "gpt_neox sequential": {"rotary_pct": 0.5, "use_parallel_residual": False},
    "gptj": {"rotary_dim": 8, "n_inner": 64, "bos_token_id": 1, "eos_token_id": 2},
    "falcon": {"alibi": False, "bias": True},
    "falcon sequential": {"alibi": False, "multi_query": False, "parallel_attn": False},
    "falcon new": {"alibi": False, "new_decoder_architecture": True, "num_kv_heads": 2},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 48},
}


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character, except that runs of letters in a few words are one; every byte is known."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\w+|\s|[^\w\s]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def tiny_model(name: str, seed: int = 0) -> PreTrainedModel:
    """A random model named in `FAMILY_CONFIGS`, its norms and biases random too, so that leaving one out shows."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(name.split()[0], **{**SIZES, **FAMILY_CONFIGS[name]})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        if "norm" in name or ".ln_" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        elif "bias" in name:
            torch.nn.init.normal_(parameter, std=0.3)
        else:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval().requires_grad_(False)


def loaded(model: PreTrainedModel, model_tokenizer: PreTrainedTokenizerFast, name: str) -> RunnableModel:
    """A model made in a test, as if it had been loaded."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return RunnableModel(
        model=model,
        tokenizer=model_tokenizer,
        resolved=Resolved(
            name=name,
            kind="folder",
            folder=None,
            dtype="float32",
            device="cpu",
            quantization="none",
            reason="made in a test",
            parameters=parameters,
            weight_bytes=4 * parameters,
            fingerprint=f"test-{name}",
        ),
    )
