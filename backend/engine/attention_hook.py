"""See a model's attention calls, or answer them in its place.

Queries and keys after the rotary embedding exist only inside a layer's attention module:

    q, k, v = projections of the hidden states
    q, k    = rotary embedding of q, k
    z       = attention function (q, k, v, mask, scaling)      <- here
    output  = output projection of z

A *listener* sees each call; then the model's own function computes it, so that the model's numbers stay the same to the
last bit. A *replacement* returns `z` itself. For example, no head attends to anything in

    with replacing(model, family, lambda call: call.zeros()):
        model(ids)

There are two ways in. Most modules look up their attention function by the name in the model's config. While a listener
or replacement is set, that name is "letterheads_sdpa" in place of "sdpa": a function registered here. The others (such
as falcon's) call torch's kernel directly; a TorchFunctionMode catches that call.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from backend.contract.errors import ModelError
from backend.models.families import Family


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


Listener = Callable[[AttentionCall], None]
Replacement = Callable[[AttentionCall], Tensor]
"""Returns the call's output, `[batch, position, head, d_head]`."""

Function = TypeVar("Function")

READ = frozenset(
    (
        # Used here, or already in the mask.
        *("scaling", "softcap", "is_causal", "sliding_window", "position_ids", "cache_position"),
        # Without effect: models are in eval mode, and run without a cache.
        *("dropout", "use_cache", "past_key_values"),
    )
)
"""The settings of an attention call that are read here, or that change nothing."""

PREFIX = "letterheads_"
USUAL = ("sdpa", "eager")
_listener: ContextVar[Listener | None] = ContextVar("letterheads_attention_listener", default=None)
_replacement: ContextVar[Replacement | None] = ContextVar("letterheads_attention_replacement", default=None)


@contextmanager
def listening(model: PreTrainedModel, family: Family, listener: Listener) -> Iterator[None]:
    """While inside, every attention call of this thread's forward passes is shown to `listener`."""
    with _hooked(model, family, _listener, listener):
        yield


@contextmanager
def replacing(model: PreTrainedModel, family: Family, replacement: Replacement) -> Iterator[None]:
    """While inside, `replacement` answers every attention call of this thread."""
    with _hooked(model, family, _replacement, replacement):
        yield


def usual_function(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The function that an attention module calls without our hook.

    It takes (module, query, key, value, mask, **settings) and returns the output `[batch, position, head, d_head]`
    and the attention weights, or None for them.
    """
    config: Any = module.config
    name = config._attn_implementation.removeprefix(PREFIX)
    # The eager function is not in transformers' table: each model's file has its own.
    function: Callable[..., tuple[Tensor, Tensor | None]] = (
        sys.modules[type(module).__module__].eager_attention_forward
        if name == "eager"
        else ALL_ATTENTION_FUNCTIONS[name]
    )
    return function


def _answer(call: AttentionCall) -> Tensor | None:
    """The replacement's answer. If there is no replacement, show the call to the listener and return None."""
    replacement, listener = _replacement.get(), _listener.get()
    if replacement is not None:
        return replacement(call)
    if listener is not None:
        listener(call)
    return None


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


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The attention function that is registered with transformers."""
    refuse_unread(module, kwargs)
    scaling = kwargs.get("scaling") or query.shape[-1] ** -0.5
    answer = _answer(AttentionCall(module, query, key, value, attention_mask, scaling, kwargs.get("softcap")))
    if answer is not None:
        return answer, None
    return usual_function(module)(module, query, key, value, attention_mask, **kwargs)


for _name in USUAL:
    AttentionInterface.register(PREFIX + _name, _attention)
    AttentionMaskInterface.register(PREFIX + _name, AttentionMaskInterface._global_mapping[_name])


class _Kernel(TorchFunctionMode):
    """Catches calls of torch's attention kernel while `module` runs.

    Some modules repeat their kv heads before the call, one copy for each head; one copy of each is shown.
    """

    def __init__(self, kv_heads: int) -> None:
        super().__init__()
        self.module: nn.Module | None = None
        self._kv_heads = kv_heads

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not torch.nn.functional.scaled_dot_product_attention or self.module is None:
            return func(*args, **kwargs)
        query, key, value = args
        first_copies = slice(None, None, key.shape[1] // self._kv_heads)
        call = AttentionCall(
            module=self.module,
            query=query,
            key=key[:, first_copies],
            value=value[:, first_copies],
            mask=kwargs["attn_mask"],
            scaling=query.shape[-1] ** -0.5,
            softcap=None,
        )
        answer = _answer(call)
        return func(*args, **kwargs) if answer is None else answer.transpose(1, 2).contiguous()


@contextmanager
def _hooked(
    model: PreTrainedModel, family: Family, variable: ContextVar[Function | None], function: Function
) -> Iterator[None]:
    token = variable.set(function)
    try:
        with _renamed(model) if family.attention_interface else _caught(model, family):
            yield
    finally:
        variable.reset(token)


@contextmanager
def _renamed(model: PreTrainedModel) -> Iterator[None]:
    usual = model.config._attn_implementation
    model.config._attn_implementation = PREFIX + usual
    try:
        yield
    finally:
        model.config._attn_implementation = usual


@contextmanager
def _caught(model: PreTrainedModel, family: Family) -> Iterator[None]:
    kernel = _Kernel(family.shape(model).kv_heads)

    def enter(module: nn.Module, _: object) -> None:
        kernel.module = module

    with ExitStack() as stack:
        for layer in family.layers(model):
            stack.callback(family.attention(layer).register_forward_pre_hook(enter).remove)
        stack.enter_context(kernel)
        yield
