"""Hooks of the tests' own that change what a module gives where a slot says."""

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from backend.models.families import Slot


def with_value(slot: Slot, output: Tensor, value: Tensor) -> Tensor:
    """A copy of a module's output that holds `value`, `[position, ...]`, where the slot says."""
    changed, heads = output.clone(), len(slot.blocks)
    positions = torch.arange(len(value)).repeat_interleave(heads)
    slot.write(
        changed,
        positions,
        torch.arange(heads).repeat(len(value)),
        value.reshape(len(value) * heads, slot.size),
    )
    return changed


def set_to(slot: Slot, value: Tensor) -> RemovableHandle:
    """From now on the module gives `value`."""
    return slot.module.register_forward_hook(lambda _, args, output: with_value(slot, output, value))


def moved_by(slot: Slot, by: Tensor) -> RemovableHandle:
    """From now on the module gives `by` more."""

    def hook(_: object, args: object, output: Tensor) -> Tensor:
        own = slot.read(output)
        return with_value(slot, output, own + by.reshape(own.shape).to(own))

    return slot.module.register_forward_hook(hook)
