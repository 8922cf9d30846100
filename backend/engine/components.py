"""Hooks on the modules whose input or output is a component."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.models.families import Family, Slot

Listener = Callable[[str, int, Tensor, Slot | None], object]
"""Called with (component, layer, tensor of the model, the slot of the component in it or None for all of it)."""


@contextmanager
def at_components(model: PreTrainedModel, family: Family, listener: Listener) -> Iterator[None]:
    """While inside, `listener` is called with each component of each layer as a pass computes it."""
    shape = family.shape(model)
    with ExitStack() as stack:
        for index, layer in enumerate(family.layers(model)):
            attention = family.attention(layer)

            def shown(name: str, slot: Slot | None = None, index: int = index) -> Callable[[Tensor], object]:
                return lambda tensor: listener(name, index, tensor, slot)

            before_module(stack, layer, shown("resid_pre"))
            if not shape.parallel:
                before_module(stack, family.mid(layer), shown("resid_mid"))
            z = family.z(attention, shape)
            before_module(stack, z.module, shown("z", z))
            for name, slot in (
                ("attn_out", family.attn_out(layer, shape)),
                ("mlp_out", family.mlp_out(layer, shape)),
                ("q", family.query(attention, shape)),
                ("k", family.key(attention, shape)),
                ("v", family.value(attention, shape)),
            ):
                _after(stack, slot.module, shown(name, slot))
        yield


def before_module(stack: ExitStack, module: nn.Module, seen: Callable[[Tensor], object]) -> None:
    """Until the stack is closed, call `seen` with the module's input."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen(args[0] if args else kwargs["hidden_states"])

    stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)


def _after(stack: ExitStack, module: nn.Module, seen: Callable[[Tensor], object]) -> None:
    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        seen(output)

    stack.callback(module.register_forward_hook(hook).remove)
