"""What one call of an attention function is given, and the function that answers it without our hook."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from backend.contract.errors import ModelError

PREFIX = "letterheads_"
"""Begins the name in a model's config of an attention function that is registered here."""

READ = frozenset(
    (
        # Used here, or already in the mask.
        *("scaling", "softcap", "is_causal", "sliding_window", "position_ids", "cache_position"),
        # Without effect: models are in eval mode, and run without a cache.
        *("dropout", "use_cache", "past_key_values"),
    )
)
"""The settings of an attention call that are read here, or that change nothing."""


@dataclass(frozen=True)
class AttentionCall:
    """The arguments of one call of an attention function, on the model's device and in its dtype.

    Attributes:
        module: the attention module that makes the call.
        query, key: after the rotary embedding, if the model has one.
        mask: is added to the scores, or says with booleans which to keep; None for plain causal attention.
        scaling: what the scores are multiplied with.
        softcap: soft cap of the scores, applied before the mask; None if there is none.
    """

    module: nn.Module
    query: Float[Tensor, "batch head position d_head"]
    key: Float[Tensor, "batch kv_head position d_head"]
    value: Float[Tensor, "batch kv_head position d_head"]
    mask: Tensor | None
    scaling: float
    softcap: float | None

    def zeros(self) -> Float[Tensor, "batch position head d_head"]:
        """Zeros of the output's shape."""
        batch, heads, positions, _ = self.query.shape
        return self.query.new_zeros(batch, positions, heads, self.value.shape[-1])


def usual_function(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The function that an attention module calls without our hook.

    It takes (module, query, key, value, mask, **settings) and returns the output `[batch, position, head, d_head]`
    and the attention weights, or None for them.
    """
    config: Any = module.config
    own: Any = getattr(type(module), "_attn", None)
    if own is not None:
        return lambda _, query, key, value, mask, **settings: _heads_last(
            *own(module, query, key, value, mask)
        )
    name = config._attn_implementation.removeprefix(PREFIX)
    # The eager function is not in transformers' table: each model's file has its own.
    function: Callable[..., tuple[Tensor, Tensor | None]] = (
        sys.modules[type(module).__module__].eager_attention_forward
        if name == "eager"
        else ALL_ATTENTION_FUNCTIONS[name]
    )
    return function


def _heads_last(output: Tensor, pattern: Tensor) -> tuple[Tensor, Tensor]:
    return output.transpose(1, 2), pattern


def refuse_unread(module: nn.Module, settings: Mapping[str, Any]) -> None:
    """Raise ModelError for a setting of the call that changes its numbers and that `AttentionCall` does not have.

    Learned sinks (`s_aux`) are an example: each row of attention then sums to less than 1.
    """
    unread = sorted(
        name for name, value in settings.items() if not (value is None or value is False) and name not in READ
    )
    if unread:
        raise ModelError(
            f"The attention of {type(module).__name__} also uses {', '.join(map(_in_words, unread))}, which is not "
            "served here. Choose another model."
        )


def _in_words(setting: str) -> str:
    return {"s_aux": "learned sinks (s_aux)"}.get(setting, setting)
