"""Where a model's parts are: on one device, on several, or fetched from elsewhere whenever they run.

transformers spreads a model by hooks of accelerate. A module whose weights are offloaded holds placeholders without
data until it is called; whoever reads its weights has to have them fetched.
"""

from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate.utils import align_module_device
from torch import nn


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes, and so where its inputs have to be."""
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return next(module.parameters()).device


def weights_there(module: nn.Module) -> AbstractContextManager[None]:
    """While inside, the module's own weights can be read; they are only fetched where they are offloaded."""
    there: AbstractContextManager[None] = align_module_device(module)
    return there


def free_on_cards() -> list[int]:
    """Bytes that could be taken now on each graphics card."""
    return [torch.cuda.mem_get_info(card)[0] for card in range(torch.cuda.device_count())]


def device_map(device: str, needed: int, spare: int) -> dict[str, Any]:
    """Keyword arguments with which transformers puts a model of `needed` bytes on a device.

    On several graphics cards its layers are spread where they do not fit on the first, which leaves each card `spare`
    bytes to work with. Nobody has run that on cards yet.
    """
    if device != "cuda" or needed <= (free := free_on_cards())[0] or len(free) == 1:
        return {"device_map": {"": device}}
    return {
        "device_map": "auto",
        "max_memory": {card: max(0, room - spare) for card, room in enumerate(free)},
    }
