"""A way into transformers' attention function: see queries, keys and mask as the model itself uses them, or answer
the call in its place.

The queries and keys after the rotary embedding exist only inside a model's attention module. Every modern module
hands them to a function looked up by name, so we register one under our own name that shows them to a listener
and then calls the model's usual function; the model's numbers stay the same to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

Listener = Callable[[nn.Module, Tensor, Tensor, Tensor | None, float], None]
"""Called with (attention module, query `[1, head, position, d_head]`, key `[1, kv_head, position, d_head]`,
mask, scaling)."""

Replacement = Callable[[nn.Module, Tensor, Tensor, Tensor, float], Tensor]
"""Called with (attention module, query, key, value, scaling), shaped as for a listener; returns what the usual
function would, `[1, position, head, d_head]`."""

Call = TypeVar("Call")

NAME = "letterheads"
USUAL = "sdpa"
_listener: ContextVar[Listener | None] = ContextVar("letterheads_attention_listener", default=None)
_replacement: ContextVar[Replacement | None] = ContextVar("letterheads_attention_replacement", default=None)


def usual_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """The function that the model calls when nobody looks: output `[batch, position, head, d_head]`, weights."""
    result: tuple[Tensor, Tensor | None] = ALL_ATTENTION_FUNCTIONS[USUAL](
        module, query, key, value, attention_mask, **kwargs
    )
    return result


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    scaling = kwargs.get("scaling") or query.shape[-1] ** -0.5
    replacement = _replacement.get()
    if replacement is not None:
        return replacement(module, query, key, value, scaling), None
    listener = _listener.get()
    if listener is not None:
        listener(module, query, key, attention_mask, scaling)
    return usual_attention(module, query, key, value, attention_mask, **kwargs)


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, AttentionMaskInterface._global_mapping[USUAL])


@contextmanager
def listening(model: PreTrainedModel, listener: Listener) -> Iterator[None]:
    """While inside, every attention call of this thread's forward passes is shown to `listener`."""
    with _ours(model, _listener, listener):
        yield


@contextmanager
def replacing(model: PreTrainedModel, replacement: Replacement) -> Iterator[None]:
    """While inside, `replacement` answers every attention call of this thread."""
    with _ours(model, _replacement, replacement):
        yield


@contextmanager
def _ours(model: PreTrainedModel, variable: ContextVar[Call | None], call: Call) -> Iterator[None]:
    usual = model.config._attn_implementation
    token = variable.set(call)
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = usual
        variable.reset(token)
