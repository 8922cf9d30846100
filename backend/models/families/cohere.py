"""Cohere's Command models: attention and MLP side by side, LayerNorm without a bias, scaled logits."""

from typing import Any

from torch import nn

from backend.models.families.family import Family, Shape
from backend.models.families.norm import Norm
from backend.models.families.slot import Slot, whole


class Cohere(Family):
    """Some models of the first kind have a norm on each head's query and key; the second has sliding windows, and turns
    no queries and keys in the layers without one."""

    model_types = ("cohere", "cohere2")

    def parallel(self, config: Any) -> bool:
        return True

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return whole(_normed(attention, "q"), shape.heads, shape.d_head)

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return whole(_normed(attention, "k"), shape.kv_heads, shape.d_head)

    def norm(self, module: nn.Module) -> Norm:
        epsilon: float = module.variance_epsilon  # type: ignore[assignment]
        return Norm(epsilon, module.get_parameter("weight"), centred=True)

    def logit_divisor(self, config: Any) -> float:
        return float(1 / config.logit_scale)


def _normed(attention: nn.Module, name: str) -> nn.Module:
    """The projection, or its norm where there is one; both give all heads of a position one after the other."""
    found: nn.Module | None = getattr(attention, f"{name}_norm", None)
    return attention.get_submodule(f"{name}_proj") if found is None else found
