"""Hooks at the modules that take or give a model's components."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.models.families import Family, Slot

Keep = Callable[[str, int, Tensor, Slot | None], object]
"""Called with (component, layer, tensor as the model has it, the slot in it or None for all of it)."""


@contextmanager
def at_components(model: PreTrainedModel, family: Family, keep: Keep) -> Iterator[None]:
    """While inside, each pass shows `keep` the tensors that hold its components, layer by layer, as it makes them."""
    shape = family.shape(model)
    with ExitStack() as stack:
        for index, layer in enumerate(family.layers(model)):
            attention = family.attention(layer)

            def kept(name: str, slot: Slot | None = None, index: int = index) -> Callable[[Tensor], object]:
                return lambda whole: keep(name, index, whole, slot)

            before_module(stack, layer, kept("resid_pre"))
            if not shape.parallel:
                before_module(stack, family.mid(layer), kept("resid_mid"))
            z = family.z(attention, shape)
            before_module(stack, z.module, kept("z", z))
            for name, slot in (
                ("attn_out", family.attn_out(layer, shape)),
                ("mlp_out", family.mlp_out(layer, shape)),
                ("q", family.query(attention, shape)),
                ("k", family.key(attention, shape)),
                ("v", family.value(attention, shape)),
            ):
                _after(stack, slot.module, kept(name, slot))
        yield


def before_module(stack: ExitStack, module: nn.Module, keep: Callable[[Tensor], object]) -> None:
    """Until the stack is left, show `keep` what the module is called with."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(args[0] if args else kwargs["hidden_states"])

    stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)


def _after(stack: ExitStack, module: nn.Module, keep: Callable[[Tensor], object]) -> None:
    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        keep(output)

    stack.callback(module.register_forward_hook(hook).remove)
