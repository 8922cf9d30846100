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

from backend.models.load import LoadedModel
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
# What is special about a family, beside the sizes.
FAMILY_CONFIGS: dict[str, dict[str, object]] = {
    "llama": {"attention_bias": True, "mlp_bias": True},
    "mistral": {"sliding_window": 7, "head_dim": 16},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
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


def tiny_model(model_type: str, seed: int = 0) -> PreTrainedModel:
    """A random model whose norms and biases are random too, so that leaving one out shows."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **{**SIZES, **FAMILY_CONFIGS[model_type]})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        elif "bias" in name:
            torch.nn.init.normal_(parameter, std=0.3)
        else:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval().requires_grad_(False)


def loaded(model: PreTrainedModel, model_tokenizer: PreTrainedTokenizerFast, name: str) -> LoadedModel:
    """A model made in a test, as if it had been loaded."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return LoadedModel(
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
