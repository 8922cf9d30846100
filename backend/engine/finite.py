"""Weights that are no numbers: which one it is."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def not_finite(model: PreTrainedModel, *, unread_only: bool = False) -> str | None:
    """The name of the first weight with NaN or infinity in it, if any.

    With `unread_only` only those of which one pass reads a part are looked at: the embedding's rows and experts. A pass
    shows what is wrong with the others.
    """
    embedding = model.get_input_embeddings().weight
    for name, parameter in model.named_parameters():
        partly_read = parameter is embedding or parameter.dim() == 3
        if (partly_read or not unread_only) and not _finite(parameter):
            return str(name)
    return None


def _finite(parameter: nn.Parameter) -> bool:
    # A sum tells as well, and isfinite() of all weights takes longer than a pass.
    if not parameter.is_floating_point() or parameter.is_meta:
        return True
    total: Tensor = torch.sum(parameter.detach(), dtype=torch.float32)
    return bool(total.isfinite())
