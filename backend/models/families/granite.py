"""Granite: Llama with multipliers."""

from typing import Any

from torch import nn

from backend.models.families.family import Family


class Granite(Family):
    """What attention and MLP write is scaled before it is added, and the logits at the end."""

    model_types = ("granite",)

    def multiplier(self, layer: nn.Module) -> float:
        factor: float = layer.residual_multiplier  # type: ignore[assignment]
        return factor

    def logit_divisor(self, config: Any) -> float:
        divisor: float = config.logits_scaling
        return divisor
