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

There are three ways in. Most modules look up their attention function by the name in the model's config. While a
listener or replacement is set, that name is "letterheads_sdpa" in place of "sdpa": a function registered here. Some
(such as falcon's) call torch's kernel directly; a TorchFunctionMode catches that call. GPT-J's call a method of their
own, which is covered by one of the instance.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from backend.engine.attention_call import PREFIX, AttentionCall, refuse_unread, usual_function
from backend.models.families import Family

Listener = Callable[[AttentionCall], None]
Replacement = Callable[[AttentionCall], Tensor]
"""Returns the call's output, `[batch, position, head, d_head]`."""

Function = TypeVar("Function")

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


def _answer(call: AttentionCall) -> Tensor | None:
    """The replacement's answer. If there is no replacement, show the call to the listener and return None."""
    replacement, listener = _replacement.get(), _listener.get()
    if replacement is not None:
        return replacement(call)
    if listener is not None:
        listener(call)
    return None


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
        with _way_in(model, family):
            yield
    finally:
        variable.reset(token)


def _way_in(model: PreTrainedModel, family: Family) -> AbstractContextManager[None]:
    if family.attention_interface:
        return _renamed(model)
    return _caught(model, family) if family.attention_method is None else _covered(model, family)


@contextmanager
def _covered(model: PreTrainedModel, family: Family) -> Iterator[None]:
    name = str(family.attention_method)
    modules = [family.attention(layer) for layer in family.layers(model)]
    for module in modules:
        setattr(module, name, partial(_method, module, getattr(module, name)))
    try:
        yield
    finally:
        for module in modules:
            delattr(module, name)


def _method(
    module: nn.Module,
    own: Callable[..., tuple[Tensor, Tensor]],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """In place of an attention module's own method."""
    call = AttentionCall(module, query, key, value, mask, query.shape[-1] ** -0.5, None)
    answer = _answer(call)
    return own(query, key, value, mask) if answer is None else (answer.transpose(1, 2), None)


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
