"""A way into the attention call: see queries, keys and mask as the model itself uses them, or answer the call in its
place.

The queries and keys after the rotary embedding exist only inside a model's attention module. Nearly every module
hands them to a function looked up by name, so we register one under our own name that shows them to a listener and
then calls the model's usual function; the model's numbers stay the same to the last bit. The others call torch's
fused kernel themselves; there we stand before that.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from backend.models.families import Family

Listener = Callable[[nn.Module, Tensor, Tensor, Tensor | None, float, float | None], None]
"""Called with (attention module, query `[1, head, position, d_head]`, key `[1, kv_head, position, d_head]`,
mask, scaling, soft cap of the scores)."""

Replacement = Callable[[nn.Module, Tensor, Tensor, Tensor, float], Tensor]
"""Called with (attention module, query, key, value, scaling), shaped as for a listener; returns what the usual
function would, `[1, position, head, d_head]`."""

Call = TypeVar("Call")

PREFIX = "letterheads_"
USUAL = ("sdpa", "eager")
_listener: ContextVar[Listener | None] = ContextVar("letterheads_attention_listener", default=None)
_replacement: ContextVar[Replacement | None] = ContextVar("letterheads_attention_replacement", default=None)


def usual_function(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """The function that an attention module calls when nobody looks.

    It takes (module, query, key, value, mask, **settings) and returns the output `[batch, position, head, d_head]`
    and weights.
    """
    config: Any = module.config
    name = config._attn_implementation.removeprefix(PREFIX)
    # The eager function has no name of its own: each family's file has one.
    function: Callable[..., tuple[Tensor, Tensor | None]] = (
        sys.modules[type(module).__module__].eager_attention_forward
        if name == "eager"
        else ALL_ATTENTION_FUNCTIONS[name]
    )
    return function


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    scaling = kwargs.get("scaling") or query.shape[-1] ** -0.5
    answer = _answer(module, query, key, value, attention_mask, scaling, kwargs.get("softcap"))
    if answer is not None:
        return answer, None
    return usual_function(module)(module, query, key, value, attention_mask, **kwargs)


def _answer(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float,
    softcap: float | None,
) -> Tensor | None:
    """The replacement's answer; where there is none, show the call to the listener and return None."""
    replacement, listener = _replacement.get(), _listener.get()
    if replacement is not None:
        return replacement(module, query, key, value, scaling)
    if listener is not None:
        listener(module, query, key, mask, scaling, softcap)
    return None


for _name in USUAL:
    AttentionInterface.register(PREFIX + _name, _attention)
    AttentionMaskInterface.register(PREFIX + _name, AttentionMaskInterface._global_mapping[_name])


class _Kernel(TorchFunctionMode):
    """Stands before torch's attention kernel while `module` calls it with its kv heads repeated or not."""

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
        first_of_each = slice(None, None, key.shape[1] // self._kv_heads)
        answer = _answer(
            self.module,
            query,
            key[:, first_of_each],
            value[:, first_of_each],
            kwargs["attn_mask"],
            query.shape[-1] ** -0.5,
            None,
        )
        return func(*args, **kwargs) if answer is None else answer.transpose(1, 2).contiguous()


@contextmanager
def listening(model: PreTrainedModel, family: Family, listener: Listener) -> Iterator[None]:
    """While inside, every attention call of this thread's forward passes is shown to `listener`."""
    with _ours(model, family, _listener, listener):
        yield


@contextmanager
def replacing(model: PreTrainedModel, family: Family, replacement: Replacement) -> Iterator[None]:
    """While inside, `replacement` answers every attention call of this thread."""
    with _ours(model, family, _replacement, replacement):
        yield


@contextmanager
def _ours(
    model: PreTrainedModel, family: Family, variable: ContextVar[Call | None], call: Call
) -> Iterator[None]:
    token = variable.set(call)
    try:
        with _named(model) if family.attention_interface else _before_kernel(model, family):
            yield
    finally:
        variable.reset(token)


@contextmanager
def _named(model: PreTrainedModel) -> Iterator[None]:
    usual = model.config._attn_implementation
    model.config._attn_implementation = PREFIX + usual
    try:
        yield
    finally:
        model.config._attn_implementation = usual


@contextmanager
def _before_kernel(model: PreTrainedModel, family: Family) -> Iterator[None]:
    kernel = _Kernel(family.shape(model).kv_heads)

    def note(module: nn.Module, _: object) -> None:
        kernel.module = module

    with ExitStack() as stack:
        for layer in family.layers(model):
            stack.callback(family.attention(layer).register_forward_pre_hook(note).remove)
        stack.enter_context(kernel)
        yield
