"""What the engine needs to know of an architecture: where its parts are, and how its norm folds into a line.

A family names modules of the unmodified transformers model; it computes nothing that the model computes itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Shape:
    """A model's sizes. Grouped-query models have fewer `kv_heads` than `heads`."""

    layers: int
    heads: int
    kv_heads: int
    d_model: int
    d_head: int
    vocabulary: int
    max_positions: int


@dataclass(frozen=True)
class FrozenNorm:
    """The final norm at one position, with its scale fixed: `out = gain * (x - mean(x) if centred) + bias`.

    Attributes:
        gain: `[d_model]`, the norm's weight times its scale (for RMSNorm 1 / rms) at that position.
        centred: whether the mean over d_model is taken off first (LayerNorm).
        bias: `[d_model]`, or None.
    """

    gain: Tensor
    centred: bool
    bias: Tensor | None

    def applied(self, residual: Tensor) -> Tensor:
        """The norm of other residual streams, `[..., d_model]`, with this scale."""
        centred = residual - residual.mean(-1, keepdim=True) if self.centred else residual
        normed = centred * self.gain
        return normed if self.bias is None else normed + self.bias


class Family(ABC):
    """One architecture family; stateless. `model_types` are the `model_type`s of the configs that it serves."""

    model_types: ClassVar[tuple[str, ...]]

    @abstractmethod
    def shape(self, model: PreTrainedModel) -> Shape:
        """The model's sizes."""

    @abstractmethod
    def layers(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """The decoder layers, first to last; each one's input is the residual stream."""

    @abstractmethod
    def attention(self, layer: nn.Module) -> nn.Module:
        """The attention module, the one that the attention function is called with."""

    @abstractmethod
    def mlp(self, layer: nn.Module) -> nn.Module:
        """The module whose output is what the MLP writes."""

    @abstractmethod
    def mlp_norm(self, layer: nn.Module) -> nn.Module:
        """The norm before the MLP; its input is the residual stream between attention and MLP."""

    @abstractmethod
    def query(self, attention: nn.Module) -> nn.Module:
        """The module whose output is the queries before the rotary embedding (any layout of head x d_head)."""

    @abstractmethod
    def key(self, attention: nn.Module) -> nn.Module:
        """The same for the keys."""

    @abstractmethod
    def value(self, attention: nn.Module) -> nn.Module:
        """The same for the values."""

    @abstractmethod
    def output(self, attention: nn.Module) -> nn.Module:
        """The output projection: its input is `z`, its output what attention writes."""

    @abstractmethod
    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """The norm before the unembedding."""

    @abstractmethod
    def frozen_norm(self, model: PreTrainedModel, residual: Tensor) -> FrozenNorm:
        """The final norm as a linear map, its scale taken at `residual`, `[d_model]` float32."""

    def unembedding(self, model: PreTrainedModel) -> nn.Module:
        """The module with the unembedding matrix, `weight [vocabulary, d_model]`."""
        head: nn.Module = model.get_output_embeddings()
        return head


def rms_norm(weight: Tensor, epsilon: float, residual: Tensor) -> FrozenNorm:
    """RMSNorm with its scale taken at `residual`, `[d_model]` float32 (Zhang & Sennrich 2019, eq. 4)."""
    scale = torch.rsqrt(residual.pow(2).mean() + epsilon)
    return FrozenNorm(gain=weight.to(residual) * scale, centred=False, bias=None)
