"""A way into transformers' attention function: see queries, keys and mask as the model itself uses them.

The queries and keys after the rotary embedding exist only inside a model's attention module. Every modern module
hands them to a function looked up by name, so we register one under our own name that shows them to a listener
and then calls the model's usual function; the model's numbers stay the same to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

Listener = Callable[[nn.Module, Tensor, Tensor, Tensor | None, float], None]
"""Called with (attention module, query `[1, head, position, d_head]`, key `[1, kv_head, position, d_head]`,
mask, scaling)."""

NAME = "letterheads"
USUAL = "sdpa"
_listener: ContextVar[Listener | None] = ContextVar("letterheads_attention_listener", default=None)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    listener = _listener.get()
    if listener is not None:
        listener(module, query, key, attention_mask, kwargs.get("scaling") or query.shape[-1] ** -0.5)
    result: tuple[Tensor, Tensor | None] = ALL_ATTENTION_FUNCTIONS[USUAL](
        module, query, key, value, attention_mask, **kwargs
    )
    return result


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, AttentionMaskInterface._global_mapping[USUAL])


@contextmanager
def listening(model: PreTrainedModel, listener: Listener) -> Iterator[None]:
    """While inside, every attention call of this thread's forward passes is shown to `listener`."""
    usual = model.config._attn_implementation
    token = _listener.set(listener)
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = usual
        _listener.reset(token)
