"""On which device each module of a model is: one device, several, or offloaded and copied to a card to run.

transformers distributes a model with accelerate's hooks. A module with offloaded weights has placeholders on the meta
device until it is called. To read its weights directly, use `weights_there`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate import infer_auto_device_map
from accelerate.utils import align_module_device
from torch import nn
from transformers import PreTrainedModel

from backend.models.memory import memory_by_device


def device_of(module: nn.Module) -> torch.device:
    """The device on which a module computes. Its inputs have to be there."""
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return next(module.parameters()).device


def weights_there(module: nn.Module) -> AbstractContextManager[None]:
    """Inside, the module's own weights can be read. Offloaded weights are copied to its device for that time."""
    there: AbstractContextManager[None] = align_module_device(module)
    return there


def placed(
    meta_model: Callable[[], PreTrainedModel], device: str, needed: int, spare: int, quantized: bool = False
) -> dict[str, Any] | None:
    """Keyword arguments with which transformers loads a model of `needed` bytes on a device. None if it does not fit.

    `meta_model` returns the model on the meta device (no weights). If the first graphics card is too small, complete
    layers are distributed over several devices. Each keeps `spare` bytes free for activations. This has not been tested
    on more than one real card.
    """
    free = memory_by_device(device)
    first = next(iter(free))
    if needed <= free[first] or len(free) == 1:
        return {"device_map": {"": first}}
    # accelerate names a card by its number.
    limits = {_number(each): max(0, size - spare) for each, size in free.items()}
    if quantized:  # transformers knows the quantized sizes, and refuses a model that does not fit
        return {"device_map": "auto", "max_memory": limits}
    model = meta_model()
    found = infer_auto_device_map(model, limits, no_split_module_classes=[*(model._no_split_modules or ())])
    return None if "disk" in found.values() else {"device_map": found}


def _number(device: str) -> int | str:
    return int(device.removeprefix("cuda:")) if device.startswith("cuda:") else device
