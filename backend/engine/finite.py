"""Weights that contain NaN or infinity."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def not_finite(model: PreTrainedModel, *, unread_only: bool = False) -> str | None:
    """The name of the first weight that contains NaN or infinity, or None.

    With `unread_only` only the embedding and the experts are searched: one pass uses only a part of them. NaN in any
    other weight shows in the logits of a pass.
    """
    embedding = model.get_input_embeddings().weight
    for name, parameter in model.named_parameters():
        partly_used = parameter is embedding or parameter.dim() == 3
        if (partly_used or not unread_only) and not _finite(parameter):
            return str(name)
    return None


def _finite(parameter: nn.Parameter) -> bool:
    # A sum is NaN or infinite if a summand is. isfinite() of all weights would take longer than a pass.
    if not parameter.is_floating_point() or parameter.is_meta:
        return True
    total: Tensor = torch.sum(parameter.detach(), dtype=torch.float32)
    return bool(total.isfinite())
