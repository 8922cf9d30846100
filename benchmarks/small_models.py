"""A tiny random model of any type that transformers knows, saved as a folder."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests import tiny

LARGEST = 40e6
LAYERS = 4
SIZES = {
    "vocab_size": 320,
    "hidden_size": 48,
    "hidden_size_global": 48,
    "intermediate_size": 64,
    "moe_intermediate_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 256,
    "sliding_window": 7,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "ffn_dim": 64,
    "rotary_dim": 8,
    "n_group": 1,
    "topk_group": 1,
    "index_n_heads": 4,
    "index_head_dim": 16,
    "vocab_size_per_layer_input": 320,
    "hidden_size_per_layer_input": 16,
    "num_kv_shared_layers": 0,
}
# Latent attention: queries, keys and values come from narrow projections.
LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "head_dim": 8,
}
MAMBA = {"mamba_n_heads": 12, "mamba_d_head": 8}
INDEXER = {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 12}
WIDER_LAST = {"per_layer_config": {LAYERS - 1: {"head_dim": 24}}}
ROTARY = {"rope_type": "default", "rope_theta": 1e4}
# What a type needs besides, to be built at all.
MORE: dict[str, dict[str, Any]] = {
    "bamba": MAMBA | {"attn_layer_indices": [1, 3]},
    "blenderbot": {"encoder_attention_heads": 4, "decoder_attention_heads": 4},
    "blt": {"encoder_hash_byte_group_vocab": 500},
    "cohere_compass_text": {
        "rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), ROTARY)
    },
    "dbrx": {
        "d_model": 48,
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4},
        "ffn_config": {"ffn_hidden_size": 64, "hidden_size": 48, "moe_num_experts": 4},
    },
    "dots3_note_text": {"head_dim": 16},
    "hy_v4": {"indexer_types": ["full"] * LAYERS},
    "gemma3n_text": {"activation_sparsity_pattern": [0.0] * LAYERS},
    "gemma4_text": WIDER_LAST,
    "gemma4_unified_text": WIDER_LAST,
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": MAMBA | {"layer_types": ["mamba", "attention"] * 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "longcat_flash": {"num_layers": 2},
    "mamba2": {"num_heads": 12, "head_dim": 8, "n_groups": 1},
    "qwen4_exp_text": {"indexer_budget": 8, "indexer_compress_ratio": 2, **INDEXER},
    "reformer": {"is_decoder": True, "axial_pos_embds_dim": [16, 32]},
    "stablelm": {"partial_rotary_factor": 0.5},
    "xlnet": {"d_head": 12},
    "xlstm": {"head_dim": None},
    "xmod": {"default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1},
}


def save_small_model(name: str, folder: Path, changes: Mapping[str, Any] | None = None) -> None:
    """Save it with a tokenizer; norms and biases are random too. `changes` are settings of its config.

    Raises whatever transformers does where it does not run, and ValueError where it is large.
    """
    torch.manual_seed(0)
    usual = AutoConfig.for_model(name)
    settings = small(usual.to_dict(), set(usual.attribute_map)) | MORE.get(name, {}) | dict(changes or {})
    config = AutoConfig.for_model(name, **settings)
    with torch.device("meta"):
        weights = sum(each.numel() for each in AutoModelForCausalLM.from_config(config).parameters())
    if weights > LARGEST:
        raise ValueError(f"{weights / 1e6:.0f} million weights although made small")
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for key, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in key), std=0.3 if parameter.ndim == 1 else 0.2)
    with torch.no_grad():
        model(input_ids=torch.arange(3, 23)[None], use_cache=False)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)


def small(usual: dict[str, Any], others: Collection[str] = ()) -> dict[str, Any]:
    """The settings that make a config small, and those of the configs in it."""
    found: dict[str, Any] = {key: value for key, value in SIZES.items() if key in usual or key in others}
    if usual.get("sliding_window") is None:
        found.pop("sliding_window", None)
    if "kv_lora_rank" in usual:
        found |= {key: value for key, value in LATENT.items() if key in usual}
    layers = usual.get("num_hidden_layers")
    for key, value in usual.items():
        if key == "per_layer_config":
            found[key] = {}
        elif isinstance(value, dict) and "model_type" in value:
            found[key] = value | small(value)
        elif isinstance(value, list) and len(value) == layers:
            found[key] = value[-LAYERS:]
    return found
