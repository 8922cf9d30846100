"""Where a model's parts are: on one device, on several, or fetched from elsewhere whenever they run.

transformers spreads a model by hooks of accelerate. A module whose weights are offloaded holds placeholders without
data until it is called; whoever reads its weights has to have them fetched.
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


def placed(
    skeleton: Callable[[], PreTrainedModel], device: str, needed: int, spare: int, quantized: bool = False
) -> dict[str, Any] | None:
    """Keyword arguments with which transformers puts a model of `needed` bytes on a device; None where it does not fit.

    `skeleton` gives the model on the meta device (no weights). Where the layers do not all fit on the
    first graphics card, whole layers are spread over several; each place keeps `spare` bytes free to work with.
    Nobody has run that on cards yet.
    """
    places = memory_by_device(device)
    first = next(iter(places))
    if needed <= places[first] or len(places) == 1:
        return {"device_map": {"": first}}
    # accelerate counts the cards.
    room = {_number(place): max(0, free - spare) for place, free in places.items()}
    if quantized:  # transformers knows what that takes, and refuses what does not fit
        return {"device_map": "auto", "max_memory": room}
    model = skeleton()
    found = infer_auto_device_map(model, room, no_split_module_classes=[*(model._no_split_modules or ())])
    return None if "disk" in found.values() else {"device_map": found}


def _number(place: str) -> int | str:
    return int(place.removeprefix("cuda:")) if place.startswith("cuda:") else place
